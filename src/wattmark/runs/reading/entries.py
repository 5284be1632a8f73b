"""The JSON records of a journal, with types: what readers count on, whatever another version or damage made of it.

Each function raises one of ``journals.NOT_UNDERSTOOD`` for a record that is not what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from wattmark.documents import items, mapping, number, numbers
from wattmark.runs.metrics import Report
from wattmark.runs.record import Status

Document = Mapping[str, object]
_STATUSES: dict[str, Status] = {
    "completed": "completed",
    "failed": "failed",
    "interrupted": "interrupted",
}


class _NoteDetails(TypedDict, total=False):
    channel: str
    since_ns: int
    from_ns: int
    to_ns: int
    period_s: float
    raw: int
    cumulative_uj: int


class Note(_NoteDetails):
    """Something that a reader of the numbers must know, of one channel or of all."""

    code: str
    t_ns: int
    message: str


class _OpeningDetails(TypedDict, total=False):
    process: Document
    inside: str
    span: int


class Opening(_OpeningDetails):
    """The beginning of a run or window. inside, span: the window and the span that it began in, if it did."""

    run_id: str
    name: str
    t_ns: int
    wall_ns: int
    tags: dict[str, str]
    settings: Document
    baseline_w: dict[str, float] | None


class _EndDetails(TypedDict, total=False):
    modules: Document


class End(_EndDetails):
    """The end of a run or window. modules: versions of what it had imported."""

    run_id: str
    t_ns: int
    status: Status
    exit_code: int | None


class GpuUsers(TypedDict):
    """The process tree's share of the use of each GPU from a moment on, and by which rule: channel -> [share, rule]."""

    t_ns: int
    shares: Document


class Expected(TypedDict):
    """What a run was said to have before it: counts by name."""

    run_id: str
    t_ns: int
    counts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was predicted of a run at a moment. said: the prediction itself."""

    run_id: str
    t_ns: int
    said: Document

    def as_dict(self) -> dict[str, object]:
        """As a record keeps it."""
        return {**{key: value for key, value in self.said.items() if key != "run_id"}, "t_ns": self.t_ns}


def opening(data: Document) -> Opening:
    """The beginning of a run; other versions wrote numbers as tags."""
    entry: Opening = {
        "run_id": str(data["run_id"]),
        "name": str(data["name"]),
        "t_ns": nanoseconds(data["t_ns"]),
        "wall_ns": nanoseconds(data["wall_ns"]),
        "tags": {
            str(key): "" if value is None else str(value) for key, value in mapping(data.get("tags")).items()
        },
        "settings": mapping(data.get("settings")),
        "baseline_w": numbers(data.get("baseline_w")) or None,
    }
    if "process" in data:
        entry["process"] = mapping(data["process"])
    if data.get("inside"):
        entry["inside"] = str(data["inside"])
    if data.get("span"):
        entry["span"] = nanoseconds(data["span"])
    return entry


def end(data: Document) -> End:
    """The end of a run; a status that is not known is a failure."""
    exit_code = data.get("exit_code")
    entry: End = {
        "run_id": str(data["run_id"]),
        "t_ns": nanoseconds(data["t_ns"]),
        "status": _STATUSES.get(str(data["status"]), "failed"),
        "exit_code": exit_code if isinstance(exit_code, int) else None,
    }
    if "modules" in data:
        entry["modules"] = mapping(data["modules"])
    return entry


def note(data: Document) -> Note:
    """A note."""
    entry: Note = {
        "code": str(data["code"]),
        "t_ns": nanoseconds(data["t_ns"]),
        "message": str(data.get("message", "")),
    }
    if data.get("channel"):
        entry["channel"] = str(data["channel"])
    if (since_ns := _whole(data.get("since_ns"))) is not None:
        entry["since_ns"] = since_ns
    if (from_ns := _whole(data.get("from_ns"))) is not None:
        entry["from_ns"] = from_ns
    if (to_ns := _whole(data.get("to_ns"))) is not None:
        entry["to_ns"] = to_ns
    if (raw := _whole(data.get("raw"))) is not None:
        entry["raw"] = raw
    if (cumulative_uj := _whole(data.get("cumulative_uj"))) is not None:
        entry["cumulative_uj"] = cumulative_uj
    if (period_s := number(data.get("period_s"))) is not None:
        entry["period_s"] = period_s
    return entry


def interval(entry: Note) -> tuple[int, int] | None:
    """From when to when a note is about; None where it does not say."""
    if "from_ns" in entry and "to_ns" in entry and entry["to_ns"] > entry["from_ns"]:
        return entry["from_ns"], entry["to_ns"]
    return None


def report(data: Document) -> Report:
    """What a run reported, its values numbers or None."""
    step = data.get("step")
    return {
        "run_id": str(data["run_id"]),
        "t_ns": nanoseconds(data["t_ns"]),
        "step": step if isinstance(step, int | float) else None,
        "values": {
            str(name): value if isinstance(value, int | float) else None
            for name, value in mapping(data.get("values")).items()
        },
    }


def expected(data: Document) -> Expected:
    """What a run should have."""
    return {
        "run_id": str(data["run_id"]),
        "t_ns": nanoseconds(data["t_ns"]),
        "counts": numbers(data.get("counts")),
    }


def prediction(data: Document) -> Prediction:
    """What was predicted."""
    return Prediction(str(data["run_id"]), nanoseconds(data["t_ns"]), data)


def gpu_users(data: Document) -> GpuUsers:
    """Who used the GPUs."""
    return {"t_ns": nanoseconds(data["t_ns"]), "shares": mapping(data["shares"])}


def roles(data: Document) -> dict[str, tuple[str, ...]]:
    """Of groups that were read from some time on: channel -> those in whose place it counts."""
    return {name: tuple(map(str, items(replaced))) for name, replaced in mapping(data["roles"]).items()}


def nanoseconds(value: object) -> int:
    """A whole number, such as the time of a clock. Raises ValueError for what does not fit into one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        raise ValueError(f"{value!r} is no time")
    return int(value)


def _whole(value: object) -> int | None:
    """The same; None for what does not fit, such as what a sensor said beyond its range."""
    try:
        return nanoseconds(value)
    except ValueError:
        return None
