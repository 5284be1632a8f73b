"""Wattmark: where the joules of your AI went, with honest intervals.

``import wattmark as wm`` loads nothing heavy: every name below is imported on first use.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # type checkers take it for True; importing typing would double the time this takes

if TYPE_CHECKING:
    from wattmark.errors import WattmarkError
    from wattmark.quantity import Quantity
    from wattmark.tracker.measure import Run, current_run, measure, span
    from wattmark.workspace.load import load

__all__ = ["Quantity", "Run", "WattmarkError", "__version__", "current_run", "load", "measure", "span"]

_HOMES = {
    "Quantity": "wattmark.quantity",
    "Run": "wattmark.tracker.measure",
    "WattmarkError": "wattmark.errors",
    "current_run": "wattmark.tracker.measure",
    "load": "wattmark.workspace.load",
    "measure": "wattmark.tracker.measure",
    "span": "wattmark.tracker.measure",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'wattmark' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
