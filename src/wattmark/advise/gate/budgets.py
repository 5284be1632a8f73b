"""Budgets in pyproject.toml, of tests and of commands::

    [tool.wattmark.budgets]
    test_inference = { joules = 0.5, per = "sample" }
    bench = { cpu_s = 2.0, command = "python bench.py" }

One with a command is judged by ``wattmark gate --budgets``: repeats until a test has decided, as a gate does.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wattmark.advise.gate.decision import Limits, Outcome, Tell
from wattmark.advise.gate.repeat import Bench
from wattmark.documents import is_list, is_mapping, mapping, number, text
from wattmark.errors import ConfigError
from wattmark.settings import find_pyproject
from wattmark.statistics import UPPER, mean_at_rest, t_quantile
from wattmark.workspace.configuration import read_toml

_KEYS = {"joules", "cpu_s", "per", "command"}


@dataclass(frozen=True, slots=True)
class Budget:
    """What a test or a command may use: J, CPU seconds, of the whole or ``per`` count."""

    joules: float | None = None
    cpu_s: float | None = None
    per: str | None = None
    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: object, where: str) -> Budget:
        """Raises ConfigError for a budget that cannot be."""
        table = mapping(given)
        numbers = {name: number(table[name]) for name in ("joules", "cpu_s") if table.get(name) is not None}
        wrong = [value for value in numbers.values() if value is None or not value > 0]
        command = _command(table.get("command"))
        per = table.get("per")
        words_wrong = (per is not None and text(per) is None) or (
            table.get("command") is not None and not command
        )
        if not is_mapping(given) or set(table) - _KEYS or wrong or not numbers or words_wrong:
            raise ConfigError(
                f"{where}: an energy budget is joules=5 or cpu_s=0.2, and per='sample' if you like, not {given!r}"
            )
        return cls(numbers.get("joules"), numbers.get("cpu_s"), text(per), command)

    @property
    def limits(self) -> dict[str, float]:
        """Metric of a gate -> the most that is allowed."""
        found: dict[str, float] = {}
        if self.joules is not None:
            found[f"j_per_{self.per}" if self.per else "energy_j"] = self.joules
        if self.cpu_s is not None:
            found["cpu_s"] = self.cpu_s
        return found


def project_budgets(folder: str = ".") -> Mapping[str, object]:
    """The table of the project around a folder; empty where there is none. Raises ConfigError for one that is no table."""
    path = find_pyproject(folder)
    given: Mapping[str, object] = read_toml(path) if path else {}
    table = mapping(mapping(given.get("tool")).get("wattmark")).get("budgets", {})
    if not is_mapping(table):
        raise ConfigError("tool.wattmark.budgets must be a table of budgets by name")
    return table


@dataclass(frozen=True, slots=True)
class Judged:
    """A budget held against repeats of its command: the mean with its 95 % interval."""

    name: str
    metric: str
    budget: float
    outcome: Outcome
    mean: float
    low: float
    high: float
    repeats: int

    @property
    def words(self) -> str:
        """In one sentence."""
        ends = f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"
        told = f"{self.metric} is {ends}, the budget is {self.budget:g}"
        return f"{self.name}: {self.outcome}: {told} ({self.repeats} repeats)"

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return {**asdict(self), "words": self.words}


def judge_budgets(
    folder: str = ".", *, max_repeats: int = 20, only: Sequence[str] = (), tell: Tell | None = None
) -> list[Judged]:
    """Every budget of the project that has a command. Raises ConfigError where there is none, for joules that are only
    modelled, and CommandFailed."""
    table = project_budgets(folder)
    budgets = {name: Budget.of(given, f"tool.wattmark.budgets.{name}") for name, given in table.items()}
    runnable = {
        name: budget for name, budget in budgets.items() if budget.command and (not only or name in only)
    }
    for name in only:
        if name not in runnable:
            raise ConfigError(
                f"there is no budget {name!r} with a command", hint=f"there are: {', '.join(sorted(budgets))}"
            )
    if not runnable:
        raise ConfigError(
            "no budget here has a command",
            hint='[tool.wattmark.budgets] in pyproject.toml: bench = { cpu_s = 2.0, command = "python bench.py" }',
        )
    root = str(Path(find_pyproject(folder) or folder).resolve().parent)
    found: list[Judged] = []
    for name, budget in runnable.items():
        for metric, most in budget.limits.items():
            per_count = budget.per if metric == "cpu_s" else None
            if per_count is not None:
                raise ConfigError(
                    f"tool.wattmark.budgets.{name}: CPU seconds of a command are of the whole of it",
                    hint="leave per out",
                )
            judged = _judge(name, budget.command, metric, most, root, max_repeats)
            found.append(judged)
            if tell is not None:
                tell(judged.words)
    return found


def _judge(
    name: str, command: tuple[str, ...], metric: str, most: float, folder: str, max_repeats: int
) -> Judged:
    bench, test = Bench(command, metric, f"budget-{name}"), Limits(pairs=max_repeats).test
    bench.run(folder, "warm-up")
    logs: list[float] = []
    outcome: Outcome = "undecided"
    while len(logs) < max_repeats and outcome == "undecided":
        logs.append(math.log(bench.run(folder, "budget").values[metric] / most))
        if len(logs) in test.looks:
            if test.rejects([-value for value in logs], 0.0):
                outcome = "within"
            elif test.rejects(logs, 0.0):
                outcome = "over"
    mean, error, freedom = mean_at_rest(logs)
    half = t_quantile(freedom, UPPER) * error
    value, low, high = (most * math.exp(mean + side * half) for side in (0, -1, 1))
    return Judged(name, metric, most, outcome, value, low, high, len(logs))


def _command(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        try:
            return tuple(shlex.split(given))
        except ValueError:
            return ()
    words = given if is_list(given) else ()
    return (
        tuple(word for word in words if isinstance(word, str))
        if all(isinstance(word, str) for word in words)
        else ()
    )
