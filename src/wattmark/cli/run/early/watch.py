"""A measured command watched from outside: its progress, what it will cost, and its budget.

All of it happens in the process of ``wattmark run``, beside the command. What it finds out is written to that process's own
journal, so that ``top`` and the dashboard show it, and the store keeps it whatever becomes of this process.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from wattmark.cli.run.early.wishes import Wishes
from wattmark.cli.terminal.output import say
from wattmark.recorder import journal, tree
from wattmark.recorder.launch import Session
from wattmark.tracker.window import Window

if TYPE_CHECKING:
    from wattmark.predict.base import Prediction
    from wattmark.predict.live.budget import Budget
    from wattmark.predict.live.ongoing import Ongoing
    from wattmark.predict.live.progress import Progress
    from wattmark.runs.reading.journals import ProcessEvents

LOOK_S = 1.0
PERSISTS = 3
"""So many looks in a row, a second apart, must say that the budget will not hold before anything is done about it."""
STOP_SHARE = 0.02
"""Before this share of the run a prediction stops nothing; joules that were spent do."""
GROWTH = 1.05
"""A prediction is written down when the share of the run has grown by this factor since the last one."""
HISTORY_S = 10.0
"""A run that says nothing of its progress for so long is compared with earlier ones of its name."""


class Watch:
    """Looks at the run at times (:meth:`tick`); reads what the command prints (:meth:`read`, from another thread)."""

    def __init__(self, window: Window, session: Session, pid: int, wishes: Wishes, *, kept: bool) -> None:
        self.stopped = False
        self.prediction: Prediction | None = None
        self.milestones: list[tuple[float, Prediction]] = []
        """The share of the run and what was predicted then, as it was written down."""
        self.waiting = "it was too short"
        """Why there is no prediction yet, in words."""
        self._window, self._session, self._pid, self._wishes = window, session, pid, wishes
        self._kept = kept
        self._lock = threading.Lock()
        self._unread: deque[tuple[float, bytes]] = deque(maxlen=2000)
        self._state: _State | None = None
        self._failed = False
        self._looked_s = 0.0
        self._written_share = 0.0
        self._over = 0
        self._warned = False
        self._killed = False
        self._tree: tree.ProcessTree | None = None
        self._term_s: float | None = None
        self._start_j = session.live.read().energy_j
        self._write(journal.EXPECTED, {"counts": {"epochs": wishes.epochs}} if wishes.epochs else None)
        threading.Thread(target=self._load, name="wattmark-predict", daemon=True).start()

    def read(self, data: bytes) -> None:
        """The command printed this."""
        with self._lock:
            self._unread.append((self._now_s(), data))

    def tick(self) -> None:
        """Look at how things stand; never raises."""
        try:
            self._end_grace()
            state = self._state
            if state is None or self._failed:
                return
            live = self._session.live.read()
            if live.energy_j is not None:
                self._start_j = live.energy_j if self._start_j is None else self._start_j
                state.fit_to(live.by_component_j)
                state.ongoing.see((live.t_ns - self._window.start_ns) / 1e9, live.energy_j - self._start_j)
            with self._lock:
                unread = list(self._unread)
                self._unread.clear()
            for t_s, data in unread:
                state.lines.feed(data, t_s)
            now_s = self._now_s()
            if now_s - self._looked_s >= LOOK_S:
                self._looked_s = now_s
                self._look(state, now_s)
        except Exception as error:  # noqa: BLE001 - a prediction never breaks the work
            self._failed = True
            say(f"no prediction any more: {type(error).__name__}: {error}")

    def words(self) -> str:
        """For the live line."""
        from wattmark.units import format_duration, format_energy

        prediction = self.prediction
        if prediction is None:
            return "" if self._state is None or not self._looked_s else f"predicted: {self.waiting}"
        low, high = prediction.energy.interval(0.9)
        value = prediction.energy.value
        left_s = max(0.0, prediction.time.value - self._now_s())
        return (
            f"predicted {format_energy(value)} ({format_energy(low, value)} to {format_energy(high, value)}), "
            f"{format_duration(left_s)} left"
        )

    def _load(self) -> None:
        """What this needs takes longer to import than a short command lives; meanwhile signals go through."""
        try:
            self._state = _State.of(self._window.name, self._session.folder, self._wishes.epochs)
        except Exception as error:  # noqa: BLE001 - the command runs on without a prediction, and is told why
            say(f"there is no prediction: {type(error).__name__}: {error}")

    def _now_s(self) -> float:
        return (time.monotonic_ns() - self._window.start_ns) / 1e9

    def _look(self, state: _State, now_s: float) -> None:
        from wattmark.errors import ConfigError

        progress, seconds = state.progress(self._window.start_ns, now_s)
        try:
            prediction = self.prediction = state.ongoing.predict(progress, seconds)
            self.waiting = ""
        except ConfigError as error:
            self.prediction, self.waiting = None, str(error)
            prediction = None
        if prediction is not None:
            share = min(1.0, now_s / prediction.time.value)
            if share >= self._written_share * GROWTH and share < 1:
                self._written_share = share
                self.milestones.append((share, prediction))
                self._write_prediction(prediction, share, progress, state.ongoing.widened)
            self._weigh(prediction, share)
        budget = self._wishes.budget
        if budget is not None and state.ongoing.joules > budget.joules:
            self._cross(budget, f"{_energy(state.ongoing.joules)} were spent")

    def _write_prediction(
        self, prediction: Prediction, share: float, progress: Progress | None, widened: float
    ) -> None:
        from wattmark.predict.live.ongoing import EARLY

        said = prediction.as_dict()
        del said["subject"]
        self._write(
            journal.PREDICTION,
            {
                "predictor": EARLY,
                "share": share,
                "progress": progress and progress.told(),
                "widened": widened,
                **said,
            },
        )

    def _weigh(self, prediction: Prediction, share: float) -> None:
        budget = self._wishes.budget
        if budget is None:
            return
        self._over = self._over + 1 if budget.is_crossed_by(prediction.energy) else 0
        if self._over >= PERSISTS:
            low, high = prediction.energy.interval(0.9)
            value = prediction.energy.value
            self._cross(
                budget,
                f"predicted {_energy(value)} ({_energy(low, value)} to {_energy(high, value)})",
                may_stop=share >= STOP_SHARE,
            )

    def _cross(self, budget: Budget, why: str, *, may_stop: bool = True) -> None:
        """The budget will not hold: say so once, and ask the work to stop if that was wished."""
        stop = self._wishes.stop and may_stop
        if not self._warned:
            self._warned = True
            self._note(f"over the budget of {budget}: {why}")
        if stop and not self.stopped:
            self.stopped = True
            self._note(f"stopped over the budget of {budget}: {why}")
            self._term_s = time.monotonic()
            self._tree = tree.ProcessTree([self._pid], {os.getpid()})
            self._signal(signal.SIGTERM)

    def wait_for_all(self) -> None:
        """The command itself has ended; what it started and was asked to stop too has the rest of the grace period."""
        while self._tree is not None and not self._killed and self._living():
            time.sleep(0.02)
            self._end_grace()

    def _living(self) -> list[int]:
        """The processes of the tree that was asked to stop, also those that have lost their parent."""
        assert self._tree is not None, "nothing was asked to stop"
        self._tree.cpu_s()
        return [pid for pid in self._tree.pids if tree.is_alive(pid, None)]

    def _end_grace(self) -> None:
        if self._term_s is None or self._killed:
            return
        living = (
            self._living()
        )  # looked at even before the time is over: so children of those that end stay known
        if time.monotonic() - self._term_s > self._wishes.grace_s and living:
            self._killed = True
            say(f"it did not stop within {self._wishes.grace_s:g} s and is killed")
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """To the command and all that it started."""
        for pid in self._living():
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):  # it ended meanwhile, or is another user's
                continue

    def _note(self, message: str) -> None:
        say(message)
        self._write(journal.NOTE, {"code": "budget", "message": message})

    def _write(self, kind: int, data: dict[str, object] | None) -> None:
        log = self._window.process.log
        if log is not None and data is not None and self._kept:
            log.write_json(kind, {"run_id": self._window.run_id, "t_ns": time.monotonic_ns(), **data})


class _State:
    """What predicts, once it is loaded."""

    def __init__(self, ongoing: Ongoing, folder: str, epochs: float | None) -> None:
        from wattmark.predict.live.lines import LineProgress
        from wattmark.runs.reading.journals import EventsFollower

        self.ongoing = ongoing
        self.lines = LineProgress(epochs)
        self._events = EventsFollower(folder)
        self._asked_history = False

    def fit_to(self, by_component_j: dict[str, float]) -> None:
        """The model that comes with Wattmark was fitted on accelerators, whose warm-up other parts do not have."""
        from wattmark.predict.early import SHIPPED, without_rise

        mostly_gpu = 2 * by_component_j.get("gpu", 0.0) >= sum(by_component_j.values())
        if self.ongoing.model is SHIPPED and not mostly_gpu:
            self.ongoing.model = without_rise(SHIPPED)

    @classmethod
    def of(cls, name: str, folder: str, epochs: float | None) -> _State:
        """Loads the model of this machine."""
        from wattmark.predict.live.model import model_here, widths_here
        from wattmark.predict.live.ongoing import Ongoing

        return cls(Ongoing(model_here(), name, widths=widths_here()), folder, epochs)

    def progress(self, start_ns: int, now_s: float) -> tuple[Progress | None, float | None]:
        """How far the work is, by what it says itself before what it prints; and the seconds that it was said to take."""
        from wattmark.predict.live.progress import best_of, expected_of, of_spans

        processes: list[ProcessEvents] = self._events.read()
        expected = expected_of(processes)
        progress = best_of(of_spans(processes, start_ns), expected)
        printed = self.lines.progress
        if (progress is None or not progress.known) and printed.marks:
            progress = printed
        seconds = expected.get("seconds")
        if (progress is None or not progress.known) and seconds is None:
            self._ask_history(now_s)
        return progress, seconds

    def _ask_history(self, now_s: float) -> None:
        if self._asked_history or now_s < HISTORY_S:
            return
        self._asked_history = True
        from wattmark.errors import WattmarkError
        from wattmark.workspace.runs import store_here

        name = self.ongoing.name
        try:
            with store_here(ingest=False) as store:
                exact = name.replace("*", "?").replace("[", "?")
                runs = store.summaries(status="completed", name=exact, host=os.uname().nodename, limit=50)
        except WattmarkError:
            return
        self.ongoing.earlier_s = [run.duration_s for run in runs if run.name == name]


def _energy(joules: float, like: float | None = None) -> str:
    from wattmark.units import format_energy

    return format_energy(joules, like)
