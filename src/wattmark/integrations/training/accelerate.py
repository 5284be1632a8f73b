"""Accelerate: joules of epochs and steps in a loop of one's own, logged with the accelerator's trackers.

::

    from wattmark.integrations.training.accelerate import EnergyLoop

    with EnergyLoop(accelerator) as energy:
        for epoch in energy.epochs(range(3)):
            for batch in energy.steps(loader): ...

``accelerator.save_state`` and ``load_state`` keep the pieces of a resumed training. Trackers of the accelerator get numbers
by ``accelerator.log`` (huggingface.co/docs/accelerate, Experiment trackers, version 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wattmark.integrations.trackers.base import Ending, Point, Tracker, summary_values
from wattmark.integrations.training.loop import Loop


class EnergyLoop(Loop):
    """A :class:`~wattmark.integrations.training.loop.Loop` whose ranks, checkpoints and trackers are an accelerator's."""

    def __init__(self, accelerator: Any, name: str | None = None, **options: Any) -> None:
        super().__init__(name, main=lambda: bool(accelerator.is_main_process), **options)
        accelerator.register_for_checkpointing(self)
        self.training.reporters = trackers_of(accelerator)


class AcceleratorLog:
    """The accelerator's trackers of which Wattmark knows no more."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self._step = 0

    def log(self, points: Sequence[Point]) -> None:
        """Numbers by step."""
        for point in points:
            self._step = self._step if point.step is None else point.step
            self._tracker.log(dict(point.values), step=self._step)

    def finish(self, ending: Ending) -> None:
        """The figures of the whole run."""
        self._tracker.log(summary_values(ending), step=self._step)


def trackers_of(accelerator: Any) -> list[Tracker]:
    """Those that ``init_trackers`` has made; the ones that Wattmark knows get pages, tables and series as well."""
    trackers: list[Tracker] = []
    for tracker in accelerator.trackers:
        if tracker.name == "tensorboard":
            from wattmark.integrations.trackers.tensorboard import TensorBoardTracker

            trackers.append(TensorBoardTracker(tracker.writer))
        elif tracker.name not in ("wandb", "mlflow"):  # those are active in this process
            trackers.append(AcceleratorLog(tracker))
    return trackers
