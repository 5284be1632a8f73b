"""Multiply-accumulates against closed forms, and that counting leaves no trace."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch", reason="the anatomy of a torch module needs torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from wattmark.anatomy import describe, rows  # noqa: E402
from wattmark.errors import ConfigError  # noqa: E402


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def macs(model, *inputs):
    return describe(model if isinstance(model, nn.Module) else Apply(model), list(inputs)).macs


def r(*shape):
    return torch.ones(shape)


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Conv1d(4, 8, 3), (1, 4, 10), 8 * 8 * 4 * 3),
        (nn.Conv2d(4, 8, 3, groups=2, padding=1, stride=2), (1, 4, 8, 8), 16 * 8 * 2 * 9),
        (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 8, 8), 36 * 4 * 9),
        (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 27 * 3 * 2 * 8),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (1, 4, 8, 8), 64 * 4 * 6 * 9),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (1, 4, 8, 8), 64 * 4 * 3 * 9),
        (nn.Linear(5, 7), (2, 3, 5), 6 * 35),
        (nn.Linear(5, 7, bias=False), (2, 3, 5), 6 * 35),
        (nn.Linear(5, 7), (5,), 35),
    ],
)
def test_convolutions_and_linear_layers_have_their_closed_forms(model, shape, expected):
    assert macs(model, r(*shape)) == expected


@pytest.mark.parametrize(("value_width", "heads"), [(16, 4), (24, 4)])
def test_attention_on_the_cpu_is_counted(value_width, heads):
    q, k, v = r(2, heads, 7, 16), r(2, heads, 9, 16), r(2, heads, 9, value_width)
    assert macs(F.scaled_dot_product_attention, q, k, v) == 2 * heads * 7 * 9 * (16 + value_width)


def test_attention_with_grouped_heads_counts_the_heads_of_the_query():
    q, k = r(1, 8, 5, 16), r(1, 2, 5, 16)
    attend = Apply(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    assert macs(attend, q, k, k) == 8 * 5 * 5 * (16 + 16)


def test_the_fused_path_of_a_transformer_layer_hides_nothing():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    projections, attention, feed_forward = 2 * 5 * 16 * 16 * 4, 2 * 4 * 5 * 5 * (4 + 4), 2 * 5 * 16 * 32 * 2
    assert macs(layer, r(2, 5, 16)) == projections + attention + feed_forward
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
def test_a_recurrent_network_runs_each_weight_matrix_once_per_step(kind, options):
    network = kind(6, 8, batch_first=True, **options)
    per_step = sum(p.numel() for p in network.parameters() if p.dim() == 2)
    assert macs(network, r(3, 5, 6)) == 3 * 5 * per_step


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 120),
        (torch.addbmm, [(3, 5), (2, 3, 4), (2, 4, 5)], 120),
        (lambda a, b: torch.einsum("bij,bjk->bik", a, b), [(2, 3, 4), (2, 4, 5)], 120),
        (lambda a, b: a @ b, [(4, 5), (5,)], 20),
        (lambda a, b: a @ b, [(5,), (5,)], 5),
        (torch.addmv, [(4,), (4, 5), (5,)], 20),
        (nn.Bilinear(3, 4, 5), [(7, 3), (7, 4)], 7 * 3 * 4 * 5),
    ],
)
def test_other_products_have_their_closed_forms(function, shapes, expected):
    assert macs(function, *(r(*s) for s in shapes)) == expected


def test_a_quantised_linear_layer_is_counted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao announces its move to another package
        quantised = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(nn.Linear(8, 4)), {nn.Linear}, dtype=torch.qint8
        )
        assert describe(quantised, (8,)).macs == 32


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_the_model_makes_no_difference_to_its_macs(dtype):
    found = describe(nn.Linear(5, 7).to(dtype), (5,))
    assert found.macs == 35
    assert found.parameter_bytes == 42 * dtype.itemsize


def test_a_model_without_storage_can_be_described():
    assert describe(nn.Linear(5, 7, device="meta"), (5,)).macs == 35


def test_work_is_listed_with_the_layer_that_does_it_even_past_the_calls_of_its_parents():
    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def features(self, x):
            return self.layer(x)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = Backbone()
            self.weight = nn.Parameter(torch.ones(4, 2))

        def forward(self, x):
            return {"logits": self.backbone.features(x) @ self.weight, "note": "not a tensor"}

    found = describe(Model(), (3,))
    by_path = {layer.path: layer for layer in found.layers}
    assert by_path["backbone.layer"].macs == 12
    assert by_path["backbone"].macs == 0
    assert by_path["backbone"].calls == 0
    assert by_path[""].macs == 8
    assert by_path[""].output_shape == (1, 2)
    assert (found.macs, found.parameters, found.activations) == (20, 24, 6)


def test_totals_are_the_sums_of_the_layers_and_shared_parameters_count_once():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(4, 2))
    model[3].weight.requires_grad_(False)
    found = describe(model, (4,))
    assert found.parameters == sum(layer.parameters for layer in found.layers) == 20 + 10
    assert found.trainable_parameters == 22
    assert found.macs == sum(layer.macs for layer in found.layers) == 16 + 16 + 8
    assert found.activations == 4 + 4 + 2
    assert found.macs_per_parameter == 40 / 22


def test_buffers_count_by_their_own_types():
    found = describe(nn.BatchNorm1d(4), (4,))
    assert found.buffer_bytes == 2 * 4 * 4 + 8
    assert found.macs == 0


def test_counting_leaves_the_model_as_it_was():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.register_buffer("mask", torch.ones(3))

        def forward(self, x):
            self.calls += 1
            self.mask = torch.zeros(3)
            return x + torch.rand_like(x)

    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(), Counter())
    model[1].eval()
    model(torch.randn(4, 3)).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    mask = model[3].mask
    grads = [p.grad.clone() for p in model.parameters()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    random_state = torch.get_rng_state()

    describe(model, (3,))

    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model[3].mask is mask
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert [m.training for m in model.modules()] == [True, True, False, True, True]
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == hooks
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_pending_backward_pass_survives_the_counting():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    loss = model(torch.randn(4, 3)).sum()
    describe(model, (3,))
    loss.backward()
    assert model[0].weight.grad is not None


def test_example_tensors_are_copied():
    x = torch.ones(2, 3)
    describe(nn.Sequential(nn.ReLU(inplace=True), Apply(lambda t: t.mul_(0))), x)
    assert torch.equal(x, torch.ones(2, 3))


def test_inputs_come_as_one_shape_several_shapes_tensors_or_names():
    both = Apply(lambda a, b: a @ b)
    assert describe(both, [(2, 3), (3, 4)]).macs == 24
    assert describe(both, {"a": (2, 3), "b": torch.ones(1, 3, 4)}).macs == 24
    assert describe(nn.Linear(3, 2), torch.ones(5, 3)).macs == 30
    assert describe(nn.Linear(3, 2), [3]).macs == 6


def test_token_ids_are_asked_for_by_type():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10))
    assert describe(model, (6,), dtype="int64").macs == 6 * 40


def test_wrappers_are_seen_through():
    assert describe(torch.compile(nn.Linear(3, 4), backend="eager"), (3,)).layers[0].kind == "Linear"
    assert describe(nn.DataParallel(nn.Linear(3, 4)), (3,)).kind == "Linear"


@pytest.mark.parametrize(
    ("model", "given", "dtype", "message"),
    [
        (nn.Linear(3, 4), (5,), None, "cannot run an input of shape"),
        (nn.Linear(3, 4), None, None, "no input shape"),
        (nn.Linear(3, 4), "3,4", None, "neither a shape nor a tensor"),
        (nn.Linear(3, 4), 3, None, "neither a shape nor a tensor"),
        (nn.Linear(3, 4), [(3,), "x"], None, "neither a shape nor a tensor"),
        (nn.Linear(3, 4), (3,), "float31", "no type 'float31'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_reason(model, given, dtype, message):
    with pytest.raises(ConfigError, match=message):
        describe(model, given, dtype=dtype)


def test_a_lazy_model_is_refused_untouched():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ConfigError, match="lazy"):
        describe(model, (3,))
    assert nn.parameter.is_lazy(model[0].weight)


def test_hooks_and_modes_are_restored_when_the_model_fails():
    model = nn.Linear(3, 4)
    with pytest.raises(ConfigError):
        describe(model, (5,))
    assert model.training
    assert not model._forward_hooks


def test_a_module_that_fails_and_is_caught_does_not_upset_the_count():
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.good = nn.Linear(5, 5), nn.Linear(3, 2)

        def forward(self, x):
            try:
                return self.bad(x)
            except RuntimeError:
                return self.good(x)

    found = describe(nn.Sequential(Tries(), nn.Linear(2, 2)), (3,))
    assert {layer.path: layer.macs for layer in found.layers if layer.macs} == {"0.good": 6, "1": 4}


def test_rows_end_in_the_total():
    table = rows(describe(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (3,)))
    assert [row["layer"] for row in table] == ["0", "total"]
    assert table[0]["output"] == "1x4"
    assert table[-1]["macs"] == 12
