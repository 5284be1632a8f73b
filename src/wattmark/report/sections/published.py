"""The published table of arXiv 2311.16863 beside a study of tasks, with what its figures hold beside the work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wattmark.report.html.markup import Html, join, tag
from wattmark.studies.analysis.tasks import PER, TaskCost, against_general
from wattmark.units import J_PER_WH, significant
from wattmark.workloads.tasks.data.power_hungry import (
    IDLE_W,
    MEMORY_W,
    published_ratios,
    published_tasks,
)

LESS_IDLE_W = 400.0
"""50 W for each of the eight: what else they may draw at rest."""
_BIASES = (
    "Recomputed from the published runs of Power Hungry Processing (arXiv 2311.16863; data MIT). Two things in its energies "
    f"are no inference's: a constant {MEMORY_W:.1f} W for the memory of a machine of 1.1 TB, and the power of all eight "
    "A100, of which one worked. The column above idle has the GPUs' energy less what the eight draw anyway, taken to be "
    f"{IDLE_W:.0f} W, the lowest mean of any of its 4,170 runs: it cannot be more, so what is left is at least as much "
    f"as is told; the ratios are given for {LESS_IDLE_W:.0f} W too. Short runs also hold seconds before and after the "
    "inferences. That is another machine with larger models: compare the order of the tasks, not the joules."
)


def published_section(costs: Sequence[TaskCost]) -> Html:
    """Its tasks, cheapest first, with the cheapest and the dearest of ours where there is one; its ratios and ours."""
    per = f"Wh per {PER:,}"
    head = _head(("task", f"published, {per}", "of that memory", f"GPUs above idle, {per}", f"here, {per}"))
    rows = (
        tag(
            "tr",
            tag("th", one.task, scope="row"),
            tag("td", significant(one.energy_wh), class_="n"),
            tag("td", f"{100 * one.memory_share:.0f} %", class_="n"),
            tag("td", significant(one.above_idle_wh), class_="n"),
            tag("td", _ours(costs, one.task), class_="n"),
        )
        for one in published_tasks()
    )
    ratio_head = _head(("ratio", "published", "GPUs above idle", f"the same, idle {LESS_IDLE_W:.0f} W"))
    ratios = (
        tag(
            "tr",
            tag("th", one.name, scope="row"),
            tag("td", _times(one.published), class_="n"),
            tag("td", _times(one.above_idle), class_="n"),
            tag("td", _times(less.above_idle), class_="n"),
        )
        for one, less in zip(published_ratios(), published_ratios(LESS_IDLE_W), strict=True)
    )
    own = [
        f"{one.task}, {one.general.model} over {one.specific.model}: {significant(one.ratio.value)} "
        f"[{significant(one.ratio.low)}, {significant(one.ratio.high)}]"
        for one in against_general(costs)
    ]
    return join(
        tag("p", _BIASES, class_="lead"),
        _table("Published energy of tasks", head, rows),
        _table("Published ratios", ratio_head, ratios),
        tag("p", f"Ours: {'; '.join(own)}.", class_="lead") if own else None,
    )


def _ours(costs: Sequence[TaskCost], task: str) -> str:
    known = sorted(
        cost.energy.value / J_PER_WH for cost in costs if cost.task == task and cost.energy is not None
    )
    if not known:
        return "–"
    return _small(known[0]) if len(known) == 1 else f"{_small(known[0])} to {_small(known[-1])}"


def _small(value: float) -> str:
    return significant(value) if value >= 0.1 else f"{value:.2g}"


def _times(value: float) -> str:
    return f"{value:.1f} ×" if value < 100 else f"{value:.0f} ×"


def _head(names: Sequence[str]) -> Html:
    return tag(
        "tr",
        (tag("th", name, scope="col", class_="n" if place else None) for place, name in enumerate(names)),
    )


def _table(caption: str, head: Html, rows: Iterable[Html]) -> Html:
    table = tag("table", tag("caption", caption, class_="sr"), tag("thead", head), tag("tbody", rows))
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)
