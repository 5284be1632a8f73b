"""The parts of a run over several hosts put together: one record, on the clock of its first host.

Each host's curves stay what they are, and count for the time that the host took part: the joules of the whole are the sum
of the parts' to the microjoule, wherever the clocks stand. Spans are those of the host of the first rank, with the joules of
all hosts meanwhile. A host that came late, went early or never reported is a hole with its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wattmark.documents import items, mapping, number, text
from wattmark.quantity import Quantity
from wattmark.runs.attribution import HOSTS, Share, above_idle, attributed, contention
from wattmark.runs.hosts import JOB, PART_OF
from wattmark.runs.hosts.clocks import ASSUMED_S, Ahead, Bound, HostClock, ahead_of, host_clock, shifted
from wattmark.runs.record import Curve, Float64, Part, RunRecord, RunWarning, SeriesData, Spans, Status
from wattmark.runs.view import RunView

MEET = "meet"
"""The attribute of a span that no rank leaves before all have entered it; its value tells one meeting from another."""
LATE_S = 1.0
APART_S = 60.0
_MOST_MISSING = 64
_MOST_WARNINGS = 20
_ALONE = ("cpu", "dram", "soc", "host")
"""Components that all containers of one machine read alike."""


@dataclass(frozen=True, slots=True)
class _Aligned:
    """A part on the run's clock. clock: ours against the reference's wall time."""

    record: RunRecord
    label: str
    clock: HostClock
    ahead: Ahead
    start_ns: int
    end_ns: int
    notes: tuple[RunWarning, ...] = ()


def merged(parts: Sequence[RunRecord], run_id: str) -> RunRecord:
    """One run of the parts of a job. Raises ValueError without any.

    parts: records of hosts, in any order, each with ``job`` in its ``extra``. Joules are counted once: of parts of one host
    that overlap in time, the later counts from where the earlier ended, and so do CPU and DRAM of pods on one machine.
    """
    if not parts:
        raise ValueError("a run over hosts needs a part")
    ordered = sorted(parts, key=_place)
    aligned = _aligned(ordered)
    first = aligned[0]
    start_ns, end_ns = min(part.start_ns for part in aligned), max(part.end_ns for part in aligned)
    job = mapping(first.record.extra.get("job"))
    missing = _missing(job, aligned)
    curves, twice = _curves(aligned)
    reference = first.record
    clock = host_clock(reference.anchors, reference.start_ns, reference.started_wall_ns)
    labels = [part.label for part in aligned]
    hosts = list(dict.fromkeys(labels))
    record = RunRecord(
        run_id=run_id,
        name=reference.name,
        status=_status(ordered),
        exit_code=next((code for part in ordered if (code := part.exit_code)), reference.exit_code),
        started_wall_ns=int(clock.wall(np.array([start_ns], np.int64))[0]),
        start_ns=start_ns,
        end_ns=end_ns,
        parent_id=None,
        tags={
            **{key: value for key, value in reference.tags.items() if key != PART_OF},
            JOB: reference.tags.get(PART_OF) or str(job.get("id", "")),
            "hosts": str(len(hosts)),
        },
        environment={
            **reference.environment,
            "host": ", ".join(hosts[:3]) + (f" + {len(hosts) - 3}" if len(hosts) > 3 else ""),
        },
        curves=(*curves, *_absent(missing, reference, first.label)),
        series=tuple(series for part in aligned for series in _series(part, first)),
        spans=_joules_of_all(reference, start_ns, end_ns),
        anchors=reference.anchors,
        recorder=reference.recorder,
        extra={
            **{key: value for key, value in reference.extra.items() if key not in ("gpu_shares", "session")},
            "job": {**job, "reported": len(hosts), "missing": list(missing)},
            HOSTS: [_host(part, start_ns) for part in aligned],
        },
    )
    return replace(record, warnings=tuple(_warnings(record, aligned, missing, twice)))


def _place(record: RunRecord) -> tuple[int, int, int, str]:
    """The order of hosts: by the number of the node, by its first rank, by when they began."""
    job = mapping(record.extra.get("job"))
    node, rank = number(job.get("node")), number(job.get("rank"))
    far = 1 << 30
    return (
        far if node is None else int(node),
        far if rank is None else int(rank),
        record.started_wall_ns,
        record.run_id,
    )


def machine_of(record: RunRecord) -> tuple[str, str]:
    """What tells a host from another of the same name: its name and its boot."""
    return record.host, text(mapping(record.extra.get("job")).get("boot")) or ""


def _labels(records: Sequence[RunRecord]) -> list[str]:
    """The hosts' names; two machines of one name are numbered."""
    machines = list(dict.fromkeys(machine_of(record) for record in records))
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for host, boot in machines:
        label, count = host or "host", 1
        while label in taken:
            count += 1
            label = f"{host or 'host'}~{count}"
        taken.add(label)
        names[host, boot] = label
    return [names[machine_of(record)] for record in records]


def _aligned(records: Sequence[RunRecord]) -> list[_Aligned]:
    reference = records[0]
    own = host_clock(reference.anchors, reference.start_ns, reference.started_wall_ns)
    base_ns = int(own.wall(np.array([reference.start_ns], np.int64))[0])
    parts: list[_Aligned] = []
    for record, label in zip(records, _labels(records), strict=True):
        if machine_of(record) == machine_of(reference) and machine_of(record)[1]:
            clock, ahead, notes = own, Ahead(0.0, 0.0, 0.0), ()  # one machine, one clock
        else:
            clock = host_clock(record.anchors, record.start_ns, record.started_wall_ns)
            ahead, notes = _ahead(
                reference, own, record, clock, label, base_ns, [p for p in parts if p.label != label]
            )
            clock = shifted(clock, ahead, base_ns)
        edges = own.monotonic(clock.wall(np.array([record.start_ns, record.end_ns], np.int64)))
        parts.append(_Aligned(record, label, clock, ahead, int(edges[0]), int(edges[1]), tuple(notes)))
    return parts


def _ahead(
    reference: RunRecord, own: HostClock, record: RunRecord, clock: HostClock, label: str, base_ns: int,
    before: Sequence[_Aligned],
) -> tuple[Ahead, list[RunWarning]]:  # fmt: skip
    """How far a host's wall clock is ahead of the reference's, and what a reader must know of that."""

    def walls(of: HostClock, times: Sequence[int]) -> Float64:
        return (of.wall(np.array(times, np.int64)) - base_ns) / 1e9

    mine, theirs = (walls(of, (one.start_ns, one.end_ns)) for of, one in ((own, reference), (clock, record)))
    told = [number(mapping(one.extra.get("job")).get("clock_s")) for one in (reference, record)]
    half = sum(ASSUMED_S if one is None else one for one in told)
    said = [Bound(float(at), -half, half) for at in mine]
    facts: list[Bound] = []
    for key, (enter, leave) in _meetings(record).items():
        other = _meetings(reference).get(key)
        if other is not None:
            ours, others = walls(own, other), walls(clock, (enter, leave))
            facts.append(Bound(float(ours.mean()), float(others[0] - ours[1]), float(others[1] - ours[0])))
    facts += _through_store(reference, own, record, clock, base_ns)
    begin, end = float(min(mine[0], theirs[0])), float(max(mine[1], theirs[1]))
    notes: list[RunWarning] = []
    if facts:
        ahead = ahead_of([*said, *facts], begin, end)
        if not ahead.consistent:
            begin, end = float(mine[0]), float(mine[1])
            ahead = ahead_of(facts, begin, end)
            notes.append(
                RunWarning(
                    "clock-off",
                    f"{label}: its wall clock was {ahead.offset_s:+.3f} s from the first host's; that was taken out, "
                    f"within {ahead.half_width_s:.3g} s",
                )
            )
        return ahead, notes
    apart = max(theirs[0] - mine[1], mine[0] - theirs[1])
    unique = mapping(record.extra.get("job")).get("unique") is True
    beside = any(
        min(part.end_ns, end_ns) > max(part.start_ns, start_ns)
        for part in before
        for start_ns, end_ns in [
            own.monotonic(clock.wall(np.array([record.start_ns, record.end_ns], np.int64))).tolist()
        ]
    )
    if apart > APART_S and unique and not beside:
        ahead = ahead_of(
            [Bound(float(mine.mean()), float(theirs[0] - mine[1]), float(theirs[1] - mine[0]))],
            *mine.tolist(),
        )
        ahead = replace(ahead, drift=0.0)
        notes.append(
            RunWarning(
                "clock-off",
                f"{label}: by its wall clock it ran {apart:.0f} s away from the first host, though it is of the same job: "
                f"it is laid beside it, within {ahead.half_width_s:.3g} s. Its total stands; short spans are unsure",
            )
        )
        return ahead, notes
    if clock.stepped_s or own.stepped_s:
        notes.append(
            RunWarning(
                "clock-step",
                f"{label}: a wall clock was set by {clock.stepped_s or own.stepped_s:+.3f} s meanwhile: what it said after "
                "that counts",
            )
        )  # fmt: skip
    return ahead_of(said, begin, end), notes


def _meetings(record: RunRecord) -> dict[str, tuple[int, int]]:
    """When the last rank of a host had come to each meeting, and when the first left it, in ns of its clock."""
    spans = record.spans
    met: dict[str, tuple[int, int]] = {}
    for row, detail in spans.details.items():
        name = mapping(detail.get("attrs")).get(MEET)
        if name is None or bool(spans.open[row]):
            continue
        key = f"{spans.names[int(spans.name_ids[row])]}/{name}"
        enter, leave = int(spans.start_ns[row]), int(spans.end_ns[row])
        before = met.get(key)
        met[key] = (enter, leave) if before is None else (max(before[0], enter), min(before[1], leave))
    return {key: (enter, leave) for key, (enter, leave) in met.items() if enter <= leave}


def _through_store(
    reference: RunRecord, own: HostClock, record: RunRecord, clock: HostClock, base_ns: int
) -> Iterator[Bound]:
    """What both hosts' clocks were against the store's."""

    def against(one: RunRecord, of: HostClock) -> list[tuple[float, float, float]]:
        found: list[tuple[float, float, float]] = []
        for row in items(mapping(one.extra.get("job")).get("store_clock")):
            asked, heard, told = (number(value) for value in items(row))
            if asked is None or heard is None or told is None:
                continue
            ends = (of.wall(np.array([asked, heard], np.int64)) - int(told)) / 1e9
            found.append(((int(told) - base_ns) / 1e9, float(ends[0]), float(ends[1])))
        return found

    for at, low, high in against(reference, own):
        for then, other_low, other_high in against(record, clock):
            drifted = 2e-5 * abs(then - at)
            yield Bound(at, other_low - high - drifted, other_high - low + drifted)


def _curves(parts: Sequence[_Aligned]) -> tuple[list[Curve], list[str]]:
    """All curves on the run's clock, and the labels of parts of which some time is counted already."""
    first = parts[0]
    own = host_clock(first.record.anchors, first.record.start_ns, first.record.started_wall_ns)
    curves: list[Curve] = []
    until: dict[tuple[str, str], int] = {}
    twice: list[str] = []
    used = Counter[str]()
    for part in sorted(parts, key=lambda one: (one.start_ns, one.label)):
        used[part.label] += 1
        prefix = part.label if used[part.label] == 1 else f"{part.label}.{used[part.label]}"
        cut = False
        for curve in part.record.curves:
            channel = curve.channel
            key = _sensor(part.record, part.label), channel.id
            pod = _in_pod(part.record) and channel.component in _ALONE
            key = (machine_of(part.record)[1], channel.id) if pod else key
            start_ns = max(part.start_ns, min(part.end_ns, until.get(key, part.start_ns)))
            cut = cut or (start_ns > part.start_ns and channel.counted)
            until[key] = max(until.get(key, part.end_ns), part.end_ns)
            t_ns = own.monotonic(part.clock.wall(curve.t_ns)) if part is not first else curve.t_ns
            rising = (
                np.concatenate(([True], np.diff(np.maximum.accumulate(t_ns)) > 0))
                if len(t_ns)
                else t_ns.astype(bool)
            )
            holes, vague = (
                own.monotonic(part.clock.wall(times.ravel())).reshape(-1, 2) if part is not first else times
                for times in (curve.holes, curve.vague)
            )
            names = {"inside": channel.inside, "stands_in_for": channel.stands_in_for}
            curves.append(
                Curve(
                    channel._replace(
                        id=f"{prefix}/{channel.id}",
                        label=f"{part.label}: {channel.label or channel.id}",
                        copy_of=f"{prefix}/{channel.copy_of}" if channel.copy_of else "",
                        **{name: tuple(f"{prefix}/{one}" for one in ids) for name, ids in names.items()},
                    ),
                    t_ns[rising],
                    curve.energy_uj[rising],
                    holes,
                    vague,
                    Part(start_ns, part.end_ns, part.ahead.half_width_s),
                )
            )
        if cut:
            twice.append(part.label)
    return curves, twice


def _sensor(record: RunRecord, label: str) -> str:
    return label or record.run_id


def _in_pod(record: RunRecord) -> bool:
    kind = mapping(record.environment.get("virtualisation")).get("container")
    return kind == "kubernetes" and bool(machine_of(record)[1])


def _absent(missing: Sequence[str], reference: RunRecord, label: str) -> Iterator[Curve]:
    """A curve without a sample for each counted channel of a host that never reported: its place is empty, not left out."""
    none = np.empty(0, np.int64)
    for name in missing[:_MOST_MISSING]:
        for curve in reference.curves:
            channel = curve.channel
            if channel.counted and not channel.stands_in_for:
                yield Curve(
                    channel._replace(id=f"{name}/{channel.id}", label=f"{name}: nothing reported"), none, none
                )


def _series(part: _Aligned, first: _Aligned) -> Iterator[SeriesData]:
    own = host_clock(first.record.anchors, first.record.start_ns, first.record.started_wall_ns)
    for data in part.record.series:
        t_ns = data.t_ns if part is first else own.monotonic(part.clock.wall(data.t_ns))
        yield SeriesData(data.series._replace(id=f"{part.label}/{data.series.id}"), t_ns, data.values)


def _joules_of_all(reference: RunRecord, start_ns: int, end_ns: int) -> Spans:
    return replace(
        reference.spans,
        start_ns=np.clip(reference.spans.start_ns, start_ns, end_ns),
        end_ns=np.clip(reference.spans.end_ns, start_ns, end_ns),
    )


def _status(parts: Sequence[RunRecord]) -> Status:
    statuses = {part.status for part in parts}
    order: tuple[Status, ...] = ("running", "interrupted", "failed")
    for status in order:
        if status in statuses:
            return status
    return "completed"


def _missing(job: Mapping[str, object], parts: Sequence[_Aligned]) -> tuple[str, ...]:
    """The names of hosts that have not reported, as far as they have one."""
    expected = number(job.get("hosts"))
    machines = {part.label for part in parts}
    if expected is None or len(machines) >= expected:
        return ()
    lacking = int(expected) - len(machines)
    names = [name for item in items(job.get("names")) if (name := text(item))]
    there = {part.label.partition("~")[0].partition(".")[0] for part in parts}
    absent = [name for name in names if name.partition(".")[0] not in there]
    if len(absent) == lacking:
        return tuple(absent)
    nodes = {number(mapping(part.record.extra.get("job")).get("node")) for part in parts}
    if None not in nodes:
        return tuple(f"node-{node}" for node in range(int(expected)) if node not in nodes)[:lacking]
    return tuple(f"host-{number_ + 1}" for number_ in range(len(machines), int(expected)))


def _host(part: _Aligned, start_ns: int) -> dict[str, object]:
    """A line of the table of hosts, with what the host's own record says of shares."""
    view = RunView(part.record)
    energy = view.energy
    threads = number(mapping(part.record.environment.get("cpu")).get("threads"))
    return {
        "host": part.label,
        "run_id": part.record.run_id,
        "status": part.record.status,
        "start_s": (part.start_ns - start_ns) / 1e9,
        "end_s": (part.end_ns - start_ns) / 1e9,
        "clock": {
            "ahead_s": part.ahead.offset_s,
            "drift": part.ahead.drift,
            "within_s": part.ahead.half_width_s,
        },
        "energy_j": _dict(energy),
        "coverage": view.coverage,
        "cpus": threads,
        "others_busy": contention(part.record),
        "attributed": _share(attributed(view)),
        "above_idle": _share(above_idle(view)),
    }


def _share(share: Share | None) -> dict[str, object] | None:
    if share is None:
        return None
    return {
        "energy": _dict(share.energy),
        "rule": share.rule,
        "by_component": {name: _dict(part) for name, part in share.by_component.items()},
        "by_method": {name: _dict(part) for name, part in share.by_method.items()},
    }


def _dict(quantity: Quantity | None) -> object:
    return None if quantity is None else quantity.as_dict()


def _warnings(
    record: RunRecord, parts: Sequence[_Aligned], missing: Sequence[str], twice: Sequence[str]
) -> Iterator[RunWarning]:
    whole_s = record.duration_s
    for name in missing[:_MOST_MISSING]:
        yield RunWarning("host-missing", f"{name} has not reported: its joules are not in the total")
    if len(missing) > _MOST_MISSING:
        yield RunWarning("host-missing", f"and {len(missing) - _MOST_MISSING} more hosts have not reported")
    by_label: dict[str, list[_Aligned]] = {}
    for part in parts:
        by_label.setdefault(part.label, []).append(part)
    for label, own in by_label.items():
        unsure_s = max(part.ahead.half_width_s for part in own)
        late_s = (min(part.start_ns for part in own) - record.start_ns) / 1e9
        gone_s = (record.end_ns - max(part.end_ns for part in own)) / 1e9
        least_s = max(LATE_S, 0.01 * whole_s, unsure_s)
        if late_s > least_s:
            yield RunWarning(
                "host-late", f"{label} came {late_s:.1f} s after the first: nothing of it is known before"
            )
        if gone_s > least_s:
            how = " (it was interrupted)" if any(part.record.status == "interrupted" for part in own) else ""
            yield RunWarning(
                "host-gone",
                f"{label} ended {gone_s:.1f} s before the last{how}: nothing of it is known after",
            )
    for label in dict.fromkeys(twice):
        yield RunWarning("host-twice", f"{label} was measured twice at a time: that time counts once")
    boots = Counter(boot for _, boot in {machine_of(part.record) for part in parts} if boot)
    if any(count > 1 for count in boots.values()):
        yield RunWarning(
            "one-machine",
            "several of these hosts are one machine (of one boot): sensors that they share are counted for each",
        )
    widest = max(parts, key=lambda part: part.ahead.half_width_s)
    if widest.ahead.half_width_s > 0:
        yield RunWarning(
            "clocks",
            f"the hosts' clocks are known within {widest.ahead.half_width_s:.3g} s of each other: that is in the intervals "
            "of spans; totals do not depend on it",
        )
    for part in parts:
        yield from part.notes
        for warning in part.record.warnings[:_MOST_WARNINGS]:
            yield RunWarning(warning.code, f"{part.label}: {warning.message}")


def is_alone(record: RunRecord) -> bool:
    """Whether nothing says that a part has others beside it."""
    return number(mapping(record.extra.get("job")).get("hosts")) is None


def overlap(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Parts of jobs with one id, which may come again: those whose times overlap (by their wall clocks, give or take
    a minute) are of one job."""
    groups: list[tuple[int, list[RunRecord]]] = []
    slack = round(APART_S * 1e9)
    for record in sorted(records, key=lambda one: one.started_wall_ns):
        end_ns = record.started_wall_ns + record.end_ns - record.start_ns
        if groups and record.started_wall_ns < groups[-1][0] + slack and not _again(groups[-1][1], record):
            last, members = groups[-1]
            groups[-1] = (max(last, end_ns), [*members, record])
        else:
            groups.append((end_ns, [record]))
    return [members for _, members in groups]


def _again(members: Sequence[RunRecord], record: RunRecord) -> bool:
    """Whether a host that took part already begins once more after its first part: the same command, given again."""
    return any(
        machine_of(one) == machine_of(record)
        and record.started_wall_ns >= one.started_wall_ns + one.end_ns - one.start_ns
        for one in members
    )
