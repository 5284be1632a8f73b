"""Kedro: every node is a run, in ``settings.py``: ``HOOKS = (EnergyHooks(),)``.

Hooks: docs.kedro.org, Hook specifications (version 1). Nodes of ``ThreadRunner`` that overlap are runs that say so; those of
``ParallelRunner`` are measured in their own processes.
"""

from __future__ import annotations

from typing import Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.pipelines.stages import stage
from wattmark.tracker.run import Run

_hook: Any = module_of("kedro", "kedro.framework.hooks").hook_impl


class EnergyHooks:
    """kinds: node or tag -> part of a model's life, where the names do not say it."""

    def __init__(self, kinds: dict[str, str] | None = None) -> None:
        self._kinds = kinds or {}
        self._runs: dict[str, Run] = {}
        self._pipeline = "kedro"

    @_hook
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """What the pipeline is called."""
        self._pipeline = str(run_params.get("pipeline_name") or "__default__")

    @_hook
    def before_node_run(self, node: Any) -> None:
        """The node begins."""
        named = [node.name, *sorted(node.tags)]
        kind = next((self._kinds[name] for name in named if name in self._kinds), None)
        self._runs[node.name] = stage(node.name, pipeline=self._pipeline, kind=kind).start()

    @_hook
    def after_node_run(self, node: Any) -> None:
        """It ended."""
        self._end(node, None)

    @_hook
    def on_node_error(self, error: Exception, node: Any) -> None:
        """It failed."""
        self._end(node, error)

    def _end(self, node: Any, error: BaseException | None) -> None:
        run = self._runs.pop(node.name, None)
        if run is not None:
            run.stop(error)
