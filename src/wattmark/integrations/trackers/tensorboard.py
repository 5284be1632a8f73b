"""TensorBoard: joules as scalars at the steps of the loss, and a summary as text.

Writers are those of ``torch.utils.tensorboard`` and tensorboardX, which have the same calls (``add_scalar`` with a step and
a wall time). ``log_run(run, "runs/mine")`` writes a finished run beside its scalars; event files of one folder are one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.trackers.base import Ending, Point, summary_values
from wattmark.report.card import section_of

if TYPE_CHECKING:
    from wattmark.tracker.run import Run


class TensorBoardTracker:
    """Writes with a ``SummaryWriter`` that is open already. own: it is closed when the run has ended."""

    def __init__(self, writer: Any, *, own: bool = False) -> None:
        self._writer, self._own = writer, own
        self._step = 0

    @classmethod
    def in_folder(cls, folder: str | Path) -> TensorBoardTracker:
        """One with a file of its own in the folder of a run. Raises MissingExtra without TensorBoard."""
        writers = module_of("tensorboard", "torch.utils.tensorboard", "tensorboardX")
        return cls(writers.SummaryWriter(str(folder), filename_suffix=".wattmark"), own=True)

    def log(self, points: Sequence[Point]) -> None:
        """Numbers by step, at the times that they are of."""
        for point in points:
            self._step = self._step if point.step is None else point.step
            for name, value in point.values.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, self._step, walltime=point.wall_ns / 1e9)
        self._writer.flush()

    def finish(self, ending: Ending) -> None:
        """The figures of the whole run, and the section for a model card, as text."""
        for name, value in summary_values(ending).items():
            self._writer.add_scalar(f"summary/{name.replace('/', '_')}", value, self._step)
        self._writer.add_text("energy", section_of(ending.result, ending.total, ending.earlier), self._step)
        self._writer.flush()
        if self._own:
            self._writer.close()


def log_run(run: Run, folder: str | Path) -> None:
    """Write a finished run into a folder of event files: joules of its epochs and steps, its figures."""
    from wattmark.integrations.trackers.finished import tell

    tell(run, TensorBoardTracker.in_folder(folder))
