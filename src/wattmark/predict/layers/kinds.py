"""The kinds of layer: their sizes, between which bounds they are profiled, and the work that physics says they are.

The work is what the mean of a kind's Gaussian process is made of: a launch, floating-point operations, bytes of
activations and bytes of weights, each with a factor of its own that is fitted. Operations of convolutions and products
count channels up to the next multiple of 16, the width of a vector in registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from wattmark.predict.layers.calls import OPTIMIZERS
from wattmark.statistics import Float64

LANES = 16
MOST_FLOPS, MOST_BYTES = 4e9, 6e7
"""Of one forward pass of a variant: some tenths of a second on a core."""


@dataclass(frozen=True, slots=True)
class Size:
    """A size of a kind: its name and the range in which it is profiled. steps: only these values, if there are any."""

    name: str
    low: float
    high: float
    steps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """Of one forward pass: floating-point operations, bytes of activations read and written, bytes of weights."""

    flops: float = 0.0
    activations: float = 0.0
    weights: float = 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """name: as in :class:`~wattmark.predict.layers.calls.Call`. phases: of what it costs anything in. roles: whether it is
    met with (True) and without (False) a gradient of its input to be computed. trains: whether it has parameters."""

    name: str
    sizes: tuple[Size, ...]
    work: Callable[..., Work]
    phases: tuple[str, ...] = ("forward", "backward")
    roles: tuple[bool, ...] = (True,)
    trains: bool = False

    def work_of(self, sizes: tuple[float, ...]) -> Work:
        """The work of a call of these sizes."""
        return self.work(*sizes)

    def features(self, sizes: tuple[float, ...]) -> list[float]:
        """Logarithms of the sizes, and where there are several of the operations and bytes that they make (caches are full
        at a number of bytes, whatever sizes make it): what the process of the kind is over."""
        logs = [math.log(max(value, 1e-9)) for value in sizes]
        if len(sizes) == 1:
            return logs
        work = self.work_of(sizes)
        return [*logs, math.log1p(work.flops), math.log1p(work.activations + work.weights)]

    def draw(self, rng: np.random.Generator) -> tuple[float, ...]:
        """A shape, evenly in the logarithm of each size, within what can be profiled in reasonable time."""
        for _ in range(10_000):
            sizes = tuple(_draw(size, rng) for size in self.sizes)
            if self.is_profiled(sizes):
                return sizes
        raise AssertionError(f"no shape of {self.name} is small enough")

    def is_profiled(self, sizes: tuple[float, ...]) -> bool:
        """Whether the work of this shape is small enough to be measured many times."""
        work = self.work_of(sizes)
        return work.flops <= MOST_FLOPS and work.activations <= MOST_BYTES and work.weights <= MOST_BYTES

    def beyond(self, sizes: tuple[float, ...]) -> str:
        """Which size is far (a factor of two) outside of what is profiled; empty where none is."""
        for size, value in zip(self.sizes, sizes, strict=True):
            if value > 2 * size.high or value < size.low / 2:
                return f"{self.name} with {size.name} {value:g} is outside of {size.low:g} to {size.high:g}"
        return ""

    def terms(self, sizes: tuple[float, ...]) -> Float64:
        """(4,) launch, operations, bytes of activations and of weights."""
        work = self.work_of(sizes)
        return np.array([1.0, work.flops, work.activations, work.weights])


def _draw(size: Size, rng: np.random.Generator) -> float:
    if size.steps:
        return float(rng.choice(size.steps))
    value = float(np.exp(rng.uniform(math.log(size.low), math.log(size.high))))
    if value >= 32 and rng.random() < 0.7:  # widths of real networks are mostly multiples of eight
        return float(min(size.high, 8 * round(value / 8)))
    return float(max(size.low, round(value)))


def padded(channels: float) -> float:
    """Channels up to the next multiple of a vector's lanes."""
    return LANES * math.ceil(channels / LANES - 1e-9)


def _linear(rows: float, inputs: float, outputs: float, bias: float) -> Work:
    weights = 4 * inputs * outputs
    return Work(2 * rows * inputs * padded(outputs), 4 * rows * (inputs + outputs), weights)


def _conv(
    batch: float,
    inputs: float,
    outputs: float,
    groups: float,
    side: float,
    kernel: float,
    stride: float,
    bias: float,
) -> Work:
    pixels = batch * side * side
    flops = 2 * pixels * groups * inputs * padded(outputs) * kernel**2
    activations = 4 * pixels * groups * (inputs * stride**2 + outputs)
    return Work(flops, activations, 4 * groups * inputs * outputs * kernel**2)


def _depthwise(batch: float, channels: float, side: float, kernel: float, stride: float) -> Work:
    pixels = batch * channels * side * side
    return Work(2 * pixels * kernel**2, 4 * pixels * (1 + stride**2), 4 * channels * kernel**2)


def _pool(planes: float, side: float, kernel: float, stride: float) -> Work:
    pixels = planes * side * side
    return Work(pixels * kernel**2, 4 * pixels * (1 + stride**2))


def _attention(heads: float, length: float, width: float) -> Work:
    return Work(4 * heads * length**2 * width, 4 * heads * length * (4 * width + length))


def _matmul(batch: float, rows: float, inner: float, columns: float) -> Work:
    return Work(
        2 * batch * rows * inner * padded(columns),
        4 * batch * (rows * inner + inner * columns + rows * columns),
    )


def _lstm(batch: float, steps: float, inputs: float, hidden: float) -> Work:
    flops = 8 * batch * steps * hidden * (inputs + hidden)
    return Work(flops, 4 * batch * steps * (inputs + 10 * hidden), 16 * hidden * (inputs + hidden))


def _rows(rows: float, width: float) -> Work:
    return Work(4 * rows * width, 8 * rows * width, 8 * width)


def _planes(batch: float, channels: float, pixels: float) -> Work:
    return Work(4 * batch * channels * pixels, 8 * batch * channels * pixels, 8 * channels)


def _mean(rows: float, width: float) -> Work:
    return Work(rows * width, 4 * rows * width)


def _elements(elements: float) -> Work:
    return Work(elements, 8 * elements)


def _embedding(rows: float, vocabulary: float, width: float) -> Work:
    return Work(rows * width, 8 * rows * width, 4 * vocabulary * width)


def _nothing(_: float) -> Work:
    return Work()


_BATCH, _ROWS = Size("batch", 2, 256), Size("rows", 1, 16_384)
_CHANNELS, _SIDE = 512, Size("side", 1, 64)
_ELEMENTS = Size("elements", 16, 4_000_000)
_BIAS = Size("bias", 1, 2, (1.0, 2.0))  # 2 with, 1 without: logarithms
_KERNEL, _STRIDE = Size("kernel", 1, 7, (1.0, 3.0, 3.0, 5.0, 7.0)), Size("stride", 1, 2, (1.0, 1.0, 2.0))
_POOLED = (
    Size("planes", 1, 32_768), _SIDE, Size("kernel", 2, 4, (2.0, 2.0, 3.0, 4.0)), Size("stride", 1, 4, (1.0, 2.0, 2.0, 4.0)),
)  # fmt: skip
_EITHER = (True, False)
POINTWISE = ("relu", "gelu", "silu", "sigmoid", "tanh", "add", "mul", "dropout", "copy")

_ALL = (
    Kind("linear", (_ROWS, Size("inputs", 4, 4096), Size("outputs", 2, 4096), _BIAS), _linear, roles=_EITHER),
    Kind(
        "conv",
        (
            Size("batch", 1, 256),
            Size("inputs", 1, _CHANNELS),
            Size("outputs", 2, _CHANNELS),
            Size("groups", 1, 32, (1.0,) * 8 + (2.0, 4.0, 32.0)),
            _SIDE,
            _KERNEL,
            _STRIDE,
            _BIAS,
        ),
        _conv,
        roles=_EITHER,
    ),
    Kind("depthwise", (_BATCH, Size("channels", 8, 1024), _SIDE, _KERNEL, _STRIDE), _depthwise, trains=True),
    Kind("batch_norm", (_BATCH, Size("channels", 2, 1024), Size("pixels", 1, 4096)), _planes, trains=True),
    Kind("layer_norm", (_ROWS, Size("width", 8, 4096)), _rows, trains=True),
    *(Kind(name, (_ELEMENTS,), _elements) for name in POINTWISE),
    Kind("max_pool", _POOLED, _pool),
    Kind("avg_pool", _POOLED, _pool),
    Kind("mean", (Size("rows", 1, 32_768), Size("width", 2, 4096)), _mean),
    Kind("softmax", (_ROWS, Size("width", 2, 2048)), _rows),
    Kind("attention", (Size("heads", 1, 512), Size("length", 4, 512), Size("width", 8, 128)), _attention),
    Kind(
        "matmul",
        (Size("batch", 1, 256), Size("rows", 4, 512), Size("inner", 4, 512), Size("columns", 4, 512)),
        _matmul,
    ),
    Kind(
        "embedding",
        (_ROWS, Size("vocabulary", 16, 32_768), Size("width", 8, 1024)),
        _embedding,
        roles=(False,),
    ),
    Kind(
        "lstm",
        (Size("batch", 1, 128), Size("steps", 2, 128), Size("inputs", 8, 512), Size("hidden", 8, 512)),
        _lstm,
        roles=_EITHER,
    ),
    Kind("cross_entropy", (_ROWS, Size("classes", 2, 4096)), _rows),
    Kind("view", (Size("views", 1, 1, (1.0,)),), _nothing),
    Kind("module", (Size("calls", 1, 1, (1.0,)),), _nothing, phases=("forward",)),
    *(Kind(name, (_ELEMENTS,), _elements, phases=("optimizer",)) for name in OPTIMIZERS),
    *(
        Kind(f"{name}_step", (Size("steps", 1, 1, (1.0,)),), _nothing, phases=("backward", "optimizer"))
        for name in OPTIMIZERS
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
"""By name."""
