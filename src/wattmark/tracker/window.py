"""A window: one measured interval as its process writes it down.

A window is a run of its own unless it lies inside another one: begun inside it (the same task or thread, a worker thread
while the main thread measures, a process that was started meanwhile, a rank of the job), and over before it is. Only the
end shows that, so every window is written down whole, and :mod:`wattmark.runs.reading.windows` decides.
"""

from __future__ import annotations

import os
from _thread import get_native_id
from time import monotonic_ns, time_ns

from wattmark.recorder import journal, launch
from wattmark.tracker import device
from wattmark.tracker.process import this_process
from wattmark.tracker.span import Span, current_span

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wattmark.tracker.process import Process
    from wattmark.tracker.run import Run


class Window:
    """One measured interval: ``open`` and ``close`` it once. Without a recorder it knows only its times."""

    __slots__ = (
        "_enclosing",
        "end_ns",
        "in_main_thread",
        "inside",
        "name",
        "process",
        "root_id",
        "run",
        "run_id",
        "settings",
        "span",
        "start_ns",
        "tags",
    )

    def __init__(self, name: str, tags: Mapping[str, str], settings: Mapping[str, Any]) -> None:
        self.name = name
        self.tags = tags
        self.settings = settings
        self.process: Process = this_process()
        self.run_id = launch.new_session_id()
        self.root_id = self.run_id
        """The run that this window belongs to as far as this process can know; its own after it has outlasted others."""
        self.run: Run | None = None
        self.inside = ""
        self.span: Span | None = None
        self.start_ns = 0
        self.end_ns = 0
        self._enclosing: Window | None = None
        self.in_main_thread = False

    def open(self) -> None:
        """The interval begins: inside another one if there is one, else as a run of its own."""
        process = self.process
        sync = bool(self.settings.get("sync"))
        log = process.log
        if log is None or process.session is None:
            if sync:
                device.synchronize()
            self.start_ns = monotonic_ns()
            return
        self.in_main_thread = get_native_id() == process.pid
        self.inside = self._find_enclosing()
        self._enclosing = process.windows.get(self.inside)
        if self._enclosing is not None:
            self.root_id = self._enclosing.root_id
        nested = bool(self.inside) or process.session.joined == launch.RANK
        process.poke()
        if nested:
            rank = None if process.rank is None else str(process.rank)
            self.span = Span(self.name, {"measure": True, "rank": rank, **self.tags}, sync=sync)
            self.span.start()
        else:
            if sync:
                device.synchronize()
            self.span = Span.root(self.name, process, log)
        self.span.window = self.run_id
        self.start_ns = self.span.start_ns
        if process.project and "project" not in self.tags:
            self.tags = {**self.tags, "project": process.project}
        from wattmark.tracker import process_facts as facts

        log.write_json(
            journal.WINDOW_OPEN if nested else journal.RUN_OPEN,
            {
                "run_id": self.run_id,
                "name": self.name,
                "tags": dict(self.tags),
                "t_ns": self.start_ns,
                "wall_ns": time_ns(),
                "pid": process.pid,
                "inside": self.inside,
                "span": self.span.id,
                **process.news("process", facts.process_facts()),
                "baseline_w": self.settings.get("baseline_w") or process.saved_baseline(),
                "settings": {key: value for key, value in self.settings.items() if value},
            },
        )
        process.opened(self)

    def close(self, status: str, exit_code: int | None = None) -> None:
        """The interval ends; a second call does nothing."""
        process, log, span = self.process, self.process.log, self.span
        if self.end_ns:
            return
        if log is None or span is None or process.pid != os.getpid():
            if self.settings.get("sync"):
                device.synchronize()
            self.end_ns = monotonic_ns()
            return
        nested = span.written
        if not nested and self.settings.get("sync"):
            device.synchronize()
        span.stop()
        self.end_ns = span.end_ns
        if self._enclosing is None or self._enclosing.end_ns:
            self.root_id = self.run_id
        from wattmark.tracker import process_facts as facts

        log.write_json(
            journal.WINDOW_CLOSE if nested else journal.RUN_CLOSE,
            {
                "run_id": self.run_id,
                "t_ns": self.end_ns,
                "status": status,
                "exit_code": exit_code,
                **process.news("modules", facts.module_versions()),
            },
        )
        if log.failed is not None:
            process.warn("journal-full", f"{journal.disk_trouble(log.failed)}: spans of this run may be lost")
        with process.lock:
            process.closed(self)

    def _find_enclosing(self) -> str:
        """The run of the innermost window around this one, by the task or thread first; empty if there is none."""
        process = self.process
        span = current_span.get()
        while span is not None:
            if span.window and (span.process is not process or span.window in process.windows):
                return (
                    span.window
                )  # of the process that this one was forked from: reading knows how long it lasted
            span = span.outer
        if not self.in_main_thread:  # a worker thread has no context of its own
            for window in reversed(process.windows.values()):
                if window.in_main_thread:
                    return window.run_id
        return process.inside
