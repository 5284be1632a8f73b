"""Measuring from Python: ``with wm.measure("train") as run: ... run.span("epoch", samples=50_000)``.

Starting costs a few tens of milliseconds once per process (a recorder process starts), every further window well under
0.1 ms, a span a few microseconds. Measuring never breaks the work: what fails is a warning, and the energies are None.
Nothing beyond the standard library is imported until a result is asked for.
"""

from __future__ import annotations

from time import monotonic_ns

from wattmark.tracker.process import this_process
from wattmark.tracker.span import Span, current_span, text_of, wrap
from wattmark.tracker.window import Window

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from wattmark.quantity import Quantity
    from wattmark.runs.reading.precise import PreciseReader
    from wattmark.runs.record import RunRecord
    from wattmark.runs.view import RunView, SpanView
    from wattmark.tracker.span import Function, Number


class Run:
    """One measured piece of work; made by :func:`measure`.

    Energies are there after the end, and up to now while it runs. They are None where nothing could be measured;
    ``run.warnings`` then says why.
    """

    def __init__(self, name: str, tags: Mapping[str, str], settings: Mapping[str, Any]) -> None:
        self.name = name
        self.tags = tags
        self._settings = settings
        self._window: Window | None = None
        self._precise: PreciseReader | None = None
        self._view: RunView | None = None
        self.id = ""
        self.start_ns = 0
        self.end_ns = 0

    def start(self) -> Self:
        """Begin measuring; the first window of a process waits until the recorder has taken a reading."""
        self._view = None
        self.end_ns = 0
        window = self._window = Window(self.name, self.tags, self._settings)
        process = window.process
        try:
            with process.lock:
                process.attach(self._settings)
                if self._settings.get("precise") and process.log is not None:
                    from wattmark.runs.reading.precise import PreciseReader

                    self._precise = PreciseReader(self._settings.get("options"))
                window.open()
        except Exception as error:  # noqa: BLE001 - measuring never breaks the work
            process.warn("not-measured", f"{self.name} is not measured: {type(error).__name__}: {error}")
        self.id = window.root_id
        self.start_ns = window.start_ns or monotonic_ns()
        return self

    def stop(self, error: BaseException | None = None) -> None:
        """End the measurement; ``error`` is the exception that ended the work, if one did."""
        window = self._window
        if window is None or self.end_ns:
            return
        try:
            window.close(_status(error))
        except Exception as trouble:  # noqa: BLE001 - measuring never breaks the work
            window.process.warn(
                "not-ended", f"the end of {self.name} is not known: {type(trouble).__name__}: {trouble}"
            )
        self.id = window.root_id
        self.end_ns = window.end_ns or monotonic_ns()

    def span(
        self,
        name: str,
        *,
        sync: bool | None = None,
        precise: bool | None = None,
        **details: Number | str | bool,
    ) -> Span:
        """A span of this run. Numbers in ``details`` are counts (``samples=64``), all else are attributes.

        sync: wait for the GPU at both edges (default: as in ``measure``). precise: read the counters in this process
        at both edges, about a microsecond each (default: as in ``measure``).
        """
        reader = self._precise if precise is not False else None
        if precise and reader is None:
            from wattmark.runs.reading.precise import PreciseReader

            reader = self._precise = PreciseReader(self._settings.get("options"))
        return Span(
            name,
            details,
            sync=bool(self._settings.get("sync")) if sync is None else sync,
            precise=reader,
            home=self._window.span if self._window is not None else None,
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(error)

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(error)

    def __call__(self, function: Function) -> Function:
        """As a decorator: every call of the function is measured as a run of its own."""
        return wrap(function, lambda: Run(self.name, self.tags, self._settings))

    @property
    def view(self) -> RunView:
        """The results so far, with everything that a stored run has."""
        if self._view is not None:
            return self._view
        from wattmark.tracker.results import view_of

        window = self._window
        process = window.process if window is not None else None
        run_id = window.run_id if window is not None else self.id
        view = view_of(process, run_id, self.name, self.start_ns, self.end_ns)
        if self.end_ns:
            self._view = view
        return view

    @property
    def energy(self) -> Quantity | None:
        """Energy in joules, all components that are counted; None if nothing was measured."""
        return self.view.energy

    @property
    def energy_by_component(self) -> dict[str, Quantity]:
        """Energy in joules by component."""
        return self.view.energy_by_component

    @property
    def record(self) -> RunRecord:
        """The run as data."""
        return self.view.record

    @property
    def warnings(self) -> list[str]:
        """What a reader of the numbers must know."""
        return [warning.message for warning in self.view.record.warnings]

    def spans(self) -> list[SpanView]:
        """All spans with their energies."""
        return self.view.spans()

    def power(self) -> dict[str, Any]:
        """Power over time: ``t_s`` and watts by component, as numpy arrays."""
        return self.view.power()

    def table(self, pandas: bool = False) -> Any:
        """The spans as a list of dicts, or as a pandas data frame."""
        return self.view.table(pandas=pandas)

    def __repr__(self) -> str:
        state = "ended" if self.end_ns else "running" if self.start_ns else "not started"
        return f"<Run {self.name!r} {self.id} {state}>"


def measure(
    name: str | Callable[..., Any] | None = None,
    *,
    tags: Mapping[str, object] | Iterable[object] | None = None,
    period_s: float | None = None,
    sources: list[str] | None = None,
    precise: bool = False,
    sync: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:
    """Measure a block, a function, or the time from ``start()`` to ``stop()``.

    name: what the run is called (default: the script's name). tags: words or pairs to find it by, kept as text.
    period_s: seconds between samples (default 0.1; 0.001 to 10). sources: names of sources to use instead of the
    best ones here, ``"!name"`` leaves one out. precise: read hardware counters in this process at the edges of spans.
    sync: wait for the GPU at the edges. options: settings of sources.

    Returns a :class:`Run`. A measure inside another one, in the same process or in a process that it started, becomes
    a span of it, so nothing is counted twice. Measures that only overlap (tasks, threads) are runs of their own, with a
    warning that the other's energy is in each.

    >>> import wattmark as wm
    >>> with wm.measure("train") as run:
    ...     with run.span("epoch", samples=1000):
    ...         pass
    """
    if callable(name):
        return measure(getattr(name, "__qualname__", type(name).__name__))(name)
    if period_s is not None and not 0.001 <= period_s <= 10:
        from wattmark.errors import ConfigError

        raise ConfigError(f"period_s must be between 0.001 and 10 seconds, not {period_s}")
    settings: dict[str, Any] = {"precise": precise, "sync": sync}
    if period_s is not None:
        settings["period_s"] = period_s
    if sources is not None:
        settings["sources"] = sources
    if options is not None:
        settings["options"] = {key: dict(value) for key, value in options.items()}
    return Run(text_of(name or this_process().default_name()), _text_tags(tags), settings)


def span(name: str, *, sync: bool = False, **details: Number | str | bool) -> Span:
    """A span of whatever run is being measured around this process; outside any run it does nothing.

    For libraries and child processes: ``with wm.span("tokenise", samples=8): ...``.
    """
    this_process().attach_if_inside()
    return Span(name, details, sync=sync)


def current_run() -> str | None:
    """The id of the run being measured around this process, or None."""
    process = this_process()
    process.attach_if_inside()
    span = current_span.get()
    while span is not None:
        window = process.windows.get(span.window)
        if window is not None:
            return window.root_id
        span = span.outer
    newest = next(reversed(process.windows.values()), None)
    return (newest.root_id if newest is not None else process.inside) or None


def _text_tags(tags: Any) -> dict[str, str]:
    """Pairs, words, or one word, whatever their types; a value of None is a word without one."""
    if tags is None:
        return {}
    if hasattr(tags, "items"):
        return {text_of(key): "" if value is None else text_of(value) for key, value in tags.items()}
    words = [tags] if isinstance(tags, str | bytes) or not hasattr(tags, "__iter__") else tags
    return {text_of(word): "" for word in words}


def _status(error: BaseException | None) -> str:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "completed"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
