"""``wattmark run --when green --pausable``: the command stands still while the grid is dirty, and then goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from wattmark.cli.terminal.output import say
from wattmark.errors import ConfigError, WattmarkError
from wattmark.impact.series import IntensitySeries
from wattmark.plan.pausing import Verdict, step_for, verdict
from wattmark.plan.question import Plan, plan
from wattmark.plan.stopping import Keeper, StoppableTree, adopt_orphans, run_command, with_pid
from wattmark.recorder.tree import children_of
from wattmark.tracker.span import Span
from wattmark.units import format_duration

PAUSED = "paused"
"""The span of a pause: the machine's joules in it are not the command's."""
_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Terms:
    """duration_s: how long the work takes; within_s: when it must be done; cost_s: what a pause costs, as time of work.
    pause, resume: commands in place of signals, empty for signals."""

    duration_s: float
    within_s: float
    cost_s: float
    pause: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()


class Pausing:
    """Waits for the start, then is asked at every tick whether the command should run. read: the series as it is now."""

    def __init__(self, read: Callable[[], IntensitySeries], terms: Terms, *, quiet: bool) -> None:
        if terms.within_s < terms.duration_s:
            raise ConfigError(
                f"a job of {terms.duration_s:g} s cannot be done within {terms.within_s:g} s",
                hint="give it more time",
            )
        self._read, self._terms, self._quiet = read, terms, quiet
        self._series = read()
        self._deadline_s = time.time() + terms.within_s
        self._step_s = step_for(self._series, terms.within_s)
        self._keeper: Keeper | None = None
        self._tree: StoppableTree | None = None
        self._span: Span | None = None
        self._pid = 0
        self._next_s = 0.0
        self._since_s = 0.0
        self._done_s = 0.0
        self._over = False
        self._await_s = 0.0
        self.pauses = 0
        self.paused_s = 0.0
        self._never = self._tell_plan()

    def wait(self) -> None:
        """Return when the command should start."""
        said = False
        while not self._never:
            seen = self._ask(running=False, start=True)
            if seen.run:
                return
            if not said:
                said = True
                self._say(f"waiting: {seen.now_g_per_kwh:.0f} g/kWh now")
            time.sleep(max(0.05, min(seen.until_s - time.time(), 60.0)))

    def prepare(self) -> tuple[int, ...]:
        """Before the command starts: who is there already, and is not of it."""
        if self._never:
            return ()
        adopt_orphans()
        return tuple(children_of(os.getpid()))

    def begin(self, pid: int, others: Sequence[int]) -> None:
        """The command runs."""
        self._pid, self._since_s, self._next_s = pid, time.time(), time.time() + self._step_s
        if not self._never:
            self._keeper = Keeper(with_pid(self._terms.resume, pid))
            self._tree = StoppableTree(pid, self._keeper, others)

    def with_tick(self, tick: Callable[[], None] | None) -> Callable[[], None]:
        """What is done four times a second, besides ``tick``."""
        drawing = tick

        def both() -> None:
            nonlocal drawing
            self._tick()
            if drawing is not None:
                try:
                    drawing()
                except (OSError, ValueError):  # the terminal is gone; pausing stays
                    drawing = None

        return both

    def go_on(self) -> None:
        """Continue for good: the command was told to end, and must be able to."""
        self._over = True
        self._resume()

    def end(self) -> None:
        """The command has ended; nothing of it stays stopped."""
        self.go_on()
        if self._keeper is not None:
            self._keeper.close()
        if self.pauses and not self._quiet:
            times = "once" if self.pauses == 1 else f"{self.pauses} times"
            say(
                f"paused {times}, {format_duration(self.paused_s)} in all; what the machine took then is the span "
                f"{PAUSED!r}, not the command's work"
            )

    def _tick(self) -> None:
        now = time.time()
        if self._tree is None or self._over:
            return
        if self._tree.paused and not self._terms.pause:
            self._tree.pause()  # what somebody continued, or what was just begun
        if now < self._next_s:
            return
        seen = self._ask(running=self._span is None, start=False)
        self._next_s = min(seen.until_s, now + 60.0)
        if seen.run and self._span is not None:
            self._resume()
            why = (
                "the deadline leaves no more time to wait"
                if seen.forced
                else f"{seen.now_g_per_kwh:.0f} g/kWh"
            )
            self._say(f"goes on: {why}")
        elif not seen.run and self._span is None and now >= self._await_s:
            self._pause(seen)

    def _pause(self, seen: Verdict) -> None:
        tree = self._tree
        assert tree is not None
        if self._terms.pause:
            told = run_command(self._terms.pause, self._pid)
            held = told == 0 and self._keeper is not None and self._keeper.hold([])
            if not held:
                self._say(f"it could not be paused ({told}), and runs on")
        else:
            held = tree.pause()
        now = time.time()
        if not held:
            self._await_s = now + _RETRY_S
            return
        self._done_s += now - self._since_s
        self._since_s = now
        self.pauses += 1
        self._span = Span(PAUSED, {"g_per_kwh": round(seen.now_g_per_kwh, 1)})
        self._span.start()
        at = datetime.fromtimestamp(now, timezone.utc)
        self._say(f"paused at {at:%H:%M:%S} UTC: {seen.now_g_per_kwh:.0f} g/kWh")

    def _resume(self) -> None:
        if self._span is None or self._tree is None:
            return
        if self._terms.pause and self._terms.resume:
            told = run_command(self._terms.resume, self._pid)
            if told != 0:
                self._say(f"it could not be continued ({told}); tried again")
                if not self._over:
                    return
            if self._keeper is not None:
                self._keeper.release()
        self._tree.resume()
        self._span.stop()
        self._span = None
        now = time.time()
        self.paused_s += now - self._since_s
        # what was lost by the pause must be done again
        self._done_s = max(0.0, self._done_s - self._terms.cost_s)
        self._since_s = now

    def _ask(self, *, running: bool, start: bool) -> Verdict:
        now = time.time()
        done = self._done_s + (now - self._since_s if running else 0.0)
        with suppress(WattmarkError):  # a file that cannot be read now is what it was
            self._series = self._read()
        return verdict(
            self._series,
            now,
            self._terms.duration_s - done,
            self._deadline_s,
            running=running,
            cost_s=0.0 if start else self._terms.cost_s,
            step_s=self._step_s,
        )

    def _tell_plan(self) -> bool:
        """Say what is to be expected; whether it should start now and never be paused."""
        terms = self._terms
        answer = plan(
            terms.duration_s,
            deadline=terms.within_s,
            series=self._series,
            now=time.time(),
            pausable=True,
            checkpoint_s=terms.cost_s,
        )
        self._say(expectation(answer))
        return answer.advised.name == "now"

    def _say(self, words: str) -> None:
        if not self._quiet:
            with suppress(OSError):
                say(words)


def expectation(answer: Plan) -> str:
    """What a plan promises, and what it may cost at worst, in one line."""
    now = next(way for way in answer.ways if way.name == "now")
    best = answer.advised
    if best.name == "now":
        return f"starts now and is not paused: {answer.why}"
    words = f"expected {best.g_per_kwh.value:.0f} g/kWh instead of {now.g_per_kwh.value:.0f} at once"
    if best.savings is None:
        return f"{words} ({'known' if answer.known else 'forecast'})"
    return (
        f"{words}; at {best.savings.moments} times of the past {best.savings.mean:.0%} saved, at worst "
        f"{best.savings.worst:.0%}"
    )
