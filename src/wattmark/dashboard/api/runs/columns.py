"""The runs in columns, lean enough that the browser filters and sorts ten thousand of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from wattmark.quantity import Quantity
from wattmark.store import RunSummary
from wattmark.workspace.totals import MEASURED, Places, energy_of, part_of

Numbers = list[float | None]


class Ends(BaseModel):
    """Quantities in columns: values with their bounds, null where nothing is known."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    value: Numbers = Field(default_factory=list[float | None])
    low: Numbers = Field(default_factory=list[float | None])
    high: Numbers = Field(default_factory=list[float | None])

    def add(self, quantity: Quantity | None) -> None:
        """One more row."""
        ends = (None, None, None) if quantity is None else (quantity.value, quantity.low, quantity.high)
        for column, end in zip((self.value, self.low, self.high), ends, strict=True):
            column.append(lean(end))

    def before(self, others: Ends) -> Ends:
        """These rows with others after them."""
        return Ends.model_construct(
            value=self.value + others.value, low=self.low + others.low, high=self.high + others.high
        )


class RunTable(BaseModel):
    """All runs, the newest first, those that go on before the others: one list for each column.

    Energies in J, times in s, carbon in g. ``measured`` and ``modelled`` are the parts of ``energy`` that were read from
    hardware and worked out by a model. ``tree``: the process tree's energy, which comes before the machine's ``energy``
    where other work kept the machine busy; null elsewhere. ``methods``: how the counted joules were got. ``stamp``
    changes with the list. ``metrics``: the last number of each; ``course_w``: power in even parts of the run.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    stamp: str
    id: list[str] = Field(default_factory=list[str])
    name: list[str] = Field(default_factory=list[str])
    status: list[str] = Field(default_factory=list[str])
    exit_code: list[int | None] = Field(default_factory=list[int | None])
    host: list[str] = Field(default_factory=list[str])
    parent: list[str | None] = Field(default_factory=list[str | None])
    started_ms: list[int] = Field(default_factory=list[int])
    duration_s: Numbers = Field(default_factory=list[float | None])
    coverage: Numbers = Field(default_factory=list[float | None])
    tree: Ends = Field(default_factory=Ends)
    energy: Ends = Field(default_factory=Ends)
    measured: Ends = Field(default_factory=Ends)
    modelled: Ends = Field(default_factory=Ends)
    carbon: Ends = Field(default_factory=Ends)
    zone: list[str | None] = Field(default_factory=list[str | None])
    methods: list[list[str]] = Field(default_factory=list[list[str]])
    tags: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    note: list[str] = Field(default_factory=list[str])
    metrics: list[dict[str, float]] = Field(default_factory=list[dict[str, float]])
    course_w: list[Numbers] = Field(default_factory=list[Numbers])

    def add(self, run: RunSummary, places: Places) -> None:
        """One more row."""
        zone, grams = places.carbon(run)
        self.id.append(run.run_id)
        self.name.append(run.name)
        self.status.append(run.status)
        self.exit_code.append(run.exit_code)
        self.host.append(run.host)
        self.parent.append(run.parent_id)
        self.started_ms.append(round(run.started_at.timestamp() * 1000))
        self.duration_s.append(lean(run.duration_s))
        self.coverage.append(lean(run.coverage))
        self.tree.add(run.tree)
        self.energy.add(energy_of(run))
        self.measured.add(part_of(run, MEASURED))
        self.modelled.add(part_of(run, ("modelled",)))
        self.carbon.add(grams)
        self.zone.append(zone)
        self.methods.append(list(run.energy_by_method))
        self.tags.append(dict(run.tags))
        self.note.append(run.note)
        self.metrics.append({name: float(f"{value:.6g}") for name, value in run.metrics.items()})
        self.course_w.append(list(run.course_w))

    def before(self, others: RunTable) -> RunTable:
        """These rows with others after them."""
        joined: dict[str, Any] = {"stamp": self.stamp}
        for name in RunTable.model_fields.keys() - {"stamp"}:
            mine, theirs = getattr(self, name), getattr(others, name)
            joined[name] = mine.before(theirs) if isinstance(mine, Ends) else mine + theirs
        return RunTable.model_construct(**joined)


def lean(value: float | None) -> float | None:
    """Six significant digits, so that ten thousand rows stay small."""
    return None if value is None else float(f"{value:.6g}")
