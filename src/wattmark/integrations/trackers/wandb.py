"""Weights & Biases: joules at the steps of the loss, figures in the summary, the run's page as a panel.

``energy/*`` has a step metric of its own, so that joules which are known later than the loss still stand at their step
(docs.wandb.ai, define_metric). A training callback finds the run that is active; ``log_run(run)`` adds one that has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.trackers.base import Ending, Point, summary_values, summary_words
from wattmark.integrations.trackers.finished import fragment_of, tell

if TYPE_CHECKING:
    from wattmark.tracker.run import Run

STEP = "energy/step"


class WandbTracker:
    """A run of W&B. step_name: the metric that its charts have as their axis."""

    def __init__(self, run: Any, step_name: str = STEP) -> None:
        self._run, self._step_name = run, step_name
        run.define_metric(step_name, hidden=True)
        run.define_metric("energy/*", step_metric=step_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WandbTracker) and other._run.id == self._run.id

    def __hash__(self) -> int:
        return hash(self._run.id)

    @classmethod
    def active(cls) -> list[WandbTracker]:
        """The run that is active in this process; none where there is none."""
        run = _wandb().run
        return [] if run is None else [cls(run)]

    def log(self, points: Sequence[Point]) -> None:
        """Numbers by step."""
        for point in points:
            values = {name: value for name, value in point.values.items() if name != "epoch"}
            step = {} if point.step is None else {self._step_name: point.step}
            self._run.log({**values, **step})

    def finish(self, ending: Ending) -> None:
        """Figures and words of the whole run, and its page."""
        self._run.summary.update(summary_values(ending))
        self._run.config.update(
            {name.replace(".", "_"): text for name, text in summary_words(ending).items()},
            allow_val_change=True,
        )
        self._run.log({"energy/run": _wandb().Html(fragment_of(ending), inject=False)})


def log_run(run: Run) -> None:
    """Add a finished run to the run of W&B that is active. Raises ConfigError where none is."""
    from wattmark.errors import ConfigError

    active = WandbTracker.active()
    if not active:
        raise ConfigError("no run of W&B is active", hint="wandb.init() begins one")
    tell(run, active[0])


def _wandb() -> Any:
    return module_of("wandb", "wandb")
