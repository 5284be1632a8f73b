"""Runs of a file into a store, each piece of work once: a log that has grown takes the place of what it was before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from wattmark.documents import mapping
from wattmark.runs.record import RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store.importing.reading import Reading
from wattmark.store.store import Store

_SAME_START_S = 2.5
"""Tools write whole seconds, so what they say of one start differs by this much."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Ids of runs: new ones, those that were there and have grown, those that were there as they are."""

    added: list[str] = field(default_factory=list[str])
    grown: list[str] = field(default_factory=list[str])
    repeated: list[str] = field(default_factory=list[str])


def take_in(store: Store, reading: Reading) -> Intake:
    """Keep the runs of a file. Raises StoreError."""
    intake = Intake()
    before = store.summaries(tag=f"imported={reading.format}")
    for record in reading:
        near = [
            run.run_id
            for run in before
            if run.run_id == record.run_id
            or abs(run.started_at.timestamp() - record.started_wall_ns / 1e9) <= _SAME_START_S
        ]
        earlier = next((stored for stored in map(store.get, near) if _is_same_work(stored, record)), None)
        if earlier is not None:
            longer = record.end_ns - record.start_ns > earlier.end_ns - earlier.start_ns
            (intake.grown if longer else intake.repeated).append(earlier.run_id)
            if longer:
                again = replace(record, run_id=earlier.run_id)
                store.replace(again, summarise(RunView(again)))
        elif store.add(record, summarise(RunView(record))):
            intake.added.append(record.run_id)
        else:
            intake.repeated.append(record.run_id)
    return intake


def _is_same_work(stored: RunRecord, record: RunRecord) -> bool:
    """Whether one of two runs is the other at a later time: the same tracker, or a log that begins as the other."""
    if stored.run_id == record.run_id:
        return True
    tool = record.tags.get("imported", "")
    words, others = (_tracker(run.extra.get(tool)) for run in (stored, record))
    if any(words) or any(others):
        return words == others
    if stored.started_wall_ns != record.started_wall_ns or stored.name != record.name:
        return False
    curves = {curve.channel.id: curve.energy_uj for curve in record.curves}
    for curve in stored.curves:
        other = curves.get(curve.channel.id)
        common = 0 if other is None else min(len(other), len(curve.energy_uj))
        if other is None or common < 2 or not np.array_equal(other[:common], curve.energy_uj[:common]):
            return False
    return bool(stored.curves)


def _tracker(values: object) -> tuple[str, ...]:
    """What the row of a tool says of whose it is; all empty where it does not."""
    row = mapping(values)
    named = tuple(str(row.get(key) or "") for key in ("run_id", "experiment_id", "id", "task_name", "epoch"))
    return named if any(named[:3]) else ()
