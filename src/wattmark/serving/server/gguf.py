"""Llama-shaped models of a chosen size, with seeded random weights, as GGUF files that llama.cpp serves.

The energy of a token depends on the architecture, the number format and the lengths, not on what the weights say:
such a model is a true energy workload, and **its text is noise**. Needs the extra ``[llm]`` (``gguf``).

The vocabulary has one token per printable ASCII character and one per byte for everything else, so that a prompt of n
ASCII characters is n tokens (and one more for the beginning of the sequence). Weights are drawn per tensor from
``numpy.random.default_rng((seed, index))``; files are kept in the data folder.
"""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from wattmark.errors import ConfigError, MissingExtra
from wattmark.paths import data_dir

Float32 = NDArray[np.float32]
NumberFormat = Literal["f16", "q8_0"]
NUMBER_FORMATS: tuple[NumberFormat, ...] = ("f16", "q8_0")
BYTES_PER_WEIGHT: Mapping[NumberFormat, float] = {"f16": 2.0, "q8_0": 34 / 32}
"""q8_0 keeps 32 weights as 32 int8 and one f16 scale (llama.cpp, ``ggml-common.h``, ``block_q8_0``)."""

SMALLEST = 1_000_000
HEAD_WIDTH = 64
MODEL_CONTEXT = 32_768
NOISE_NOTE = "random weights: the text is noise, the energy is real"
_FORMAT_VERSION = 1
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmb])", re.IGNORECASE)
_SCALE = {"k": 1e3, "m": 1e6, "b": 1e9}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens in their order, with the kinds of SentencePiece (1 normal, 2 unknown, 3 control, 5 unused, 6 byte)."""

    tokens: tuple[bytes, ...]
    kinds: tuple[int, ...]
    bos: int = 1
    eos: int = 2

    def __len__(self) -> int:
        return len(self.tokens)


def ascii_vocabulary() -> Vocabulary:
    """384 tokens: unknown, begin, end, the 256 bytes, the 95 printable ASCII characters, and unused ones."""
    tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256))]
    kinds = [2, 3, 3] + [6] * 256
    # SentencePiece writes a space as U+2581.
    printable = ["\u2581", *(chr(code) for code in range(33, 127))]
    tokens += [character.encode() for character in printable]
    kinds += [1] * len(printable)
    spare = -len(tokens) % 128
    tokens += [f"<unused{index}>".encode() for index in range(spare)]
    kinds += [5] * spare
    return Vocabulary(tuple(tokens), tuple(kinds))


@dataclass(frozen=True, slots=True)
class Architecture:
    """Shape of a Llama: RMS norms, rotary positions, grouped-query attention, SwiGLU, output not tied.

    width is the embedding's, ff the hidden width of the feed-forward part.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    ff: int
    vocabulary: int = 384

    @property
    def head_width(self) -> int:
        """Dimensions per attention head."""
        return self.width // self.heads

    @property
    def parameters(self) -> int:
        """Number of weights."""
        width, kv = self.width, self.kv_heads * self.head_width
        block = 2 * width * width + 2 * kv * width + 3 * self.ff * width + 2 * width
        return self.layers * block + 2 * self.vocabulary * width + width

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """GGUF tensor name -> shape as (rows out, columns in), in file order."""
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
    """``"10m"`` -> 10,000,000 parameters; k, m and b are thousands, millions and billions.

    Raises:
        ConfigError: not a size, or smaller than a million parameters.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a model size", hint="write it like 1m, 10m, 100m or 1.5b")
    size = round(float(match[1]) * _SCALE[match[2].lower()])
    if size < SMALLEST:
        raise ConfigError(f"a random model has at least 1m parameters, not {text}", hint="the smallest is 1m")
    return size


def size_name(parameters: int) -> str:
    """10,000,000 -> ``"10m"``."""
    for letter in ("b", "m", "k"):
        if parameters >= _SCALE[letter]:
            return f"{parameters / _SCALE[letter]:.4g}{letter}"
    return str(parameters)


def architecture_for(parameters: int) -> Architecture:
    """The Llama shape nearest to a number of parameters: heads of 64, a quarter as many key-value heads (Llama 3),
    feed-forward width 8/3 of the model's (Touvron et al. 2023, section 2.2), and a depth that grows with the width
    from 4 layers at 128 to 32 at 4,096, where the family stands.
    """
    heads = (2, 3, 4, *range(8, 257, 4))
    return min((_shape(count, parameters) for count in heads), key=lambda shape: _misfit(shape, parameters))


def _shape(heads: int, parameters: int) -> Architecture:
    width = heads * HEAD_WIDTH
    ff = round(width * 8 / 3 / 32) * 32
    no_layers, single_layer = (
        Architecture(layers, width, heads, max(1, heads // 4), ff) for layers in (0, 1)
    )
    layers = round((parameters - no_layers.parameters) / (single_layer.parameters - no_layers.parameters))
    return replace(single_layer, layers=max(1, layers))


def _misfit(shape: Architecture, parameters: int) -> float:
    usual_layers = 4 * (shape.width / 128) ** 0.6
    size = math.log(shape.parameters / parameters)
    return abs(size) + 0.2 * abs(math.log(shape.layers / usual_layers))


def model_path(
    size: str, number_format: NumberFormat = "f16", seed: int = 0, environ: Mapping[str, str] | None = None
) -> Path:
    """Where the data folder keeps the model, written or not."""
    name = f"random-llama-{size_name(parse_size(size))}-{number_format}-seed{seed}-v{_FORMAT_VERSION}.gguf"
    return Path(data_dir(environ)) / "models" / name


def ensure_model(
    size: str,
    number_format: NumberFormat = "f16",
    seed: int = 0,
    environ: Mapping[str, str] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Path:
    """The path of the model of this size, written first if the data folder does not have it yet.

    on_progress: called with the share (0..1) that is written, after every tensor; not at all if it is there already.

    Raises:
        ConfigError: the size is none, or memory or disk do not hold it.
        MissingExtra: ``gguf`` is not installed.
    """
    if number_format not in NUMBER_FORMATS:
        raise ConfigError(f"{number_format!r} is no number format here", hint="use f16 or q8_0")
    path = model_path(size, number_format, seed, environ)
    if not path.exists():
        shape = architecture_for(parse_size(size))
        _refuse_what_does_not_fit(shape, number_format, path)
        weights = random_weights(shape, seed)
        write_llama(
            path,
            shape,
            weights,
            number_format,
            name=f"random-llama-{size}",
            description=NOISE_NOTE,
            on_progress=on_progress,
        )
    return path


def random_weights(shape: Architecture, seed: int) -> Callable[[int, str, tuple[int, ...]], Float32]:
    """A maker of weights by (index, tensor name, shape): normal, scaled so that activations stay of order one.

    The first dimension of the residual stream is a constant: embeddings set it, no layer writes to it, and the output
    layer uses it to keep byte, control and unused tokens from being drawn. So one printable character is one token
    and one chunk of a stream, and the end of the sequence never comes by itself.
    """
    vocabulary = ascii_vocabulary()
    unwanted = np.array(vocabulary.kinds) != 1

    def make(index: int, name: str, size: tuple[int, ...]) -> Float32:
        if len(size) == 1:
            return np.ones(size, np.float32)
        weights = np.random.default_rng((seed, index)).standard_normal(size, np.float32)
        if name == "token_embd.weight":
            weights[:, 0] = 8.0
            return weights
        weights /= math.sqrt(size[1])
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            weights /= math.sqrt(2 * shape.layers)
            weights[0] = 0.0
        elif name == "output.weight":
            weights[:, 0] = np.where(unwanted, -30.0, 0.0)
        return weights

    return make


def write_llama(
    path: Path,
    shape: Architecture,
    weights: Callable[[int, str, tuple[int, ...]], Float32],
    number_format: NumberFormat = "f16",
    *,
    vocabulary: Vocabulary | None = None,
    context: int = MODEL_CONTEXT,
    name: str = "llama",
    description: str = "",
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Write a Llama model tensor by tensor, so that one tensor is in memory at a time; the file appears when whole.

    weights: (index, name, shape) -> float32 array; rotary dimensions are paired as neighbours (0,1), (2,3), ...
    (llama.cpp's NORM order for this family). Norms are kept in f32.

    Raises:
        MissingExtra: ``gguf`` is not installed.
        ConfigError: the file cannot be written.
    """
    gguf = _gguf()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(part, "llama")
        try:
            _describe(
                writer,
                gguf,
                shape,
                vocabulary or ascii_vocabulary(),
                context,
                name,
                description,
                number_format,
            )
            _write_tensors(writer, gguf, shape, weights, number_format, on_progress)
        finally:
            writer.close()
        part.replace(path)
    except OSError as error:
        raise ConfigError(
            f"the model cannot be written: {path}: {error.strerror or error}",
            hint="free some space or name another data folder with WATTMARK_DATA_DIR",
        ) from error
    finally:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)


def _describe(
    writer: Any,
    gguf: Any,
    shape: Architecture,
    vocabulary: Vocabulary,
    context: int,
    name: str,
    description: str,
    number_format: NumberFormat,
) -> None:
    writer.add_name(name)
    writer.add_description(description)
    writer.add_file_type(
        gguf.LlamaFileType.MOSTLY_F16 if number_format == "f16" else gguf.LlamaFileType.MOSTLY_Q8_0
    )
    writer.add_context_length(context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_scores([0.0] * len(vocabulary))
    writer.add_token_types(list(vocabulary.kinds))
    writer.add_bos_token_id(vocabulary.bos)
    writer.add_eos_token_id(vocabulary.eos)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")


def _write_tensors(
    writer: Any,
    gguf: Any,
    shape: Architecture,
    weights: Callable[[int, str, tuple[int, ...]], Float32],
    number_format: NumberFormat,
    on_progress: Callable[[float], None] | None,
) -> None:
    kinds = gguf.GGMLQuantizationType
    shapes = shape.tensor_shapes()
    for name, size in shapes.items():
        kind = kinds.F32 if len(size) == 1 else kinds.F16 if number_format == "f16" else kinds.Q8_0
        stored = size if kind != kinds.Q8_0 else gguf.quant_shape_to_byte_shape(size, kind)
        dtype = {kinds.F32: np.float32, kinds.F16: np.float16, kinds.Q8_0: np.uint8}[kind]
        count = math.prod(stored) * np.dtype(dtype).itemsize
        writer.add_tensor_info(name, stored, np.dtype(dtype), count, kind if kind == kinds.Q8_0 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    written = 0
    for index, (name, size) in enumerate(shapes.items()):
        tensor = weights(index, name, size)
        if tensor.shape != size:
            raise ValueError(f"{name} has the shape {tensor.shape}, not {size}")
        if len(size) > 1:
            tensor = (
                tensor.astype(np.float16) if number_format == "f16" else gguf.quantize(tensor, kinds.Q8_0)
            )
        writer.write_tensor_data(tensor)
        written += math.prod(size)
        if on_progress is not None:
            on_progress(written / shape.parameters)


def _refuse_what_does_not_fit(shape: Architecture, number_format: NumberFormat, path: Path) -> None:
    needed = shape.parameters * BYTES_PER_WEIGHT[number_format]
    memory = psutil.virtual_memory().available
    if needed > 0.8 * memory:
        raise ConfigError(
            f"a model of {needed / 1e9:.1f} GB does not fit in the {memory / 1e9:.1f} GB of memory that are free",
            hint="take a smaller size, or q8_0",
        )
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    disk = shutil.disk_usage(folder).free
    if needed > 0.95 * disk:
        raise ConfigError(
            f"a model of {needed / 1e9:.1f} GB does not fit in the {disk / 1e9:.1f} GB of disk that are free in {folder}",
            hint="name another data folder with WATTMARK_DATA_DIR",
        )


def _gguf() -> Any:
    try:
        return import_module("gguf")
    except ImportError as error:
        raise MissingExtra("gguf", "llm") from error
