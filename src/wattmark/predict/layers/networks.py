"""Random networks (multi-layer perceptrons, convolutional networks, small transformers) from a seed.

They are measured as wholes: some to calibrate intervals, others, of other seeds, to say how good predictions are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from wattmark.predict.layers.calls import OPTIMIZERS
from wattmark.predict.layers.device import Network
from wattmark.predict.layers.kinds import MOST_BYTES

FAMILIES = ("mlp", "cnn", "transformer")
MOST_MACS = 1.5e9
"""Of the forward pass of a random network: a step in a few tenths of a second on a core."""


def random_network(family: str, seed: int) -> Network:
    """The network of this family and seed, small enough to be measured in a second or two."""
    for attempt in range(200):
        rng = np.random.default_rng((FAMILIES.index(family), seed, attempt))
        network = _FAMILIES[family](rng, f"{family}-{seed}")
        if _is_small(network):
            return network
    raise AssertionError(f"no small {family} of seed {seed}")


def _is_small(network: Network) -> bool:
    from wattmark.predict.layers.kinds import KINDS

    works = [KINDS[call.kind].work_of(call.sizes) for call in network.training().trace.calls]
    return sum(work.flops for work in works) <= 2 * MOST_MACS and all(
        work.activations <= MOST_BYTES and work.weights <= MOST_BYTES for work in works
    )


def _between(rng: np.random.Generator, low: float, high: float, step: int = 1) -> int:
    """Evenly in the logarithm, a multiple of ``step``."""
    return max(step, step * round(math.exp(rng.uniform(math.log(low), math.log(high))) / step))


def _mlp(rng: np.random.Generator, name: str) -> Network:
    widths = [_between(rng, 16, 1536, 8) for _ in range(int(rng.integers(1, 7)))]
    inputs, classes = _between(rng, 8, 3072), _between(rng, 2, 200)
    activation = (nn.ReLU, nn.GELU, nn.Tanh)[int(rng.integers(3))]
    drop, norm = bool(rng.random() < 0.3), bool(rng.random() < 0.3)

    def build() -> nn.Module:
        layers: list[nn.Module] = []
        before = inputs
        for width in widths:
            layers.append(nn.Linear(before, width))
            layers += [nn.LayerNorm(width)] if norm else []
            layers.append(activation())
            layers += [nn.Dropout(0.1)] if drop else []
            before = width
        return nn.Sequential(*layers, nn.Linear(before, classes))

    return Network(name, build, (inputs,), _between(rng, 8, 512), None, _optimizer(rng))


class _Block(nn.Module):
    """A convolution, its norm and activation, and where the shape allows it a sum with its input."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, activation: Callable[[], nn.Module], residual: bool
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.act = activation()
        self.residual = residual and inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        y = self.act(self.norm(self.conv(x)))
        return x + y if self.residual else y


def _cnn(rng: np.random.Generator, name: str) -> Network:
    side, channels, classes = _between(rng, 12, 64, 4), int(rng.choice((1, 3))), _between(rng, 2, 200)
    activation = (nn.ReLU, nn.SiLU)[int(rng.integers(2))]
    pool, residual = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    blocks: list[tuple[int, int, int, int]] = []
    before, width, now = channels, _between(rng, 8, 64, 8), side
    for _ in range(int(rng.integers(2, 9))):
        stride = 2 if now >= 8 and rng.random() < 0.35 else 1
        kernel = int(rng.choice((1, 3, 3, 3, 5)))
        blocks.append((before, width, kernel, stride))
        now, before = -(-now // stride), width
        if rng.random() < 0.5:
            width = min(256, _between(rng, width, 2 * width, 8))
    halved = pool and now >= 4

    def build() -> nn.Module:
        layers: list[nn.Module] = [_Block(*block, activation, residual) for block in blocks]
        layers += [nn.MaxPool2d(2)] if halved else []
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))

    return Network(name, build, (channels, side, side), _between(rng, 4, 128), None, _optimizer(rng))


class _Transformer(nn.Module):
    """Tokens, learnt positions, encoder layers, and the next token."""

    def __init__(
        self, vocabulary: int, width: int, heads: int, depth: int, inner: int, length: int, before: bool
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.zeros(length, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, inner, 0.1, "gelu", batch_first=True, norm_first=before)
            for _ in range(depth)
        )
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (batch, length, vocabulary)."""
        x = self.tokens(ids) + self.places
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def _transformer(rng: np.random.Generator, name: str) -> Network:
    heads = int(rng.choice((2, 4, 8)))
    width = heads * _between(rng, 16, 48, 8)
    length, vocabulary = _between(rng, 8, 128), _between(rng, 64, 4096)
    depth, inner = int(rng.integers(1, 5)), width * int(rng.choice((2, 4)))
    before = bool(rng.random() < 0.5)
    build = partial(_Transformer, vocabulary, width, heads, depth, inner, length, before)
    return Network(name, build, (length,), _between(rng, 2, 32), "int64", _optimizer(rng))


def _optimizer(rng: np.random.Generator) -> str:
    return str(rng.choice(OPTIMIZERS))


_FAMILIES: dict[str, Callable[[np.random.Generator, str], Network]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "transformer": _transformer,
}
