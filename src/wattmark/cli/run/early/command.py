"""What ``--predict`` and ``--metrics`` add to ``wattmark run``: the output comes through here, and somebody watches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from wattmark.cli.run.early.output import Output, on_resize
from wattmark.cli.run.early.screen import Screen
from wattmark.cli.run.early.watch import Watch
from wattmark.cli.run.early.wishes import Wishes
from wattmark.cli.run.metrics import MetricLines
from wattmark.cli.terminal.live_line import LiveLine
from wattmark.recorder.launch import Session
from wattmark.tracker.window import Window


class Early:
    """Made before the command starts, which takes ``output.file_actions``; then ``begin``, ``with_tick``, ``end``,
    ``report``. wishes: what to predict, None for nothing. metrics: keep the numbers that the command prints."""

    def __init__(self, wishes: Wishes | None, *, to_stderr: bool, metrics: bool = False) -> None:
        self._wishes = wishes
        self._watch: Watch | None = None
        self._metrics = metrics
        self._lines: MetricLines | None = None
        self._screen: Screen | None = None
        self.output = Output(self._read, stdout_to_stderr=to_stderr)

    @property
    def stopped(self) -> bool:
        """Whether the command was asked to stop because of its budget."""
        return self._watch is not None and self._watch.stopped

    def begin(self, window: Window, pid: int, *, kept: bool) -> None:
        """The command runs. kept: the run is one of its own, whose predictions are kept with it."""
        session = window.process.session
        self._lines = MetricLines(window) if self._metrics else None
        if session is not None and self._wishes is not None:
            with suppress(OSError, ValueError):  # no recorder: the run's warnings say so
                self._watch = Watch(window, session, pid, self._wishes, kept=kept)
        on_resize(self.output)
        self.output.begin()

    def line(self, session: Session) -> LiveLine:
        """The live line with the prediction behind it, below what the command writes. Raises OSError, ValueError."""
        screen = self._screen = Screen(self.output.lock)
        self.output.before, self.output.after = screen.before, screen.after
        watch = self._watch
        return LiveLine(session, watch.words if watch is not None else None, screen.draw)

    def with_tick(self, draw: Callable[[], None] | None) -> Callable[[], None]:
        """What is done four times a second."""

        drawing = draw

        def tick() -> None:
            nonlocal drawing
            if self._watch is not None:
                self._watch.tick()
            if drawing is not None:
                try:
                    drawing()
                except (OSError, ValueError):  # the terminal is gone; the budget stays
                    drawing = None

        return tick

    def end(self) -> None:
        """The command has ended: take the line away, and write on what it left."""
        if self._watch is not None:
            self._watch.wait_for_all()
        if self._screen is not None:
            with suppress(OSError):
                self._screen.clear()
        self.output.end()
        if self._lines is not None:
            self._lines.end()

    def report(self) -> None:
        """What was predicted at which part of the run, below its measured joules; and learn from it, where it is time."""
        from wattmark.cli.run.early.closing import closing

        if self._watch is not None:
            closing(self._watch)

    def _read(self, data: bytes) -> None:
        if self._watch is not None:
            self._watch.read(data)
        if self._lines is not None:
            self._lines.feed(data)
