"""CarbonTracker's logs: mean powers of every epoch, or the totals that it prints.

``*_carbontracker.log`` says how long each epoch took and the mean power of each device in it, without PUE; the run has
an epoch a span. ``*_carbontracker_output.log``, and what was printed to a terminal, has totals only, times a PUE
(``constants.py`` of version 2.4.7: 1.55 to 1.59, one a year); it is divided by 1.57. Both files of one tracker have one
run id, so that their run is kept once. What was predicted is not imported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np

from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy, Component
from wattmark.store.importing.reading import (
    MOST_DEVICE_W,
    MOST_KWH,
    Problem,
    Reading,
    TextFile,
    UnreadableCell,
    amount,
    shortened,
)
from wattmark.store.importing.records import (
    TOOL_CITATION,
    TOOL_RELATIVE,
    Reported,
    digest,
    epochs,
    file_title,
    reported_run,
    written_ns,
)
from wattmark.store.importing.stamps import moment
from wattmark.units import J_PER_KWH

_PUE = 1.57
_ACCURACY = Accuracy(*TOOL_RELATIVE, 0.0, f"imported from CarbonTracker; {TOOL_CITATION}", 0.21, 0.28)
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) - ?(.*)", re.DOTALL)
_DURATION = re.compile(r"Duration: (\d+):(\d{2}):(\d{2}(?:\.\d+)?)")
_POWER = re.compile(r"Average power usage \(W\) for (\w+): (.*)", re.DOTALL)
_DEVICES = re.compile(r"(\w+) with device\(s\) (.*?)\.(?=\s|$)")
_ACTUAL = re.compile(
    r"Actual consumption(?: for (\d+) epoch\(s\))?:?\s*\n\s*Time:\s*(\d+):(\d{2}):(\d{2}(?:\.\d+)?)\s*\n"
    r"\s*Energy:\s*(\S+) kWh"
)
_BEGIN = re.compile(r"carbontracker version (\S+)")
_FOUND = "The following components were found:"
_COMPONENTS: dict[str, Component] = {"gpu": "gpu", "cpu": "cpu", "simulated": "host"}


@dataclass(slots=True)
class _Session:
    """What one tracker logged. powers: by component, W of each epoch or None where there was no reading."""

    line: int
    began: str = ""
    version: str = ""
    devices: dict[str, str] = field(default_factory=dict[str, str])
    durations_s: list[float] = field(default_factory=list[float])
    powers: dict[Component, list[float | None]] = field(default_factory=dict[Component, "list[float | None]"])
    first: tuple[str, float] | None = None


def recognises(file: TextFile) -> bool:
    """Whether a text is one of CarbonTracker's logs."""
    head = file.text[:65_536]
    return (
        _BEGIN.search(head) is not None
        or _FOUND in head
        or ("CarbonTracker" in head and _ACTUAL.search(head) is not None)
    )


def runs(file: TextFile, zone: tzinfo) -> Reading:
    """A run a tracker. Lines that cannot be read are named."""
    problems: list[Problem] = []
    records: list[RunRecord] = []
    sessions = _sessions(file, problems)
    for place, session in enumerate(sessions):
        if not session.durations_s:
            continue
        try:
            records.append(_run(file, session, place, zone))
        except UnreadableCell as error:
            problems.append(Problem(session.line, str(error)))
    if not records:
        records += _totals(file, sessions, zone, problems)
    if not records and not problems:
        problems.append(Problem(None, "it has no epoch with its power, and no actual consumption"))
    return Reading(
        "carbontracker", tuple(records), tuple(sorted(problems, key=lambda problem: problem.line or 0))
    )


def _entries(file: TextFile) -> list[tuple[int, str, str]]:
    """(line, stamp, text) of each entry; lines without a stamp belong to the entry above them."""
    entries: list[tuple[int, str, str]] = []
    for line, text in enumerate(file.lines(), 1):
        match = _STAMPED.fullmatch(text)
        if match:
            entries.append((line, match[1], match[2]))
        elif entries:
            entries[-1] = (*entries[-1][:2], f"{entries[-1][2]}\n{text}")
        else:
            entries.append((line, "", text))
    return entries


def _sessions(file: TextFile, problems: list[Problem]) -> list[_Session]:
    sessions: list[_Session] = []
    for line, stamp, text in _entries(file):
        begin = _BEGIN.search(text)
        if begin or not sessions:
            sessions.append(_Session(line, stamp, begin[1] if begin else ""))
        session = sessions[-1]
        try:
            if _FOUND in text:
                session.devices = {
                    kind.lower(): names for kind, names in _DEVICES.findall(text.replace("\n", " "))
                }
            elif match := _DURATION.match(text):
                seconds = int(match[1][:6]) * 3600 + int(match[2]) * 60 + float(match[3])
                session.first = session.first or (stamp, seconds)
                session.durations_s.append(seconds)
            elif (match := _POWER.match(text)) and session.durations_s:
                _take_power(session, match[1].lower(), match[2])
        except UnreadableCell as error:
            problems.append(Problem(line, str(error)))
    return sessions


def _take_power(session: _Session, kind: str, text: str) -> None:
    """The power of all devices of one kind in the epoch that was logged last."""
    component = _COMPONENTS.get(kind)
    if component is None:
        raise UnreadableCell(f"{shortened(kind)} is no component")
    words = text.replace("[", " ").replace("]", " ").replace(",", " ").split()
    watts = [amount(word, MOST_DEVICE_W, "power") for word in words]
    powers = session.powers.setdefault(component, [])
    powers += [None] * (len(session.durations_s) - 1 - len(powers))
    if len(powers) < len(session.durations_s):
        present = [value for value in watts if value is not None]
        powers.append(sum(present) if watts and len(present) == len(watts) else None)


def _run(file: TextFile, session: _Session, place: int, zone: tzinfo) -> RunRecord:
    count = len(session.durations_s)
    edges = np.rint(np.concatenate(([0.0], np.cumsum(np.maximum(session.durations_s, 1e-6)))) * 1e9).astype(
        np.int64
    )
    parts: list[Reported] = []
    for component, powers in session.powers.items():
        watts = [*powers, *[None] * (count - len(powers))]
        if all(power is None for power in watts):
            continue
        joules = np.cumsum([(power or 0.0) * s for power, s in zip(watts, session.durations_s, strict=True)])
        unknown = [step for step, power in enumerate(watts) if power is None]
        parts.append(Reported(component, _ACCURACY, (joules / J_PER_KWH).tolist(), unknown))
    if not parts:
        raise UnreadableCell("it has epochs and no power of any")
    assert session.first is not None
    stamp, seconds = session.first
    started = (
        moment(stamp, zone).ns - round(seconds * 1e9) if stamp else written_ns(file.path) - int(edges[-1])
    )
    return _record(file, session, place, parts, edges, started, "mean power of each epoch, without PUE")


def _totals(
    file: TextFile, sessions: Sequence[_Session], zone: tzinfo, problems: list[Problem]
) -> list[RunRecord]:
    """The run of a file that has totals only: the last that was printed holds those before it."""
    matches = list(_ACTUAL.finditer(file.text))
    if not matches:
        return []
    match = matches[-1]
    line = file.text.count("\n", 0, match.start()) + 1
    try:
        kwh = amount(match[5], MOST_KWH, "energy")
        if kwh is None:
            raise UnreadableCell("there is no energy")
        seconds = max(int(match[2][:6]) * 3600 + int(match[3]) * 60 + float(match[4]), 1.0)
        edges = np.array([0, round(seconds * 1e9)], np.int64)
        session = sessions[0] if sessions else _Session(1)
        stamps = _STAMPED.findall(file.text[: match.start()])
        printed = (
            re.findall(r"(?m)^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) - ", file.text[: match.start()]) or stamps
        )
        ended = moment(printed[-1], zone).ns if printed else written_ns(file.path)
        part = Reported("host", _ACCURACY, [kwh / _PUE])
        what = f"one total, times a PUE of about {_PUE}, which is taken out"
        return [_record(file, session, 0, [part], edges, ended - int(edges[-1]), what)]
    except UnreadableCell as error:
        problems.append(Problem(line, str(error)))
        return []


def _record(
    file: TextFile,
    session: _Session,
    place: int,
    parts: Sequence[Reported],
    edges: np.ndarray,
    started_ns: int,
    what: str,
) -> RunRecord:
    title = file_title(file.path, "carbontracker")
    tracker = re.sub(r"_carbontracker(_output)?$", "", title)
    # Trackers of one folder have names of their own: process, number and start (loggerutil.py).
    identity = tracker if tracker != title else file.text
    environment: dict[str, object] = {}
    if "gpu" in session.devices:
        environment["gpus"] = [name.strip() for name in session.devices["gpu"].split(",")]
    if "cpu" in session.devices:
        environment["cpu"] = session.devices["cpu"].split(",")[0].strip()
    return reported_run(
        parts,
        edges,
        tool="carbontracker",
        label="CarbonTracker",
        run_id=f"carbontracker-{digest(identity)}" + (f"-{place + 1}" if place else ""),
        name=tracker,
        started_ns=started_ns,
        environment=environment,
        spans=epochs(edges) if len(edges) > 2 else None,
        warnings=(
            RunWarning(
                "imported-carbontracker",
                f"Imported from CarbonTracker {session.version or 'of unknown version'}: {what}; epochs follow one another.",
            ),
        ),
        extra={},
    )
