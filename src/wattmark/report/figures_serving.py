"""Figures of serving studies: joules per token and request over load, idle, power, latency, and where sizes cross.

All of them read what the workload ``llm`` reports; a study of anything else has none of these figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.charts import dots, lines, points
from wattmark.report.data import Group, StudyData, mean_interval, shorten, show_level
from wattmark.report.figures import MOST_POINTS, Figure, Panel, has, runs, scale_for
from wattmark.report.marks import Drawing, Line, Point
from wattmark.report.methods import plain_mapping
from wattmark.report.style import SERIES
from wattmark.studies.analysis.statistics import ALPHA, Float64, holm, scipy_stats

LOADS = {"rate": "requests/s", "concurrency": "requests at a time"}
MOST_LINES = 14
MOST_CROSSINGS = 10


class Crossing(NamedTuple):
    """A larger model at a higher load against a smaller one at a lower load.

    ratio: of joules per output token, idle included, with its 95 % interval. p: that it is no cheaper (Welch's t over the
    logarithms, Holm's correction over all pairs that were looked at).
    """

    larger: str
    smaller: str
    ratio: Quantity
    p: float


def figures(data: StudyData) -> list[Figure]:
    """All figures of a serving study; none of any other study."""
    if not has(data, "j_per_token"):
        return []
    load = next((name for name in LOADS if name in data.factors), None)
    by_load = [
        _over_load(data, load, "serving-energy", "What a token and a request cost by load", (
            ("j_per_token", "J", "per output token", "Energy of an output token"),
            ("j_per_request", "J", "per request", "Energy of a request"),
        ), _energy_lead(data)),
        _over_load(data, load, "serving-idle", "The share of idle by load", (
            ("idle_share", "", "idle, share of the energy (0 to 1)", "Idle share of the energy"),
        ), _idle_lead(data, load)),
    ]  # fmt: skip
    return [*by_load, _power(data), _latency(data), _crossing_figure(data, load)]


def crossings(data: StudyData, load: str) -> list[Crossing]:
    """Every pair of a larger model at a higher load and a smaller one at a lower load that two runs or more each know.

    Needs models of known size. The sensor's error is common to both and cancels in the ratio; only scatter counts.
    """
    cells = [cell for cell in data.cells if np.isfinite(data.values("parameters")[cell.rows]).all()]
    pairs = [
        (big, small) for big in cells for small in cells
        if _mean(data, big, "parameters") > _mean(data, small, "parameters")
        and float(big.levels[load]) > float(small.levels[load])
    ]  # fmt: skip
    found: list[Crossing] = []
    for big, small in pairs:
        known = [_logs(data, cell) for cell in (big, small)]
        if min(len(one) for one in known) >= 2:
            ratio, p = _welch(*known)
            found.append(Crossing(big.label, small.label, ratio, p))
    if not found:
        return []
    corrected = holm(np.array([one.p for one in found]))
    return [one._replace(p=float(p)) for one, p in zip(found, corrected, strict=True)]


def _over_load(
    data: StudyData,
    load: str | None,
    key: str,
    title: str,
    wanted: Sequence[tuple[str, str, str, str]],
    lead: str,
) -> Figure:
    if load is None:
        return Figure(key, title, "", absent="the load was not varied (rate or concurrency)")
    there = [one for one in wanted if has(data, one[0])]
    if not there:
        return Figure(key, title, "", absent="the idle watts are not known")
    panels = [
        Panel(f"{key}-{name}", panel, f"Lines: {panel.lower()} by {LOADS[load]}, a line for each model",
              _drawn(data, load, name, unit, axis))
        for name, unit, axis, panel in there
    ]  # fmt: skip
    return Figure(key, title, f"{lead} {runs(data, data.cells)}".strip(), panels)


def _drawn(data: StudyData, load: str, name: str, unit: str, axis: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        scale = scale_for(list(data.values(name)), unit) if unit else None
        items: list[Line] = []
        for label, cells in _series(data, load)[:MOST_LINES]:
            known = [(float(cell.levels[load]), _quantity(data, cell, name)) for cell in cells]
            shown = [(x, scale.to(y) if scale else y) for x, y in known if y is not None]
            if shown:
                modelled = data.modelled_share("total", cells[0]) if unit else None
                items.append(
                    Line(label, [x for x, _ in shown], [y.value for _, y in shown],
                         [_positive(y).low if unit else y.low for _, y in shown], [y.high for _, y in shown], modelled)
                )  # fmt: skip
        log: Literal["x", "xy"] = "xy" if unit else "x"
        return lines(items, LOADS[load], f"{scale.unit} {axis}" if scale else axis, log=log, zero=not unit)

    return draw


def _series(data: StudyData, load: str) -> list[tuple[str, list[Group]]]:
    """The cells of each line: all that differ in load only, by load; smaller models first."""
    found: dict[str, list[Group]] = {}
    for cell in data.cells:
        levels = {name: level for name, level in cell.levels.items() if name != load}
        label = ", ".join(
            show_level(level) if name == data.subject else f"{name} {show_level(level)}"
            for name, level in levels.items()
        )
        found.setdefault(shorten(label) or data.results.name, []).append(cell)
    for cells in found.values():
        cells.sort(key=lambda cell: float(cell.levels[load]))
    return sorted(found.items(), key=lambda item: np.nan_to_num(_mean(data, item[1][0], "parameters")))


def _power(data: StudyData) -> Figure:
    key, title = "serving-power", "Power by requests in flight"
    panel = Panel(
        key,
        "Power against utilisation",
        "Points: mean power by mean requests in flight, one for each cell",
        lambda: _scatter(data, "in_flight", "serving_w", "requests in flight, mean", "W", log="x"),
        wide=True,
    )
    lead = "Power of the machine without the load client's part and other work."
    return Figure(key, title, f"{lead} {runs(data, data.cells)}", [panel])


def _latency(data: StudyData) -> Figure:
    key, title = "serving-latency", "Latency against energy"
    if not has(data, "ttft_p95_s"):
        return Figure(
            key, title, "", absent="no answer was streamed, so the time to the first token is not known"
        )
    panel = Panel(key, "Time to the first token against joules per request",
                  "Points: 95th percentile of the time to the first token by joules per request, one for each cell",
                  lambda: _scatter(data, "j_per_request", "ttft_p95_s", "J per request", "s to the first token (p95)",
                                   log="xy"), wide=True)  # fmt: skip
    lead = "Lower left is better in both."
    limit_s = plain_mapping(data.results.design.get("fixed")).get("ttft_limit_s")
    if limit_s is not None:
        lead += f" The stated limit is {limit_s} s to the first token."
    return Figure(key, title, f"{lead} {runs(data, data.cells)}", [panel])


def _scatter(
    data: StudyData, x: str, y: str, x_axis: str, y_axis: str, *, log: Literal["", "x", "y", "xy"]
) -> Drawing:
    colours = {group.label: SERIES[number % len(SERIES)] for number, group in enumerate(data.models)}
    items: list[Point] = []
    for cell in data.cells[:MOST_POINTS]:
        across, up = _quantity(data, cell, x), _quantity(data, cell, y)
        if across is not None and up is not None and (not log or min(across.value, up.value) > 0):
            model = show_level(cell.levels[data.subject]) if data.subject else ""
            items.append(
                Point(cell.label, _positive(across) if log else across, _positive(up) if log else up,
                      data.modelled_share("total", cell),
                      colours.get(model, SERIES[0]))
            )  # fmt: skip
    return points(items, x_axis, y_axis, log=log, wide=True)


def _positive(quantity: Quantity) -> Quantity:
    """A logarithmic axis has no nothing: an interval that reaches below a tenth of the value is cut there."""
    low = max(quantity.low, quantity.value / 10)
    return Quantity(quantity.value, low, quantity.high, quantity.unit, quantity.source)


def _crossing_figure(data: StudyData, load: str | None) -> Figure:
    key, title = "serving-crossing", "Where a larger model costs less than a smaller one"
    if load is None or not has(data, "parameters"):
        return Figure(key, title, "", absent="it needs models of known size at several loads")
    found = crossings(data, load)
    if not found:
        return Figure(key, title, "", absent="it needs two models or more, and two runs or more of each cell")
    best = sorted(found, key=lambda one: one.ratio.value)[:MOST_CROSSINGS]
    sure = [one for one in found if one.ratio.value < 1 and one.p < ALPHA]
    panel = Panel(key, "Joules per token, larger at more load over smaller at less",
                  "Dots: ratio of joules per output token with 95 % intervals; below 1 the larger model costs less",
                  lambda: dots([f"{one.larger} / {one.smaller}" for one in best], [one.ratio for one in best],
                               "ratio of J per output token"), wide=True)  # fmt: skip
    return Figure(key, title, f"{crossing_sentence(sure, len(found))} {runs(data, data.cells)}", [panel])


def crossing_sentence(sure: Sequence[Crossing], looked_at: int) -> str:
    """What the pairs say, and how sure it is."""
    if not sure:
        return (
            f"In none of {looked_at} pairs is it sure that a larger model at more load costs less per token than a "
            "smaller one at less load."
        )
    best = min(sure, key=lambda one: one.ratio.high)
    p = "below 0.001" if best.p < 0.001 else f"{best.p:.3f}"
    return (
        f"In {len(sure)} of {looked_at} pairs it is sure that the larger model at more load costs less per token, idle "
        f"included. {best.larger} costs {best.ratio.value:.2f} times ({best.ratio.low:.2f} to {best.ratio.high:.2f}) what "
        f"{best.smaller} does (Welch's t over logarithms, p {p} after Holm's correction)."
    )


def _energy_lead(data: StudyData) -> str:
    how = data.how("total")
    return (
        f"Idle included; the joules are {how}. Intervals that reach below a tenth of the value are cut there."
    )


def _idle_lead(data: StudyData, load: str | None) -> str:
    """The load below which most of the energy is idle, where the data say so for every model."""
    if load is None or not has(data, "idle_share"):
        return ""
    known = [(cell, _quantity(data, cell, "idle_share")) for cell in data.cells]
    least = min((float(cell.levels[load]) for cell, _ in known), default=math.nan)
    shares = [share for cell, share in known if share is not None and float(cell.levels[load]) == least]
    if not shares or any(share.low <= 0.5 for share in shares):
        return ""
    low, high = min(share.value for share in shares), max(share.value for share in shares)
    span = f"{low:.0%}" if f"{low:.0%}" == f"{high:.0%}" else f"{low:.0%} to {high:.0%}"
    return (
        f"At {least:g} {LOADS[load]}, idle is {span} of the energy whatever the model: share the server, or use the "
        "larger model at little extra cost."
    ).replace("%", " %")


def _quantity(data: StudyData, cell: Group, name: str) -> Quantity | None:
    low, high = data.values(f"{name}_low")[cell.rows], data.values(f"{name}_high")[cell.rows]
    known = bool(np.isfinite(low).any())
    return mean_interval(data.values(name)[cell.rows], low if known else None, high if known else None)


def _mean(data: StudyData, cell: Group, name: str) -> float:
    return float(data.values(name)[cell.rows].mean())


def _logs(data: StudyData, cell: Group) -> Float64:
    values = data.values("j_per_token")[cell.rows]
    return np.log(values[np.isfinite(values) & (values > 0)])


def _welch(big: Float64, small: Float64) -> tuple[Quantity, float]:
    """Ratio of geometric means with its 95 % interval, and one-sided p that it is not below 1 (Welch 1947)."""
    stats = scipy_stats()
    parts = [float(one.var(ddof=1)) / len(one) for one in (big, small)]
    difference, error = float(big.mean() - small.mean()), math.sqrt(sum(parts))
    if error == 0:
        ratio = math.exp(difference)
        return Quantity.exact(ratio, ""), float(difference >= 0)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(one) - 1) for part, one in zip(parts, (big, small), strict=True)
    )
    reach = float(stats.t.ppf(0.975, freedom)) * error
    ends = [math.exp(min(difference + sign * reach, 50.0)) for sign in (-1, 0, 1)]
    return Quantity(ends[1], ends[0], ends[2], ""), float(stats.t.cdf(difference / error, freedom))
