"""What the page is told of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wattmark.quantity import Quantity

Level = str | int | float | bool | None
"""A level of a factor."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is. energy_j: of the trials so far; left_s: None where it cannot be told yet."""

    name: str
    title: str
    workload: str
    serving: bool
    running: bool
    planned: int
    done: int
    failed: int
    energy_j: float
    modelled: bool | None
    duration_s: float
    left_s: float | None
    started_at: str | None
    last_at: str | None


@dataclass(frozen=True, slots=True)
class StudyMetric:
    """Something that every completed trial has a number for, or some have."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of levels: means over its completed trials. modelled: share of the joules that a model gave.
    verdict: its energy beside that of the cheapest cell, in words. own: of the metrics that err alike in all cells, with the
    errors that are the cell's own, on which its comparison with the others rests."""

    label: str
    factors: dict[str, Level]
    trials: tuple[str, ...]
    completed: int
    metrics: dict[str, Quantity]
    modelled: float | None
    command: str
    verdict: str
    own: dict[str, Quantity]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as it ended. run_id: the run to look at, if it is kept."""

    trial_id: str
    repeat: int
    factors: dict[str, Level]
    status: str
    run_id: str | None
    started_at: str
    duration_s: float
    energy_j: Quantity | None
    methods: dict[str, str]
    coverage: float | None
    contention: float | None
    outlier: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class StarLabel:
    """Stars of a model among those of its task and batch in this study: 1 to 5. energy: J of a thousand inferences, of the
    GPUs alone where of_gpu; random: its weights mean nothing."""

    cell: str
    task: str
    model: str
    batch: str
    stars: int
    energy: Quantity
    of_gpu: bool
    random: bool


@dataclass(frozen=True, slots=True)
class Study:
    """One study: what was varied and what came out, ready to be drawn. common: by metric, what all cells err by alike, in
    words. labels: of a study of tasks."""

    progress: Progress
    factors: dict[str, tuple[Level, ...]]
    subject: str | None
    quality: str | None
    metrics: tuple[StudyMetric, ...]
    cells: tuple[Cell, ...]
    trials: tuple[Trial, ...]
    environment: dict[str, dict[str, Any]]
    common: dict[str, str]
    labels: tuple[StarLabel, ...]


@dataclass(frozen=True, slots=True)
class ParetoCell:
    """A cell on or off the front; joules_per_point: what a further percentage point of quality costs there."""

    cell: str
    energy_j: float
    quality: float
    on_front: bool
    on_front_share: float | None
    joules_per_point: Quantity | None


@dataclass(frozen=True, slots=True)
class CorrelationMap:
    """One map: r and the corrected p by pair, row by row; None where there is too little."""

    kind: str
    per: str
    scope: str
    names: tuple[str, ...]
    r: tuple[tuple[float | None, ...], ...]
    p: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class CellShares:
    """Where a cell's joules went: by stage (stages_of: as shares of the whole, 0..1), and by component with how they were
    got."""

    cell: str
    stages_j: dict[str, Quantity]
    stages_of: dict[str, Quantity]
    components_j: dict[str, Quantity]
    methods: dict[str, str]


@dataclass(frozen=True, slots=True)
class Guideline:
    """A sentence that the data carry, and how strongly."""

    text: str
    strength: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What the analysis of the completed trials says; the same as in the report."""

    pareto_metric: str
    pareto: tuple[ParetoCell, ...]
    correlations: tuple[CorrelationMap, ...]
    shares: tuple[CellShares, ...]
    guidelines: tuple[Guideline, ...]
    outliers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, averaged over a cell's repeats."""

    epoch: int
    trials: int
    energy_j: float | None
    power_w: float | None
    loss: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Rival:
    """A setting that may cost as little as the cheapest. ratio: of its cost to that one's; verdict: the same in words."""

    label: str
    cost: Quantity
    ratio: Quantity | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The cheapest setting within the limits. label: null where none is within them. dearer: how many others within them
    are clearly dearer. sentence: how sure it is, in words."""

    label: str | None
    cost: Quantity | None
    rivals: tuple[Rival, ...]
    dearer: int
    sentence: str
