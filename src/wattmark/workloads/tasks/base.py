"""What a task is: inputs with a size, models that answer them, and a score; what a model of a task must do.

A task of one's own is one file: a model class, a data set, and a :class:`Task` that an entry point of the group
``wattmark.tasks`` names. ``wattmark.testing.task_contract`` holds it against what ours promise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

In = TypeVar("In")
Out = TypeVar("Out")
In_contra = TypeVar("In_contra", contravariant=True)

Unit = Literal["token", "pixel", "second", "byte"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is run. threads: 0 for one fewer than there are cores. output: the most tokens of an answer, 0 for what
    the task says. batch: the largest batch that will be asked for."""

    device: str = "cpu"
    threads: int = 0
    batch: int = 1
    output: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Answer(Generic[Out]):
    """What a model gave for one input. inputs, outputs: how much went in and came out, in the task's units."""

    output: Out
    inputs: float
    outputs: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a loaded model. random: its weights are random, so that its answers mean nothing."""

    parameters: int | None = None
    weight_bytes: int | None = None
    random: bool = False


class Model(Protocol[In_contra, Out]):
    """A model that is loaded and ready."""

    @property
    def facts(self) -> ModelFacts:
        """What it is made of."""
        ...

    def infer(self, inputs: Sequence[In_contra]) -> Sequence[Answer[Out]]:
        """An answer for each input, worked out as one batch. Raises WattmarkError for what is no input."""
        ...

    def close(self) -> None:
        """Give back what it holds (a process, a session)."""
        ...


@runtime_checkable
class Trained(Protocol):
    """A model that is made here: its training is a stage of the trial, before the inferences."""

    def train(self) -> int:
        """Train it; how many examples were seen."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """How good answers are, 0..1. low, high: of its 95 % interval over the inputs. chance: what answers are worth that
    know nothing of the input, by the rule that the task states."""

    value: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True, slots=True)
class ModelEntry(Generic[In, Out]):
    """A model that a task knows by name. general: one that is made for everything and is asked in words.

    package: the name of the package of weights that it needs (:data:`wattmark.workloads.tasks.weights.PACKAGES`), or "".
    """

    open: Callable[[Settings], Model[In, Out]]
    summary: str
    general: bool = False
    package: str = ""


@dataclass(frozen=True, slots=True)
class Task(Generic[In, Out]):
    """One task. inputs: the data set, always the same. score: of the answers to the first inputs, in their order; None where
    no answer can be right. metric, chance: what the score is, and what stands for chance, in words. path: opens a model
    that is given by its place (``hf:NAME``, ``onnx:FILE``, ``gguf:FILE``) instead of by a name."""

    name: str
    title: str
    input_unit: Unit
    output_unit: Unit
    inputs: Callable[[], Sequence[In]]
    models: Mapping[str, ModelEntry[In, Out]]
    score: Callable[[Sequence[Out]], Score] | None = None
    metric: str = ""
    chance: str = ""
    data: str = ""
    path: Mapping[str, Callable[[str, Settings], Model[In, Out]]] | None = None
