"""What came of trying: one row a lever, and the winner of a second, fresh comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from wattmark.advise.levers.lever import Lever
from wattmark.advise.levers.race import Share
from wattmark.quantity import Quantity
from wattmark.studies.analysis.data.quality import Quality

Outcome = Literal[
    "saves", "costs", "little", "open", "failed", "no effect", "changes the result", "not tried"
]


@dataclass(frozen=True, slots=True)
class QualityChange:
    """By how much the watched quality is other under a lever, with its interval. worse: beyond what the runs scatter."""

    value: float
    low: float
    high: float
    worse: bool


@dataclass(frozen=True, slots=True)
class LeverResult:
    """One lever. used, time: what it leaves of the base's figure and of its time. saved: joules of a run that it saves
    (below 0: costs), None where nothing is known. reason: why it was not tried, failed, or is flagged. confirmed: in a
    second, fresh comparison. runs: ids of the kept runs."""

    lever: Lever
    outcome: Outcome
    used: Share | None = None
    time: Share | None = None
    saved: Quantity | None = None
    quality: QualityChange | None = None
    reason: str | None = None
    confirmed: bool = False
    runs: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    base: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def confidence(self) -> str:
        """In words."""
        pairs = 0 if self.used is None else self.used.pairs
        beside = f"{pairs} pair{'' if pairs == 1 else 's'}"
        return {
            "saves": f"confirmed in {beside} of a second comparison"
            if self.confirmed
            else f"saves, in {beside}; not confirmed",
            "costs": f"costs more, in {beside}",
            "little": f"saves less than is worth it, in {beside}",
            "open": f"not told apart from nothing in {beside}",
            "changes the result": f"saves or not, it changes the result, in {beside}",
        }.get(self.outcome, self.reason or "")

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        lever = self.lever
        return {
            "lever": lever.name,
            "group": lever.group,
            "what": lever.what,
            "outcome": self.outcome,
            "used": None if self.used is None else asdict(self.used),
            "time": None if self.time is None else asdict(self.time),
            "saved_j": None if self.saved is None else self.saved.as_dict(),
            "quality": None if self.quality is None else asdict(self.quality),
            "confidence": self.confidence,
            "confirmed": self.confirmed,
            "permanent": lever.permanent,
            "reason": self.reason,
            "runs": list(self.runs),
            "values": list(self.values),
            "base": list(self.base),
            "scores": list(self.scores),
        }


@dataclass(frozen=True, slots=True)
class Tried:
    """All of it. tag: ``try=TAG`` finds its runs. metric: what is judged, cpu_s or energy_j; modelled: whether the joules
    that are shown are. levers: by what they leave, those not tried last. winner: what is recommended, None where nothing
    is. base_j: joules of a run of the base. scores: the quality of the base's runs. failed: why it had to stop."""

    command: tuple[str, ...]
    tag: str
    metric: str
    modelled: bool
    levers: tuple[LeverResult, ...]
    winner: LeverResult | None
    base: tuple[float, ...]
    base_time_s: tuple[float, ...]
    base_j: Quantity | None
    quality: Quality | None
    scores: tuple[float, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    interrupted: bool = False
    failed: str | None = None

    @property
    def words(self) -> str:
        """In one sentence."""
        if self.winner is None or self.winner.used is None:
            tried = sum(one.used is not None for one in self.levers)
            if self.interrupted or self.failed is not None:
                return f"not finished: {tried} levers were begun, and none is confirmed"
            seen = any(one.outcome == "saves" for one in self.levers)
            why = "saved beyond chance in a second comparison too" if seen else "saved beyond chance"
            return f"nothing to recommend: of {tried} levers none {why}"
        used = self.winner.used
        less = 100 * (1 - used.value)
        ends = (
            "" if used.low is None or used.high is None
            else f" [{100 * (1 - used.high):.1f}, {100 * (1 - used.low):.1f}]"
        )  # fmt: skip
        return f"{self.winner.lever.name}: {less:.1f} %{ends} less {METRIC_WORDS.get(self.metric, self.metric)}, confirmed"

    def to_dict(self) -> dict[str, object]:
        """The object of ``wattmark try --json``."""
        return {
            "command": list(self.command),
            "tag": f"try={self.tag}",
            "metric": self.metric,
            "modelled": self.modelled,
            "words": self.words,
            "winner": None if self.winner is None else self.winner.to_dict(),
            "levers": [one.to_dict() for one in self.levers],
            "base": {
                "values": list(self.base),
                "time_s": list(self.base_time_s),
                "energy_j": None if self.base_j is None else self.base_j.as_dict(),
                "scores": list(self.scores),
            },
            "quality": None if self.quality is None else asdict(self.quality),
            "seconds": self.seconds,
            "notes": list(self.notes),
            "interrupted": self.interrupted,
            "failed": self.failed,
        }


METRIC_WORDS: Mapping[str, str] = {"cpu_s": "CPU time", "energy_j": "energy", "duration_s": "time"}
COLUMNS = ("lever", "joules saved", "used", "time", "quality", "confidence", "how to make it permanent")


def ordered(levers: Sequence[LeverResult]) -> tuple[LeverResult, ...]:
    """The largest saving first, failed ones after all that were measured, those that were not tried last."""

    def place(one: LeverResult) -> tuple[int, float]:
        if one.used is not None:
            return (0, one.used.value)
        return (2 if one.outcome == "not tried" else 1, 0.0)

    return tuple(sorted(levers, key=place))
