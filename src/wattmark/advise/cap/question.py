"""``wm.advise_cap(...)``: which power cap is best for this work, tried with consent."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace

from wattmark.advise.cap.advice import CapAdvice, grid
from wattmark.advise.cap.choice import Goal
from wattmark.advise.cap.forecast import forecast
from wattmark.advise.cap.measured import ratios
from wattmark.advise.cap.trial import METHODS, Method, Tell, Trial
from wattmark.advise.cap.work import (
    LogTail,
    RepeatedCommand,
    RunningWork,
    Sensors,
    StartedCommand,
    WorkEnded,
    end_process,
    running_process,
    session_of,
    session_with,
)
from wattmark.errors import ConfigError
from wattmark.limits.base import MayNotCap, PowerLimit, watts
from wattmark.limits.discovery import choose_limits, common_range, find_limits
from wattmark.limits.keeper import lock_device
from wattmark.limits.nvidia import NvidiaLimit
from wattmark.limits.restoring import kept_caps, put_back
from wattmark.limits.session import Caps
from wattmark.paths import journals_dir
from wattmark.predict.live.lines import LineProgress
from wattmark.runs.reading.journals import EventsFollower
from wattmark.settings import recorder_settings
from wattmark.sources.base import Host
from wattmark.tracker.measure import measure
from wattmark.tracker.process import this_process
from wattmark.tracker.run import Run

NEEDED = {"cpu": ("cpu", "soc", "host"), "gpu": ("gpu", "soc", "host"), "soc": ("soc", "host")}
"""Capped component -> those whose sensors see what a cap does to it."""


def advise_cap(
    command: Sequence[str] = (),
    *,
    goal: Goal | None = None,
    apply: bool = False,
    keep: bool = False,
    devices: Sequence[str] = (),
    caps_w: Sequence[float] = (),
    method: Method = "wattmark",
    windows: int = 4,
    prove: int = 2,
    settle_s: float = 2.0,
    live: bool = False,
    pid: int | None = None,
    log: str | None = None,
    window_s: float = 10.0,
    seed: int | None = None,
    tell: Tell | None = None,
) -> CapAdvice:
    """The best power cap for a command, or for a process that runs already.

    apply: really set caps; without it nothing is set, and the answer is what published traces of other boards predict from
    one run as things are. The old caps are back when this returns, whatever happens, unless ``keep``. The command is run
    anew for each window; with ``live`` it is run once, tried as it goes on, and has the best cap until it ends; ``pid`` does
    so with a process that runs. devices: ``gpu0``, ``cpu`` ...; default: all graphics cards, else all CPU packages. caps_w:
    instead of thirteen from 30 % of the largest on. prove: pairs of windows with the best cap and without any, after the
    search. log: a file in which the process of ``pid`` prints its progress.

    Raises NothingToCap, MayNotCap, ConfigError (joules that are only modelled, caps out of range), CommandFailed, WorkEnded,
    KeeperLost.
    """
    goal = goal or Goal()
    _refuse(command, method, windows, prove, keep, apply, live, pid)
    host = Host.here(options=recorder_settings({}).get("options"))
    limits = choose_limits(find_limits(host), devices)
    if apply:
        put_back(limits)  # what a killed search has left is not what was in force
        for limit in limits:
            os.close(lock_device(limit))
    caps = _caps_of(limits, caps_w)
    notes = _notes(limits, keep)
    order = random.Random(seed)
    empty = CapAdvice(
        tuple(one.id for one in limits),
        tuple(one.label for one in limits),
        caps,
        goal,
        method,
        "measured",
        None,
        None,
        None,
        notes=tuple(notes),
    )
    needed = {name for limit in limits for name in NEEDED[limit.component]}
    if not apply:
        return _without_setting(empty, limits, command, needed)
    if not all(limit.may_set() for limit in limits):
        raise MayNotCap(
            f"this user may not set the cap of {', '.join(one.id for one in limits if not one.may_set())}",
            hint="run it as root (the work itself as you: -- sudo -u you CMD), or see wattmark advise caps --permit",
        )
    run: Run = measure("advise cap", tags={"advise": "cap"})
    with run:
        sensors = Sensors(run, needed)
        if live or pid is not None:
            advice = _as_it_runs(
                empty,
                limits,
                host,
                sensors,
                command,
                pid,
                log,
                window_s,
                settle_s,
                method,
                windows,
                prove,
                keep,
                order,
                tell,
            )
        else:
            work = RepeatedCommand(command, sensors, settle_s)
            work.window(
                caps[-1], None, _nothing
            )  # the first is unlike all others, and says whether joules are measured
            with Caps(limits, host) as held:
                trial = Trial(work, held, caps, goal, order=order, tell=tell)
                advice = _searched(empty, trial, method, windows, prove, keep, held)
            advice = _over(advice, held, sensors)
    return replace(advice, run_id=run.id)


def _searched(
    empty: CapAdvice, trial: Trial, method: Method, windows: int, prove: int, keep: bool, held: Caps
) -> CapAdvice:
    """Search and proof; on Ctrl-C what was seen until then."""
    goal = empty.goal
    try:
        top_w = empty.caps_w[-1]
        best_w = trial.proven(trial.search(method, windows), prove)
        energy, taken = ratios(trial.at(top_w), trial.at(best_w)) if trial.at(best_w) else (None, None)
        met = None if goal.slowdown is None or taken is None else taken.value <= goal.slowdown
        trial.set(best_w)
        if keep:
            held.keep()
    except KeyboardInterrupt:
        return replace(
            empty,
            windows=tuple(trial.windows),
            interrupted=True,
            notes=(*empty.notes, *trial.notes, "interrupted"),
        )
    return replace(
        empty,
        cap_w=best_w,
        energy=energy,
        time=taken,
        windows=tuple(trial.windows),
        met=met,
        applied=True,
        kept=keep,
        notes=(*empty.notes, *trial.notes),
    )


def _as_it_runs(
    empty: CapAdvice,
    limits: Sequence[PowerLimit],
    host: Host,
    sensors: Sensors,
    command: Sequence[str],
    pid: int | None,
    log: str | None,
    window_s: float,
    settle_s: float,
    method: Method,
    windows: int,
    prove: int,
    keep: bool,
    order: random.Random,
    tell: Tell | None,
) -> CapAdvice:
    start_ns = time.monotonic_ns()
    lines = LineProgress()
    started: StartedCommand | None = None
    follow: EventsFollower | None
    tail: LogTail | None = None
    if pid is not None:
        running = running_process(pid)
        folder = session_of(pid) or session_with(pid, journals_dir())
        follow = EventsFollower(folder) if folder else None
        tail = LogTail(log, lines, start_ns) if log else None
        if follow is None and tail is None:
            raise ConfigError(
                f"how far process {pid} is cannot be seen: it is not measured by Wattmark",
                hint="start it with wattmark run, or name the file that it writes its steps into: --log FILE",
            )
    else:
        session = this_process().session
        follow = EventsFollower(session.folder) if session is not None else None
        started = StartedCommand(command, lines, start_ns)
        running = started.alive

    def alive() -> bool:
        if tail is not None:
            tail.read()
        return running()

    work = RunningWork(sensors, alive, follow, lines, window_s=window_s, settle_s=settle_s, start_ns=start_ns)
    advice = empty
    code = 0
    try:
        with Caps(limits, host) as held:
            trial = Trial(work, held, empty.caps_w, empty.goal, order=order, tell=tell)
            try:
                work.window(empty.caps_w[-1], None, held.check)  # whether progress and joules are there
                advice = _searched(empty, trial, method, windows, prove, keep, held)
            except WorkEnded as ended:
                advice = replace(
                    empty, windows=tuple(trial.windows), notes=(*empty.notes, *trial.notes, str(ended))
                )
            if tell is not None and advice.cap_w is not None:
                tell(f"{advice.words}; in force until the work ends")
            try:
                while not advice.interrupted and alive():
                    time.sleep(0.1)
                    held.check()
            except KeyboardInterrupt:
                advice = replace(advice, interrupted=True)
        if started is not None and not advice.interrupted:
            code = started.wait(_nothing)
    finally:
        if tail is not None:
            tail.close()
        if started is not None:
            end_process(started.process)
            started.wait(_nothing)
    return replace(_over(advice, held, sensors), unit=work.unit, exit_code=code)


def _over(advice: CapAdvice, held: Caps, sensors: Sensors) -> CapAdvice:
    trouble = [line for line in held.lines if " is back at " not in line]
    return replace(advice, notes=(*advice.notes, *trouble), methods=dict(sensors.methods))


def _without_setting(
    empty: CapAdvice, limits: Sequence[PowerLimit], command: Sequence[str], needed: set[str]
) -> CapAdvice:
    """One window as things are, and what a model of other boards makes of it."""
    notes = [*empty.notes, "nothing was set: --apply tries caps, and puts the old ones back"]
    denied = [one.id for one in limits if not one.may_set()]
    if denied:
        notes.append(f"this user may not set the cap of {', '.join(denied)}: wattmark advise caps --permit")
    if not command or any(limit.component != "gpu" for limit in limits):
        if command:
            notes.append(
                "traces of processors under caps are not published, so nothing is predicted for them"
            )
        return replace(empty, basis="untried", notes=tuple(notes))
    run: Run = measure("advise cap", tags={"advise": "cap"})
    with run:
        sensors = Sensors(run, needed)
        window = RepeatedCommand(command, sensors).window(empty.caps_w[-1], None, _nothing)
        boards = run.view.energy_by_component.get("gpu")
        device_w = window.energy.value / window.seconds if boards is None else boards.value / run.duration_s
    cap_w, energy, taken = forecast(window, device_w, len(limits), empty.caps_w, empty.goal)
    return replace(
        empty,
        basis="predicted",
        cap_w=cap_w,
        energy=energy,
        time=taken,
        windows=(window,),
        methods=dict(sensors.methods),
        met=None,
        notes=tuple(notes),
        run_id=run.id,
    )


def _caps_of(limits: Sequence[PowerLimit], caps_w: Sequence[float]) -> tuple[float, ...]:
    """The caps to choose from; the largest is what is in force now."""
    least, most = common_range(limits)
    now = [value for limit in limits if (value := watts(limit.read())) is not None]
    top = min(most, *now) if now else most
    if not caps_w:
        if top <= least:
            raise ConfigError(
                f"the cap in force, {top:g} W, is the least that is tried ({least:g} W)",
                hint="raise it first, or name caps: --caps 40,60",
            )
        return grid(max(least, 0.3 * most), top)
    wrong = [cap for cap in caps_w if not least - 1e-9 <= cap <= most + 1e-9]
    if wrong:
        raise ConfigError(
            f"{wrong[0]:g} W is out of the range of {', '.join(one.id for one in limits)}: {least:g} to {most:g} W",
            hint="wattmark advise caps shows what can be set",
        )
    below = sorted({float(cap) for cap in caps_w if cap < top})
    if not below:
        raise ConfigError(
            f"no cap lies below the {top:g} W in force", hint=f"--caps {least:g},{(least + top) / 2:g}"
        )
    return (*below, top)


def _notes(limits: Sequence[PowerLimit], keep: bool) -> list[str]:
    notes = [
        f"{device.label} has a cap that was kept: wattmark advise caps --restore puts it back"
        for device in kept_caps(limits).values()
    ]
    if keep and any(isinstance(one, NvidiaLimit) and one.persistent() is False for one in limits):
        notes.append(
            "without persistence mode the driver forgets the cap with its last user: sudo nvidia-smi -pm 1"
        )
    return notes


def _refuse(
    command: Sequence[str],
    method: str,
    windows: int,
    prove: int,
    keep: bool,
    apply: bool,
    live: bool,
    pid: int | None,
) -> None:
    if method not in METHODS:
        raise ConfigError(f"there is no method {method!r}", hint=", ".join(METHODS))
    if windows < 2 or prove < 0:
        raise ConfigError(
            "at least two windows, and no fewer than 0 pairs to prove it", hint="--windows 4 --prove 2"
        )
    if keep and not apply:
        raise ConfigError("a cap is only kept where it is set", hint="--apply --keep")
    if pid is not None and (command or live):
        raise ConfigError(
            "a process that runs, or a command: one of them", hint="--pid 1234, or --live -- CMD"
        )
    if (live or pid is not None) and not apply:
        raise ConfigError("work is tried as it runs only where caps may be set", hint="--apply")
    if apply and pid is None and not command:
        raise ConfigError(
            "there is no command to try caps on", hint="wattmark advise cap --apply -- python train.py"
        )


def _nothing() -> None:
    """No keeper yet."""
