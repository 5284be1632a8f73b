"""Layers made to be measured: for each kind its input, its parameters and the function, of the shape that is asked for.

One layer alone is the frame (a leaf and a gradient from outside, nothing between): its cost is subtracted. Two layers
are the frame and the layer, three the frame and two layers, by which additivity is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattmark.predict.layers.calls import Call


@dataclass(slots=True)
class Layer:
    """run: from the input to the output. others: leaves beside the input that get a gradient, parameters mostly."""

    input: Tensor
    run: Callable[[Tensor], Tensor]
    others: list[Tensor] = field(default_factory=list[Tensor])

    def clear(self) -> None:
        """Forget the gradients."""
        self.input.grad = None
        for leaf in self.others:
            leaf.grad = None


def build(call: Call, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Layer:
    """A layer of this kind and shape with random data. Sizes that come from an average are rounded."""
    torch.default_generator.manual_seed(0)
    made = _BUILDERS[call.kind](_Maker(dtype, device), *call.sizes)
    if made.input.is_floating_point():
        made.input.requires_grad_(call.gradient)
    for leaf in made.others:
        leaf.requires_grad_()
    return made


@dataclass(frozen=True, slots=True)
class _Maker:
    dtype: torch.dtype
    device: str

    def normal(self, *sizes: float) -> Tensor:
        return torch.randn([max(1, round(one)) for one in sizes], dtype=self.dtype, device=self.device)

    def indices(self, below: float, *sizes: float) -> Tensor:
        shape = [max(1, round(one)) for one in sizes]
        return torch.randint(0, max(1, round(below)), shape, device=self.device)


def _linear(make: _Maker, rows: float, inputs: float, outputs: float, bias: float) -> Layer:
    weight = make.normal(outputs, inputs) * 0.02
    offset = make.normal(outputs) if bias > 1.5 else None
    leaves = [weight] if offset is None else [weight, offset]
    return Layer(make.normal(rows, inputs), lambda x: functional.linear(x, weight, offset), leaves)


def _conv(
    make: _Maker,
    batch: float,
    inputs: float,
    outputs: float,
    groups: float,
    side: float,
    kernel: float,
    stride: float,
    bias: float,
) -> Layer:
    k, s, g = max(1, round(kernel)), max(1, round(stride)), max(1, round(groups))
    # so long that the output has this side
    long = max(1, (max(1, round(side)) - 1) * s + k - 2 * (k // 2))
    weight = make.normal(outputs * g, inputs, k, k) * 0.02
    offset = make.normal(outputs * g) if bias > 1.5 else None
    leaves = [weight] if offset is None else [weight, offset]
    return Layer(
        make.normal(batch, inputs * g, long, long),
        lambda x: functional.conv2d(x, weight, offset, s, k // 2, 1, g),
        leaves,
    )


def _depthwise(
    make: _Maker, batch: float, channels: float, side: float, kernel: float, stride: float
) -> Layer:
    return _conv(make, batch, 1, 1, channels, side, kernel, stride, 1)


def _batch_norm(make: _Maker, batch: float, channels: float, pixels: float) -> Layer:
    weight, offset = make.normal(channels), make.normal(channels)
    mean, var = torch.zeros_like(weight), torch.ones_like(weight)
    side = math.isqrt(round(pixels))
    shape = (side, side) if side * side == round(pixels) else (1, pixels)
    x = make.normal(max(2, batch) if round(pixels) < 2 else batch, channels, *shape)
    return Layer(
        x, lambda x: functional.batch_norm(x, mean, var, weight, offset, training=True), [weight, offset]
    )


def _layer_norm(make: _Maker, rows: float, width: float) -> Layer:
    weight, offset = make.normal(width), make.normal(width)
    shape = tuple(weight.shape)
    return Layer(
        make.normal(rows, width), lambda x: functional.layer_norm(x, shape, weight, offset), [weight, offset]
    )


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[..., Layer]:
    def builder(make: _Maker, elements: float) -> Layer:
        return Layer(make.normal(elements), function)

    return builder


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Layer]:
    def builder(make: _Maker, elements: float) -> Layer:
        other = make.normal(elements)
        return Layer(make.normal(elements), lambda x: function(x, other), [other])

    return builder


def _copy(make: _Maker, elements: float) -> Layer:
    rows = max(1, math.isqrt(round(elements)))
    return Layer(make.normal(rows, elements / rows), lambda x: x.t().contiguous())


def _pool(function: Callable[..., Tensor]) -> Callable[..., Layer]:
    def builder(make: _Maker, planes: float, side: float, kernel: float, stride: float) -> Layer:
        k, s = max(1, round(kernel)), max(1, round(stride))
        long = (max(1, round(side)) - 1) * s + k
        return Layer(make.normal(1, planes, long, long), lambda x: function(x, k, s))

    return builder


def _attention(make: _Maker, heads: float, length: float, width: float) -> Layer:
    key, value = make.normal(1, heads, length, width), make.normal(1, heads, length, width)
    return Layer(
        make.normal(1, heads, length, width),
        lambda x: functional.scaled_dot_product_attention(x, key, value),
        [key, value],
    )


def _matmul(make: _Maker, batch: float, rows: float, inner: float, columns: float) -> Layer:
    other = make.normal(batch, inner, columns)
    return Layer(make.normal(batch, rows, inner), lambda x: torch.bmm(x, other), [other])


def _embedding(make: _Maker, rows: float, vocabulary: float, width: float) -> Layer:
    weight = make.normal(vocabulary, width)
    return Layer(make.indices(vocabulary, rows), lambda x: functional.embedding(x, weight), [weight])


def _lstm(make: _Maker, batch: float, steps: float, inputs: float, hidden: float) -> Layer:
    cell = nn.LSTM(max(1, round(inputs)), max(1, round(hidden)), device=make.device, dtype=make.dtype)
    return Layer(make.normal(steps, batch, inputs), lambda x: cell(x)[0], list(cell.parameters()))


def _cross_entropy(make: _Maker, rows: float, classes: float) -> Layer:
    labels = make.indices(classes, rows)
    return Layer(make.normal(rows, classes), lambda x: functional.cross_entropy(x, labels))


def _module(make: _Maker, _: float) -> Layer:
    same = nn.Identity()
    return Layer(make.normal(16), same)


def _mean(make: _Maker, rows: float, width: float) -> Layer:
    return Layer(make.normal(rows, width), lambda x: x.mean(-1))


def _softmax(make: _Maker, rows: float, width: float) -> Layer:
    return Layer(make.normal(rows, width), lambda x: x.softmax(-1))


def _view(make: _Maker, _: float) -> Layer:
    return Layer(make.normal(16), lambda x: x.view(4, 4))


def frame(dtype: torch.dtype = torch.float32, device: str = "cpu") -> Layer:
    """The one-layer variant: what is around a layer, and nothing in it."""
    return Layer(_Maker(dtype, device).normal(16).requires_grad_(), lambda x: x)


def _dropout(x: Tensor) -> Tensor:
    return functional.dropout(x, 0.1, training=True)


_BUILDERS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "conv": _conv,
    "depthwise": _depthwise,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "relu": _unary(functional.relu),
    "gelu": _unary(functional.gelu),
    "silu": _unary(functional.silu),
    "sigmoid": _unary(torch.sigmoid),
    "tanh": _unary(torch.tanh),
    "dropout": _unary(_dropout),
    "add": _binary(torch.add),
    "mul": _binary(torch.mul),
    "copy": _copy,
    "max_pool": _pool(functional.max_pool2d),
    "avg_pool": _pool(functional.avg_pool2d),
    "mean": _mean,
    "softmax": _softmax,
    "attention": _attention,
    "matmul": _matmul,
    "embedding": _embedding,
    "lstm": _lstm,
    "cross_entropy": _cross_entropy,
    "view": _view,
    "module": _module,
}
