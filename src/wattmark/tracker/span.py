"""Spans: named intervals inside a run, a few microseconds each. Standard library only."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wattmark.recorder import journal
from wattmark.tracker import device
from wattmark.tracker.process import this_process

if TYPE_CHECKING:
    from typing_extensions import Self

    from wattmark.recorder.events import EventLog
    from wattmark.runs.reading.precise import PreciseReader
    from wattmark.tracker.process import Process

Function = TypeVar("Function", bound=Callable[..., Any])
Number = int | float
_GENERATOR, _COROUTINE = 0x20, 0x80  # inspect.CO_GENERATOR, inspect.CO_COROUTINE; inspect is slow to import

_current_span: contextvars.ContextVar[Span | None] = contextvars.ContextVar("wattmark_span", default=None)
"""The span that was begun last in this thread or task; it may have ended elsewhere."""


class Span:
    """A named interval inside a run; a context manager, a decorator, or ``start()`` and ``stop()``.

    ``counts`` are numbers that energies are divided by (``samples=50_000``), ``attrs`` are words that describe it.
    Give further counts while it runs with :meth:`add`. Outside any measurement a span does nothing.
    """

    __slots__ = (
        "_attrs",
        "_counts",
        "_device",
        "_log",
        "_outer",
        "_precise",
        "_process",
        "_sync",
        "_token",
        "end_ns",
        "id",
        "name",
        "start_ns",
    )

    def __init__(
        self,
        name: str,
        details: Mapping[str, Any] | None = None,
        *,
        sync: bool = False,
        precise: PreciseReader | None = None,
    ) -> None:
        self.name = name
        self._counts, self._attrs = _split(details) if details else (None, None)
        self._sync = sync
        self._precise = precise
        self._device: str | None = None
        self._log: EventLog | None = None
        self._token: contextvars.Token[Span | None] | None = None
        self._outer: Span | None = None
        self._process: Process | None = None
        self.id = 0
        self.start_ns = 0
        self.end_ns = 0

    def __enter__(self) -> Self:
        process = this_process()
        log = self._log = process.log
        if log is None:
            self.start_ns = monotonic_ns()
            return self
        if self._sync:
            self._device = device.synchronize()
        if self._precise is not None:
            self._precise.read(log)
        outer = _current_span.get()
        while outer is not None and (outer.end_ns or outer._process is not process):
            outer = (
                outer._outer
            )  # ended in another thread, or belongs to the process that this one was forked from
        self._outer = outer
        self._process = process
        self.start_ns = now = monotonic_ns()
        self.id = log.open_span(self.name, outer.id if outer is not None else 0, now)
        self._token = _current_span.set(self)
        if self._counts or self._attrs:
            log.write_json(
                journal.SPAN_DETAIL,
                {"span": self.id, "counts": self._counts or {}, "attrs": self._attrs or {}},
            )
        return self

    def __exit__(self, *_: object) -> None:
        log = self._log
        if log is None:
            self.end_ns = self.end_ns or monotonic_ns()
            return
        if self._sync:
            self._device = device.synchronize()
            log.write_json(
                journal.SPAN_DETAIL, {"span": self.id, "attrs": {"synchronized": self._device or "nothing"}}
            )
        self.end_ns = now = monotonic_ns()
        log.close_span(self.id, now)
        if self._precise is not None:
            self._precise.read(log)
        self._log = None
        if self._token is not None:
            try:  # noqa: SIM105 - contextlib.suppress costs half a microsecond
                _current_span.reset(self._token)
            except ValueError:  # it ends in another thread or task than it began in
                pass
            self._token = None

    def start(self) -> Self:
        """Begin the interval now."""
        return self.__enter__()

    def stop(self) -> None:
        """End the interval now; a second call does nothing."""
        self.__exit__()

    def add(self, **details: Number | str | bool) -> None:
        """Numbers are added to the counts of this span, words become attributes."""
        counts, attrs = _split(details)
        if counts:
            known = self._counts or {}
            self._counts = {**known, **{key: known.get(key, 0) + value for key, value in counts.items()}}
        if self._log is not None:
            self._log.write_json(
                journal.SPAN_DETAIL,
                {
                    "span": self.id,
                    "counts": {key: (self._counts or {})[key] for key in counts},
                    "attrs": attrs,
                },
            )

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, function: Function) -> Function:
        """As a decorator: every call of the function is such a span."""
        details = {**(self._counts or {}), **(self._attrs or {})}
        return wrap(function, lambda: Span(self.name, details, sync=self._sync, precise=self._precise))


def _split(details: Mapping[str, Any]) -> tuple[dict[str, Number], dict[str, Any]]:
    counts: dict[str, Number] = {}
    attrs: dict[str, Any] = {}
    for key, value in details.items():
        if isinstance(value, bool | str) or value is None:
            if value is not None:
                attrs[key] = value
        elif isinstance(value, int | float):
            counts[key] = value
        else:
            attrs[key] = str(value)
    return counts, attrs


def wrap(function: Function, make: Callable[[], Any]) -> Function:
    """The function with a fresh context around every call; coroutines and generators are awaited and drained in it."""
    code = getattr(function, "__code__", None)
    kind = 0 if code is None else code.co_flags
    if kind & _COROUTINE:

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with make():
                return await function(*args, **kwargs)

        return cast(Function, call_async)

    if kind & _GENERATOR:

        @functools.wraps(function)
        def call_generator(*args: Any, **kwargs: Any) -> Any:
            with make():
                return cast(Any, (yield from function(*args, **kwargs)))

        return cast(Function, call_generator)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with make():
            return function(*args, **kwargs)

    return cast(Function, call)
