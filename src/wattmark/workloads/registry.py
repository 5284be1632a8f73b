"""Workloads by name: what a study can run, and the factors that each one knows.

A workload is found by the name of one of ours, by an entry point of the group ``wattmark.workloads``, or as
``package.module:Class`` of the user's. Loading one imports no framework; running it does.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from wattmark.errors import ConfigError

Level = bool | int | float | str
Config = Mapping[str, Any]


class SpanHandle(Protocol):
    """What a ``with span(...) as handle`` gives: further counts and words for the stage that goes on."""

    def add(self, **details: Any) -> None:
        """Numbers are added up, words become attributes."""
        ...


SpanMaker = Callable[..., AbstractContextManager[SpanHandle]]
"""``span(name, **counts)``: a context manager that marks a stage of the work."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that can be set. default: its level if a study says nothing; its type is the type of all levels.

    choices: the only levels there are, or empty for any. pattern: of further ones, a regular expression. optional: None
    (not set) is the default, ``kind`` the type. also: further types that a level may have (a length in tokens is a word, and
    a plain number).
    """

    default: Level | None
    help: str = ""
    choices: tuple[Level, ...] = ()
    kind: type = str
    also: tuple[type, ...] = ()
    pattern: str = ""

    @property
    def type(self) -> type:
        """The type of a level."""
        return self.kind if self.default is None else type(self.default)


class Workload(Protocol):
    """Work to be measured; run in a process of its own, once per trial."""

    @property
    def factors(self) -> Mapping[str, Factor]:
        """What can be set, by name."""
        ...

    def warm_up(self, config: Config) -> None:
        """Whatever must not be measured: load the framework, touch every code path once."""
        ...

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """Do the work, mark its stages with ``span``, and say what came of it: numbers (``accuracy`` 0..1, ...).

        A list of mappings under the name of a stage describes the stages of that name one by one, in time:
        ``{"accuracy": 0.9, "epoch": [{"loss": 0.7}, {"loss": 0.4}]}``.
        """
        ...


WORKLOADS = {
    "vision": "wattmark.workloads.vision.workload:VisionWorkload",
    "tabular": "wattmark.workloads.tabular.workload:TabularWorkload",
    "llm": "wattmark.workloads.llm.workload:LlmWorkload",
    "ebm": "wattmark.workloads.ebm.workload:EbmWorkload",
    "ebm-features": "wattmark.workloads.ebm.diversity.workload:DiversityWorkload",
    "ebm-fuzz": "wattmark.workloads.ebm.fuzz.workload:FuzzWorkload",
    "tasks": "wattmark.workloads.tasks.workload:TasksWorkload",
    "edge": "wattmark.plan.edge.workload:EdgeWorkload",
}


def names() -> list[str]:
    """The workloads that are installed, ours first; ``command`` is built into studies."""
    from importlib.metadata import entry_points  # takes longer to import than all else here

    return [*WORKLOADS, *sorted(point.name for point in entry_points(group="wattmark.workloads"))]


def load(name: str) -> Workload:
    """The workload of that name, or ``package.module:Class``. Raises ConfigError if there is none."""
    reference = WORKLOADS.get(name) or _entry_point(name) or (name if ":" in name else None)
    if reference is None:
        raise ConfigError(f"no workload named {name!r}", hint=did_you_mean(name, [*names(), "command"]))
    module, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the workload {name!r} ({reference}) cannot be loaded: {error}") from error


def complete(workload: Workload, config: Config) -> dict[str, Any]:
    """``config`` with defaults filled in. Raises ConfigError for what the workload does not know or cannot take."""
    for name, level in config.items():
        check_level(workload, name, level)
    return {**{name: factor.default for name, factor in workload.factors.items()}, **config}


def check_level(workload: Workload, name: str, level: Any) -> None:
    """Raises ConfigError unless the workload has that factor and it can have that level."""
    factor = workload.factors.get(name)
    if factor is None:
        raise ConfigError(f"there is no factor {name!r}", hint=did_you_mean(name, list(workload.factors)))
    patterned = bool(factor.pattern) and re.fullmatch(factor.pattern, str(level)) is not None
    if factor.choices and level not in factor.choices and not patterned:
        choices = [str(choice) for choice in factor.choices]
        raise ConfigError(f"{name} cannot be {level!r}", hint=did_you_mean(str(level), choices))
    wanted: tuple[type, ...] = (int, float) if factor.type is float else (factor.type, *factor.also)
    if level is not None and type(level) not in wanted:
        raise ConfigError(f"{name} must be {_TYPE_WORDS.get(factor.type, 'a word')}, not {level!r}")


def did_you_mean(name: str, candidates: list[str]) -> str:
    """A hint: the nearest name, or all of them."""
    import difflib

    near = difflib.get_close_matches(name, candidates, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(candidates)}"


_TYPE_WORDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a word",
}


def _entry_point(name: str) -> str | None:
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group="wattmark.workloads", name=name)), None)
