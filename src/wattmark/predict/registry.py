"""The predictors that are there: ours, and those of other packages by their entry points.

    [project.entry-points."wattmark.predictors"]
    mine = "my_package.energy:predictor"

``predictor()`` gives an :class:`~wattmark.predict.base.InstalledPredictor`. Whether it keeps what every predictor promises
is tried by ``python -m pytest --pyargs wattmark.testing.test_installed_predictors``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from wattmark.errors import ConfigError
from wattmark.predict.base import InstalledPredictor

GROUP = "wattmark.predictors"
OURS = {
    "early": "wattmark.predict.early:shipped",
    "llm": "wattmark.predict.llm.predictor:shipped",
}
"""Name -> what gives the predictor."""


def names() -> list[str]:
    """All that are installed, ours first."""
    return [*OURS, *sorted(_foreign().keys() - OURS.keys())]


def foreign() -> list[str]:
    """Those of other packages."""
    return sorted(_foreign().keys() - OURS.keys())


def load(name: str) -> InstalledPredictor:
    """The predictor of this name. Raises ConfigError for one that is not there or cannot be loaded."""
    place = OURS.get(name) or _foreign().get(name)
    if place is None:
        raise ConfigError(f"there is no predictor {name!r}", hint=f"there are: {', '.join(names())}")
    module, _, attribute = place.partition(":")
    try:
        give = cast("Callable[[], InstalledPredictor]", getattr(importlib.import_module(module), attribute))
        return give()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"the predictor {name!r} cannot be loaded from {place}: {error}",
            hint="an entry point names a function without parameters: package.module:function",
        ) from error


def _foreign() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}
