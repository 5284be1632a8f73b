"""The table of Power Hungry Processing (arXiv 2311.16863) from its published runs: what tasks cost on eight A100, the ratios
of general models to those made for a task, what its joules hold beside the work, and both without that.

Two things are in the published energies that no inference used: a constant 430.8 W for the memory of a machine of 1.1 TB
(CodeCarbon's rule of 3 W for 8 GB), and the idle power of all eight GPUs, of which one worked. And short runs hold seconds
before and after the inferences: the energies cover more time than the duration that is told.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wattmark.units import J_PER_WH

MEMORY_W = 430.77675
"""CodeCarbon's constant for the memory of that machine, in every run."""
IDLE_W = 462.67
"""Of the eight GPUs: the lowest mean over all 4,170 runs. What they draw at rest is not in the data; it cannot be more."""
LABELS = {
    "text_classif": "text-classification",
    "token_classif": "token-classification",
    "fillmask": "masked-token",
    "qa": "question-answering",
    "summarize": "summarisation",
    "textgen": "text-generation",
    "image_class": "image-classification",
    "obj_detection": "object-detection",
    "itt": "image-captioning",
    "tti": "image-generation",
}
"""How its files begin, and our name of the task; those of general models begin with ``zeroshot_``."""


@dataclass(frozen=True, slots=True)
class PublishedRuns:
    """Runs of one model on one data set: means of 1,000 inferences. covered_s: the time that the energies are of."""

    data: str
    model: str
    runs: int
    gpu_wh: float
    ram_wh: float
    cpu_wh: float
    covered_s: float

    @property
    def energy_wh(self) -> float:
        """As published."""
        return self.gpu_wh + self.ram_wh + self.cpu_wh

    def above_idle_wh(self, idle_w: float = IDLE_W) -> float:
        """Of the GPUs, above what the eight of them draw anyway."""
        return self.gpu_wh - idle_w * self.covered_s / J_PER_WH


@dataclass(frozen=True, slots=True)
class PublishedTask:
    """One task: means over its runs, Wh of 1,000 inferences."""

    task: str
    runs: int
    models: int
    energy_wh: float
    above_idle_wh: float
    memory_share: float


@dataclass(frozen=True, slots=True)
class PublishedRatio:
    """What one kind of model takes over another. published: as the paper's data give it; above_idle: of the GPUs' energy
    above idle."""

    name: str
    published: float
    above_idle: float


@cache
def published_runs() -> tuple[PublishedRuns, ...]:
    """All of them."""
    text = files("wattmark.workloads.tasks.data").joinpath("power_hungry.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedRuns(
            data=row["data"],
            model=row["model"],
            runs=int(row["runs"]),
            gpu_wh=float(row["gpu_wh"]),
            ram_wh=float(row["ram_wh"]),
            cpu_wh=float(row["cpu_wh"]),
            covered_s=float(row["covered_s"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


def published_tasks() -> list[PublishedTask]:
    """The ten tasks, cheapest first."""
    found: list[PublishedTask] = []
    for prefix, task in LABELS.items():
        own = _of(prefix)
        energy = _mean(own, lambda one: one.energy_wh)
        found.append(
            PublishedTask(
                task,
                sum(one.runs for one in own),
                len({one.model for one in own}),
                energy,
                _mean(own, lambda one: one.above_idle_wh()),
                _mean(own, lambda one: one.ram_wh) / energy,
            )
        )
    return sorted(found, key=lambda one: one.energy_wh)


def published_ratios(idle_w: float = IDLE_W) -> list[PublishedRatio]:
    """Those that the paper tells: general over specific for three tasks, and its dearest task over a cheap one."""
    pairs = (
        ("sentiment, general over specific", "zeroshot_sentiment", "text_classif"),
        ("question answering, general over specific", "zeroshot_qa", "qa"),
        ("summarisation, general over specific", "zeroshot_summarize", "summarize"),
        ("image generation over text classification", "tti", "text_classif"),
    )

    def whole(one: PublishedRuns) -> float:
        return one.energy_wh

    def own(one: PublishedRuns) -> float:
        return one.above_idle_wh(idle_w)

    def ratio(above: str, below: str, part: Callable[[PublishedRuns], float]) -> float:
        return _mean(_of(above), part) / _mean(_of(below), part)

    return [
        PublishedRatio(name, ratio(above, below, whole), ratio(above, below, own))
        for name, above, below in pairs
    ]


def _of(prefix: str) -> list[PublishedRuns]:
    return [one for one in published_runs() if one.data.startswith(f"{prefix}_")]


def _mean(runs: Sequence[PublishedRuns], value: Callable[[PublishedRuns], float]) -> float:
    return sum(value(one) * one.runs for one in runs) / sum(one.runs for one in runs)
