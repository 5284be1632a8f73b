"""Wattmark: where the joules of your AI went, with honest intervals.

``import wattmark as wm`` loads nothing heavy: every name below is imported on first use (types: ``__init__.pyi``).
"""

# pyright: reportUnsupportedDunderAll=false
from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers take it for True; importing typing would double the time this takes
if TYPE_CHECKING:
    from types import ModuleType
else:
    ModuleType = type(sys)

_HOMES = {
    "Carbon": "wattmark.impact.emissions",
    "Quantity": "wattmark.quantity",
    "Run": "wattmark.tracker.run",
    "RunList": "wattmark.workspace.library",
    "Settings": "wattmark.workspace.configuration",
    "Study": "wattmark.studies.handle",
    "WattmarkError": "wattmark.errors",
    "advise_cap": "wattmark.advise.cap.question",
    "at_plug": "wattmark.workspace.meters.calibration",
    "benchmark": "wattmark.serving.benchmark",
    "benchmark_loads": "wattmark.serving.benchmark",
    "calibrate": "wattmark.workspace.calibration",
    "calibrate_wall": "wattmark.workspace.meters.calibration",
    "carbon": "wattmark.workspace.library",
    "card": "wattmark.report.cards",
    "check_card": "wattmark.report.cards",
    "cite": "wattmark.report.files.writing",
    "compare": "wattmark.workspace.comparing",
    "current_run": "wattmark.tracker.measure",
    "cycle": "wattmark.lifecycle.cycle.question",
    "disclose": "wattmark.report.disclosure.gather",
    "edge": "wattmark.plan.edge.study",
    "export": "wattmark.report.files.writing",
    "fit_predictors": "wattmark.predict.scores.question",
    "fleet": "wattmark.lifecycle.fleet.question",
    "gate": "wattmark.advise.gate.question",
    "health": "wattmark.workspace.library",
    "import_files": "wattmark.workspace.library",
    "levers": "wattmark.advise.levers.script",
    "load": "wattmark.workspace.library",
    "load_results": "wattmark.studies.execution.state",
    "measure": "wattmark.tracker.measure",
    "note": "wattmark.workspace.library",
    "predict_api": "wattmark.predict.llm.usage",
    "predict_layers": "wattmark.predict.layers.question",
    "predict_llm": "wattmark.predict.llm.question",
    "predict_model": "wattmark.predict.layers.question",
    "predict_prune": "wattmark.predict.layers.question",
    "predict_training": "wattmark.predict.environment.question",
    "prune": "wattmark.workspace.library",
    "recur": "wattmark.advise.recurring.job",
    "remove": "wattmark.workspace.library",
    "score_predictions": "wattmark.predict.scores.question",
    "skill": "wattmark.integrations.skill",
    "span": "wattmark.tracker.measure",
    "stage": "wattmark.integrations.pipelines.stages",
    "study": "wattmark.studies.handle",
    "tag": "wattmark.workspace.library",
    "totals": "wattmark.workspace.library",
    "try_levers": "wattmark.advise.levers.trying",
    "what_if": "wattmark.predict.question",
}
"""Public name -> the module that it lives in."""

_CALLED = {
    "advise": ("wattmark.advise.changes.question", "advise"),
    "impact": ("wattmark.workspace.library", "impact"),
    "plan": ("wattmark.plan.question", "plan"),
    "runs": ("wattmark.workspace.library", "list_runs"),
    "sources": ("wattmark.workspace.configuration", "usable_sources"),
}
"""Packages whose name is a function too: ``wm.runs(tag=...)`` beside ``wattmark.runs.view``."""

__all__ = [*_HOMES, *_CALLED, "__version__", "testing"]


class _CallablePackage(ModuleType):
    """A package that answers when it is called."""

    def __call__(self, *arguments: object, **options: object) -> object:
        home, name = _CALLED[self.__name__.rpartition(".")[2]]
        return getattr(_module(home), name)(*arguments, **options)


class _Root(ModuleType):
    """This package: those of its packages that are functions too become callable as they are imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _CALLED and isinstance(value, ModuleType):
            value.__class__ = _CallablePackage
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Root


def _module(name: str) -> ModuleType:
    import importlib

    return importlib.import_module(name)


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name in _CALLED or name == "testing":
        return _module(f"wattmark.{name}")
    home = "wattmark._version" if name == "__version__" else _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'wattmark' has no attribute {name!r}")
    value = getattr(_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
