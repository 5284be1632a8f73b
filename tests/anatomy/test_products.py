"""Mixtures of experts against closed forms, and work that nobody counts is said."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the anatomy of a torch module needs torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from wattmark.anatomy import describe  # noqa: E402

# hidden width, width of an expert, experts, experts for each token
SHAPES = {
    "Mixtral 8x7B": (4096, 14336, 8, 2),
    "Qwen3-30B-A3B": (2048, 768, 128, 8),
    "gpt-oss-20b": (2880, 2880, 32, 4),
}


class Experts(nn.Module):
    """A gate and gated experts (three matrices each), all experts in one operator, as transformers runs them."""

    def __init__(self, hidden, width, experts, chosen, bias=False):
        super().__init__()
        self.chosen = chosen
        self.gate = nn.Linear(hidden, experts, bias=False)
        self.gate_up = nn.Parameter(torch.empty(experts, hidden, 2 * width))
        self.down = nn.Parameter(torch.empty(experts, width, hidden))

    def forward(self, x):
        tokens = x.reshape(-1, x.shape[-1])
        self.gate(tokens).softmax(-1)
        rows = tokens.repeat_interleave(self.chosen, 0)
        count = len(self.gate_up)
        edges = torch.linspace(len(rows) / count, len(rows), count, device=x.device).to(torch.int32)
        up, gate = torch._grouped_mm(rows, self.gate_up, offs=edges).chunk(2, -1)
        return torch._grouped_mm(F.silu(gate) * up, self.down, offs=edges)


@pytest.mark.parametrize("name", SHAPES)
def test_mixtures_of_experts_equal_their_closed_form(name):
    hidden, width, experts, chosen = SHAPES[name]
    tokens = 16
    with torch.device("meta"):
        model = Experts(*SHAPES[name]).to(torch.bfloat16)
    found = describe(model, (tokens, hidden))
    assert found.macs == tokens * (hidden * experts + chosen * 3 * hidden * width)
    assert found.warnings == ()


def test_experts_that_are_called_one_after_the_other_are_the_same_work_and_idle_ones_warn_of_nothing():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.ModuleList(nn.Linear(8, 4) for _ in range(3))

        def forward(self, x):
            return [expert(x[:, :n]) for expert, n in zip(self.experts, (2, 0, 3), strict=True)]

    found = describe(Loop(), (5, 8))
    assert (found.macs, found.warnings) == (5 * 32, ())


@pytest.mark.parametrize(
    ("a", "b"), [((6, 16), (3, 16, 8)), ((3, 6, 16), (3, 16, 8)), ((8, 16), (16, 8)), ((3, 6, 16), (16, 24))]
)
def test_grouped_products_have_their_closed_form_in_every_arrangement(a, b):
    class Grouped(nn.Module):
        def forward(self, left, right):
            offsets = torch.tensor([2, 4, 6], dtype=torch.int32, device="meta")
            if len(a) == len(b) == 3:
                return torch._grouped_mm(left, right)
            return torch._grouped_mm(left, right, offs=offsets)

    def tensor(shape):
        return torch.empty(shape, dtype=torch.bfloat16, device="meta")

    rows, inner = a[-2], a[-1]
    # Columns that are shared out among the groups, or sums over parts of k, make no difference: one product in all.
    expected = rows * inner * b[-1] * (3 if len(a) == len(b) == 3 else 1)
    assert describe(Grouped(), [tensor(a), tensor(b)]).macs == expected


@pytest.fixture(scope="module")
def custom():
    library = torch.library.Library("wmtest", "DEF")
    library.define("fused_mm(Tensor a, Tensor b) -> Tensor")
    library.define("secret(Tensor a, Tensor b) -> Tensor")
    for name in ("fused_mm", "secret"):
        library.impl(name, lambda a, b: a.new_zeros(a.shape[0], b.shape[1]), "CPU")
    yield torch.ops.wmtest
    library._destroy()


class Matrix(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8, 4))
        self.function = function

    def forward(self, x):
        return self.function(x, self.weight)


def test_an_operator_whose_name_says_product_and_that_has_no_formula_is_named(custom):
    found = describe(nn.Sequential(Matrix(custom.fused_mm)), (8,))
    assert found.macs == 0
    (warning,) = found.warnings
    assert "wmtest.fused_mm has no formula" in warning


@pytest.mark.parametrize("function", ["secret", "written out"])
def test_a_module_with_matrices_that_counted_nothing_is_named(custom, function):
    work = custom.secret if function == "secret" else lambda x, w: (x[:, :, None] * w[None]).sum(1)
    found = describe(nn.Sequential(Matrix(work)), torch.ones(3, 8))
    (warning,) = found.warnings
    assert warning.startswith("0 (Matrix) has matrices and ran")


def test_tables_positions_and_norms_are_no_products():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.places = nn.Parameter(torch.ones(1, 6, 8))
            self.scale = nn.Parameter(torch.ones(6, 8))

        def forward(self, x):
            return (x + self.places) * self.scale

    model = nn.Sequential(nn.Embedding(10, 8), Positions(), nn.LayerNorm((6, 8)), nn.Linear(8, 2))
    found = describe(model, (6,), dtype="int64")
    assert (found.macs, found.warnings) == (6 * 16, ())
    assert describe(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (5, 16)).warnings == ()
    assert describe(nn.LSTM(6, 8, batch_first=True), (5, 6)).warnings == ()
