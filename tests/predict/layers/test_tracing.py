"""Networks taken apart: which calls, of which sizes, and what cannot be taken apart says why."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from wattmark.errors import ConfigError
from wattmark.predict.layers.calls import Call
from wattmark.predict.layers.tracing import trace


class Small(nn.Module):
    """One of each that is common, some of it called in its own code."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.stem(x)))
        x = x + self.deep(x)
        x = functional.max_pool2d(x, 2)
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def test_each_function_is_a_call_with_its_sizes_and_the_module_that_called_it() -> None:
    found = trace(Small(), (3, 32, 32), 4)
    assert [(call.kind, call.sizes, call.layer) for call in found.calls] == [
        ("conv", (4, 3, 8, 1, 16, 3, 2, 2), "stem"),
        ("batch_norm", (4, 8, 256), "norm"),
        ("relu", (4 * 8 * 256,), ""),
        ("depthwise", (4, 8, 16, 3, 1), "deep"),
        ("add", (4 * 8 * 256,), ""),
        ("max_pool", (32, 8, 2, 2), ""),
        ("mean", (32, 64), ""),
        ("view", (1,), ""),
        ("linear", (4, 8, 5, 2), "head"),
        ("view", (1,), ""),
        ("cross_entropy", (4, 5), ""),
    ]
    assert [call.gradient for call in found.calls] == [False] + [True] * 10
    assert found.unknown == ()
    assert found.parameters == (
        ("stem", 216), ("stem", 8), ("norm", 8), ("norm", 8), ("deep", 72), ("head", 40), ("head", 5),
    )  # fmt: skip
    assert found.modules == 5
    assert (found.batch, found.dtype, found.name) == (4, "float32", "Small")


def test_the_network_is_as_it_was() -> None:
    network = Small().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace(network, (3, 32, 32), 2)
    assert not network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert next(network.parameters()).device.type == "cpu"


@pytest.mark.parametrize("need_weights", [False, True])
def test_attention_is_projections_heads_and_a_projection(need_weights: bool) -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=need_weights)[0]

    kinds = [(call.kind, call.sizes) for call in trace(Attends(), (10, 32), 2).calls if call.kind != "view"]
    assert kinds[0] == ("linear", (20, 32, 96, 2))
    assert ("linear", (20, 32, 32, 2)) in kinds
    if need_weights:
        assert ("matmul", (8, 10, 8, 10)) in kinds
        assert ("softmax", (80, 10)) in kinds
    else:
        assert ("attention", (8, 10, 8)) in kinds


def test_tokens_and_recurrence() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(50, 16)
            self.cell = nn.LSTM(16, 24, batch_first=True)

        def forward(self, ids: Tensor) -> Tensor:
            return self.cell(self.words(ids))[0]

    calls = trace(Reads(), (7,), 3, dtype="int64").calls
    assert Call("embedding", (21, 50, 16), "words", "embedding", False) in calls
    assert Call("lstm", (3, 7, 16, 24), "cell", "lstm", True) in calls


def test_an_unknown_function_is_named_with_how_it_is_treated() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(self.head(x), -1)

    found = trace(Odd(), (6,), 4)
    assert found.unknown == ("cumsum: unknown, taken for an element-wise function of its largest tensor",)
    assert Call("gelu", (8,), "", "cumsum", True, found.unknown[0].partition(": ")[2]) in found.calls


def test_work_that_depends_on_values_is_refused_in_words() -> None:
    class Early(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if x.mean() > 0 else x

    with pytest.raises(ConfigError, match="depends on the values of its input") as error:
        trace(Early(), (4,), 2)
    assert "wattmark run" in str(error.value.hint)


@pytest.mark.parametrize(
    ("shape", "words"), [((3, -1, 32), "not known"), ((3, None), "not known"), ((5, 8, 8), "cannot run")]
)
def test_what_is_no_shape_of_the_network_is_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        trace(Small(), shape, 2)


def test_lazy_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match="lazy"):
        trace(nn.LazyLinear(3), (4,), 2)


def test_what_is_frozen_is_not_trained() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    assert trace(network, (4,), 2).parameters == (("1", 8), ("1", 2))
