"""One training that is measured: what the callbacks of all frameworks do, told by their hooks.

A training is a measure with spans ``epoch`` and ``step``, and one for each part beside them (``evaluate``, ``checkpoint``);
inside another measure (``with wm.measure()``, ``wattmark run``) it is a part of that, so nothing is counted twice. Ranks
take part in the run of their host, and only the first one tells trackers. What trackers are told is read from the recorder's
journal while the training goes on, in at most half a percent of its time; what there was no time for is told later, at the
step that it belongs to.

Nothing here raises into a training: what goes wrong is a warning, and the training goes on unmeasured.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from wattmark.errors import WattmarkError
from wattmark.integrations.trackers.base import Ending, Point, Tracker, active_trackers, with_ends
from wattmark.quantity import Quantity, total
from wattmark.recorder.launch import job_key, new_session_id
from wattmark.text import singular
from wattmark.tracker.measure import current_run, measure
from wattmark.tracker.process import this_process
from wattmark.tracker.span import Span

if TYPE_CHECKING:
    from wattmark.integrations.training.foresight import Foresight
    from wattmark.integrations.training.live import LiveEnergy
    from wattmark.integrations.training.pieces import Earlier
    from wattmark.predict.base import Prediction
    from wattmark.predict.live.progress import Progress
    from wattmark.runs.view import RunView
    from wattmark.tracker.run import Run

SHARE = 0.005
"""Of the training's time that looking at its joules may take."""
FIRST_LOOK_S = 10.0
"""Nothing is looked at before: what this needs must be imported first, which a short training should not pay for."""
MOST_MARKS = 10_000
_begun: dict[int, int] = {}
"""How many trainings without a past each process has begun."""
_P = ParamSpec("_P")

_open: dict[int, list[Training]] = {}
"""The trainings that go on in each thread, the outermost first. One whose framework does not tell of exceptions has ended
with one when another begins there, unless both are of one trainer (two callbacks) or one that tells lies between."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment whose joules trackers want, in monotonic ns. start_ns: of the epoch that ends here, 0 inside one."""

    t_ns: int
    step: int | None
    epoch: float | None = None
    start_ns: int = 0
    counts: Mapping[str, float] = field(default_factory=dict[str, float])


def unbreakable(
    method: Callable[Concatenate[Training, _P], None],
) -> Callable[Concatenate[Training, _P], None]:
    """A hook that never raises: after the first failure nothing is measured any more, with a warning that says why."""

    @wraps(method)
    def hook(self: Training, *args: _P.args, **kwargs: _P.kwargs) -> None:
        if self.failed:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - measuring never breaks the training
            self.give_up(error)

    return hook


class Training:
    """One training after another, of one callback.

    name: of the run (default: the script's). tags: as in ``wm.measure``. steps: whether each step is a span. training: a
    name by which runs belong together, also those of before a restart whose framework keeps no state of callbacks. trackers:
    who is told; None for those that are active in this process. budget: such as ``"50kJ"``; :attr:`over_budget` then says
    when it will not hold. Raises ConfigError for a budget that is no energy.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        tags: Mapping[str, object] | None = None,
        steps: bool = True,
        training: str | None = None,
        trackers: Sequence[Tracker] | None = None,
        budget: str | None = None,
    ) -> None:
        if budget is not None:
            from wattmark.integrations.training.foresight import energy_budget

            energy_budget(budget)
        self.name = name
        self.tags = dict(tags or {})
        self.run: Run | None = None
        self.ending: Ending | None = None
        self.failed = False
        self.first_look_s = FIRST_LOOK_S
        self.reporters: list[Tracker] = []
        """Beside the trackers: how the framework itself is told."""
        self._budget = budget
        self._steps = steps
        self._named = training
        self._trackers = trackers
        self._state: Mapping[str, object] = {}
        self._main = True
        self._open_parts: list[Span] = []
        self._step: Span | None = None
        self._epoch: Span | None = None
        self._epoch_counts: dict[str, float] = {}
        self._epoch_number: float | None = None
        self._marks: list[Mark] = []
        self._live: LiveEnergy | None = None
        self._earlier: Earlier | None = None
        self._foresight: Foresight | None = None
        self._progress: Progress | None = None
        self._targets: list[Tracker] = []
        self._owner: int | None = None
        self._touched = False
        """Whether an epoch has begun."""
        self._last_ns = 0
        self._next_look_ns = 0
        self._own: Quantity | None = None
        """J of this piece, as of the last look."""
        self._sofar: Quantity | None = None

    # what callbacks say

    @unbreakable
    def begin(
        self,
        *,
        main: bool = True,
        epochs: float | None = None,
        steps: float | None = None,
        details: Mapping[str, object] | None = None,
        owner: object = None,
    ) -> None:
        """A training begins. main: whether this process tells trackers (the first rank). epochs, steps: how many are before
        it, None where nobody knows. owner: the framework's trainer, where it does not tell of exceptions; None where it
        does."""
        self._end_left_over(owner)
        self.ending = None
        self._main = main
        self._marks.clear()
        self._epoch_counts = {}
        self._sofar = None
        earlier = self._earlier = self._before()
        number = 1 + max((piece.number for piece in earlier.pieces), default=-1)
        nested = current_run() is not None
        tags = {**self.tags, **(details or {}), "training": earlier.training, "piece": str(number)}
        if main:  # what takes a moment the first time happens before anything is measured
            _load()
            active = active_trackers() if self._trackers is None else self._trackers
            self._targets = [*self.reporters, *(one for one in active if one not in self.reporters)]
        run = self.run = measure(self.name, tags=tags).start()
        self._owner = None if owner is None else id(owner)
        self._touched = False
        _open.setdefault(get_ident(), []).append(self)
        _end_with_cell(self)
        now = self._last_ns = run.start_ns
        self._next_look_ns = now + round(self.first_look_s * 1e9)
        if main:
            self._follow(run, earlier, nested=nested)
        self.expect(epochs=epochs, steps=steps)
        if main and not earlier.known:
            this_process().warn(
                "training-before", "joules before the checkpoint are not known: energy/total_j begins anew"
            )

    @unbreakable
    def expect(self, *, epochs: float | None = None, steps: float | None = None) -> None:
        """How many epochs and steps are before the training, where that is known after it began only."""
        if self.run is None:
            return
        counts = {"epochs": epochs, "steps": steps}
        self.run.expect(**{name: count for name, count in counts.items() if count})
        progress = self._progress
        if progress is not None and not progress.marks:
            progress.unit, progress.total = ("steps", steps) if steps else ("epochs", epochs)

    @unbreakable
    def begin_epoch(self, number: float) -> None:
        """An epoch begins. number: as the framework counts it."""
        if self.run is None:
            return
        self._touched = True
        self._close_parts()
        self._end_epoch_span()
        self._epoch_number = number
        self._epoch_counts = {}
        self._epoch = self.run.span("epoch", epoch=number).start()

    @unbreakable
    def end_epoch(self, step: int | None = None, **counts: float) -> None:
        """An epoch ends. step: of the optimizer by now; counts: of what was in it (``samples=50_000``)."""
        epoch = self._epoch
        if self.run is None or epoch is None:
            return
        self._close_parts()
        every = {**self._epoch_counts, **counts}
        if every:
            epoch.add(every)
        self._end_epoch_span()
        self._mark(Mark(epoch.end_ns, step, self._epoch_number, epoch.start_ns, every))
        progress = self._progress
        if progress is not None and progress.unit == "epochs":
            self._mark_progress(progress)
        self._look_if_due()

    @unbreakable
    def begin_step(self) -> None:
        """A step begins: a batch, or several of them up to the optimizer's update."""
        if self._steps and self.run is not None and self._step is None:
            self._step = self.run.span("step").start()

    @unbreakable
    def end_step(self, samples: float | None = None) -> None:
        """A step ends. samples: how many were in it."""
        step, self._step = self._step, None
        if step is not None:
            step.stop()
        if samples:
            self._epoch_counts["samples"] = self._epoch_counts.get("samples", 0.0) + samples
        progress = self._progress
        if progress is not None and progress.unit == "steps":
            self._mark_progress(progress)
        self._look_if_due()

    @unbreakable
    def begin_part(self, name: str, **details: Any) -> None:
        """Something beside the steps begins: ``evaluate``, ``checkpoint``."""
        if self.run is not None:
            self._open_parts.append(self.run.span(name, **details).start())

    @unbreakable
    def end_part(self, name: str) -> None:
        """It ends, with all that was begun inside it; nothing happens where it had not begun."""
        if any(part.name == name for part in self._open_parts):
            while self._open_parts:
                part = self._open_parts.pop()
                part.stop()
                if part.name == name:
                    break

    @unbreakable
    def log(self, values: Mapping[str, Any], step: int | None = None, epoch: float | None = None) -> None:
        """The framework logs numbers: they are kept with the run, and trackers get the joules of this moment."""
        if self.run is None:
            return
        own = {
            str(name): value
            for name, value in values.items()
            if not str(name).startswith(("energy/", "system/"))
        }
        if own:
            self.run.log(own, step=step)
        self._mark(Mark(time.monotonic_ns(), step, epoch))
        self._look_if_due()

    @unbreakable
    def end(self, error: BaseException | None = None) -> None:
        """The training is over; ``error`` is what ended it, if that is known. A second call does nothing."""
        run = self.run
        if run is None or run.end_ns:
            return
        self._is_over()
        self._close_parts()
        self._end_epoch_span()
        run.stop(error)
        self._finish(run)

    def restore(self, state: Mapping[str, object]) -> None:
        """A checkpoint is loaded, whose :meth:`state` this is: the next training goes on from there."""
        self._state = state

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps: the pieces so far with their joules, as plain data. Never raises."""
        state: dict[str, object] = {}
        self._fill(state)
        return state

    # what callbacks ask

    @property
    def going_on(self) -> bool:
        """Whether a training is being measured."""
        return self.run is not None and not self.run.end_ns and not self.failed

    @property
    def over_budget(self) -> str:
        """Why the budget will not hold, in words; empty while it may, and where there is none."""
        return "" if self._foresight is None else self._foresight.over

    @property
    def prediction(self) -> Prediction | None:
        """What the training is expected to cost, as of the last look."""
        return None if self._foresight is None else self._foresight.prediction

    @property
    def energy(self) -> Quantity | None:
        """Joules of the training so far, or of the whole of it when it is over, earlier pieces included."""
        if self.ending is not None:
            return self.ending.total
        if self.going_on:
            self._look()
        return self._sofar

    def give_up(self, error: BaseException) -> None:
        """Nothing is measured any more, and the training goes on; what was measured so far is kept."""
        self.failed = True
        this_process().warn(
            "integration", f"the training is not measured any further: {type(error).__name__}: {error}"
        )
        self._is_over()
        if self.run is not None:
            self.run.stop()

    # how it is done

    def _follow(self, run: Run, earlier: Earlier, *, nested: bool) -> None:
        from wattmark.integrations.training.foresight import Foresight, energy_budget
        from wattmark.integrations.training.live import LiveEnergy
        from wattmark.predict.live.progress import Progress

        self._live = LiveEnergy(run)
        self._progress = Progress()
        before_j = earlier.energy.value if earlier.energy else 0.0
        self._foresight = Foresight(run.name, "" if nested else run.id, energy_budget(self._budget), before_j)

    def _before(self) -> Earlier:
        from wattmark.integrations.training.pieces import Earlier, looked_up, pieces_in, pieces_named

        state, self._state = self._state, {}
        try:
            training, pieces = pieces_in(state)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            this_process().warn(
                "training-before", f"what the checkpoint says of joules cannot be read: {error!r}"
            )
            return Earlier(_new_training(), lost=True)
        try:
            if pieces:
                return looked_up(training, pieces)
            if self._named is not None:
                return looked_up(self._named, pieces_named(self._named))
        except WattmarkError:  # the store cannot be read: what the checkpoint says is known
            known = [piece.energy for piece in pieces if piece.energy is not None]
            return Earlier(training or str(self._named), tuple(pieces), total(known), lost=not pieces)
        return Earlier(_new_training())

    @unbreakable
    def _fill(self, state: dict[str, object]) -> None:
        run, earlier = self.run, self._earlier
        if run is None or earlier is None or not self._main:
            return
        from wattmark.integrations.training.pieces import Piece

        if not run.end_ns:
            self._look()
        number = 1 + max((piece.number for piece in earlier.pieces), default=-1)
        own = Piece(run.id, number, self._own)
        state["training"] = earlier.training
        state["pieces"] = [piece.to_dict() for piece in (*earlier.pieces, own)]

    def _is_over(self) -> None:
        for thread, others in list(_open.items()):
            if self in others:
                others.remove(self)
                if not others:
                    _open.pop(thread, None)

    def _end_left_over(self, owner: object) -> None:
        """Trainings that ended without a word, innermost first: those around which one goes on that would have told."""
        for other in reversed(_open.get(get_ident(), [])):
            if other is self or other._owner is None:
                break
            if owner is None or other._owner != id(owner) or other._touched:
                other.end(_NOT_TOLD)
        if self.run is not None and not self.run.end_ns:
            self.end(_NOT_TOLD)

    def _close_parts(self) -> None:
        step, self._step = self._step, None
        if step is not None:
            step.stop()
        while self._open_parts:
            self._open_parts.pop().stop()

    def _end_epoch_span(self) -> None:
        epoch, self._epoch = self._epoch, None
        if epoch is not None:
            epoch.stop()

    def _mark(self, mark: Mark) -> None:
        if self._main and self._targets:
            self._marks.append(mark)
            if len(self._marks) > MOST_MARKS:  # moments inside epochs are thinned out, epochs are not
                inside = [one for one in self._marks if not one.start_ns]
                dropped = set(map(id, inside[1::2]))
                self._marks = [one for one in self._marks if id(one) not in dropped]

    def _mark_progress(self, progress: Progress) -> None:
        assert self.run is not None
        progress.mark((time.monotonic_ns() - self.run.start_ns) / 1e9, progress.done + 1, progress.total)

    def _look_if_due(self) -> None:
        if self._live is not None and time.monotonic_ns() >= self._next_look_ns:
            self._look()

    def _look(self) -> None:
        live, run = self._live, self.run
        if live is None or run is None:
            return
        began = time.monotonic_ns()
        view = live.view()
        if view is not None:
            self._tell(view, began)
            foresight, progress = self._foresight, self._progress
            if foresight is not None and progress is not None:
                self._foresee(foresight, view, (began - run.start_ns) / 1e9, progress)
        now = time.monotonic_ns()
        self._next_look_ns = now + round((now - began) / SHARE)

    def _foresee(self, foresight: Foresight, view: RunView, now_s: float, progress: Progress) -> None:
        before = foresight.over
        prediction = foresight.look(view, now_s, progress)
        if foresight.over and not before:
            this_process().warn("budget", foresight.over)
        if prediction is not None and self._targets:
            step = round(progress.done) if progress.unit == "steps" else None
            values = with_ends("predicted_j", prediction.energy)
            self._log([Point(values, step, time.time_ns())])

    def _tell(self, view: RunView, now_ns: int) -> None:
        """Tell trackers of the marks that are covered by now, and take note of the sum."""
        assert self.run is not None
        start_ns = self.run.start_ns
        self._own = view.energy_between(0.0, (now_ns - view.record.start_ns) / 1e9)
        self._sofar = self._with_earlier(self._own)
        marks, self._marks = self._marks, []
        if not marks or not self._targets:
            return
        from wattmark.integrations.training.live import energy_until

        to_wall_ns = time.time_ns() - time.monotonic_ns()
        points: list[Point] = []
        for mark in marks:
            values: dict[str, float] = {} if mark.epoch is None else {"epoch": float(mark.epoch)}
            so_far = self._with_earlier(energy_until(view, start_ns, mark.t_ns))
            if so_far is not None:
                values |= with_ends("total_j", so_far)
            lately = energy_until(view, self._last_ns, mark.t_ns)
            if lately is not None and mark.t_ns > self._last_ns:
                values["energy/power_w"] = lately.value / ((mark.t_ns - self._last_ns) / 1e9)
            if mark.start_ns:
                values |= _epoch_values(energy_until(view, mark.start_ns, mark.t_ns), mark.counts)
            self._last_ns = max(self._last_ns, mark.t_ns)
            if len(values) > (mark.epoch is not None):
                points.append(Point(values, mark.step, mark.t_ns + to_wall_ns))
        self._log(points)

    def _with_earlier(self, own: Quantity | None) -> Quantity | None:
        before = None if self._earlier is None else self._earlier.energy
        return own if own is None or before is None else before + own

    def _finish(self, run: Run) -> None:
        if not self._main or self._live is None:
            return
        view = run.view
        self._tell(view, run.end_ns)
        self._own = view.energy
        self._sofar = self._with_earlier(self._own)
        from wattmark.workspace.runs import result

        earlier = self._earlier
        pieces = 0 if earlier is None else len(earlier.pieces)
        self.ending = Ending(view, result(view), self._sofar, pieces)
        for tracker in self._targets:
            self._told(tracker, lambda one, ending=self.ending: one.finish(ending))
        self._live = None

    def _log(self, points: Sequence[Point]) -> None:
        if points:
            for tracker in self._targets:
                self._told(tracker, lambda one: one.log(points))

    def _told(self, tracker: Tracker, tell: Callable[[Tracker], None]) -> None:
        """Tell one tracker; one that fails is told nothing more, with a warning."""
        try:
            tell(tracker)
        except Exception as error:  # noqa: BLE001 - a tracker that cannot be reached ends no training
            self._targets = [other for other in self._targets if other is not tracker]
            name = type(tracker).__name__
            this_process().warn(
                f"tracker-{name}", f"{name} is told nothing more: {type(error).__name__}: {error}"
            )


def _new_training() -> str:
    """An id for a training that begins. Ranks of one host have the same one, whichever of them opens their run: that of the
    session that they share, and how many trainings each has begun."""
    _begun[os.getpid()] = place = _begun.get(os.getpid(), 0) + 1
    if job_key(os.environ) is None:
        return new_session_id()
    process = this_process()
    with process.lock:
        process.attach({})
    session = process.session
    return new_session_id() if session is None else f"{Path(session.folder).name}-{place}"


def _load() -> None:
    """Import what following a training needs, which takes a moment the first time."""
    from wattmark.integrations.training import foresight, live  # noqa: F401  # pyright: ignore[reportUnusedImport]


class TrainingEnded(WattmarkError):
    """A training whose end no hook told of: an exception ended it."""


_NOT_TOLD = TrainingEnded("it ended without a word: an exception, most likely")


def _epoch_values(energy: Quantity | None, counts: Mapping[str, float]) -> dict[str, float]:
    if energy is None:
        return {}
    values = with_ends("epoch_j", energy)
    for name, count in counts.items():
        if count > 0:
            values |= with_ends(f"per_{singular(name)}_j", energy / count)
    return values


def _end_with_cell(training: Training) -> None:
    """In a notebook an exception leaves the process alive: a training that goes on when its cell has ended is over."""
    if "IPython" not in sys.modules:
        return
    shell: Any = importlib.import_module("IPython").get_ipython()
    if shell is None:
        return

    def ended(*_: object) -> None:
        shell.events.unregister("post_run_cell", ended)
        if training.going_on:
            training.end(_NOT_TOLD)

    shell.events.register("post_run_cell", ended)
