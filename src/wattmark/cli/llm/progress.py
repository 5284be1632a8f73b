"""The live line of ``wattmark llm bench``: requests, tokens/s, watts and joules per token so far; and a bar for models
that have to be written first."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from typing import Any

from wattmark.cli.terminal.output import console, say
from wattmark.recorder.live import Live
from wattmark.serving.load.records import LoadProgress
from wattmark.tracker.process import this_process
from wattmark.units import format_energy, format_power

SAID_EVERY_S = 10.0


class LoadLine:
    """Draws over itself on standard error whenever the load client says how far it is. wanted: requests in all."""

    def __init__(self, wanted: int | None = None) -> None:
        self._wanted = wanted
        self._shown = False
        self._first: tuple[float, Live | None] | None = None
        self._before: tuple[LoadProgress, Live | None] | None = None

    def draw(self, progress: LoadProgress) -> None:
        """Show how things stand."""
        now = _live()
        if self._first is None:
            self._first = progress.output_tokens, now
        words = self.words(progress, now)
        self._before = progress, now
        self.write(" · ".join(words))

    def write(self, words: str) -> None:
        """Put these words in the place of those that are there."""
        width = os.get_terminal_size(2).columns or 80
        sys.stderr.write(f"\r\x1b[2K{('⚡ ' + words)[: width - 2]}")
        sys.stderr.flush()
        self._shown = True

    def words(self, progress: LoadProgress, now: Live | None) -> list[str]:
        """The parts of the line; what is not known is not there. Joules are the whole machine's, idle included."""
        of_all = f" of {self._wanted}" if self._wanted else ""
        words = [f"{progress.done}{of_all} requests", f"{progress.in_flight} in flight"]
        if progress.failed:
            words.append(f"{progress.failed} failed")
        if self._before is not None:
            before, then = self._before
            seconds = progress.elapsed_s - before.elapsed_s
            if seconds > 0:
                words.append(f"{(progress.output_tokens - before.output_tokens) / seconds:.0f} tokens/s")
            watts = _watts(then, now)
            if watts is not None:
                words.append(format_power(watts))
        if self._first is not None:
            tokens, then = self._first
            joules = _joules(then, now)
            if joules and progress.output_tokens > tokens:
                words.append(f"{format_energy(joules / (progress.output_tokens - tokens))}/token")
        return words

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._shown = False


class WritingBar:
    """How far the writing of a random model is: a bar on a terminal, a line now and then elsewhere, on standard error."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._bar: Any = None
        self._row: Any = None
        self._said_s = time.monotonic()

    def __enter__(self) -> WritingBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, share: float) -> None:
        """So much of it is written (0..1). Short writings show nothing."""
        now_s = time.monotonic()
        if not sys.stderr.isatty():
            if now_s - self._said_s >= SAID_EVERY_S and share < 1:
                self._said_s = now_s
                say(f"writing a model with random weights: {share:.0%}")
            return
        if self._bar is None:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self._bar = self._open.enter_context(
                Progress(*columns, console=console(stderr=True), transient=True)
            )
            self._row = self._bar.add_task("writing a model with random weights, once", total=1.0)
        self._bar.update(self._row, completed=share)
        if share >= 1:
            self.clear()

    def clear(self) -> None:
        """Take the bar away."""
        self._open.close()
        self._bar = None


def _live() -> Live | None:
    session = this_process().session
    if session is None:
        return None
    try:
        return session.live.read()
    except (OSError, ValueError):
        return None  # the recorder is gone; the run's warnings will say so


def _joules(then: Live | None, now: Live | None) -> float | None:
    if then is None or now is None or then.energy_j is None or now.energy_j is None:
        return None
    return now.energy_j - then.energy_j


def _watts(then: Live | None, now: Live | None) -> float | None:
    joules = _joules(then, now)
    if joules is None or then is None or now is None or now.t_ns <= then.t_ns:
        return None
    return joules / (now.t_ns - then.t_ns) * 1e9
