"""Things to do, each with its saving, its price, the comparison that it rests on, its guard rail, and how to see it again.

Nothing is found here: each piece of advice is a guideline of the study's analysis, which says only what the data carry
(corrected for all that was compared).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from wattmark.documents import number, text
from wattmark.quantity import Quantity
from wattmark.studies.analysis import Analysis, Guideline
from wattmark.studies.analysis.data.cells import label
from wattmark.studies.analysis.effects import Effect
from wattmark.studies.results import StudyResults
from wattmark.units import significant

SMALLEST_GUARD = 0.005
"""Half a point of a share: a guard rail is no tighter than what runs show of it."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do. saving: the share of the energy that it saves, with its 95 % interval; None where it is another
    figure. why: the guideline in one sentence. price: what it costs beside. rests_on: the comparison. guard: what must
    stay so. command: what shows it again."""

    do: str
    why: str
    saving: Quantity | None
    price: str
    rests_on: str
    guard: str
    command: str
    strength: str
    limits: tuple[str, ...] = ()

    @property
    def saving_words(self) -> str:
        """``38 % [31, 44]``, or nothing."""
        if self.saving is None:
            return ""
        value, low, high = (significant(100 * end, 2) for end in (self.saving.value, *self.saving.interval()))
        return f"{value} % [{low}, {high}]"

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return {
            "do": self.do,
            "why": self.why,
            "saving": None if self.saving is None else self.saving.as_dict(),
            "price": self.price,
            "rests_on": self.rests_on,
            "guard": self.guard,
            "command": self.command,
            "strength": self.strength,
            "limits": list(self.limits),
        }


def advice_of(results: StudyResults, analysis: Analysis, command: str | None = None) -> list[Advice]:
    """What follows from a study, the strongest evidence first and of like evidence the largest saving. command: what shows
    it again, if not the study."""
    shown = again(results.name) if command is None else command
    found = [one for guideline in analysis.guidelines if (one := advice_for(guideline, shown)) is not None]
    order = ("strong", "moderate", "weak")
    return sorted(
        found, key=lambda one: (order.index(one.strength), -(one.saving.value if one.saving else 0.0))
    )


def again(study: str) -> str:
    """The command that runs a study once more."""
    return f"wattmark study run {shlex.quote(study)}"


def advice_for(guideline: Guideline, command: str) -> Advice | None:
    """What to do by one guideline; None for what is worth knowing and nothing to do (what foretells energy)."""
    evidence = guideline.evidence
    act = _DO.get(text(evidence.get("kind")) or "")
    if act is None:
        return None
    tests = [f"{count:.0f} trials" for count in [number(evidence.get("trials"))] if count is not None]
    p = number(evidence.get("p_corrected"))
    tests += [] if p is None else [f"p {significant(p, 2) if p >= 0.001 else '< 0.001'} after correction"]
    return Advice(
        act(evidence),
        guideline.text,
        _saving(evidence),
        _price(evidence),
        "; ".join([f"{evidence.get('metric', evidence.get('quality', ''))}", *tests]),
        _guard(evidence),
        command,
        guideline.strength,
        guideline.limits,
    )


def _saving(evidence: Mapping[str, object]) -> Quantity | None:
    """The share of energy that is saved, of a ratio and its ends."""
    value, low, high = (number(evidence.get(name)) for name in ("ratio", "low", "high"))
    if value is None or low is None or high is None or not low <= value <= high:
        return None
    return Quantity(1 - value, 1 - high, 1 - low, "", "the comparison")


def _price(evidence: Mapping[str, object]) -> str:
    gain, name = number(evidence.get("quality_gain")), evidence.get("quality")
    if gain is None:
        return ""
    low, high = number(evidence.get("quality_low")), number(evidence.get("quality_high"))
    ends = "" if low is None or high is None else f" [{significant(low)}, {significant(high)}]"
    return f"{name} {'+' if gain > 0 else ''}{significant(gain)}{ends}"


def _guard(evidence: Mapping[str, object]) -> str:
    """What was seen of the quality is the rail: no further than the interval went."""
    gain, name = number(evidence.get("quality_gain")), evidence.get("quality")
    if gain is None:
        return (
            "the result must be as good: no quality was compared"
            if evidence.get("kind") == "difference"
            else ""
        )
    ends = [
        end
        for end in (number(evidence.get("quality_low")), number(evidence.get("quality_high")))
        if end is not None
    ]
    if evidence.get("higher_is_better") is False:
        return f"{name} must not rise by more than {significant(max(SMALLEST_GUARD, gain, *ends))}"
    return f"{name} must not fall by more than {significant(max(SMALLEST_GUARD, -min([gain, *ends])))}"


def _level(evidence: Mapping[str, object], name: str) -> str:
    return label({str(evidence.get("factor")): evidence.get(name)}).replace("=", " ")


_DO: dict[str, Callable[[Mapping[str, object]], str]] = {
    "difference": lambda evidence: (
        f"Take {_level(evidence, 'level')} instead of {_level(evidence, 'against')}."
    ),
    "last-points": lambda evidence: (
        f"Stay with {evidence.get('from')} unless the last points are worth their joules."
    ),
    "serving-idle": lambda _: (
        "Share the server with other work, or let it sleep: at this load most of its energy is idle."
    ),
    "serving-crossing": lambda evidence: (
        f"Run {evidence.get('larger')} rather than {evidence.get('smaller')}."
    ),
    "serving-steps": lambda evidence: (
        f"Ask in the mode of {evidence.get('cell')}, where right answers are what counts."
    ),
    "serving-in-time": lambda evidence: f"Serve with {evidence.get('cell')}.",
}


# --- which level of which factor ---


@dataclass(frozen=True, slots=True)
class Marginal:
    """A level of a factor beside the one that is cheapest by this metric, all other factors the same: ratio with its 95 %
    interval (1 of the cheapest itself), and whether it is more beyond the correction for all comparisons."""

    factor: str
    metric: str
    level: str
    trials: int
    ratio: float
    low: float | None
    high: float | None
    clear: bool

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def marginals(analysis: Analysis, metric: str | None = None) -> list[Marginal]:
    """Which batch size, which learning rate, which width: every factor's levels by energy (``analysis.pareto_metric`` unless
    another metric is named), the cheapest first."""
    wanted = metric or analysis.pareto_metric
    return [row for effect in analysis.effects if effect.metric == wanted for row in _beside_cheapest(effect)]


def _beside_cheapest(effect: Effect) -> list[Marginal]:
    ratios: dict[tuple[str, str], tuple[float, float | None, float | None, bool]] = {}
    for one in effect.differences:
        if one.scale != "ratio":
            return []
        clear = one.p_corrected is not None and one.p_corrected < 0.05
        low, high = one.low, one.high
        ratios[str(one.a), str(one.b)] = (one.value, low, high, clear)
        known = low is not None and high is not None and low > 0
        ends = (1 / high, 1 / low) if known and low and high else (None, None)
        ratios[str(one.b), str(one.a)] = (1 / one.value, ends[0], ends[1], clear)
    names = [str(level.level) for level in effect.levels]
    whole = [name for name in names if all((name, other) in ratios for other in names if other != name)]
    if not whole:
        return []
    cheapest = min(
        whole,
        key=lambda name: max((1 / ratios[name, other][0] for other in names if other != name), default=1.0),
    )
    rows: list[Marginal] = []
    for level in effect.levels:
        name = str(level.level)
        value, low, high, clear = ratios.get((cheapest, name), (1.0, 1.0, 1.0, False))
        sure = clear and low is not None and low > 1
        rows.append(Marginal(effect.factor, effect.metric, name, level.trials, value, low, high, sure))
    return sorted(rows, key=lambda row: row.ratio)


def best_levels(rows: Sequence[Marginal]) -> dict[str, list[str]]:
    """Of each factor the levels that may be the cheapest."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if not row.clear:
            found.setdefault(row.factor, []).append(row.level)
    return found
