"""``wattmark calibrate --meter``: a machine held against a meter at its plug, asked now or read from its file; kept for
the machine."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timezone, tzinfo
from types import TracebackType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from wattmark.errors import ConfigError, SourceRetry
from wattmark.runs.view import RunView
from wattmark.runs.wall.model import WallModel, WallResult, load_wall, save_wall
from wattmark.tracker.measure import measure
from wattmark.tracker.run import Run
from wattmark.workspace import runs as workspace
from wattmark.workspace.library import RunLike, view_of
from wattmark.workspace.meters import clocks, load
from wattmark.workspace.meters.base import Meter
from wattmark.workspace.meters.controllers import Ipmi, Redfish
from wattmark.workspace.meters.http import address_of
from wattmark.workspace.meters.plugs import PLUG_SHARE, HomeAssistant, Shelly, Tasmota
from wattmark.workspace.meters.readings import FEWEST, Readings, of_energy, of_power
from wattmark.workspace.meters.snmp import Snmp
from wattmark.workspace.meters.table import read_meter_file
from wattmark.workspace.meters.wall import fit_wall

METERS = {
    "shelly": Shelly, "tasmota": Tasmota, "homeassistant": HomeAssistant, "redfish": Redfish, "ipmi": Ipmi, "snmp": Snmp,
}  # fmt: skip
"""Scheme of an address -> who speaks to it."""
TAG = "wall-calibration"
LIVE_S = 270.0
"""How long the load lasts by default: nine levels of half a minute."""
_ASK_EVERY_S = 1.0
_LOST = 0.5
"""If the meter does not answer to more than this share of the questions, there are no readings."""
_MOST_RUNS = 20


def meter_at(address: str) -> Meter:
    """The meter that an address means. Raises ConfigError for a scheme that is not known, and as the meters do."""
    parts = address_of(address)
    kind = METERS.get(parts.scheme.partition("+")[0])
    if kind is None:
        raise ConfigError(
            f"no meter speaks {parts.scheme}://",
            hint=f"a CSV file, or one of {', '.join(f'{name}://' for name in METERS)}",
        )
    return kind(parts)


def load_run(seconds: float = LIVE_S, tell: Callable[[str], None] | None = None) -> Run:
    """Measure this machine at several levels of load, for a meter that logs meanwhile; the run is kept with the tag
    ``wall-calibration``."""
    if not 10 <= seconds <= 7200:
        raise ConfigError(f"the levels of load take 10 to 7200 seconds, not {seconds:g}")
    with measure("levels of load", tags={TAG: ""}) as run:
        load.work(seconds, tell=tell)
    return run


def calibrate_wall(
    meter: str,
    *,
    run: RunLike | None = None,
    seconds: float = LIVE_S,
    load: bool = True,
    unit: str | None = None,
    timezone: str | tzinfo | None = None,
    accuracy: float | None = None,
    tell: Callable[[str], None] | None = None,
) -> WallModel:
    """Fit what lies between this machine's sensors and its plug, and keep it for the machine.

    meter: an address (``shelly://192.168.1.20``), which is asked once a second while the machine works at several levels for
    ``seconds`` (``load=False``: it does not, you do); or the CSV file of a meter, of the time of ``run`` (default: all
    runs of this machine in that time). unit, timezone: of a file that does not say them. accuracy: of the meter, as a
    share. Raises ConfigError, in words, for readings that cannot be right.
    """
    if accuracy is not None and not 0 <= accuracy < 1:
        raise ConfigError(f"the accuracy of a meter is a share such as 0.01, not {accuracy:g}")
    if "://" in meter:
        if run is not None:
            raise ConfigError(
                "a meter that is asked now says nothing of an earlier run", hint="give its file of readings"
            )
        live = meter_at(meter)
        views, readings = _asked(live, seconds, load, tell)
        share = live.share if accuracy is None else accuracy
    else:
        readings = read_meter_file(meter, unit, _zone(timezone))
        views = [view_of(run)] if run is not None else _runs_of(readings)
        share = PLUG_SHARE if accuracy is None else accuracy
    model = fit_wall(views, readings, meter_share=share)
    save_wall(model)
    return model


def at_plug(run: RunLike = "last") -> WallResult | str:
    """A run at the plug, by its machine's calibration (or the default overhead, where the setting ``wall`` asks for
    it); a string says why it cannot be said. Raises RunNotFound."""
    return workspace.wall_of(view_of(run))


def _asked(
    meter: Meter, seconds: float, work: bool, tell: Callable[[str], None] | None
) -> tuple[list[RunView], Readings]:
    try:
        first = meter.read()
    except SourceRetry as error:
        raise ConfigError(str(error), hint="is the meter on, and its address right?") from error
    if tell is not None:
        said = f"{first.power_w:g} W" if first.power_w is not None else f"{first.energy_j:g} J so far"
        tell(f"{meter.name} answers: {said}")
    with _Log(meter) as log:
        if work:
            run = load_run(seconds, tell)
        else:
            with measure("wall calibration", tags={TAG: ""}) as run:
                time.sleep(seconds)
    return [run.view], log.readings()


class _Log:
    """Asks a meter once a second in a thread, as long as the block lasts."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._rows: list[tuple[int, float | None, float | None]] = []
        self._failures: list[str] = []
        self._over = threading.Event()
        self._fatal: ConfigError | None = None
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> _Log:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=30)

    def _ask(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            before = time.time_ns()
            try:
                sample = self._meter.read()
                self._rows.append(((before + time.time_ns()) // 2, sample.power_w, sample.energy_j))
            except SourceRetry as error:
                self._failures.append(str(error))
            except ConfigError as error:
                self._fatal = error
                return
            due = max(due + _ASK_EVERY_S, time.monotonic())
            self._over.wait(max(0.0, due - time.monotonic()))

    def readings(self) -> Readings:
        """What it said. Raises ConfigError."""
        if self._fatal is not None:
            raise self._fatal
        asked = len(self._rows) + len(self._failures)
        if len(self._rows) < max(FEWEST, _LOST * asked):
            why = f": {self._failures[-1]}" if self._failures else ""
            raise ConfigError(f"{self._meter.name} answered {len(self._rows)} of {asked} times{why}")
        notes = [f"{len(self._failures)} questions were not answered"] if self._failures else []
        t_ns = np.array([row[0] for row in self._rows], np.int64)
        powers = [row[1] for row in self._rows]
        if any(power is not None for power in powers):
            return of_power(self._meter.name, t_ns, np.array(powers, np.float64), notes)
        return of_energy(self._meter.name, t_ns, np.array([row[2] for row in self._rows], np.float64), notes)


def _runs_of(readings: Readings) -> list[RunView]:
    """Runs of this machine in the time of the readings, of this calibration if there are such. Raises ConfigError."""
    host = os.uname().nodename
    with workspace.store_here() as store:
        listed = [
            one
            for one in store.summaries(limit=500)
            if one.host == host
            and one.energy_j is not None
            and one.duration_s >= 10
            and one.parent_id is None
        ]
        marked = [one for one in listed if TAG in one.tags]

        def during(slack_s: float) -> Sequence[str]:
            first, last = readings.t_ns[0] / 1e9 - slack_s, readings.t_ns[-1] / 1e9 + slack_s
            for group in (marked, listed):
                inside = [
                    one.run_id
                    for one in group
                    if one.started_at.timestamp() < last
                    and one.started_at.timestamp() + one.duration_s > first
                ]
                if inside:
                    return inside[:_MOST_RUNS]
            return ()

        run_ids = during(0.0) or during(clocks.LONGEST_S) or during(15 * 3600.0)
        if not run_ids:
            raise ConfigError(
                f"no run of this machine is of the time of {readings.meter}",
                hint="wattmark calibrate --load while the meter logs, then its file; or name a run with --run",
            )
        return [RunView(store.get(run_id)) for run_id in run_ids]


def _zone(name: str | tzinfo | None) -> tzinfo | None:
    if name is None or isinstance(name, tzinfo):
        return name
    if name.upper() in ("UTC", "Z"):
        return timezone.utc
    with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(name)
    raise ConfigError(f"there is no time zone {name!r}", hint="Europe/Berlin, America/New_York, UTC")


__all__ = ["LIVE_S", "METERS", "at_plug", "calibrate_wall", "load_run", "load_wall", "meter_at"]
