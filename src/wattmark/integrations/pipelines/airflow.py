"""Airflow: a listener that makes every task instance a run. It is a plugin, found by its entry point; nothing to configure.

Each try is a run (``attempt`` from ``try_number``); a task that is skipped is none. Listeners: airflow.apache.org, Listeners
(version 2.9 and 3). They are called in the process that runs the task. ``params={"wattmark": "training"}`` of a task says
which part of a model's life it is, where its name does not.
"""

from __future__ import annotations

from typing import Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.pipelines.stages import stage
from wattmark.tracker.run import Run

_hook: Any = module_of("airflow", "airflow.listeners").hookimpl


class EnergyListener:
    """One for each process."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    @_hook
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
        """The task begins."""
        params: Any = getattr(getattr(task_instance, "task", None), "params", None) or {}
        kind = params.get("wattmark") if hasattr(params, "get") else None
        self._runs[_key(task_instance)] = stage(
            str(task_instance.task_id),
            pipeline=str(task_instance.dag_id),
            kind=None if kind is None else str(kind),
            attempt=int(task_instance.try_number or 1),
            tags={"dag_run": str(task_instance.run_id)},
        ).start()

    @_hook
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """It ended."""
        self._end(task_instance, None)

    @_hook
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
        """It failed, or will be tried again."""
        failure = error if isinstance(error, BaseException) else RuntimeError(str(error))
        self._end(task_instance, failure)

    def _end(self, task_instance: Any, error: BaseException | None) -> None:
        run = self._runs.pop(_key(task_instance), None)
        if run is not None:
            run.stop(error)


def _key(task_instance: Any) -> str:
    return "/".join(
        str(getattr(task_instance, part, "")) for part in ("dag_id", "run_id", "task_id", "map_index")
    )


class EnergyPlugin(module_of("airflow", "airflow.plugins_manager").AirflowPlugin):
    """What the entry point names."""

    name = "wattmark"
    listeners = [EnergyListener()]  # noqa: RUF012 - as Airflow wants it
