"""The full cycle of models: E(N) with its intervals, where models cross, who may be as cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from wattmark.dashboard.context import Here
from wattmark.lifecycle.cycle.comparison import LITERATURE, Cycle
from wattmark.lifecycle.cycle.origins import Library
from wattmark.lifecycle.cycle.question import MODEL_TAG, STAGE_TAG, cycle, models_of
from wattmark.quantity import Quantity
from wattmark.runs.view import RunView

router = APIRouter(tags=["cycle"])
UNTAGGED = "no run has the tags model and stage: wattmark run --tag model=small --tag stage=training -- CMD"
Words = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]


class CycleRequest(BaseModel):
    """Stages, bases and usage in the words of ``wattmark cycle``. Without stages: the models that runs are tagged with."""

    model_config = ConfigDict(extra="forbid")

    stages: Annotated[list[Words], Field(max_length=200)] = []
    bases: Annotated[list[Words], Field(max_length=50)] = []
    uses: Annotated[list[Words], Field(max_length=20)] = []


@dataclass(frozen=True, slots=True)
class ModelOut:
    """A model. data_j, training_j: of what is spent once; value, low, high: E(N) in J at each N of the answer."""

    name: str
    base: str | None
    quality: float | None
    fixed: Quantity
    per_use: Quantity
    data_j: float
    training_j: float
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CrossingOut:
    """From ``uses`` on ``after`` takes less than ``before``; high: null where there is no upper end."""

    before: str
    after: str
    uses: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class SplitOut:
    """Shares that were published: of data (null: not told), experiments and training, inference."""

    of: str
    data: float | None
    training: float
    inference: float
    source: str


@dataclass(frozen=True, slots=True)
class CycleAnswer:
    """uses: the numbers of use that the slider has. rivals: at each, who may be as cheap as the cheapest one."""

    uses: tuple[float, ...]
    models: tuple[ModelOut, ...]
    rivals: tuple[tuple[str, ...], ...]
    crossings: tuple[CrossingOut, ...]
    literature: tuple[SplitOut, ...]
    notes: tuple[str, ...]


@router.post("/cycle")
def full_cycle(question: CycleRequest, here: Here) -> CycleAnswer:
    """The models over a range of use, from kept runs, studies and stated numbers."""

    def tagged(word: str) -> list[RunView]:
        return [here.runs.view(run.run_id) for run in here.store.summaries(tag=word, limit=500)]

    library = Library(here.runs.view, tagged, lambda name: here.studies.results(here.studies.folder(name)))
    if not question.stages and not any(STAGE_TAG in run.tags for run in here.store.summaries(tag=MODEL_TAG)):
        return CycleAnswer((), (), (), (), (), (UNTAGGED,))
    models = models_of(question.stages, question.bases) if question.stages else None
    return _answer(cycle(models, uses=question.uses, library=library))


def _answer(answer: Cycle) -> CycleAnswer:
    curve = answer.curve()
    lines = {line.name: line for line in curve.lines}
    models: list[ModelOut] = []
    for one in answer.candidates:
        part = answer.split(one.name, 0.0)
        fixed, line = one.fixed, lines[one.name]
        models.append(
            ModelOut(
                one.name,
                one.base,
                one.quality,
                fixed,
                one.per_use,
                0.0 if part is None else part.data * fixed.value,
                0.0 if part is None else part.training * fixed.value,
                tuple(line.value.tolist()),
                tuple(line.low.tolist()),
                tuple(line.high.tolist()),
            )
        )
    (of, shares, source), (of_power, power, source_power) = LITERATURE
    return CycleAnswer(
        tuple(curve.uses.tolist()),
        tuple(models),
        curve.rivals,
        tuple(CrossingOut(one.before, one.after, one.uses, one.low, one.high) for one in answer.crossings),
        (
            SplitOut(of, shares[0], shares[1], shares[2], source),
            SplitOut(of_power, None, power[0] + power[1], power[2], source_power),
        ),
        answer.notes,
    )
