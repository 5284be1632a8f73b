"""Small models that can do something: trained here on tasks (:mod:`wattmark.workloads.reasoning`), as GGUF files.

Kept in the data folder, trained once: the file's name says how. Needs torch (extra ``[study]``) and ``gguf`` (``[llm]``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattmark.errors import MissingExtra
from wattmark.paths import data_dir
from wattmark.quantity import Quantity
from wattmark.reasoning import characters
from wattmark.serving.server.gguf import Architecture, Float32, NumberFormat, Vocabulary, write_llama

if TYPE_CHECKING:
    from wattmark.reasoning.network import Network
    from wattmark.reasoning.training import Plan, TrainingProgress

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
    on_progress: Callable[[TrainingProgress], None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> TrainedModel:
    """The model of this plan, trained first (or trained on, if that was interrupted) unless the data folder has it.

    Raises:
        ConfigError: a checkpoint or the model cannot be read or written.
        MissingExtra: torch or ``gguf`` is not installed.
    """
    there = trained_file(plan, number_format, environ)
    if there is not None:
        return there
    need_packages()
    from wattmark.reasoning.training import train

    path = trained_path(plan, number_format, environ)
    # The checkpoint stays: it is small, and another number format or a lost file costs no second training.
    trained = train(plan, _checkpoint(plan, environ), threads=threads, on_progress=on_progress)
    write_network(path, trained.network, number_format, name=plan.name)
    return _keep(TrainedModel(path, trained.as_dict()))


def trained_file(
    plan: Plan, number_format: NumberFormat = "f16", environ: Mapping[str, str] | None = None
) -> TrainedModel | None:
    """The model of this plan if the data folder has it."""
    path = trained_path(plan, number_format, environ)
    details = path.with_suffix(".json")
    if not (path.exists() and details.exists()):
        return None
    return TrainedModel(path, json.loads(details.read_text("utf-8")))


def is_resumed(plan: Plan, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a training of this plan was begun before, so that the next one goes on with it or has nothing to do."""
    return _checkpoint(plan, environ).exists()


def keep_energy(model: TrainedModel, energy: Quantity, run_id: str) -> TrainedModel:
    """Keep what the whole training took (J) beside the model, and the run that measured it."""
    return _keep(
        TrainedModel(
            model.path, {**model.details, "training_energy_j": energy.as_dict(), "training_run": run_id}
        )
    )


def need_packages() -> None:
    """Raises MissingExtra without torch or ``gguf``."""
    for package, extra in (("torch", "study"), ("gguf", "llm")):
        if find_spec(package) is None:
            raise MissingExtra(package, extra)


def _checkpoint(plan: Plan, environ: Mapping[str, str] | None) -> Path:
    return Path(data_dir(environ)) / "models" / f"{plan.name}.checkpoint"


def _keep(model: TrainedModel) -> TrainedModel:
    """The details beside the model, in one piece or not at all."""
    path = model.path.with_suffix(".json")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(dict(model.details), indent=1), "utf-8")
    part.replace(path)
    return model


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
