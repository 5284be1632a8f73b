"""replay: plays a recorded or made-up waveform as if it were hardware, for tests, demos and simulation.

A file is chosen by ``WATTMARK_REPLAY=path`` or the option ``replay.path``; code can give the option
``function`` (seconds -> watts) instead. A CSV or Parquet file has a column ``t_s`` (seconds, rising) and
one column per channel: ``power_w`` or ``energy_j``, or with a channel's name before it, as in
``cpu0/package:power_w``. A power holds until the next row, as a sensor's register does; energies are joined
by straight lines. An empty cell is a failed reading. Further options: ``loop`` (start again at the end
instead of ending), ``component`` of the unnamed channel (default ``host``), ``duration_s`` and ``id`` of a
function, ``clock`` (a function giving ns, for tests).
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from wattmark.errors import ConfigError, MissingExtra, SourceEnded, SourceGone
from wattmark.sources.base import COMPONENTS, Accuracy, Channel, Component, Finding, Host, Series

NAME = "replay"

_EXACT = Accuracy(0.0, 0.0, 0.0, "the waveform is taken as the truth; see the recording for how good it was")


class Track(NamedTuple):
    """One channel of a waveform: the value at a time since its start.

    ``at(t_s)`` gives watts for a ``power`` channel and joules since the start for an ``energy`` channel, or
    None for a failed reading. ``duration_s`` is None for a waveform without end.
    """

    channel: Channel
    at: Callable[[float], float | None]
    duration_s: float | None


def from_function(
    function: Callable[[float], float | None],
    duration_s: float | None = None,
    id: str = "replay",
    component: Component = "host",
) -> Track:
    """A track whose power in W is ``function(seconds since the start)``."""
    return Track(_channel(id, component, "power", "a function"), function, duration_s)


def from_file(path: str, component: Component = "host") -> list[Track]:
    """The tracks of a CSV or Parquet file (by its ending ``.parquet``).

    :class:`~wattmark.errors.ConfigError` where the file is not as the head of this module says,
    :class:`~wattmark.errors.MissingExtra` where Parquet is asked for without pyarrow.
    """
    try:
        columns = _parquet(path) if path.endswith((".parquet", ".pq")) else _csv(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot replay {path}: {error}", hint="check WATTMARK_REPLAY") from error
    times = columns.pop("t_s", None)
    if times is None or not columns:
        raise _bad(path, "it needs a column t_s and one of power_w or energy_j")
    clock = array("d", (t for t in times if t is not None))
    if len(clock) != len(times) or len(clock) < 2 or any(b <= a for a, b in pairwise(clock)):
        raise _bad(path, "t_s must have at least two rows, all filled and rising")
    return [_track(path, name, clock, values, component) for name, values in columns.items()]


class ReplaySource:
    """Plays tracks from the moment it is made."""

    name = NAME
    series: Sequence[Series] = ()

    def __init__(
        self,
        tracks: Iterable[Track],
        *,
        loop: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
        period_s: float = 0.0005,
    ) -> None:
        """``clock`` gives nanoseconds; with ``loop`` the waveform starts again at its end."""
        self._tracks = tuple(tracks)
        self.channels: Sequence[Channel] = tuple(track.channel for track in self._tracks)
        self.period_s = period_s
        self._clock = clock
        self._start_ns = clock()
        durations = [track.duration_s for track in self._tracks]
        known = [duration for duration in durations if duration is not None]
        self._duration_s = max(known) if known and len(known) == len(durations) else None
        self._loop = loop
        self._closed = False

    def read(self) -> Sequence[float | None]:
        """W or µJ now; :class:`~wattmark.errors.SourceEnded` after the last row, unless it loops."""
        if self._closed:
            raise SourceGone("the replay is closed")
        now_s = (self._clock() - self._start_ns) * 1e-9
        rounds = 0
        if self._duration_s is not None and now_s > self._duration_s:
            if not self._loop:
                raise SourceEnded("the replayed waveform is over")
            rounds = int(now_s // self._duration_s)
            now_s -= rounds * self._duration_s
        return [self._value(track, now_s, rounds) for track in self._tracks]

    def _value(self, track: Track, now_s: float, rounds: int) -> float | None:
        value = track.at(now_s)
        if value is None or track.channel.kind == "power":
            return value
        if rounds and self._duration_s is not None:
            value += rounds * (track.at(self._duration_s) or 0.0)
        return round(value * 1e6)

    def close(self) -> None:
        """Stop playing."""
        self._closed = True


def probe(host: Host) -> list[Finding]:
    """The waveform that was asked for, or nothing."""
    path = _path(host)
    function: Callable[[float], float | None] | None = host.option(NAME, "function")
    if not path and function is None:
        return []
    component: Component = host.option(NAME, "component", "host")
    what = f"waveform of {path or 'a function'}"
    try:
        if function is not None:
            name = str(host.option(NAME, "id", "replay"))
            tracks = [from_function(function, host.option(NAME, "duration_s"), name, component)]
        else:
            tracks = from_file(path, component)
    except (ConfigError, MissingExtra) as error:
        return [Finding(NAME, what, problem=f"{error}.", fix=error.hint or "Check WATTMARK_REPLAY.")]
    loop = bool(host.option(NAME, "loop", False))
    clock: Callable[[], int] = host.option(NAME, "clock", time.monotonic_ns)
    return [
        Finding(
            NAME,
            what,
            tuple(track.channel for track in tracks),
            open=lambda: ReplaySource(tracks, loop=loop, clock=clock),
        )
    ]


def _path(host: Host) -> str:
    return str(host.option(NAME, "path") or host.environ.get("WATTMARK_REPLAY") or "")


def _bad(path: str, why: str) -> ConfigError:
    return ConfigError(f"cannot replay {path}: {why}", hint="see 'replay' in the reference of sources")


def _channel(id: str, component: Component, kind: str, origin: str) -> Channel:
    return Channel(
        id,
        component,
        NAME,
        "integrated" if kind == "power" else "counter",
        "replay",
        "power" if kind == "power" else "energy",
        _EXACT,
        max_power_w=1e9,
        label=f"replayed from {origin}",
    )


def _csv(path: str) -> dict[str, list[float | None]]:
    import csv

    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, skipinitialspace=True)
        header = [name.strip() for name in next(rows, list[str]())]
        if len(set(header)) != len(header):
            raise _bad(path, "two columns have the same name")
        columns: dict[str, list[float | None]] = {name: [] for name in header}
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise _bad(path, f"line {rows.line_num} has {len(row)} cells and the header {len(header)}")
            for name, cell in zip(header, row, strict=True):
                columns[name].append(_number(cell, f"{path}, line {rows.line_num}"))
    return columns


def _number(cell: str, where: str) -> float | None:
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        raise ConfigError(
            f"{where}: {cell!r} is no number", hint="give numbers, or leave the cell empty"
        ) from None


def _parquet(path: str) -> dict[str, list[float | None]]:
    import importlib

    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "pandas") from error
    try:
        return parquet.read_table(path).to_pydict()
    except ValueError as error:  # pyarrow's ArrowInvalid is one
        raise _bad(path, str(error)) from error


def _track(
    path: str, name: str, times: array[float], values: list[float | None], component: Component
) -> Track:
    id, _, quantity = name.rpartition(":")
    if quantity not in ("power_w", "energy_j"):
        raise _bad(path, f"the column {name!r} is neither power_w nor energy_j")
    known = [value for value in values if value is not None]
    if any(not 0 <= value < float("inf") for value in known):
        raise _bad(path, f"{name} has a value below 0 or not finite")
    if quantity == "energy_j" and any(b < a for a, b in pairwise(known)):
        raise _bad(path, f"{name} falls; an energy can only grow")
    for one in COMPONENTS:
        if id.startswith(one):
            component = one
    kind = "power" if quantity == "power_w" else "energy"
    start_s, first_j = times[0], known[0] if known else 0.0

    def power(t_s: float) -> float | None:
        return values[max(0, bisect_right(times, t_s + start_s) - 1)]

    def energy(t_s: float) -> float | None:
        row = min(max(1, bisect_right(times, t_s + start_s)), len(times) - 1)
        before, after = values[row - 1], values[row]
        if before is None or after is None:
            return None
        share = (t_s + start_s - times[row - 1]) / (times[row] - times[row - 1])
        return before - first_j + (after - before) * min(max(share, 0.0), 1.0)

    channel = _channel(id or NAME, component, kind, path)
    return Track(channel, power if kind == "power" else energy, times[-1] - start_s)
