"""A small Llama in torch, number for number what llama.cpp computes for its ``llama`` architecture.

RMS norms before each part, rotary positions on neighbouring pairs of dimensions, grouped-query attention, SwiGLU, output
not tied to the embedding (Touvron et al. 2023, arXiv 2302.13971, section 2.2; Su et al. 2021, arXiv 2104.09864).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu

from wattmark.errors import ConfigError
from wattmark.reasoning import characters

ROPE_BASE = 10_000.0
NORM_EPS = 1e-5
HEAD_WIDTH = 32
SMALLEST, LARGEST = 50_000, 50_000_000
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([km])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shape:
    """layers, width of the embedding, heads, key-value heads, hidden width of the feed-forward part, tokens."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    ff: int
    vocabulary: int = characters.SIZE

    @property
    def head_width(self) -> int:
        """Dimensions per head."""
        return self.width // self.heads

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(math.prod(shape) for shape in self.tensors().values())

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """GGUF name of each tensor -> shape."""
        width, kv = self.width, self.kv_heads * self.head_width
        shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (self.vocabulary, width)}
        for layer in range(self.layers):
            block = {
                "attn_norm": (width,),
                "attn_q": (width, width),
                "attn_k": (kv, width),
                "attn_v": (kv, width),
                "attn_output": (width, width),
                "ffn_norm": (width,),
                "ffn_gate": (self.ff, width),
                "ffn_up": (self.ff, width),
                "ffn_down": (width, self.ff),
            }
            shapes.update({f"blk.{layer}.{name}.weight": shape for name, shape in block.items()})
        return shapes | {"output_norm.weight": (width,), "output.weight": (self.vocabulary, width)}


def parse_size(text: str) -> int:
    """``"0.5m"`` -> 500,000 parameters. Raises ConfigError for what is no size or out of range."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a model size", hint="write it like 100k, 0.5m or 2m")
    size = round(float(match[1]) * (1e3 if match[2].lower() == "k" else 1e6))
    if not SMALLEST <= size <= LARGEST:
        raise ConfigError(f"a model to train here has 50k to 50m parameters, not {text}")
    return size


def shape_for(parameters: int) -> Shape:
    """The shape nearest to a number of parameters: heads of 32, feed-forward width 8/3 of the model's, and a depth that
    grows with the width: two layers at 64, four at 192."""

    def candidate(heads: int) -> Shape:
        width = heads * HEAD_WIDTH
        ff = round(width * 8 / 3 / 32) * 32
        no_layers, single_layer = (Shape(layers, width, heads, heads, ff) for layers in (0, 1))
        layers = max(
            1, round((parameters - no_layers.parameters) / (single_layer.parameters - no_layers.parameters))
        )
        return Shape(layers, width, heads, heads, ff)

    def misfit(shape: Shape) -> float:
        usual = 2 * (shape.width / 64) ** 0.63
        return abs(math.log(shape.parameters / parameters)) + 0.2 * abs(math.log(shape.layers / usual))

    return min((candidate(heads) for heads in range(2, 25)), key=misfit)


Cache = list[tuple[Tensor, Tensor]]


class Network(nn.Module):
    """Weights by their GGUF names, drawn from ``seed``; the global random state is left as it was."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.ParameterDict()
        for name, size in shape.tensors().items():
            weight = torch.ones(size) if len(size) == 1 else torch.randn(size, generator=generator)
            if name == "token_embd.weight":
                weight *= 0.1
            elif len(size) > 1:
                weight /= math.sqrt(
                    size[1]
                )  # the usual 0.02 is for widths of a thousand and learns slowly here
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                weight /= math.sqrt(2 * shape.layers)
            self.weights[_key(name)] = nn.Parameter(weight)

    def tensor(self, name: str) -> Tensor:
        """The weight of that GGUF name."""
        return self.weights[_key(name)]

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits (batch, length, vocabulary) for tokens (batch, length).

        cache: keys and values of the tokens before; those of ``tokens`` are added to it. Empty at first.
        """
        past = cache[0][0].shape[2] if cache else 0
        turn = _rotation(past, tokens.shape[1], self.shape.head_width, tokens.device)
        hidden = embedding(tokens, self.tensor("token_embd.weight"))
        for layer in range(self.shape.layers):
            hidden = hidden + self._attention(
                self._norm(hidden, f"blk.{layer}.attn_norm"), layer, turn, cache
            )
            hidden = hidden + self._feed_forward(self._norm(hidden, f"blk.{layer}.ffn_norm"), layer)
        return linear(self._norm(hidden, "output_norm"), self.tensor("output.weight"))

    def _norm(self, hidden: Tensor, name: str) -> Tensor:
        return rms_norm(hidden, (self.shape.width,), self.tensor(f"{name}.weight"), NORM_EPS)

    def _attention(
        self, hidden: Tensor, layer: int, turn: tuple[Tensor, Tensor], cache: Cache | None
    ) -> Tensor:
        def heads(part: str, count: int) -> Tensor:
            flat = linear(hidden, self.tensor(f"blk.{layer}.attn_{part}.weight"))
            return flat.view(*flat.shape[:2], count, self.shape.head_width).transpose(1, 2)

        shape = self.shape
        query = _rotated(heads("q", shape.heads), turn)
        key, value = _rotated(heads("k", shape.kv_heads), turn), heads("v", shape.kv_heads)
        begins = True
        if cache is not None:
            if layer < len(cache):
                key, value = (torch.cat(pair, 2) for pair in zip(cache[layer], (key, value), strict=True))
                cache[layer], begins = (key, value), False
            else:
                cache.append((key, value))
        # After what is cached, tokens come one by one and see all of it.
        mixed = scaled_dot_product_attention(
            query, key, value, is_causal=begins, enable_gqa=shape.kv_heads != shape.heads
        )
        return linear(mixed.transpose(1, 2).flatten(2), self.tensor(f"blk.{layer}.attn_output.weight"))

    def _feed_forward(self, hidden: Tensor, layer: int) -> Tensor:
        gate, up, down = (self.tensor(f"blk.{layer}.ffn_{part}.weight") for part in ("gate", "up", "down"))
        return linear(silu(linear(hidden, gate)) * linear(hidden, up), down)


@torch.inference_mode()
def generate(network: Network, prompts: list[list[int]], most_tokens: int) -> list[list[int]]:
    """The most likely continuation of each prompt (tokens, begin included), up to the end token or ``most_tokens``."""
    answers: list[list[int]] = [[] for _ in prompts]
    lengths = {len(tokens) for tokens in prompts}
    for length in sorted(lengths):
        rows = [index for index, tokens in enumerate(prompts) if len(tokens) == length]
        cache: Cache = []
        step = torch.tensor([prompts[index] for index in rows])
        ended = torch.zeros(len(rows), dtype=torch.bool)
        made: list[Tensor] = []
        while len(made) < most_tokens and not bool(ended.all()):
            chosen = network(step, cache)[:, -1].argmax(1)
            ended |= chosen == characters.END
            made.append(chosen)
            step = chosen[:, None]
        ids: list[list[int]] = cast(Any, torch.stack(made, 1)).tolist()
        for index, row in zip(rows, ids, strict=True):
            answers[index] = row[: row.index(characters.END)] if characters.END in row else row
    return answers


def _key(name: str) -> str:
    return name.replace(".", "/")  # a dot would name a child of the module


def _rotation(past: int, length: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (length, width / 2) of the positions that follow ``past`` ones."""
    speed = ROPE_BASE ** (-torch.arange(0, width, 2, device=device) / width)
    angle = torch.arange(past, past + length, device=device)[:, None] * speed
    return angle.cos(), angle.sin()


def _rotated(heads: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = turn
    even, odd = heads[..., 0::2], heads[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)
