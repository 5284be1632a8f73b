"""A run as data: what a journal becomes, what the store keeps, what every surface reads.

Times are nanoseconds of the recording host's monotonic clock (int64); ``anchors`` tie them to wall time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from wattmark.sources.base import Channel, Series

Status = Literal["running", "completed", "failed", "interrupted"]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """What a curve of one host is of a run over several: its time [start_ns, end_ns) on the run's clock, beyond which it
    says nothing, and how far that host's clock may be off from it, in seconds either way."""

    start_ns: int
    end_ns: int
    clock_s: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One channel's cumulative energy: monotone, piecewise linear between its samples.

    t_ns: (n,) int64, strictly increasing. energy_uj: (n,) int64, never decreasing, starting anywhere.
    holes: (m, 2) int64, sorted disjoint intervals [from, to) in which the energy is not known (the curve is flat
    there and the time counts as not covered).
    vague: (m, 2) int64, sorted disjoint intervals in which a model did not know how busy its device was: the energy there
    lies anywhere between the ends of the channel's ``curve_w``.
    part: of a run over several hosts, the time that this one took part.
    """

    channel: Channel
    t_ns: Int64
    energy_uj: Int64
    holes: Int64 = field(default_factory=lambda: np.empty((0, 2), np.int64))
    vague: Int64 = field(default_factory=lambda: np.empty((0, 2), np.int64))
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class SeriesData:
    """A side series: t_ns (n,) int64 strictly increasing, values (n,) float32, NaN where a reading failed."""

    series: Series
    t_ns: Int64
    values: Float32


class Details(TypedDict, total=False):
    """What a span counted, and what describes it."""

    counts: Mapping[str, float]
    attrs: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Spans:
    """All spans of a run, in columns, sorted by start (an outer span before its inner ones).

    name_ids: (k,) int32 into ``names``. start_ns, end_ns: (k,) int64; a span that was still open when its process
    ended has the end of the run as its end and ``open`` True. parents: (k,) int32, row of the enclosing span, -1 at the top.
    pids, tids: (k,) int64. details: row -> {"counts": {...}, "attrs": {...}} for the rows that have any.
    """

    names: tuple[str, ...]
    name_ids: NDArray[np.int32]
    start_ns: Int64
    end_ns: Int64
    parents: NDArray[np.int32]
    pids: Int64
    tids: Int64
    open: NDArray[np.bool_]
    details: Mapping[int, Details] = field(default_factory=dict[int, Details])

    def __len__(self) -> int:
        return len(self.start_ns)

    @classmethod
    def empty(cls) -> Spans:
        """No spans at all."""
        i64 = np.empty(0, np.int64)
        i32 = np.empty(0, np.int32)
        return cls((), i32, i64, i64, i32, i64, i64, np.empty(0, np.bool_))


@dataclass(frozen=True, slots=True)
class RunWarning:
    """Something that a reader of the numbers must know: a stable code and a sentence."""

    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """As ``--json`` shows it."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class Anchor:
    """The clocks of one host read at one moment, in nanoseconds (wall: since the Unix epoch, UTC)."""

    monotonic_ns: int
    boottime_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One measured piece of work, whole and immutable.

    tags: free words to find it by (key -> value, value "" for a plain tag). environment: what
    ``runs.environment`` captured. baseline_w: idle power by component at the time, if it is known.
    tree_cpu: (n, 3) float64 columns t_ns, CPU seconds of the run's process tree (cumulative, exited children
    included), busy CPU seconds of the host (cumulative); empty if not recorded. recorder: its own cost
    (``cpu_s``, ``rss_bytes``) and settings (``period_s``). extra: anything else that a surface wants to keep.
    """

    run_id: str
    name: str
    status: Status
    exit_code: int | None
    started_wall_ns: int
    start_ns: int
    end_ns: int
    parent_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, object] = field(default_factory=dict[str, object])
    baseline_w: Mapping[str, float] | None = None
    curves: tuple[Curve, ...] = ()
    series: tuple[SeriesData, ...] = ()
    spans: Spans = field(default_factory=Spans.empty)
    anchors: tuple[Anchor, ...] = ()
    tree_cpu: Float64 = field(default_factory=lambda: np.empty((0, 3)))
    warnings: tuple[RunWarning, ...] = ()
    recorder: Mapping[str, object] = field(default_factory=dict[str, object])
    extra: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def duration_s(self) -> float:
        """Length of the run in seconds of the monotonic clock."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def host(self) -> str:
        """The host's name, or an empty string."""
        return str(self.environment.get("host", ""))
