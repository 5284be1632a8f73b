"""Measuring from Python: ``with wm.measure("train") as run: ... run.span("epoch", samples=50_000)``.

Starting costs a few tens of milliseconds once per process (a recorder process starts), every further window well under
0.1 ms, a span a few microseconds. Measuring never breaks the work: what fails is a warning, and the energies are None.
Nothing beyond the standard library is imported until a result is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wattmark.tracker import device
from wattmark.tracker.process import Process, this_process
from wattmark.tracker.span import Function, Number, Span, wrap

if TYPE_CHECKING:
    from typing_extensions import Self

    from wattmark.quantity import Quantity
    from wattmark.runs.reading.precise import PreciseReader
    from wattmark.runs.record import RunRecord
    from wattmark.runs.view import RunView, SpanView


class Run:
    """One measured piece of work; made by :func:`measure`.

    Energies are there after the end, and up to now while it runs. They are None where nothing could be measured;
    ``run.warnings`` then says why.
    """

    def __init__(self, name: str, tags: Mapping[str, str], settings: Mapping[str, Any]) -> None:
        self.name = name
        self.tags = tags
        self._settings = settings
        self._process: Process | None = None
        self._span: Span | None = None
        self._precise: PreciseReader | None = None
        self._view: RunView | None = None
        self.id = ""
        self.start_ns = 0
        self.end_ns = 0

    def start(self) -> Self:
        """Begin measuring; the first window of a process waits until the recorder has taken a reading."""
        self._view = None
        self.end_ns = 0
        process = self._process = this_process()
        with process.lock:
            process.attach(self._settings)
            if self._settings.get("precise") and process.log is not None:
                from wattmark.runs.reading.precise import PreciseReader

                self._precise = PreciseReader(self._settings.get("options"))
            if process.owns_root():
                if self._settings.get("sync"):
                    device.synchronize()
                self.id = process.open_run(self.name, self.tags, self._settings)
                self.start_ns = process.root_start_ns
                return self
        # inside another run, of this process or of the one that started it: a span of that one
        self._span = Span(
            self.name,
            {"measure": True, "rank": None if process.rank is None else str(process.rank), **self.tags},
            sync=bool(self._settings.get("sync")),
        )
        self._span.start()
        self.start_ns = self._span.start_ns
        self.id = process.root_id
        return self

    def stop(self, error: BaseException | None = None) -> None:
        """End the measurement; ``error`` is the exception that ended the work, if one did."""
        process = self._process
        if process is None or self.end_ns:
            return
        if self._settings.get("sync"):
            device.synchronize()
        if self._span is not None:
            self._span.stop()
            self.end_ns = self._span.end_ns
            process.poke()
        else:
            self.end_ns = process.close_run(self.id, _status(error))

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
            name, details, sync=bool(self._settings.get("sync")) if sync is None else sync, precise=reader
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

        view = view_of(
            self._process, self.id, self.name, self.start_ns, self.end_ns, nested=self._span is not None
        )
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
    tags: Mapping[str, str] | list[str] | None = None,
    period_s: float | None = None,
    sources: list[str] | None = None,
    precise: bool = False,
    sync: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:
    """Measure a block, a function, or the time from ``start()`` to ``stop()``.

    name: what the run is called (default: the script's name). tags: words or pairs to find it by.
    period_s: seconds between samples (default 0.1; 0.001 to 10). sources: names of sources to use instead of the
    best ones here, ``"!name"`` leaves one out. precise: read hardware counters in this process at the edges of spans.
    sync: wait for the GPU at the edges. options: settings of sources.

    Returns a :class:`Run`. A measure inside another one, in the same process or in a process that it started, becomes
    a span of it, so nothing is counted twice.

    >>> import wattmark as wm
    >>> with wm.measure("train") as run:
    ...     with run.span("epoch", samples=1000):
    ...         pass
    """
    if callable(name):
        return measure(name.__qualname__)(name)
    if period_s is not None and not 0.001 <= period_s <= 10:
        from wattmark.errors import ConfigError

        raise ConfigError(f"period_s must be between 0.001 and 10 seconds, not {period_s}")
    given = dict.fromkeys(tags, "") if isinstance(tags, list) else dict(tags or {})
    settings: dict[str, Any] = {"precise": precise, "sync": sync}
    if period_s is not None:
        settings["period_s"] = period_s
    if sources is not None:
        settings["sources"] = sources
    if options is not None:
        settings["options"] = {key: dict(value) for key, value in options.items()}
    return Run(name or this_process().default_name(), given, settings)


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
    return process.root_id or None


def _status(error: BaseException | None) -> str:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "completed"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
