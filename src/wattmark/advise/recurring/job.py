"""``wm.recur(...)``: one more run of a recurring job, at the batch size and cap that its earlier runs speak for."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from wattmark.advise.cap.advice import grid
from wattmark.advise.cap.choice import Goal
from wattmark.advise.cap.curve import Window
from wattmark.advise.cap.measured import MODELLED, energy_within
from wattmark.advise.cap.question import NEEDED
from wattmark.advise.cap.search import CapSearch
from wattmark.advise.cap.work import end_process
from wattmark.advise.recurring.bandit import Bandit
from wattmark.advise.recurring.history import History, history_of
from wattmark.errors import ConfigError, SourceError
from wattmark.limits.base import MayNotCap, PowerLimit
from wattmark.limits.discovery import choose_limits, common_range, find_limits
from wattmark.limits.session import Caps
from wattmark.quantity import Quantity
from wattmark.runs.comparison import denominators
from wattmark.settings import recorder_settings
from wattmark.sources.base import Host
from wattmark.tracker.measure import measure
from wattmark.tracker.process import this_process
from wattmark.tracker.run import Run

PLACE = "{batch}"
LOOK_S = 0.05
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Turn:
    """One run: its batch size, its cap in W (None: as it was), what it took, and whether it reached its target or was
    stopped because it had cost too much. cost: ``eta E + (1 - eta) P_max T``."""

    size: int
    cap_w: float | None
    energy: Quantity
    seconds: float
    cost: float
    reached: bool
    stopped: bool
    exit_code: int
    run_id: str
    modelled: bool = False
    """Whether some of the joules come from a model of the hardware, not from a sensor."""

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return {
            "batch_size": self.size,
            "cap_w": self.cap_w,
            "energy_j": self.energy.as_dict(),
            "seconds": self.seconds,
            "modelled": self.modelled,
            "cost": self.cost,
            "reached": self.reached,
            "stopped": self.stopped,
            "exit_code": self.exit_code,
            "run_id": self.run_id,
        }


def recur(
    name: str,
    command: Sequence[str],
    sizes: Sequence[int],
    *,
    default: int | None = None,
    eta: float = 1.0,
    max_power_w: float | None = None,
    apply: bool = False,
    devices: Sequence[str] = (),
    tries: int = 5,
    seed: int | None = None,
    tell: Tell | None = None,
) -> list[Turn]:
    """Run a recurring job until it has reached its target, and learn from what each try has cost.

    command: with ``{batch}`` where the batch size goes; it ends with 0 where it has reached its target. sizes: those that
    it may have. eta: of the cost, 1 for energy alone; below, ``max_power_w`` weighs the time (with ``apply``, by default,
    the largest caps). apply: choose a power cap for each size too, and really set it for the run. Raises ConfigError,
    NothingToCap, MayNotCap, SourceError where nothing measures the job.
    """
    if not any(PLACE in word for word in command):
        raise ConfigError(
            f"the command does not say where the batch size goes: {PLACE}",
            hint=f"-- python train.py --batch {PLACE}",
        )
    if not 0 <= eta <= 1:
        raise ConfigError("eta lies between 0 (time) and 1 (energy)")
    host = Host.here(options=recorder_settings({}).get("options"))
    limits = choose_limits(find_limits(host), devices) if apply else []
    denied = [limit.id for limit in limits if not limit.may_set()]
    if denied:
        raise MayNotCap(
            f"this user may not set the cap of {', '.join(denied)}", hint="see wattmark advise caps --permit"
        )
    most_w = max_power_w or sum(limit.most_w for limit in limits)
    if eta < 1 and not most_w:
        raise ConfigError(
            "time is weighed by the largest power, which is not known", hint="--max-power 250, or --eta 1"
        )
    turns: list[Turn] = []
    with history_of(name, eta) as history:
        bandit = Bandit(sizes, default or sizes[0], seed, history.trials)
        job = _Job(command, history, bandit, limits, host, eta, most_w)
        while len(turns) < tries:
            turn = job.run()
            turns.append(turn)
            if tell is not None:
                tell(_words(turn))
            if turn.reached:
                break
            if not turn.stopped and not any(trial.reached for trial in bandit.trials):
                break  # a job that has never ended well is broken, and no size will mend it
    return turns


class _Job:
    def __init__(
        self,
        command: Sequence[str],
        history: History,
        bandit: Bandit,
        limits: Sequence[PowerLimit],
        host: Host,
        eta: float,
        most_w: float,
    ) -> None:
        self._command, self._history, self._bandit = command, history, bandit
        self._limits, self._host, self._eta, self._most_w = limits, host, eta, most_w
        self._grid: tuple[float, ...] = grid(*common_range(limits)) if limits else ()

    def run(self) -> Turn:
        size = self._bandit.choose()
        bound = self._bandit.stop_at() or math.inf
        cap_w = self._cap_of(size)
        words = [word.replace(PLACE, str(size)) for word in self._command]
        with ExitStack() as stack:
            if self._limits:
                caps = stack.enter_context(Caps(self._limits, self._host))
                caps.set(None if cap_w == self._grid[-1] else cap_w)
            run: Run = measure(self._history.name, tags={"recurring": self._history.name, "batch_size": size})
            with run:
                began_ns = time.monotonic_ns()
                code, stopped = self._watch(words, bound)
                ended_ns = time.monotonic_ns()
        energy = self._energy(run, began_ns, ended_ns)
        seconds = (ended_ns - began_ns) / 1e9
        turn = Turn(
            size,
            cap_w,
            energy,
            seconds,
            self._cost(energy.value, seconds),
            code == 0 and not stopped,
            stopped,
            code,
            run.id,
            not self._limits
            and any(
                one.curve.channel.counted and one.curve.channel.method == MODELLED for one in run.view.curves
            ),
        )
        self._learn(turn, run)
        return turn

    def _cost(self, joules: float, seconds: float) -> float:
        return self._eta * joules + (1 - self._eta) * self._most_w * seconds

    def _cap_of(self, size: int) -> float | None:
        """The next cap of a search at this size, each window of which is a run; its choice once that has ended."""
        if not self._grid:
            return None
        search = CapSearch(self._grid, Goal(eta=self._eta) if self._eta < 1 else Goal())
        for window in self._history.windows.get(size, []):
            if window.cap_w in self._grid:
                search.add(window)
        cap_w = search.next()
        return search.choice().cap_w if cap_w is None else cap_w

    def _watch(self, words: Sequence[str], bound: float) -> tuple[int, bool]:
        """Run it; its exit code, and whether it was stopped at ``bound``."""
        session = this_process().session
        start_j = session.live.read().energy_j if session is not None else None
        began = time.monotonic()
        try:
            process = subprocess.Popen(list(words))
        except OSError as error:
            raise ConfigError(f"{words[0]}: {error.strerror}") from error
        stopped = False
        try:
            while process.poll() is None:
                time.sleep(LOOK_S)
                now_j = session.live.read().energy_j if session is not None else None
                joules = now_j - start_j if now_j is not None and start_j is not None else 0.0
                if self._cost(joules, time.monotonic() - began) > bound:
                    stopped = True
                    break
        finally:
            end_process(process)
        code = process.returncode
        return (code if code >= 0 else 128 - code), stopped

    def _energy(self, run: Run, began_ns: int, ended_ns: int) -> Quantity:
        if self._limits:
            needed = {name for limit in self._limits for name in NEEDED[limit.component]}
            return energy_within(run.view, began_ns, ended_ns, needed)[0]
        energy = run.view.energy
        if energy is None or energy.value <= 0:
            raise SourceError(
                "nothing here measures the job, so nothing is learnt from it", hint="see wattmark sources"
            )
        return energy

    def _learn(self, turn: Turn, run: Run) -> None:
        self._bandit.observe(turn.size, turn.cost, reached=turn.reached)
        self._history.trials = list(self._bandit.trials)
        epochs = denominators(run.record).get("epochs")
        if turn.cap_w is not None and (epochs or turn.reached):
            unit_s = turn.seconds / (epochs or 1.0)
            window = Window(turn.cap_w, unit_s, turn.energy.value / turn.seconds)
            self._history.windows.setdefault(turn.size, []).append(window)
        self._history.write()


def _words(turn: Turn) -> str:
    cap = "" if turn.cap_w is None else f" at {turn.cap_w:g} W"
    end = (
        "reached its target"
        if turn.reached
        else "stopped: it had cost too much"
        if turn.stopped
        else f"ended with {turn.exit_code}"
    )
    joules = "J (modelled)" if turn.modelled else "J"
    return f"batch size {turn.size}{cap}: {turn.energy.value:.4g} {joules} in {turn.seconds:.3g} s, {end}"
