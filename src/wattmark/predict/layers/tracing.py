"""A ``torch.nn.Module`` taken apart: every function that its forward pass calls, with its sizes, on tensors without data.

The module is copied to PyTorch's ``meta`` device, where shapes are computed and nothing else, and its forward pass is
watched from above autograd (``TorchFunctionMode``), so that functions called in a module's own code are seen too.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn, overrides
from torch.overrides import TorchFunctionMode

from wattmark.anatomy.products import tensors_in
from wattmark.errors import ConfigError
from wattmark.predict.layers.calls import Call, Trace

_Sized = Callable[["_Arguments"], tuple[str, tuple[float, ...], str]]
"""Kind, sizes and, where the kind is another function's, how it is treated."""
_FREE = frozenset((
    "size", "dim", "numel", "stride", "is_floating_point", "is_complex", "item", "get_device", "requires_grad_", "type",
    "is_contiguous", "storage_offset", "data_ptr", "ndimension", "__len__", "__bool__", "_assert", "is_tensor",
    "has_torch_function", "_canonical_mask", "_none_or_dtype", "_mha_shape_check", "detach", "__repr__", "__format__",
))  # fmt: skip
"""They cost next to nothing."""


def trace(
    model: nn.Module,
    shape: Sequence[int] | Sequence[Sequence[int]],
    batch: int = 1,
    *,
    name: str = "",
    dtype: str | None = None,
    classes: bool = True,
) -> Trace:
    """What a step of training calls. shape: of one sample, or one shape for each argument. dtype: of the input, as
    ``int64`` for token ids; by default that of the parameters. classes: whether an output (batch, classes) is trained
    with the cross entropy, as others are with their mean.

    Raises ConfigError for lazy parameters, for an input that the module does not take, and where what is called depends
    on the values of the input: there is no one cost then.
    """
    if batch < 1:
        raise ConfigError(f"a batch has one sample at least, not {batch}")
    if any(nn.parameter.is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise ConfigError(
            f"{type(model).__name__} has lazy parameters whose sizes are not known yet",
            hint="run one batch through it first",
        )
    shapes = _shapes(shape)
    empty = copy.deepcopy(model).to("meta").train()
    made = _type(empty, dtype)
    inputs = [torch.zeros((batch, *one), dtype=made, device="meta") for one in shapes]
    watch = _Watch(empty)
    with torch.enable_grad(), watch.modules(), watch:
        try:
            output = empty(*inputs)
            _loss(output, classes)
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
            raise _refused(model, inputs, error) from error
    return Trace(
        name or type(model).__name__,
        tuple(watch.calls),
        tuple(_trained(empty)),
        watch.called,
        batch,
        str(next((p.dtype for p in empty.parameters()), torch.float32)).removeprefix("torch."),
    )


def output_of(value: Any) -> Tensor:
    """The tensor that a module's answer is about: itself, ``logits``, or the first one in it."""
    if isinstance(value, Tensor):
        return value
    logits = getattr(value, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    for tensor in tensors_in(value):
        return tensor
    raise ConfigError(
        f"the module returned a {type(value).__name__} without a tensor",
        hint="return a tensor from forward()",
    )


def loss_of(output: Any, classes: bool = True) -> Tensor:
    """What a training minimises, on made-up labels: cross entropy over the last dimension, or the mean of the output."""
    tensor = output_of(output)
    if not classes or tensor.dim() < 2 or not tensor.is_floating_point():
        return tensor.float().mean()
    flat = tensor.reshape(-1, tensor.shape[-1])
    labels = torch.zeros(flat.shape[0], dtype=torch.int64, device=flat.device)
    return nn.functional.cross_entropy(flat, labels)


_loss = loss_of


def _shapes(shape: Sequence[Any]) -> list[tuple[int, ...]]:
    several = all(isinstance(one, Sequence) for one in shape) and len(shape) > 0
    shapes = [tuple(cast("Sequence[Any]", one)) for one in shape] if several else [tuple(shape)]
    for one in shapes:
        for size in one:
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ConfigError(
                    f"the input's size {size!r} is not known: energy is predicted for one shape",
                    hint="give a number for each dimension, as 3,32,32, and predict each length that matters",
                )
    return cast("list[tuple[int, ...]]", shapes)


def _type(model: nn.Module, dtype: str | None) -> torch.dtype:
    if dtype is not None:
        named = getattr(torch, dtype, None)
        if not isinstance(named, torch.dtype):
            raise ConfigError(f"torch has no type {dtype!r}", hint="for example float32, bfloat16 or int64")
        return named
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    return torch.float32 if first is None else first.dtype


def _refused(model: nn.Module, inputs: Sequence[Tensor], error: Exception) -> ConfigError:
    name = type(model).__name__
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    lowered = text.lower()
    if "meta" in lowered or "data-dependent" in lowered or "data dependent" in lowered:
        return ConfigError(
            f"what {name} computes depends on the values of its input, so no one energy is its own: {text}",
            hint="predict a network whose shapes are fixed, or measure it: wattmark run -- python train.py",
        )
    shapes = ", ".join(str(tuple(one.shape)) for one in inputs)
    return ConfigError(
        f"{name} cannot run an input of shape {shapes}: {text}",
        hint="--input is the shape of one sample, without the batch; token ids are --dtype int64",
    )


def _trained(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Each tensor that is trained once, with the module that it belongs to."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name.rpartition(".")[0], parameter.numel()


class _Watch(TorchFunctionMode):
    """Notes the calls of one forward pass, and which module made them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.called = 0
        self._model = model
        self._paths: list[str] = []
        self._parameters = {id(one) for one in model.parameters()}

    def modules(self) -> _Hooks:
        """While it is open, it is known which module runs."""
        return _Hooks(self._model, self._enter, self._leave)

    def _enter(self, path: str) -> None:
        self._paths.append(path)
        self.called += 1

    def _leave(self) -> None:
        self._paths.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One function: note it and run it, or look into it."""
        name = _name(func)
        options: dict[str, Any] = kwargs or {}
        if name.startswith("__get__") or name.startswith("__set__") or name in _FREE:
            return func(*args, **options)
        result = func(*args, **options)
        self.calls += self._called(name, _Arguments(name, args, options, result))
        return result

    def _called(self, name: str, given: _Arguments) -> list[Call]:
        inputs = list(tensors_in((given.args, given.options)))
        outputs = list(tensors_in(given.result))
        if not inputs or not outputs or not any(t.is_floating_point() for t in (*inputs, *outputs)):
            return []
        gradient = any(t.requires_grad and id(t) not in self._parameters for t in inputs)
        layer = self._paths[-1] if self._paths else ""
        if name == "multi_head_attention_forward":
            return [Call(kind, tuple(map(float, sizes)), layer, function, gradient)
                    for kind, sizes, function in _multi_head(given)]  # fmt: skip
        rule = _RULES.get(name)
        if rule is None and _is_view(inputs, outputs):
            kind, sizes, treated = "view", (1.0,), ""
        elif rule is None:
            elements = float(max(t.numel() for t in (*inputs, *outputs)))
            kind, sizes = "gelu", (elements,)
            treated = "unknown, taken for an element-wise function of its largest tensor"
        else:
            kind, sizes, treated = rule(given)
        return [Call(kind, tuple(map(float, sizes)), layer, name, gradient, treated)]


class _Hooks:
    """Forward hooks on every module, as a context."""

    def __init__(self, model: nn.Module, enter: Callable[[str], None], leave: Callable[[], None]) -> None:
        self._model, self._enter, self._leave = model, enter, leave
        self._handles: list[Any] = []

    def __enter__(self) -> None:
        for path, module in cast("Iterator[tuple[str, nn.Module]]", self._model.named_modules()):
            self._handles.append(module.register_forward_pre_hook(self._before(path)))
            self._handles.append(module.register_forward_hook(self._after))

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _before(self, path: str) -> Callable[[nn.Module, Any], None]:
        def enter(_module: nn.Module, _args: Any) -> None:
            self._enter(path)

        return enter

    def _after(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        self._leave()


class _Arguments:
    """The arguments of a call by place or name, and what it returned."""

    def __init__(self, name: str, args: Any, options: Mapping[str, Any], result: Any) -> None:
        self.name, self.args, self.options = name, args, options
        self.result = next(tensors_in(result), None)

    def get(self, place: int, name: str, otherwise: Any = None) -> Any:
        """The argument at this place or of this name."""
        return self.args[place] if len(self.args) > place else self.options.get(name, otherwise)

    def tensor(self, place: int, name: str = "input") -> Tensor:
        """It, which is a tensor."""
        return cast("Tensor", self.get(place, name))

    @property
    def output(self) -> Tensor:
        """The first tensor that was returned."""
        assert self.result is not None
        return self.result


def _name(func: Any) -> str:
    named: Any = overrides
    whole = str(named.resolve_name(func) or getattr(func, "__name__", func))
    last = str(getattr(func, "__name__", "") or whole.rpartition(".")[2])
    if last in ("fn", "boolean_dispatch") or last == "":
        last = whole.rpartition(".")[2]
    for start, end in (("__r", "__"), ("__i", "__"), ("__", "__")):
        core = last.removeprefix(start).removesuffix(end)
        if last.startswith(start) and last.endswith(end) and core in _OPERATORS:
            return _OPERATORS[core]
    if last in ("__get__", "__set__"):
        return f"{last}{whole}"
    return last if last.startswith("__") else last.removesuffix("_") or last


_OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "div": "div", "pow": "pow", "matmul": "matmul", "neg": "neg",
    "getitem": "getitem", "setitem": "setitem",
}  # fmt: skip


def _is_view(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bool:
    """Whether the outputs share their data with an input."""
    known = {_storage(one) for one in inputs}
    return all(_storage(one) in known for one in outputs)


def _storage(tensor: Tensor) -> int:
    return cast("Any", tensor.untyped_storage())._cdata


# --- one rule for each function


def _linear(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x, weight, bias = given.tensor(0), given.tensor(1, "weight"), given.get(2, "bias")
    outputs, inputs = weight.shape[0], weight.shape[-1]
    return "linear", (x.numel() / inputs, inputs, outputs, 1 + (bias is not None)), ""


def _addmm(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x, weight = given.tensor(1, "mat1"), given.tensor(2, "mat2")
    return "linear", (x.shape[0], x.shape[1], weight.shape[1], 2), ""


def _convolution(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x, weight, bias = given.tensor(0), given.tensor(1, "weight"), given.get(2, "bias")
    transposed = given.name.startswith("conv_transpose")
    space = x.dim() - 2
    where = x if transposed else given.output
    pixels = math.prod(where.shape[2:])
    kernel = math.prod(weight.shape[2:]) ** 0.5
    stride = _mean_size(given.get(3, "stride", 1), space)
    groups = int(given.get(6, "groups", 1))
    per_in, out = weight.shape[1], weight.shape[0] // groups
    treated = (
        "" if space == 2 and not transposed else "taken for a two-dimensional convolution of the same work"
    )
    if per_in == 1 and out == 1 and groups > 1:
        return "depthwise", (x.shape[0], groups, pixels**0.5, kernel, stride), treated
    return (
        "conv",
        (x.shape[0], per_in, out, groups, pixels**0.5, kernel, stride, 1 + (bias is not None)),
        treated,
    )


def _mean_size(value: Any, space: int) -> float:
    if isinstance(value, int | float):
        return float(value)
    numbers = [float(one) for one in cast("Sequence[Any]", value)] or [1.0]
    return math.prod(numbers) ** (1 / len(numbers)) if space else 1.0


def _batch_norm(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x = given.tensor(0)
    channels = x.shape[1]
    return "batch_norm", (x.shape[0], channels, max(1, x.numel() / (x.shape[0] * channels))), ""


def _layer_norm(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x = given.tensor(0)
    if given.name == "group_norm":
        rows = x.shape[0] * int(given.get(1, "num_groups", 1))
        return "layer_norm", (rows, x.numel() / rows), "taken for a layer norm over each group"
    if given.name == "instance_norm":
        rows = x.shape[0] * x.shape[1]
        return "layer_norm", (rows, x.numel() / rows), "taken for a layer norm over each channel"
    width = math.prod(int(one) for one in given.get(1, "normalized_shape"))
    treated = "" if given.name == "layer_norm" else "taken for a layer norm"
    return "layer_norm", (x.numel() / width, width), treated


def _pointwise(kind: str, treated: str = "") -> _Sized:
    def rule(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
        return kind, (given.output.numel(),), treated

    return rule


def _pool(kind: str) -> _Sized:
    def rule(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
        x, y = given.tensor(0), given.output
        space = 1 if "1d" in given.name else 3 if "3d" in given.name else 2
        planes = math.prod(y.shape[:-space])
        inside, outside = math.prod(x.shape[-space:]), math.prod(y.shape[-space:])
        if "adaptive" in given.name:
            if outside == 1:
                return "mean", (planes, inside), ""
            kernel = stride = (inside / outside) ** 0.5
        else:
            kernel = _mean_size(given.get(1, "kernel_size"), 2)
            stride = _mean_size(given.get(2, "stride") or given.get(1, "kernel_size"), 2)
        return kind, (planes, outside**0.5, kernel, stride), ""

    return rule


def _mean(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    rows = max(1, given.output.numel())
    return "mean", (rows, given.tensor(0).numel() / rows), ""


def _softmax(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x, dim = given.tensor(0), given.get(1, "dim", -1)
    width = x.shape[int(dim)] if isinstance(dim, int) and x.dim() else 1
    return "softmax", (x.numel() / max(width, 1), width), ""


def _attention(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    query, key = given.tensor(0, "query"), given.tensor(1, "key")
    heads = math.prod(query.shape[:-2])
    return "attention", (heads, (query.shape[-2] * key.shape[-2]) ** 0.5, query.shape[-1]), ""


def _multi_head(given: _Arguments) -> list[tuple[str, tuple[float, ...], str]]:
    """What torch's own attention is made of: projections in, attention of its heads, the projection out, and between them
    views and a copy of the packed projection."""
    query, key = given.tensor(0, "query"), given.tensor(1, "key")
    heads, width = int(given.get(4, "num_heads")), query.shape[-1]
    batch = query.shape[1] if query.dim() == 3 else 1
    length, others = query.shape[0], key.shape[0]
    bias = 1 + (given.get(6, "in_proj_bias") is not None)
    found: list[tuple[str, tuple[float, ...], str]]
    if query is key:
        found = [
            ("linear", (length * batch, width, 3 * width, bias), "in_proj"),
            ("copy", (3 * query.numel(),), "in_proj"),
        ]
    else:
        found = [
            ("linear", (rows * batch, width, width, bias), "in_proj") for rows in (length, others, others)
        ]
    found += [("view", (1,), "views")] * 14
    square, each = (length * others) ** 0.5, width // heads
    if given.options.get("need_weights", True):
        product = ("matmul", (batch * heads, length, each, others), "attention")
        found += [product, ("softmax", (batch * heads * length, others), "attention")]
        found.append(("matmul", (batch * heads, length, others, each), "attention"))
    else:
        found.append(("attention", (batch * heads, square, each), "attention"))
    return [*found, ("linear", (length * batch, width, width, bias), "out_proj")]


def _matmul(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    a, b = given.tensor(0), given.tensor(1, "other" if given.name == "matmul" else "mat2")
    if a.dim() < 2 or b.dim() < 2:
        return (
            "gelu",
            (max(a.numel(), b.numel()),),
            "a product with a vector, taken for an element-wise function",
        )
    if b.dim() == 2:  # one matrix for all rows: a linear layer
        return "linear", (a.numel() / a.shape[-1], a.shape[-1], b.shape[-1], 1), ""
    batch = math.prod(given.output.shape[:-2])
    return "matmul", (batch, a.shape[-2], a.shape[-1], b.shape[-1]), ""


def _einsum(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    tensors = list(tensors_in(given.args[1:]))
    if len(tensors) != 2:
        return "gelu", (max(t.numel() for t in tensors),), "taken for an element-wise function"
    a, b, y = tensors[0].numel(), tensors[1].numel(), given.output.numel()
    inner = max(1.0, (a * b / max(y, 1)) ** 0.5)  # without a batch dimension a b = rows inner x inner columns
    return "matmul", (1, max(1, a / inner), inner, max(1, b / inner)), "taken for a product of two matrices"


def _embedding(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    ids, weight = given.tensor(0), given.tensor(1, "weight")
    if ids.is_floating_point():
        ids, weight = weight, ids  # torch.embedding(weight, ids)
    return "embedding", (ids.numel(), weight.shape[0], weight.shape[1]), ""


def _recurrent(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x, weights = given.tensor(0), [t for t in tensors_in(given.args[2:]) if t.dim() == 2]
    hidden = weights[1].shape[-1]
    inputs = weights[0].shape[-1]
    layers = max(1, len(weights) // 2)
    steps, batch = (
        (x.shape[1], x.shape[0]) if given.get(8, "batch_first", False) else (x.shape[0], x.shape[1])
    )
    words = "" if given.name == "lstm" and layers == 1 else "taken for LSTMs of its first layer's inputs"
    return "lstm", (batch, steps * layers, inputs, hidden), words


def _cross_entropy(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    x = given.tensor(0)
    classes = x.shape[1] if x.dim() > 1 else x.shape[0]
    return "cross_entropy", (x.numel() / classes, classes), ""


def _copy(given: _Arguments) -> tuple[str, tuple[float, ...], str]:
    if _is_view(list(tensors_in((given.args, given.options))), [given.output]):
        return "view", (1,), ""
    return "copy", (given.output.numel(),), ""


_AS_GELU = "taken for a GELU of as many elements"
_RULES: dict[str, _Sized] = {
    "linear": _linear,
    "addmm": _addmm,
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution
    ),
    "batch_norm": _batch_norm,
    **dict.fromkeys(("layer_norm", "rms_norm", "group_norm", "instance_norm"), _layer_norm),
    **{name: _pointwise(name) for name in ("relu", "gelu", "silu", "sigmoid", "tanh", "add", "mul", "dropout")},
    **dict.fromkeys(
        ("relu6", "leaky_relu", "hardtanh", "threshold", "clamp", "ge", "gt", "le", "lt"),
        _pointwise("relu", "taken for a ReLU"),
    ),
    **dict.fromkeys(
        ("elu", "selu", "celu", "mish", "softplus", "hardswish", "hardsigmoid", "prelu", "exp", "log", "sin", "cos", "erf"),
        _pointwise("gelu", _AS_GELU),
    ),
    **dict.fromkeys(("sub", "rsub"), _pointwise("add", "taken for an addition")),
    **dict.fromkeys(
        ("div", "pow", "neg", "sqrt", "rsqrt", "square", "where", "masked_fill", "abs"),
        _pointwise("mul", "taken for a multiplication"),
    ),
    **dict.fromkeys(("dropout1d", "dropout2d", "dropout3d", "feature_dropout"), _pointwise("dropout")),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d", "_max_pool2d", "_max_pool1d"), _pool("max_pool")),
    **dict.fromkeys(
        ("avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
        _pool("avg_pool"),
    ),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), _pool("max_pool")),
    **dict.fromkeys(("mean", "sum", "var", "std", "norm", "amax", "max"), _mean),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("matmul", "bmm", "mm", "baddbmm"), _matmul),
    "einsum": _einsum,
    "embedding": _embedding,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    "cross_entropy": _cross_entropy,
    **dict.fromkeys(
        (
            "contiguous", "reshape", "flatten", "getitem", "cat", "concat", "stack", "clone", "pad", "roll", "repeat",
            "index_select", "gather", "interpolate", "to", "float", "pixel_shuffle", "unfold",
        ),
        _copy,
    ),
}  # fmt: skip
