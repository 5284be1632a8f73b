"""MLflow 3: joules as metrics at the steps of the loss, power among the system metrics, the run's page and model card as
artifacts, the figures of the whole run in the table of runs.

Names as MLflow groups them (mlflow.org, Tracking and System metrics): what stands before the slash is a group, and
``system/...`` is shown with the system metrics. A training callback finds the run that is active; ``log_run(run)`` adds one
that has ended.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.trackers.base import Ending, Point, summary_values, summary_words, system_series
from wattmark.integrations.trackers.finished import page_of, tell
from wattmark.report.card import section_of

if TYPE_CHECKING:
    from wattmark.tracker.run import Run

MOST_IN_BATCH = 1_000
"""Metrics of one ``log_batch`` (MLflow REST API, Request limits)."""


class MLflowTracker:
    """One run of MLflow, by its client and id."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self.run_id = client, run_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MLflowTracker) and other.run_id == self.run_id

    def __hash__(self) -> int:
        return hash(self.run_id)

    @classmethod
    def active(cls) -> list[MLflowTracker]:
        """The run that is active in this process; none where there is none."""
        mlflow = _mlflow()
        run = mlflow.active_run()
        return [] if run is None else [cls(mlflow.MlflowClient(), run.info.run_id)]

    def log(self, points: Sequence[Point]) -> None:
        """Numbers by step, at the times that they are of."""
        self._log(
            (name, value, point.wall_ns, point.step or 0)
            for point in points
            for name, value in point.values.items()
            if name != "epoch"
        )

    def finish(self, ending: Ending) -> None:
        """Series, figures, tags, the page, the model card's section."""
        series = system_series(ending.view)
        self._log((name, watts, wall_ns, place) for place, (name, wall_ns, watts) in enumerate(series))
        now_ns = ending.view.record.started_wall_ns + round(ending.view.record.duration_s * 1e9)
        known = set(self._client.get_run(self.run_id).data.metrics)
        summary = {name: value for name, value in summary_values(ending).items() if name not in known}
        self._log((name, value, now_ns, 0) for name, value in summary.items())
        for name, words in summary_words(ending).items():
            self._client.set_tag(self.run_id, name, words)
        with tempfile.TemporaryDirectory(prefix="wattmark-") as folder:
            for name, text in (
                ("energy.html", page_of(ending)),
                ("model-card-section.md", section_of(ending.result, ending.total, ending.earlier)),
            ):
                path = Path(folder, name)
                path.write_text(text, encoding="utf-8")
                self._client.log_artifact(self.run_id, str(path), "wattmark")

    def _log(self, rows: Iterator[tuple[str, float, int, int]]) -> None:
        metric = module_of("mlflow", "mlflow.entities").Metric
        metrics = [metric(name, value, wall_ns // 1_000_000, step) for name, value, wall_ns, step in rows]
        for first in range(0, len(metrics), MOST_IN_BATCH):
            self._client.log_batch(self.run_id, metrics=metrics[first : first + MOST_IN_BATCH])


def log_run(run: Run, run_id: str | None = None) -> None:
    """Add a finished run to a run of MLflow: the active one, or that of the id. Raises ConfigError where neither is."""
    from wattmark.errors import ConfigError

    mlflow = _mlflow()
    if run_id is not None:
        tell(run, MLflowTracker(mlflow.MlflowClient(), run_id))
        return
    active = MLflowTracker.active()
    if not active:
        raise ConfigError("no run of MLflow is active", hint="with mlflow.start_run(): ..., or give run_id")
    tell(run, active[0])


def _mlflow() -> Any:
    return module_of("mlflow", "mlflow")
