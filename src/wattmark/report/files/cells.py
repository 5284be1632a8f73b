"""The rows of runs that every table of them has: plain values, so that each kind of file can write them its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wattmark.quantity import Quantity
from wattmark.runs.result import RunResult

COLUMNS = (
    "run",
    "name",
    "started",
    "time_s",
    "energy_j",
    "low_j",
    "high_j",
    "power_w",
    "carbon_g",
    "how",
    "host",
)
"""Energies are those that the runs are known by: the process tree's where others kept the machine busy."""
Cell = str | float | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. energy: J; how: ``measured``, ``modelled`` or both, and whose joules they are."""

    run_id: str
    name: str
    started_at: str
    duration_s: float
    energy: Quantity | None
    power_w: float | None
    carbon_g: Quantity | None
    how: str
    host: str

    def cells(self) -> tuple[Cell, ...]:
        """In the order of :data:`COLUMNS`."""
        energy = self.energy
        ends = (None, None, None) if energy is None else (energy.value, energy.low, energy.high)
        carbon = None if self.carbon_g is None else self.carbon_g.value
        return (
            self.run_id, self.name, self.started_at, self.duration_s, *ends, self.power_w, carbon, self.how, self.host,
        )  # fmt: skip


def row_of(run: RunResult) -> RunRow:
    """What a table says of a run."""
    return RunRow(
        run.run_id,
        run.name,
        run.started_at,
        run.duration_s,
        run.headline,
        run.headline_power_w,
        None if run.carbon is None else run.carbon.grams,
        how_of(run),
        run.host,
    )


def rows_of(runs: Sequence[RunResult]) -> list[RunRow]:
    """The rows, in the order of the runs."""
    return [row_of(run) for run in runs]


def how_of(run: RunResult) -> str:
    """``measured``, ``modelled``, ``measured and modelled`` or ``not measured``; and whose joules."""
    kinds = {
        "modelled" if channel.method == "modelled" else "measured"
        for channel in run.channels
        if channel.counted
    }
    words = " and ".join(sorted(kinds)) or "not measured"
    return f"{words}, process tree" if run.scope == "tree" else words
