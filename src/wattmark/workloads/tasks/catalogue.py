"""Tasks by name: ours, and those that other packages bring (entry points of the group ``wattmark.tasks``)."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, cast

from wattmark.errors import ConfigError
from wattmark.workloads.registry import did_you_mean
from wattmark.workloads.tasks.base import Model, Settings, Task

AnyTask = Task[Any, Any]
"""A task whose inputs and answers only its own models and score know."""

_KINDS = "wattmark.workloads.tasks.kinds"
OURS: dict[str, str] = {
    "text-classification": f"{_KINDS}.text:TEXT_CLASSIFICATION",
    "token-classification": f"{_KINDS}.tokens:TOKEN_CLASSIFICATION",
    "address-parsing": f"{_KINDS}.tokens:ADDRESS_PARSING",
    "question-answering": f"{_KINDS}.reading:QUESTION_ANSWERING",
    "summarisation": f"{_KINDS}.reading:SUMMARISATION",
    "similarity": f"{_KINDS}.reading:SIMILARITY",
    "retrieval": f"{_KINDS}.reading:RETRIEVAL",
    "text-generation": f"{_KINDS}.writing:TEXT_GENERATION",
    "image-classification": f"{_KINDS}.images:IMAGE_CLASSIFICATION",
    "optical-character-recognition": f"{_KINDS}.images:CHARACTER_RECOGNITION",
    "speech-recognition": f"{_KINDS}.speech:SPEECH_RECOGNITION",
    "speech-detection": f"{_KINDS}.speech:SPEECH_DETECTION",
    "file-types": f"{_KINDS}.filetypes:FILE_TYPES",
    "masked-token": f"{_KINDS}.random:MASKED_TOKEN",
    "translation": f"{_KINDS}.random:TRANSLATION",
    "object-detection": f"{_KINDS}.random:OBJECT_DETECTION",
    "image-captioning": f"{_KINDS}.random:IMAGE_CAPTIONING",
    "image-generation": f"{_KINDS}.random:IMAGE_GENERATION",
}
"""Name -> where the task stands."""


@cache
def names() -> tuple[str, ...]:
    """All tasks that are installed, ours first."""
    from importlib.metadata import entry_points

    return (*OURS, *sorted(point.name for point in entry_points(group="wattmark.tasks")))


def find_task(name: str) -> AnyTask:
    """The task of that name, or at ``package.module:NAME``. Raises ConfigError if there is none."""
    from importlib.metadata import entry_points

    place = OURS.get(name) or next(
        (point.value for point in entry_points(group="wattmark.tasks", name=name)),
        name if ":" in name else None,
    )
    if place is None:
        raise ConfigError(f"there is no task {name!r}", hint=did_you_mean(name, list(names())))
    module, _, attribute = place.partition(":")
    try:
        found: object = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the task {name!r} ({place}) cannot be loaded: {error}") from error
    if not isinstance(found, Task):
        raise ConfigError(f"{place} is no task", hint="see docs/extend/write-a-task.md")
    return cast("AnyTask", found)


def open_model(task: AnyTask, name: str, settings: Settings) -> Model[Any, Any]:
    """A model of the task by its name (the first, if none is given), or by its place: ``hf:NAME``, ``onnx:FILE``,
    ``gguf:FILE``. Raises ConfigError for what the task does not know, and what opening it raises."""
    entry = task.models.get(name or next(iter(task.models), ""))
    if entry is not None:
        return entry.open(settings)
    kind, colon, place = name.partition(":")
    paths = task.path or {}
    if colon and kind in paths and place:
        return paths[kind](place, settings)
    ways = [*task.models, *(f"{kind}:{_PLACES.get(kind, 'PLACE')}" for kind in paths)]
    raise ConfigError(f"{task.name} has no model {name!r}", hint=did_you_mean(name, ways))


def is_general(task: AnyTask, name: str) -> bool:
    """Whether the model is one that is made for everything."""
    entry = task.models.get(name)
    return name.startswith("gguf:") if entry is None else entry.general


_PLACES = {"hf": "OWNER/NAME", "onnx": "FILE", "gguf": "FILE"}
