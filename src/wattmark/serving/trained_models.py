"""Small models that can do something: trained here on tasks (:mod:`wattmark.workloads.reasoning`), as GGUF files.

Kept in the data folder, trained once: the file's name says how. Needs torch (extra ``[study]``) and ``gguf`` (``[llm]``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattmark.errors import MissingExtra
from wattmark.paths import data_dir
from wattmark.serving.gguf_models import Architecture, Float32, NumberFormat, Vocabulary, write_llama
from wattmark.workloads.reasoning import characters

if TYPE_CHECKING:
    from wattmark.workloads.reasoning.network import Network
    from wattmark.workloads.reasoning.training import Plan, Progress

CONTEXT = 512
_NORMAL, _UNKNOWN, _CONTROL, _UNUSED = 1, 2, 3, 5


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """path: of the GGUF file; ``local:PATH`` serves it. details: plan, shape, parameters, steps, seconds, losses."""

    path: Path
    details: Mapping[str, Any]


def vocabulary() -> Vocabulary:
    """The characters of the training as llama.cpp's tokenizer reads them (SentencePiece writes a space as U+2581)."""
    tokens = [
        b"<unk>",
        b"<s>",
        b"</s>",
        *(sign.replace(" ", "\u2581").encode() for sign in characters.PRINTABLE),
    ]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL] + [_NORMAL] * len(characters.PRINTABLE)
    spare = characters.SIZE - len(tokens)
    tokens += [f"<unused{index}>".encode() for index in range(spare)]
    return Vocabulary(tuple(tokens), (*kinds, *[_UNUSED] * spare), characters.BEGIN, characters.END)


def trained_path(
    plan: Plan, number_format: NumberFormat = "f16", environ: Mapping[str, str] | None = None
) -> Path:
    """Where the data folder keeps the model, written or not."""
    return Path(data_dir(environ)) / "models" / f"{plan.name}-{number_format}.gguf"


def ensure_trained(
    plan: Plan,
    number_format: NumberFormat = "f16",
    *,
    threads: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> TrainedModel:
    """The model of this plan, trained first (or trained on, if that was interrupted) unless the data folder has it.

    Raises:
        ConfigError: a checkpoint or the model cannot be read or written.
        MissingExtra: torch or ``gguf`` is not installed.
    """
    path = trained_path(plan, number_format, environ)
    details = path.with_suffix(".json")
    if path.exists() and details.exists():
        return TrainedModel(path, json.loads(details.read_text("utf-8")))
    for package, extra in (("torch", "study"), ("gguf", "llm")):
        if find_spec(package) is None:
            raise MissingExtra(package, extra)
    from wattmark.workloads.reasoning.training import train

    # The checkpoint stays: it is small, and another number format or a lost file costs no second training.
    checkpoint = path.with_name(f"{plan.name}.checkpoint")
    trained = train(plan, checkpoint, threads=threads, on_progress=on_progress)
    write_network(path, trained.network, number_format, name=plan.name)
    details.write_text(json.dumps(trained.as_dict(), indent=1), "utf-8")
    return TrainedModel(path, trained.as_dict())


def write_network(
    path: Path, network: Network, number_format: NumberFormat = "f16", *, name: str = "trained"
) -> None:
    """The network as a GGUF file. Raises ConfigError if it cannot be written, MissingExtra without ``gguf``."""
    shape = network.shape
    architecture = Architecture(
        shape.layers, shape.width, shape.heads, shape.kv_heads, shape.ff, shape.vocabulary
    )

    def weights(index: int, tensor: str, size: tuple[int, ...]) -> Float32:
        array: Float32 = network.tensor(tensor).detach().numpy()
        return array

    write_llama(
        path,
        architecture,
        weights,
        number_format,
        vocabulary=vocabulary(),
        context=CONTEXT,
        name=name,
        description="trained by wattmark on tasks; it knows compact prompts only",
    )
