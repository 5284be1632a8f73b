"""The watts of the idle machine, measured once and kept: later runs show their energy above idle."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from wattmark import settings
from wattmark.errors import ConfigError, RecorderError
from wattmark.paths import journals_dir
from wattmark.recorder import launch, tree

if TYPE_CHECKING:
    from wattmark.recorder.launch import Session

BUSY_CORES = 0.5
"""More than this many busy cores on average is no idle machine."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Idle watts by component, how each was got, over how many seconds, how busy the machine was meanwhile (None: not
    known), and the file that keeps them."""

    host: str
    idle_w: dict[str, float]
    methods: dict[str, str]
    seconds: float
    busy_cores: float | None
    path: str

    @property
    def busy(self) -> bool:
        """Whether other work ran, so that the watts are too many."""
        return self.busy_cores is not None and self.busy_cores > BUSY_CORES

    def to_dict(self) -> dict[str, Any]:
        """The object of ``wattmark calibrate --json``."""
        return asdict(self)


def calibrate(seconds: float = 30.0) -> Calibration:
    """Measure the idle machine for ``seconds`` (1 to 3600) and keep its watts by component, in place of those before.

    Raises ConfigError for a length that cannot be, RecorderError where nothing can be measured.
    """
    from wattmark.runs.baseline import save_baseline
    from wattmark.runs.reading.journals import read_recorder

    if not 1 <= seconds <= 3600:
        raise ConfigError(f"the idle machine is measured for 1 to 3600 seconds, not {seconds:g}")
    host = os.uname().nodename
    session = launch.start(journals_dir(), settings.recorder_settings({}))
    busy_s, began = tree.host_busy_s(), time.monotonic()
    try:
        idle = idle_watts(session, seconds)
        lasted_s = time.monotonic() - began
    finally:
        session.stop()
    groups = read_recorder(session.folder).groups
    shutil.rmtree(session.folder, ignore_errors=True)
    if not idle:
        raise RecorderError("nothing here could be measured or modelled", hint="wattmark sources says why")
    methods: dict[str, str] = {
        channel.component: channel.method for group in groups for channel in group.channels if channel.counted
    }
    path = save_baseline(host, idle, seconds=lasted_s, methods=methods)
    now_busy_s = tree.host_busy_s()
    busy = None if busy_s is None or now_busy_s is None else (now_busy_s - busy_s) / lasted_s
    return Calibration(host, idle, methods, lasted_s, busy, path)


def idle_watts(session: Session, seconds: float) -> dict[str, float]:
    """Mean watts by component over ``seconds`` from now, counted channels only; empty if the recorder is gone."""
    try:
        session.sync()
        start = session.live.read()
        time.sleep(seconds)
        session.sync()
        end = session.live.read()
    except (OSError, ValueError):
        return {}
    length_s = (end.t_ns - start.t_ns) / 1e9
    if length_s <= 0:
        return {}
    return {
        component: (energy_j - start.by_component_j[component]) / length_s
        for component, energy_j in end.by_component_j.items()
        if component in start.by_component_j
    }
