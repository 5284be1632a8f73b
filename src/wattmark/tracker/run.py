"""A run: the same object while it goes on, when it has ended, and when it is loaded.

Nothing beyond the standard library is imported until a result is asked for.
"""

from __future__ import annotations

from time import monotonic_ns

from wattmark.errors import JournalError, RecorderError, WattmarkError
from wattmark.recorder import journal
from wattmark.tracker.process import this_process
from wattmark.tracker.span import Span, wrap
from wattmark.tracker.window import Window

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Any

    import pandas as pd
    from matplotlib.axes import Axes
    from typing_extensions import Self

    import wattmark
    from wattmark.quantity import Quantity
    from wattmark.runs.metrics import Metric
    from wattmark.runs.reading.precise import PreciseReader
    from wattmark.runs.record import Float64, RunRecord
    from wattmark.runs.view import RunView, SpanView
    from wattmark.tracker.process import Process
    from wattmark.tracker.span import Function, Number

    SpanViews = list[SpanView]
else:
    SpanViews = list


class SpanList(SpanViews):
    """The spans of a run with their energies, outer ones before inner ones; a list, and as pandas has it."""

    def to_pandas(self) -> pd.DataFrame:
        """One row for each span: ``name``, ``path``, ``start_s``, ``duration_s``, ``energy_j`` with its ends, joules by
        component, counts and attributes. Raises MissingExtra without pandas."""
        from wattmark.runs.display.frames import data_frame
        from wattmark.runs.view import row_of

        return data_frame(row_of(span) for span in self)

    def __call__(self) -> Self:
        """The list itself: ``run.spans()`` is how it was asked for before."""
        return self


class Run:
    """One measured piece of work; made by :func:`wattmark.measure`, found again by :func:`wattmark.load`.

    Results are there after the end, and up to now while it runs. Energies are None where nothing could be measured;
    ``run.warnings`` then says why.
    """

    def __init__(self, name: str, tags: Mapping[str, str], settings: Mapping[str, Any]) -> None:
        self.name = name
        self.tags = tags
        self._settings = settings
        self._window: Window | None = None
        self._elsewhere: tuple[Quantity | None, dict[str, Quantity], list[str]] | None = None
        self._process: Process | None = None
        self._folder = ""
        self._precise: PreciseReader | None = None
        self._load: Callable[[], RunView] | None = None
        self._view: RunView | None = None
        self.id = ""
        self.start_ns = 0
        self.end_ns = 0

    @classmethod
    def of(cls, view: RunView) -> Run:
        """A run that is known already, kept or of another process."""
        run = cls.later(view.id, view.name, view.record.tags, lambda: view)
        run._view = view
        return run

    @classmethod
    def later(cls, run_id: str, name: str, tags: Mapping[str, str], load: Callable[[], RunView]) -> Run:
        """A run of which only this is known until something else is asked for."""
        run = cls(name, tags, {})
        run.id, run._load = run_id, load
        return run

    @classmethod
    def around(cls, process: Process, run_id: str) -> Run:
        """The run of another process that this one takes part in."""
        folder = "" if process.session is None else process.session.folder
        opened = _opened(folder, run_id)
        run = cls(opened.get("name", ""), opened.get("tags", {}), {})
        run._process, run._folder, run.id = process, folder, run_id
        run.start_ns = opened.get("t_ns", 0) or monotonic_ns()
        return run

    # measuring

    def start(self) -> Self:
        """Begin measuring; the first window of a process waits until the recorder has taken a reading."""
        self._must_be_ours("started")
        self._view = None
        self.end_ns = 0
        window = self._window = Window(self.name, self.tags, self._settings)
        process = self._process = window.process
        window.run = self
        try:
            with process.lock:
                process.attach(self._settings)
                if self._settings.get("precise") and process.log is not None:
                    from wattmark.runs.reading.precise import PreciseReader

                    self._precise = PreciseReader(self._settings.get("options"))
                window.open()
        except Exception as error:  # noqa: BLE001 - measuring never breaks the work
            process.warn("not-measured", f"{self.name} is not measured: {type(error).__name__}: {error}")
        self._folder = "" if process.session is None else process.session.folder
        self.id, self.tags = window.root_id, window.tags
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
        counts: Mapping[str, Number] | None = None,
        sync: bool | None = None,
        precise: bool | None = None,
        **details: Number | str | bool,
    ) -> Span:
        """A span of this run. Numbers that are named for what they count (``samples=64``, ``prompt_tokens=12``) and those in
        ``counts`` are what energies are divided by; all else describes the span (``epoch=3``, ``loss=0.4``).

        sync: wait for the GPU at both edges (default: as in ``measure``). precise: read the counters in this process
        at both edges, about a microsecond each (default: as in ``measure``).
        """
        self._must_be_ours("given spans")
        reader = self._precise if precise is not False else None
        if precise and reader is None:
            from wattmark.runs.reading.precise import PreciseReader

            reader = self._precise = PreciseReader(self._settings.get("options"))
        return Span(
            name,
            details,
            counts,
            sync=bool(self._settings.get("sync")) if sync is None else sync,
            precise=reader,
            home=self._window.span if self._window is not None else None,
        )

    def log(
        self, metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **values: Any
    ) -> None:
        """Note what the work has reached: ``run.log(loss=0.31, step=7)`` or ``run.log({"val/loss": 0.4})``.

        A few microseconds. Values are numbers, or have one (a tensor, whose device is waited for). They stand beside the
        joules in :attr:`metrics`, :meth:`to_pandas` and JSON; outside any measurement nothing happens.
        """
        self._must_be_ours("given metrics")
        process = this_process()
        if process.log is None or not self.start_ns:
            return
        numbers: dict[str, float | None] = {}
        for name, value in {**(metrics or {}), **values}.items():
            try:
                numbers[str(name)] = value if type(value) in (int, float) else float(value)
            except (TypeError, ValueError, RuntimeError):
                process.warn(f"metric-{name}", f"{name!r} is not logged: {value!r:.100} is no number")
        if numbers:
            run_id = self.id if self._window is None else self._window.run_id
            now = monotonic_ns()
            process.log.write_json(
                journal.METRICS, {"run_id": run_id, "t_ns": now, "step": step, "values": numbers}
            )

    def expect(
        self, *, epochs: float | None = None, steps: float | None = None, seconds: float | None = None
    ) -> None:
        """Say how much there is to do: ``run.expect(epochs=90)``. A few microseconds; again where it has changed.

        With the spans named ``epoch`` or ``step`` that have ended, ``wattmark run --predict`` tells from it what the whole
        run will cost. A value that is no number above zero is a warning; the work goes on.
        """
        self._must_be_ours("given what to expect")
        process = this_process()
        if process.log is None or not self.start_ns:
            return
        counts: dict[str, float] = {}
        for name, value in (("epochs", epochs), ("steps", steps), ("seconds", seconds)):
            if value is None:
                continue
            try:
                number = float(value)
            except (TypeError, ValueError, RuntimeError):
                number = 0.0
            if 0.0 < number < 1e18:
                counts[name] = number
            else:
                process.warn(
                    f"expect-{name}", f"{name}={value!r:.100} is not expected: it is no number above 0"
                )
        if counts:
            run_id = self.id if self._window is None else self._window.run_id
            process.log.write_json(
                journal.EXPECTED, {"run_id": run_id, "t_ns": monotonic_ns(), "counts": counts}
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

    # results

    @property
    def view(self) -> RunView:
        """What the results are worked out from: every channel, every curve.

        Raises RecorderError in a sub-interpreter: numpy must not be loaded there, the program might never end.
        """
        if self._view is not None:
            return self._view
        if _in_sub_interpreter():
            raise RecorderError(_SUB_INTERPRETER, hint=f"wattmark show {self.id}")
        if self._load is not None:
            view = self._load()
        else:
            from wattmark.tracker.results import view_of

            run_id = self.id if self._window is None else self._window.run_id
            view = view_of(self._process, run_id, self.name, self.start_ns, self.end_ns, self._folder)
        if self.end_ns or self._load is not None:
            self._view = view
        return view

    @property
    def record(self) -> RunRecord:
        """The run as data."""
        return self.view.record

    @property
    def energy(self) -> Quantity | None:
        """Energy in joules, all components that are counted; None if nothing was measured.

        In a sub-interpreter a process of its own works it out when the run has ended; None before.
        """
        told = self._from_elsewhere()
        return self.view.energy if told is None else told[0]

    @property
    def energy_by_component(self) -> dict[str, Quantity]:
        """Energy in joules by component."""
        told = self._from_elsewhere()
        return self.view.energy_by_component if told is None else told[1]

    @property
    def status(self) -> str:
        """``running``, ``completed``, ``failed`` or ``interrupted``."""
        return self.view.record.status

    @property
    def started_at(self) -> datetime:
        """When it began, in UTC."""
        from datetime import datetime, timezone

        return datetime.fromtimestamp(self.view.record.started_wall_ns / 1e9, timezone.utc)

    @property
    def duration_s(self) -> float:
        """Its length in seconds, up to now while it runs."""
        if self._load is None and self._process is not None:
            return ((self.end_ns or monotonic_ns()) - self.start_ns) / 1e9
        return self.view.record.duration_s

    @property
    def coverage(self) -> float:
        """Share of the counted channels' time that is covered, 0 to 1; 0 where there is no channel."""
        return self.view.coverage

    @property
    def mean_power_w(self) -> float | None:
        """Mean power over the covered time in watts, or None."""
        return self.view.mean_power_w

    @property
    def peak_power_w(self) -> float | None:
        """The highest total power over one sampling interval in watts, or None."""
        return self.view.peak_power_w

    @property
    def spans(self) -> SpanList:
        """All spans with their energies."""
        return SpanList(self.view.spans())

    @property
    def metrics(self) -> dict[str, Metric]:
        """What was logged, by name: times, steps and values."""
        from wattmark.runs.metrics import metrics_of

        return metrics_of(self.view.record)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the numbers must know."""
        told = self._from_elsewhere()
        return [warning.message for warning in self.view.record.warnings] if told is None else told[2]

    def between(self, start_s: float, end_s: float) -> Quantity | None:
        """Energy in joules from one moment to another, in seconds from the run's start; None where nothing is covered.

        Raises ValueError where the end is before the start.
        """
        if not start_s <= end_s:
            raise ValueError(f"an interval ends after it begins, not from {start_s} to {end_s}")
        return self.view.energy_between(start_s, end_s)

    def power(self, bins: int | None = None) -> dict[str, Float64]:
        """Power over time: ``t_s`` (middle of each bin, from the run's start) and watts by component, as numpy arrays.

        bins: how many; by default one per sampling interval, at most 2,000. NaN where nothing is covered.
        """
        return self.view.power(bins)

    def carbon(self, zone: str | None = None, pue: float | str | None = None) -> wattmark.Carbon | None:
        """CO2e at the run's place, or at another one: :func:`wattmark.carbon`. None if the zone is not known."""
        import wattmark

        return wattmark.carbon(self, zone=zone, pue=pue)

    def table(self, pandas: bool = False) -> Any:
        """The spans as a list of dicts, or as a pandas data frame."""
        from wattmark.runs.display.frames import data_frame

        rows = self.view.table()
        return data_frame(rows) if pandas else rows

    def to_pandas(self) -> pd.DataFrame:
        """One row for each span, with its joules, counts and attributes, and one for each moment at which metrics were
        logged, with ``step`` and ``energy_so_far_j``. Raises MissingExtra without pandas."""
        from wattmark.runs.display.frames import data_frame, rows_of

        return data_frame(rows_of(self.view))

    def to_dict(self) -> dict[str, Any]:
        """The documented object of ``wattmark show --json`` (docs/reference/run.schema.json)."""
        from dataclasses import replace

        import wattmark
        from wattmark.runs.summary import summarise

        carbon, wall = self.carbon(), wattmark.at_plug(self)
        return replace(
            summarise(self.view),
            carbon=None if carbon is None else carbon.result,
            wall=None if isinstance(wall, str) else wall,
        ).to_dict()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw power over time with matplotlib, into ``ax`` or a new figure. Raises MissingExtra without matplotlib."""
        if ax is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError as error:
                from wattmark.errors import MissingExtra

                raise MissingExtra("matplotlib", "report") from error
            ax = plt.subplots(figsize=(8, 2.5), layout="constrained")[1]
        power = self.power()
        times = power.pop("t_s")
        for component, watts in power.items():
            ax.plot(times, watts, label=component)  # pyright: ignore[reportUnknownMemberType]
        ax.set(xlabel="time (s)", ylabel="power (W)", title=self.name, xlim=(0, max(self.duration_s, 1e-9)))
        ax.set_ylim(bottom=0)
        if power:
            ax.legend(frameon=False)  # pyright: ignore[reportUnknownMemberType]
        return ax

    def _repr_html_(self) -> str:
        from wattmark.runs.display.notebook import html_of

        return html_of(self.view)

    def __repr__(self) -> str:
        state = "ended" if self.end_ns else "running" if self.start_ns else "not started"
        if self._load is not None:
            state = "loaded" if self._view is None else self._view.record.status
        return f"<Run {self.name!r} {self.id} {state}{self._in_words()}>"

    def _in_words(self) -> str:
        """``: 14.3 J [3.57, 24.1] modelled`` of a run that has ended, as far as its results are there."""
        if self._view is None and (not self.end_ns or _in_sub_interpreter()):
            return ""
        from wattmark.runs.display.notebook import words_of

        try:
            return f": {words_of(self.view)}"
        except (WattmarkError, OSError):
            return ""

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it is the run of this id, read from the store when something is asked of it."""
        return _by_id, (self.id, self.name, dict(self.tags))

    def _from_elsewhere(self) -> tuple[Quantity | None, dict[str, Quantity], list[str]] | None:
        """Energy, energies by component and warnings where this interpreter cannot work them out; None where it can."""
        if not _in_sub_interpreter():
            return None
        if self._elsewhere is None:
            nothing: tuple[Quantity | None, dict[str, Quantity], list[str]]
            nothing = (None, {}, [f"{_SUB_INTERPRETER}: wattmark show {self.id}"])
            if not self.end_ns and self._load is None:
                return nothing  # it still runs
            from wattmark.tracker.elsewhere import energies

            try:
                self._elsewhere = energies(self.id)
            except RecorderError as error:
                this_process().warn("sub-interpreter", f"{error}; try wattmark show {self.id}")
                return nothing
        return self._elsewhere

    def _must_be_ours(self, what: str) -> None:
        if self._load is not None:
            raise WattmarkError(
                f"the loaded run {self.name!r} cannot be {what}", hint="wm.measure() makes a new one"
            )


def _status(error: BaseException | None) -> str:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "completed"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def _by_id(run_id: str, name: str, tags: dict[str, str]) -> Run:
    import wattmark

    return Run.later(run_id, name, tags, lambda: wattmark.load(run_id).view)


def _opened(folder: str, run_id: str) -> dict[str, Any]:
    """What the process that began a run wrote down of it; empty if that is not there."""
    import os

    names = os.listdir(folder) if folder else []
    for name in sorted(names):
        if name.startswith("events-") and name.endswith(journal.SUFFIX):
            try:
                _, records = journal.read_journal(f"{folder}/{name}")
            except JournalError:
                continue  # it is just being made
            for record in records:
                if record.type in (journal.RUN_OPEN, journal.WINDOW_OPEN):
                    opened = record.json()
                    if opened["run_id"] == run_id:
                        return opened
    return {}


_SUB_INTERPRETER = "the energies of a run cannot be read in a sub-interpreter"


def _in_sub_interpreter() -> bool:
    try:
        import _interpreters as interpreters  # pyright: ignore[reportMissingImports] Python 3.13
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters  # pyright: ignore[reportMissingImports]
        except ImportError:
            return False
    return interpreters.get_current() != interpreters.get_main()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
