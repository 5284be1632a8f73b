"""Energy budgets of tests: ``@pytest.mark.energy_budget(joules=5)``, or ``cpu_s=0.2``, or so much ``per="sample"``.

A budget of a test that has no mark may stand in pyproject.toml, by the test's name::

    [tool.wattmark.budgets]
    test_inference = { joules = 0.5, per = "sample" }

The test is measured around its call. It fails where the lower end of the interval is above the budget: what the sensors
cannot tell apart from the budget passes. ``per`` divides by what the test counts in its spans (``with wm.span("work",
samples=64)``). Where nothing here measures energy (models do not), a test with a budget of joules alone is skipped with
the reason. Each report carries its figures as properties, so JUnit files have them and workers of pytest-xdist send
them.
"""

from __future__ import annotations

import json
import resource
import time
import warnings
from collections.abc import Generator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wattmark.advise.gate.budgets import Budget
    from wattmark.quantity import Quantity

_PROPERTY = "wattmark_energy_budget"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers",
        "energy_budget(joules=None, cpu_s=None, per=None): what the test may use, measured by Wattmark",
    )


def budget_of(item: pytest.Item) -> Budget | None:
    """The mark's, else that of pyproject.toml by the test's name. Raises pytest.UsageError for one that cannot be."""
    mark = item.get_closest_marker("energy_budget")
    if mark is None and not _project_budgets(str(item.config.rootpath)):
        return None
    from wattmark.advise.gate.budgets import Budget
    from wattmark.errors import ConfigError

    if mark is not None:
        if mark.args:
            raise pytest.UsageError(f"{item.nodeid}: name what the budget is of: energy_budget(joules=5)")
        given, where = mark.kwargs, item.nodeid
    else:
        table = _project_budgets(str(item.config.rootpath))
        name = item.name.partition("[")[0]
        given, where = (
            table.get(item.nodeid, table.get(item.name, table.get(name))),
            f"tool.wattmark.budgets.{name}",
        )
        if given is None:
            return None
    try:
        return Budget.of(given, where)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error


@cache
def _project_budgets(folder: str) -> Mapping[str, object]:
    from wattmark.settings import find_pyproject

    if find_pyproject(folder) is None:
        return {}
    from wattmark.advise.gate.budgets import project_budgets
    from wattmark.errors import ConfigError

    try:
        return project_budgets(folder)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error


@cache
def unmeasured() -> str | None:
    """Why joules cannot be judged here; None where something measures them."""
    import wattmark

    measuring = [
        channel for channel in wattmark.sources().channels if channel.counted and channel.method != "modelled"
    ]
    return (
        None
        if measuring
        else "nothing here measures energy, and a model of it is no budget (wattmark sources says why)"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the call of a test that has a budget, and judge it."""
    budget = budget_of(item)
    if budget is None:
        return (yield)
    reason = unmeasured() if budget.joules is not None else None
    if reason is not None and budget.cpu_s is None:
        pytest.skip(reason)
    import wattmark
    from wattmark.runs.summary import summarise

    run = wattmark.measure(item.name, tags={"pytest": item.nodeid})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="wattmark: ")
        with run:
            before = _cpu_s()
            result = yield
            used_s = _cpu_s() - before
        told = summarise(run.view)
    _judge(item, budget, told.headline if reason is None else None, used_s, told.counts)
    return result


def _judge(
    item: pytest.Item, budget: Budget, energy: Quantity | None, cpu_s: float, counts: Mapping[str, float]
) -> None:
    """Write the figures down, and fail the test where one is above its budget beyond what the sensors cannot tell."""
    divisor = 1.0
    if budget.per is not None:
        from wattmark.text import singular

        per = {budget.per, singular(budget.per)}
        divisor = next(
            (count for name, count in counts.items() if count > 0 and {name, singular(name)} & per), 0.0
        )
        if not divisor:
            there = ", ".join(sorted(counts)) or "nothing"
            pytest.fail(
                f"the budget is per {budget.per}, and the test counts {there}: wm.span('work', {budget.per}s=n)",
                pytrace=False,
            )
    unit = f" per {budget.per}" if budget.per else ""
    row: dict[str, Any] = {
        "test": item.nodeid,
        "per": budget.per,
        "cpu_s": cpu_s / divisor,
        "cpu_budget_s": budget.cpu_s,
    }
    over: list[str] = []
    if energy is not None and budget.joules is not None:
        part = energy / divisor
        row |= {
            "energy_j": part.value,
            "energy_low_j": part.low,
            "energy_high_j": part.high,
            "energy_budget_j": budget.joules,
        }
        if part.low > budget.joules:
            over.append(
                f"{part.value:.4g} J{unit} [{part.low:.4g}, {part.high:.4g}], the budget is {budget.joules:g} J"
            )
    if budget.cpu_s is not None and cpu_s / divisor > budget.cpu_s:
        over.append(f"{cpu_s / divisor:.4g} CPU seconds{unit}, the budget is {budget.cpu_s:g} s")
    row["outcome"] = "over" if over else "within"
    for name, value in row.items():
        if isinstance(value, int | float):
            item.user_properties.append((name, f"{value:.6g}"))
    item.user_properties.append((_PROPERTY, json.dumps(row)))
    if over:
        pytest.fail("over its energy budget: " + "; ".join(over), pytrace=False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A table of all budgets, also those that other workers judged."""
    rows: dict[str, dict[str, Any]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY:
                    row: dict[str, Any] = json.loads(value)
                    rows[str(row["test"])] = row
    if not rows:
        return
    terminalreporter.write_sep("-", "energy budgets")
    for test, row in sorted(rows.items()):
        unit = f"/{row['per']}" if row["per"] else ""
        joules = (
            f"{row['energy_j']:.4g} of {row['energy_budget_j']:g} J{unit} [{row['energy_low_j']:.4g}, "
            f"{row['energy_high_j']:.4g}]"
            if "energy_j" in row
            else ""
        )
        cpu = (
            f"{row['cpu_s']:.4g} of {row['cpu_budget_s']:g} CPU s{unit}"
            if row["cpu_budget_s"] is not None
            else ""
        )
        terminalreporter.write_line(
            f"{row['outcome']:7}{test}  {'  '.join(part for part in (joules, cpu) if part)}"
        )


def _cpu_s() -> float:
    """CPU seconds of this process and of the children that it waited for, to the microsecond."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
