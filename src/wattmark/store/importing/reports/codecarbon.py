"""CodeCarbon's ``emissions.csv``, of any version: a run a tracker, its joules as CodeCarbon reported them.

What CodeCarbon multiplies in comes out again: its energies are times the PUE of the row (``energy *=
self._pue`` in its ``emissions_tracker.py``), and Wattmark keeps PUE a stage of its own. How each joule was
got is not in the file, so all count as modelled, with an interval that says so.

A tracker that flushes (``EmissionsTracker.flush``) writes its totals so far, each time a row: such rows have one run id,
one start and growing durations. They are one run, each row a point on its curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np

from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy, Component
from wattmark.store.importing.reading import (
    MOST_KWH,
    MOST_SECONDS,
    Problem,
    Reading,
    Row,
    TextFile,
    UnreadableCell,
    amount,
)
from wattmark.store.importing.records import LEAST_NS, TOOL_RELATIVE, Reported, digest, reported_run
from wattmark.store.importing.stamps import Moment, moment

# CodeCarbon's memory term is watts per GB installed, whatever the use; the truth may be a tenth of it.
_CITATION = "imported from CodeCarbon; errors of up to 40 % (Fischer 2025, arXiv:2509.22092)"
_TOTAL = Accuracy(*TOOL_RELATIVE, 0.0, _CITATION, 0.21, 0.28)
_DRAM = Accuracy(
    0.9, TOOL_RELATIVE[1], 0.0, f"{_CITATION}; memory is counted by capacity, whatever its use", 0.35, 0.5
)
_PARTS: tuple[tuple[str, Component, Accuracy], ...] = (
    ("cpu_energy", "cpu", _TOTAL),
    ("gpu_energy", "gpu", _TOTAL),
    ("ram_energy", "dram", _DRAM),
)
_SAME_START_NS = 2_500_000_000
"""Stamps have whole seconds, and those of the first versions durations, too."""
_COLUMNS = frozenset(("timestamp", "duration", "emissions", "energy_consumed"))
_MOST_PUE = 10.0


@dataclass(frozen=True, slots=True)
class _Totals:
    """A row: what one tracker had counted when it wrote it."""

    line: int
    values: Mapping[str, str]
    ended: Moment
    duration_ns: int
    pue: float
    kwh: Mapping[Component, float]

    @property
    def tracker(self) -> tuple[str, ...]:
        """Whose row it is; the first element is empty where the row does not say."""
        return tuple(
            self.values.get(key, "") for key in ("run_id", "experiment_id", "task_name", "project_name")
        )

    @property
    def identity(self) -> str:
        """What tells this row from others."""
        words = [self.values.get(key, "") for key in ("run_id", "experiment_id", "timestamp", "task_name")]
        if not (words[0] or words[1]):
            words += self.values.values()
        return "\n".join(words)


@dataclass(slots=True)
class _Tracker:
    """Rows of one tracker, each with the energy of those before it."""

    started_ns: int
    rows: list[_Totals] = field(default_factory=list[_Totals])

    def takes(self, row: _Totals) -> bool:
        """Whether ``row`` is this tracker's next: of the same start, with as much or more of everything."""
        last = self.rows[-1]
        if not row.tracker[0] and row.kwh == last.kwh:
            return False  # an experiment's id is that of many trackers
        return (
            row.tracker == last.tracker
            and any(abs(end - row.duration_ns - self.started_ns) <= _SAME_START_NS for end in row.ended)
            and row.duration_ns >= last.duration_ns
            and row.pue == last.pue
            and row.kwh.keys() >= last.kwh.keys()
            and all(row.kwh[name] >= kwh for name, kwh in last.kwh.items())
        )


def recognises(file: TextFile) -> bool:
    """Whether a CSV file has CodeCarbon's header."""
    return any(_COLUMNS.issubset(row.cells) for row in file.beginning())


def runs(file: TextFile, zone: tzinfo) -> Reading:
    """One run a tracker and start; rows that cannot be read are named."""
    problems: list[Problem] = []
    every: list[_Totals] = []
    header: list[str] = []
    for row in file.rows(file.delimiter()):
        if _COLUMNS.issubset(row.cells):
            header = row.cells  # files that were put together by `cat`, too
            continue
        try:
            every.append(_totals(row, header, zone))
        except UnreadableCell as error:
            problems.append(Problem(row.line, str(error)))
    records: list[RunRecord] = []
    seen: set[str] = set()
    for tracker in _trackers(every):
        name = next((word for word in tracker.rows[0].tracker[:2] if word), "")
        try:
            records.append(_run(tracker, again=name in seen))
        except UnreadableCell as error:
            problems.append(Problem(tracker.rows[-1].line, str(error)))
        if name:
            seen.add(name)
    return Reading("codecarbon", tuple(records), tuple(sorted(problems)))


def _trackers(every: Sequence[_Totals]) -> list[_Tracker]:
    """The rows by tracker and start, whatever their order in the file; trackers in the order of their first rows."""
    trackers: list[_Tracker] = []
    near: dict[tuple[tuple[str, ...], int], list[_Tracker]] = {}
    for row in sorted(every, key=lambda row: (row.duration_ns, row.line)):
        starts = [(end - row.duration_ns) // _SAME_START_NS for end in dict.fromkeys(row.ended)]
        candidates = [
            tracker
            for start in starts
            for place in (start - 1, start, start + 1)
            for tracker in near.get((row.tracker, place), ())
        ]
        tracker = next(
            (candidate for candidate in candidates if any(row.tracker[:2]) and candidate.takes(row)), None
        )
        if tracker is None:
            tracker = _Tracker(row.ended.ns - row.duration_ns)
            trackers.append(tracker)
            near.setdefault((row.tracker, starts[0]), []).append(tracker)
        tracker.rows.append(row)
    return sorted(trackers, key=lambda tracker: min(row.line for row in tracker.rows))


def _totals(row: Row, header: Sequence[str], zone: tzinfo) -> _Totals:
    if not header:
        raise UnreadableCell("before any header")
    if len(row.cells) != len(header):
        raise UnreadableCell(f"{len(row.cells)} values where the header has {len(header)} names")
    values = dict(zip(header, row.cells, strict=True))
    ended = moment(values["timestamp"], zone)
    seconds = amount(values["duration"], MOST_SECONDS, "duration")
    if seconds is None:
        raise UnreadableCell("the duration is missing")
    pue = amount(values.get("pue", ""), _MOST_PUE, "pue") or 1.0
    if pue < 1:
        raise UnreadableCell(f"a pue of {pue:g} is none")
    duration_ns = max(round(seconds * 1e9), LEAST_NS)
    return _Totals(row.line, values, ended, duration_ns, pue, _energies(values))


def _energies(values: Mapping[str, str]) -> dict[Component, float]:
    """kWh with PUE of what was tracked: CodeCarbon writes 0 for what was not."""
    tracked: dict[Component, float] = {}
    for name, component, _ in _PARTS:
        kwh = amount(values.get(name, ""), MOST_KWH, name)
        if kwh:
            tracked[component] = kwh
    total = amount(values["energy_consumed"], MOST_KWH, "energy_consumed")
    if tracked:
        return tracked
    if total is None:
        raise UnreadableCell("there is no energy in this row")
    return {"host": total}  # versions before 2 had no parts


def _run(tracker: _Tracker, again: bool) -> RunRecord:
    rows = [
        row
        for row, after in zip(tracker.rows, [*tracker.rows[1:], None], strict=True)
        if after is None or after.duration_ns > row.duration_ns
    ]
    first, last = tracker.rows[0], rows[-1]
    accuracies = {component: accuracy for _, component, accuracy in _PARTS}
    values = last.values
    return reported_run(
        [
            Reported(
                component,
                accuracies.get(component, _TOTAL),
                [r.kwh.get(component, 0.0) / r.pue for r in rows],
            )
            for component in last.kwh
        ],
        np.array([0, *(row.duration_ns for row in rows)], np.int64),
        tool="codecarbon",
        label="CodeCarbon",
        run_id=f"codecarbon-{digest(first.identity)}",
        name=values.get("task_name") or values.get("project_name") or "codecarbon",
        started_ns=tracker.started_ns,
        environment={
            key: values[name]
            for key, name in (
                ("os", "os"),
                ("python", "python_version"),
                ("cpu", "cpu_model"),
                ("gpu", "gpu_model"),
            )
            if values.get(name)
        },
        warnings=_warnings(last, len(rows), again),
        extra={"codecarbon": dict(values)},
    )


def _warnings(last: _Totals, points: int, again: bool) -> tuple[RunWarning, ...]:
    values, pue = last.values, last.pue
    version = values.get("codecarbon_version") or "of unknown version"
    messages = {
        "imported-codecarbon": f"Imported from CodeCarbon {version}: {points + 1} points and constant power between, "
        "method unknown."
    }
    if values.get("tracking_mode") == "machine":
        messages["imported-whole-machine"] = (
            f"CodeCarbon counted the whole machine: {values.get('gpu_count') or 'no'} GPUs and "
            f"{values.get('ram_total_size') or 'an unknown number of'} GB of memory, used or not."
        )
    if pue != 1:
        messages["imported-pue"] = f"CodeCarbon's energies were times a PUE of {pue:g}; it is taken out."
    parts = sum(last.kwh.values())
    total = amount(values["energy_consumed"], MOST_KWH, "energy_consumed")
    if total is not None and abs(parts - total) > 0.01 * max(parts, total):
        messages["imported-sum"] = (
            f"CodeCarbon's parts add up to {parts:g} kWh and its total says {total:g}; the parts are taken."
        )
    if again:
        messages["imported-repeated-run"] = (
            "Earlier rows have the same CodeCarbon run id and another start; if one tracker wrote them all, each may "
            "have the energy of those before it."
        )
    return tuple(RunWarning(code, message) for code, message in messages.items())
