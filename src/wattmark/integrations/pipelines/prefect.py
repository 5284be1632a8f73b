"""Prefect: ``@energy_task`` and ``@energy_flow`` in the place of ``@task`` and ``@flow``.

Each try of a task is a run (a retry is one with ``attempt``), a task whose result is cached is none; the tries of a flow lie
inside its run where they run in its process. Decorators: docs.prefect.io (version 3).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.pipelines.stages import stage
from wattmark.tracker.run import Run


def energy_task(
    function: Callable[..., Any] | None = None, *, kind: str | None = None, **options: Any
) -> Any:
    """``prefect.task`` whose every try is measured. kind: which part of a model's life it is; options: of ``task``."""
    return _decorated("task", function, kind, options)


def energy_flow(
    function: Callable[..., Any] | None = None, *, kind: str | None = None, **options: Any
) -> Any:
    """``prefect.flow`` that is measured."""
    return _decorated("flow", function, kind, options)


def _decorated(
    what: str, function: Callable[..., Any] | None, kind: str | None, options: dict[str, Any]
) -> Any:
    if function is None:

        def later(given: Callable[..., Any]) -> Any:
            return _decorated(what, given, kind, options)

        return later
    work = function
    name = str(options.get("name") or getattr(work, "__name__", "task").replace("_", "-"))
    call: Callable[..., Any]
    if iscoroutinefunction(work):

        @wraps(work)
        async def measured_later(*args: Any, **kwargs: Any) -> Any:
            with _run(name, kind):
                return await work(*args, **kwargs)

        call = measured_later
    else:

        @wraps(work)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with _run(name, kind):
                return work(*args, **kwargs)

        call = measured
    options.setdefault("name", name)
    return getattr(module_of("prefect", "prefect"), what)(call, **options)


def _run(name: str, kind: str | None) -> Run:
    runtime = module_of("prefect", "prefect.runtime")
    flow = runtime.flow_run.flow_name or name
    attempt = runtime.task_run.run_count or 1
    return stage(name, pipeline=str(flow), kind=kind, attempt=int(attempt))
