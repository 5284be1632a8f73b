"""From a session's folder to runs: journals joined, spans nested, holes and losses named.

A session holds the windows (runs) of one owner process and the spans of every process that joined. Reading it twice,
or while it is written, gives what is there at that time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from wattmark.documents import mapping, mappings, number
from wattmark.recorder import journal
from wattmark.recorder.launch import LOG
from wattmark.runs import metrics
from wattmark.runs.energy import CurveEnergy
from wattmark.runs.hosts import PART_OF
from wattmark.runs.reading import plausible, precise
from wattmark.runs.reading.entries import Document, End, Note, interval
from wattmark.runs.reading.journals import GroupData, ProcessEvents, RecorderData, read_events, read_recorder
from wattmark.runs.reading.liveness import Liveness, who_lives
from wattmark.runs.reading.spans import collect_spans
from wattmark.runs.reading.windows import Window, Windows, joined
from wattmark.runs.record import Curve, Float64, Int64, RunRecord, RunWarning, SeriesData, Status
from wattmark.sources.base import Channel
from wattmark.sources.models.cpu.source import KNOWN_CODE, PROBLEM_CODE
from wattmark.sources.models.dram import NAME as DRAM_MODEL
from wattmark.sources.rapl.mirrors import judge_mirrors

_MARGIN_SAMPLES = 3
_NEVER_NS = 2**62
_NOTES_THAT_WARN = {
    "reset", "refused_jump", "refused_power", "ambiguous_gap", "source-gone", "source-unusable", "suspended", "clock-step",
    "disk-full", "read-slower", "reading-failed", "source-problem", "blip", "catch_up", "out_of_range", "below_idle",
    "device-unmeasured", "device-later", "zone-unused", "stuck", "contradicted", "silent", "utilisation-unknown",
    "unconfirmed", "asleep", "device-lost", "device-back",
    "budget",
}  # fmt: skip


_LASTING = {
    "silent",
    "utilisation-unknown",
    "source-unusable",
    "source-gone",
    "device-unmeasured",
    "zone-unused",
}
"""What was so when the recorder began holds for every run of its session."""
_BY_DURATION_SHARE = 0.1
"""From this share of the joules on it is said that they go with the seconds only."""
_ALIKE = 3
"""So many warnings of one kind and channel are told one by one."""


class SessionData:
    """Everything that one session's folder holds.

    living: who lived before anything was read (a process that has died since may have written more). events, recorder:
    what was read of it already, in this order.
    """

    def __init__(
        self,
        folder: str,
        recorder: RecorderData | None = None,
        events: list[ProcessEvents] | None = None,
        living: Liveness | None = None,
    ) -> None:
        self.folder = folder
        self.living = who_lives(folder) if living is None else living
        self.events: list[ProcessEvents] = read_events(folder) if events is None else events
        self.recorder: RecorderData = read_recorder(folder) if recorder is None else recorder
        self._notes = plausible.settled(self.recorder.notes)
        self._curves = list(_curves(self.recorder, self._notes))
        readings: dict[str, list[tuple[int, int]]] = {}
        for process in self.events:
            for channel, points in process.readings.items():
                readings.setdefault(channel, []).extend(points)
        if readings:
            self._curves = precise.merge(self._curves, self.recorder.notes, readings)
        self._curves, doubts = _with_doubts(_without_mirrors(self._curves), self.recorder)
        self._notes += doubts
        self._curves = [_with_vague(curve, self._notes) for curve in self._curves]
        self.windows = Windows(
            self.events, self.living.processes, {events.pid: self._last_ns(events) for events in self.events}
        )

    @property
    def alive(self) -> bool:
        """Whether anything still wrote here as it was read: the recorder, or a process of the session."""
        if self.living.elsewhere:
            return self.recorder.end is None
        return self.living.any

    def runs(self) -> Iterator[RunRecord]:
        """The runs of the session, in the order in which they began."""
        previous_end_ns = 0
        for window in self.windows.runs():
            record = self._run(window, previous_end_ns)
            previous_end_ns = record.end_ns
            yield record

    def run(self, run_id: str) -> RunRecord | None:
        """The run that a window is or lies in; None for a window that is not of this session."""
        root = self.windows.root(run_id)
        return next(
            (record for record in self.runs() if root is not None and record.run_id == root.run_id), None
        )

    def _run(self, window: Window, previous_end_ns: int) -> RunRecord:
        run, events, start_ns = window.opened, window.events, window.start_ns
        end = events.run_ends.get(window.run_id)
        status = self._status(window, end)
        until_ns = max([window.end_ns, *(part.end_ns for part in window.parts if part.closed)])
        if math.isinf(until_ns):
            until_ns = max(
                self.recorder.last_ns or start_ns, *(process.last_ns for process in self.events), start_ns
            )
        end_ns = int(until_ns)
        cut = plausible.with_stand_ins(
            [_cut_curve(curve, start_ns, end_ns) for curve in self._curves],
            self.recorder.roles,
            start_ns,
            end_ns,
        )
        environment: dict[str, object] = {
            **self.recorder.facts,
            "host": events.header.get("host", ""),
            "process": _latest(
                ((opening["t_ns"], opening["process"]) for opening in events.runs if "process" in opening),
                run["t_ns"],
            ),
            "packages": _latest(
                ((past["t_ns"], past["modules"]) for past in events.run_ends.values() if "modules" in past),
                end["t_ns"] if end else 0,
            ),
        }
        job = self._job(window, start_ns)
        record = RunRecord(
            run_id=run["run_id"],
            name=run["name"],
            status=status,
            exit_code=end["exit_code"] if end else None,
            started_wall_ns=run["wall_ns"],
            start_ns=start_ns,
            end_ns=end_ns,
            tags={**run["tags"], **({PART_OF: str(job["id"])} if job else {})},
            environment=environment,
            baseline_w=run["baseline_w"],
            curves=tuple(cut),
            series=tuple(
                item for group in self.recorder.groups for item in _cut_series(group, start_ns, end_ns)
            ),
            spans=collect_spans(
                self.events,
                start_ns,
                end_ns,
                previous_end_ns if window.parts else None,
                (window, self.windows),
            ),
            anchors=tuple(
                anchor
                for anchor in self.recorder.anchors
                if start_ns - 15_000_000_000 <= anchor.monotonic_ns <= end_ns + 15_000_000_000
            ),
            tree_cpu=_rows_around(self.recorder.tree_cpu, start_ns, end_ns),
            recorder={
                "period_s": self.recorder.header.get("period_s"),
                "version": self.recorder.header.get("version"),
                **_own_cost(self.recorder, start_ns, end_ns),
            },
            extra={
                "session": os.path.basename(self.folder),
                "settings": run["settings"],
                "selection": self.recorder.header.get("selection", {}),
                "gpu_shares": [
                    [users["t_ns"], users["shares"]]
                    for users in self.recorder.gpu_users
                    if users["t_ns"] <= end_ns
                ],
                "update_periods_s": {
                    note["channel"]: note["period_s"]
                    for note in self.recorder.notes
                    if note["code"] == "update-period" and "channel" in note and "period_s" in note
                },
                **self._metrics(run["run_id"], start_ns, end_ns),
                **self._foreseen(run["run_id"]),
                **({"job": job} if job else {}),
            },
        )
        return replace(record, warnings=tuple(self._warnings(record, window)))

    def _metrics(self, run_id: str, start_ns: int, end_ns: int) -> dict[str, object]:
        """What the processes of the session reported in a run, if anything."""
        logged = [
            event
            for events in self.events
            for event in events.metrics
            if (root := self.windows.root(event["run_id"])) is not None and root.run_id == run_id
        ]
        series = metrics.series_of(logged, start_ns, end_ns)
        return {metrics.KEY: series} if series else {}

    def _foreseen(self, run_id: str) -> dict[str, object]:
        """What the run was said to have before it, and what was predicted of it while it went on, if anything."""
        expected: dict[str, float] = {}
        for events in self.events:
            for event in events.expected:
                if (root := self.windows.root(event["run_id"])) is not None and root.run_id == run_id:
                    expected.update(event["counts"])
        predictions = [
            prediction
            for events in self.events
            for prediction in events.predictions
            if prediction.run_id == run_id
        ]
        predictions.sort(key=lambda prediction: prediction.t_ns)
        return {
            **({"expected": expected} if expected else {}),
            **({"predictions": [prediction.as_dict() for prediction in predictions]} if predictions else {}),
        }

    def _job(self, window: Window, start_ns: int) -> dict[str, object]:
        """The job over hosts that a run is a part of, as its process or one below it was told, if it is any.

        ordinal: which run of this name it is in its session.
        """
        for events in (window.events, *(part.events for part in window.parts), *self.events):
            job = mapping(events.header.get("job"))
            if job.get("id"):
                alike = [one for one in self.windows.runs() if one.opened["name"] == window.opened["name"]]
                ordinal = sum(one.start_ns < start_ns for one in alike)
                clock_s = number(self.recorder.facts.get("clock_error_s"))
                return {**job, "ordinal": ordinal, "clock_s": clock_s}
        return {}

    def _status(self, window: Window, end: End | None) -> Status:
        if end is not None:
            return end["status"]
        return "running" if math.isinf(window.end_ns) else "interrupted"

    def _last_ns(self, events: ProcessEvents) -> int:
        """Until when a process that died lived: the recorder outlives the one that began the session by a moment."""
        if joined(events):
            return events.last_ns
        gone = [note["t_ns"] for note in self.recorder.notes if note["code"] == "owner-gone"]
        return max(events.last_ns, min([*gone, self.recorder.last_ns or 0]))

    def _warnings(self, record: RunRecord, window: Window) -> Iterator[RunWarning]:
        if record.status == "interrupted" and not window.closed:
            yield RunWarning("interrupted", "the measured process was ended before it could finish its run")
        beside = self.windows.beside(window)
        if beside:
            yield RunWarning("overlap", _overlap(window, beside, record.end_ns))
        recorder = self.recorder
        messages_by_kind: dict[tuple[str, str], list[str]] = {}
        needless = recorder.roles.keys() - {curve.channel.id for curve in record.curves}
        for note in (*self._notes, *window.events.notes):
            since_ns = 0 if note["code"] in _LASTING else record.start_ns - 1_000_000_000
            # what was noticed at the very end may be written a moment after it
            began_ns = note.get("from_ns", note.get("since_ns", note["t_ns"]))
            at_ns = min(note["t_ns"], max(began_ns, record.start_ns))
            if note.get("channel") in needless:
                continue
            began_ns = note.get("from_ns")
            if note["code"] == PROBLEM_CODE and not _was_vague(record, note.get("channel", ""), began_ns):
                continue
            if note["code"] == "silent" and not _was_silent(record, note.get("channel", "")):
                continue
            if note["code"] in _NOTES_THAT_WARN and since_ns <= at_ns <= record.end_ns:
                channel = note.get("channel", "")
                where = f"{channel}: " if channel and not note["message"].startswith(channel) else ""
                messages_by_kind.setdefault((note["code"], channel), []).append(f"{where}{note['message']}")
        for (code, _), messages in messages_by_kind.items():
            for message in messages[:_ALIKE]:
                yield RunWarning(code, message)
            if len(messages) > _ALIKE:
                yield RunWarning(code, f"{messages[-1]} (and {len(messages) - _ALIKE - 1} more like this)")
        if not recorder.header:
            yield RunWarning("no-recorder", f"no recorder ran, nothing was measured: {_log(self.folder)}")
            return
        for problem in (*recorder.problems, *window.events.problems):
            yield RunWarning("journal-damaged", problem)
        last_ns = recorder.last_ns or record.start_ns
        missing_s = (record.end_ns - last_ns) / 1e9
        period_s = number(recorder.header.get("period_s")) or 0.1
        if recorder.end is None and record.status != "running" and missing_s > 3 * period_s + 0.5:
            yield RunWarning(
                "recorder-lost",
                f"the recorder ended {missing_s:.1f} s before the run did; that time is not covered",
            )
        yield from _modelled(record, mapping(recorder.header.get("selection")))
        yield from _by_duration(record)
        yield from _not_covered(record)
        if not any(curve.channel.counted for curve in record.curves):
            yield RunWarning(
                "no-sensor", "nothing here could be measured or modelled; see `wattmark sources`"
            )


def _modelled(record: RunRecord, selection: Document) -> Iterator[RunWarning]:
    """That a component is modelled, why no sensor of it was usable, and what would mend that."""
    channels = [curve.channel for curve in record.curves if curve.channel.method == "modelled"]
    if not channels:
        return
    names = " and ".join(sorted({channel.component.upper() for channel in channels}))
    verb = "is" if len({channel.component for channel in channels}) == 1 else "are"
    beside = "" if any(channel.counted for channel in channels) else " (shown beside the total, not in it)"
    yield RunWarning("modelled", f"{names} {verb} modelled here, not measured: no sensor was usable{beside}")
    if not any(channel.component == "cpu" for channel in channels):
        return
    for row in mappings(selection.get("sources")):
        if row.get("source") == "rapl" and row.get("problem"):
            fix = f" To mend it: {row['fix']}" if row.get("fix") else ""
            yield RunWarning("sensor-unusable", f"rapl: {row['problem']}{fix}")


def _by_duration(record: RunRecord) -> Iterator[RunWarning]:
    """That a good part of the joules are constant watts times seconds, whatever the work did."""
    if record.duration_s <= 0:
        return
    bounds = np.array([record.start_ns]), np.array([record.end_ns])
    joules = {
        curve.channel: float(CurveEnergy(curve).between(*bounds).value_j[0])
        for curve in record.curves
        if curve.channel.counted
    }
    constant_j = sum(joule for channel, joule in joules.items() if channel.source == DRAM_MODEL)
    total_j = sum(joules.values())
    if total_j > 0 and constant_j / total_j > _BY_DURATION_SHARE:
        yield RunWarning(
            "by-duration",
            f"{100 * constant_j / total_j:.0f} % of these joules are DRAM's, counted as "
            f"{constant_j / record.duration_s:.3g} W times seconds whatever the work does: that part of a comparison "
            "compares durations",
        )


def _was_vague(record: RunRecord, name: str, at_ns: int | None) -> bool:
    """Whether a time of unknown activity reaches into a run; one that does not say when it began may."""
    vague = [curve.vague for curve in record.curves if curve.channel.id == name]
    return at_ns is None or any(
        from_ns <= at_ns < to_ns for times in vague for from_ns, to_ns in times.tolist()
    )


def _was_silent(record: RunRecord, name: str) -> bool:
    """Whether a channel left time of the run uncovered, or all of it."""
    curve = next((curve for curve in record.curves if curve.channel.id == name), None)
    covered_s = _covered_s(record, curve) if curve is not None else 0.0
    return record.duration_s - covered_s > max(0.01 * record.duration_s, 0.05)


def _covered_s(record: RunRecord, curve: Curve) -> float:
    bounds = np.array([record.start_ns]), np.array([record.end_ns])
    return float(CurveEnergy(curve).between(*bounds).covered_s[0])


def _not_covered(record: RunRecord) -> Iterator[RunWarning]:
    """Which counted channel gave nothing for how much of the run, and had nothing in its place; what stood in for what."""
    length_s = record.duration_s
    stand_ins: dict[str, float] = {}
    for curve in record.curves:
        if curve.channel.counted and curve.channel.stands_in_for:
            covered_s = _covered_s(record, curve)
            originals = " and ".join(curve.channel.stands_in_for)
            yield RunWarning(
                "stand-in",
                f"{curve.channel.id} ({curve.channel.method}) stands in for {originals} for {covered_s:.1f} s",
            )
            for name in curve.channel.stands_in_for:
                stand_ins[name] = max(stand_ins.get(name, 0.0), covered_s)
    for curve in record.curves:
        if not curve.channel.counted or curve.channel.stands_in_for or length_s <= 0:
            continue
        missing_s = length_s - _covered_s(record, curve) - stand_ins.get(curve.channel.id, 0.0)
        if missing_s > max(0.01 * length_s, 0.05):
            share = 100 * missing_s / length_s
            yield RunWarning(
                "not-covered",
                f"{curve.channel.id} gave nothing for {missing_s:.1f} s ({share:.0f} % of the run): "
                "that energy is missing from the total",
            )


def session_folders(journals: str) -> list[str]:
    """The session folders under the journals folder, oldest first."""
    try:
        names = os.listdir(journals)
    except OSError:
        return []
    return [
        f"{journals}/{name}"
        for name in sorted(names)
        if not name.startswith(".") and os.path.isdir(f"{journals}/{name}")
    ]


def _curves(recorder: RecorderData, notes: Sequence[Note]) -> Iterator[Curve]:
    holes: dict[str, list[tuple[int, int]]] = {}
    for note in notes:
        times = interval(note)
        if note["code"] == "hole" and "channel" in note and times is not None:
            holes.setdefault(note["channel"], []).append(times)
    for group in recorder.groups:
        for column, channel in enumerate(group.channels):
            valid = group.energy_uj[:, column] != journal.MISSING
            valid &= plausible.standing(channel.id, group.t_ns, notes)
            t_ns = group.t_ns[valid]
            energy = np.maximum.accumulate(group.energy_uj[valid, column]) if len(t_ns) else t_ns
            rising = np.concatenate(([True], np.diff(t_ns) > 0)) if len(t_ns) else valid[:0]
            yield plausible.flattened(Curve(channel, t_ns[rising], energy[rising]), holes.get(channel.id, []))


def _with_vague(curve: Curve, notes: Sequence[Note]) -> Curve:
    """A model's curve with the times in which it did not know how busy its device was; the last may still go on."""
    mine = [note for note in notes if note.get("channel") == curve.channel.id]
    spans = [times for note in mine if note["code"] == KNOWN_CODE and (times := interval(note))]
    ends = dict(spans)
    times = [
        (note["from_ns"], ends.get(note["from_ns"], _NEVER_NS))
        for note in mine
        if note["code"] == PROBLEM_CODE and "from_ns" in note
    ]
    return replace(curve, vague=plausible.disjoint(times)) if times else curve


def _with_doubts(curves: list[Curve], recorder: RecorderData) -> tuple[list[Curve], list[Note]]:
    """The curves with holes where a sensor said less than it can have measured, and a note for each."""
    channels = [curve.channel for curve in curves]
    groups = {channel.id: group for group in recorder.groups for channel in group.channels}
    notes: list[Note] = []
    result: list[Curve] = []
    witnesses = {name: curve for curve in curves for name in curve.channel.stands_in_for}
    for curve in curves:
        whole = plausible.holds_all(curve.channel, channels)
        busy_s = recorder.tree_cpu[:, [0, 2]] if whole else _busy_socket(curve.channel, recorder)
        gpu_share = _busy_gpu(curve.channel, recorder)
        curve_notes = plausible.doubted(curve, groups[curve.channel.id], busy_s, gpu_share)
        if curve.channel.id in witnesses:
            curve_notes += plausible.contradicted(curve, witnesses[curve.channel.id])
        curve_notes += plausible.unconfirmed(curve, recorder.tree_cpu[:, [0, 2]], gpu_share is not None)
        notes += curve_notes
        result.append(
            plausible.flattened(curve, [times for note in curve_notes if (times := interval(note))])
        )
    return result, notes


def _busy_socket(channel: Channel, recorder: RecorderData) -> Float64 | None:
    """Times and cumulative busy CPU seconds of a package's socket, where the machine has several."""
    socket, _, kind = channel.id.partition("/")
    if channel.component != "cpu" or kind != "package":
        return None
    for group in recorder.groups:
        for column, series in enumerate(group.series):
            if series.id == f"{socket}/busy":
                cpus = np.nan_to_num(group.series_values[:, column].astype(np.float64))
                times = group.series_t_ns.astype(np.float64)
                return np.column_stack((times, np.cumsum(np.diff(times, prepend=times[:1]) / 1e9 * cpus)))
    return None


def _busy_gpu(channel: Channel, recorder: RecorderData) -> Float64 | None:
    """Times and busy shares of a GPU, from the side series of its driver."""
    if channel.component != "gpu":
        return None
    device = channel.id.partition("/")[0]
    for group in recorder.groups:
        for column, series in enumerate(group.series):
            if series.unit == "%" and series.id in (f"{device}/utilisation", f"{device}/utilization"):
                rows = np.column_stack((group.series_t_ns, group.series_values[:, column] / 100))
                rows = rows[np.isfinite(rows[:, 1])]
                return rows.astype(np.float64)
    return None


def _without_mirrors(curves: list[Curve]) -> list[Curve]:
    """Counters that turn out to be one and the same are counted once; twins by name only are both counted."""
    if not any(curve.channel.copy_of for curve in curves):
        return curves
    verdict = judge_mirrors(
        [curve.channel for curve in curves],
        {
            curve.channel.id: list(zip(curve.t_ns.tolist(), curve.energy_uj.tolist(), strict=True))
            for curve in curves
        },
    )
    return [
        replace(curve, channel=_judged(curve.channel, verdict[curve.channel.id]))
        if curve.channel.id in verdict
        else curve
        for curve in curves
    ]


def _judged(channel: Channel, copy_of: str) -> Channel:
    if copy_of == channel.copy_of:
        return channel
    return channel._replace(copy_of=copy_of, counted=not copy_of and not channel.inside)


def _cut_curve(curve: Curve, start_ns: int, end_ns: int) -> Curve:
    rows = _window(curve.t_ns, start_ns, end_ns)
    t_ns = curve.t_ns[rows]
    holes, vague = (
        times[(times[:, 1] > start_ns) & (times[:, 0] < end_ns)] for times in (curve.holes, curve.vague)
    )
    # what still goes on goes on for as long as the run does
    return Curve(
        curve.channel, t_ns, curve.energy_uj[rows], holes, np.minimum(vague, max(end_ns, *t_ns[-1:], 0))
    )


def _cut_series(group: GroupData, start_ns: int, end_ns: int) -> Iterator[SeriesData]:
    rows = _window(group.series_t_ns, start_ns, end_ns)
    for column, series in enumerate(group.series):
        yield SeriesData(series, group.series_t_ns[rows], group.series_values[rows, column])


def _window(t_ns: Int64, start_ns: int, end_ns: int) -> slice:
    """The samples inside [start, end] and a few beyond, so that both edges can be interpolated."""
    first = int(np.searchsorted(t_ns, start_ns, side="right")) - _MARGIN_SAMPLES
    last = int(np.searchsorted(t_ns, end_ns, side="left")) + _MARGIN_SAMPLES
    return slice(max(0, first), last)


def _rows_around(rows: Float64, start_ns: int, end_ns: int) -> Float64:
    """The rows inside [start, end], and the nearest one on either side."""
    first = int(np.searchsorted(rows[:, 0], start_ns, side="right")) - 1
    last = int(np.searchsorted(rows[:, 0], end_ns, side="left")) + 1
    return rows[max(0, first) : last]


def _rows_within(rows: Float64, start_ns: int, end_ns: int, margin_ns: int) -> Float64:
    return rows[(rows[:, 0] >= start_ns - margin_ns) & (rows[:, 0] <= end_ns + margin_ns)]


def _own_cost(recorder: RecorderData, start_ns: int, end_ns: int) -> dict[str, float]:
    rows = _rows_within(recorder.cost, start_ns, end_ns, 1_500_000_000)
    if len(rows) < 2:
        return {}
    return {
        "cpu_s": float(rows[-1, 1] - rows[0, 1]),
        "over_s": float(rows[-1, 0] - rows[0, 0]) / 1e9,
        "rss_bytes": float(rows[:, 2].max()),
    }


def _latest(facts: Iterable[tuple[int, Document]], until_ns: int) -> Document:
    """A process writes its facts down when they are news; what it said last holds."""
    earlier = [(t_ns, table) for t_ns, table in facts if t_ns <= until_ns]
    return max(earlier, key=lambda pair: pair[0])[1] if earlier else {}


def _overlap(window: Window, beside: list[Window], end_ns: int) -> str:
    """Which other runs went on meanwhile, in this process or in others of its session."""
    names = [
        f"{other.opened['name']} ({(min(end_ns, other.end_ns) - max(window.start_ns, other.start_ns)) / 1e9:.1f} s)"
        for other in beside[:_ALIKE]
    ]
    more = f" and {len(beside) - _ALIKE} more" if len(beside) > _ALIKE else ""
    return f"other runs went on meanwhile: {', '.join(names)}{more}; what they used is in this run as well"


def _log(folder: str) -> str:
    try:
        with open(f"{folder}/{LOG}", encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it left no log"
