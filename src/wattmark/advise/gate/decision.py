"""Within, over, or undecided: pairs of base and head until a test that may stop early has decided.

Over: more than the base, beyond chance at any stop (error alpha), and by the best estimate more than what is allowed.
Within: less than what is allowed, beyond chance (the same). Neither by the last look: undecided.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, stdev
from typing import Any, Literal

from wattmark.advise.gate.baseline import Figures
from wattmark.advise.gate.repeat import Bench, CommandFailed, Machine, Repeat
from wattmark.errors import ConfigError
from wattmark.statistics import LOOKS, UPPER, SequentialTest, mean_at_rest, t_quantile, t_tail, welch
from wattmark.units import format_duration

Outcome = Literal["within", "over", "undecided"]
COVARIATE_FROM = 0.03
"""From this run-to-run spread on, what other processes used meanwhile is a covariate."""
SHOWN_REGRESSION = 0.05
_PILOT_KEPT = 3

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says. ratio: head over base, with its 95 % interval (None below two pairs). limit: what is allowed,
    0.03 for 3 %. pairs: of repeats (of the head alone, where the base was measured before). spread: run to run, of one
    side. plan: what was said before it began."""

    outcome: Outcome
    metric: str
    limit: float
    baseline: str
    pairs: int
    ratio: float | None
    low: float | None
    high: float | None
    spread: float | None
    base: tuple[float, ...]
    head: tuple[float, ...]
    machine: Machine
    seconds: float
    plan: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    interrupted: bool = False
    command: tuple[str, ...] = ()
    others: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])

    @property
    def words(self) -> str:
        """In one sentence."""
        if self.ratio is None or self.low is None or self.high is None:
            return f"{self.metric}: undecided, too few repeats"
        change, low, high = ((value - 1) * 100 for value in (self.ratio, self.low, self.high))
        beside = (
            f"{self.metric} of the head is {change:+.1f} % [{low:+.1f}, {high:+.1f}] beside {self.baseline}"
        )
        allowed = f"{self.limit * 100:g} % allowed"
        return {
            "within": f"within: {beside}, {allowed}",
            "over": f"over: {beside}, {allowed}",
            "undecided": f"undecided: {beside}, {allowed}; {self.pairs} repeats do not tell",
        }[self.outcome]

    def to_dict(self) -> dict[str, Any]:
        """The object of ``wattmark gate --json``."""
        return {**asdict(self), "words": self.words}


def capability(spread: float, limit: float, test: SequentialTest) -> tuple[str, ...]:
    """What a gate can do at this run-to-run spread, in words, by simulation of its own test."""
    lines: list[str] = []
    effects = sorted({SHOWN_REGRESSION, 2 * limit})
    for effect in effects:
        power, pairs = test.stops(math.log1p(effect) / (math.sqrt(2) * max(spread, 1e-6)))
        if power < 0.01:
            lines.append(f"a regression of {effect * 100:g} % is not found")
        else:
            lines.append(
                f"a regression of {effect * 100:g} % is found in {pairs:.0f} pairs (power {power:.2f})"
            )
    return tuple(lines)


def pilot_words(values: Sequence[float]) -> tuple[float, str]:
    """The spread of some repeats, relative, and in words with its interval."""
    logs = [math.log(value) for value in values]
    spread = stdev(logs)
    freedom = len(values) - 1
    low, high = (spread * math.sqrt(freedom / _chi2(freedom, end)) for end in (0.975, 0.025))
    return (
        spread,
        f"{len(values)} repeats of the base spread by {spread * 100:.1f} % ({low * 100:.1f} to {high * 100:.1f} %)",
    )


def _chi2(freedom: int, probability: float) -> float:
    """The quantile of chi squared by Wilson and Hilferty's cube (PNAS 17, 1931): good to a few percent, which a spread
    of three is not."""
    from statistics import NormalDist

    z, part = NormalDist().inv_cdf(probability), 2 / (9 * freedom)
    return max(freedom * (1 - part + z * math.sqrt(part)) ** 3, 0.05)


def _silent(_: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a gate goes: pairs, seconds, what is allowed (0.03), the error that is taken (0.05)."""

    regression: float = 0.03
    pairs: int = LOOKS[-1]
    seconds: float = math.inf
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.regression < 1:
            raise ConfigError(f"what is allowed is a share such as 3 %, not {self.regression * 100:g} %")
        if self.pairs < LOOKS[0]:
            raise ConfigError(f"a gate looks first after {LOOKS[0]} pairs; {self.pairs} are too few")
        if not self.seconds > 0:
            raise ConfigError("a gate needs time")

    @property
    def test(self) -> SequentialTest:
        """The test that these limits leave."""
        looks = [look for look in LOOKS if look <= self.pairs]
        if looks[-1] < self.pairs:
            looks.append(self.pairs)
        return SequentialTest(tuple(looks), self.alpha)


class Gate:
    """One gate: runs, and decides. ``head`` and ``base`` are folders; ``tell`` hears what people should see meanwhile."""

    def __init__(self, bench: Bench, limits: Limits, label: str, tell: Tell | None = None) -> None:
        self._bench, self._limits, self._label = bench, limits, label
        self._tell: Tell = tell or _silent
        self._began = time.monotonic()
        self._plan: tuple[str, ...] = ()
        self._notes: list[str] = []
        self._base: list[Repeat] = []
        self._head: list[Repeat] = []
        self._spread: float | None = None
        self._covariate = False

    def against_commit(self, head: str, base: str) -> Verdict:
        """Pairs in alternating order, base first and head first in turn."""
        test = self._limits.test
        interrupted = False
        try:
            self._pilot(head, base, test)
            for pair in range(self._limits.pairs):
                if self._late():
                    self._notes.append(f"the time was over ({format_duration(self._limits.seconds)})")
                    break
                order = ((base, "base", self._base), (head, "head", self._head))
                for folder, side, kept in order if pair % 2 == 0 else order[::-1]:
                    kept.append(self._run(folder, side))
                if len(self._head) in test.looks:
                    outcome = self._paired_outcome(test)
                    self._tell(self._paired(outcome).words)
                    if outcome != "undecided":
                        return self._paired(outcome)
        except KeyboardInterrupt:
            interrupted = True
            count = min(len(self._base), len(self._head))
            self._base, self._head = self._base[:count], self._head[:count]
            self._notes.append(f"interrupted after {count} pairs")
        return self._paired("undecided", interrupted)

    def against_figures(self, head: str, figures: Figures, any_host: bool) -> Verdict:
        """The head alone, beside repeats of before, on the same machine only."""
        before = figures.values.get(self._bench.metric, ())
        if len(before) < _PILOT_KEPT:
            raise ConfigError(
                f"{figures.label} has {len(before)} values of {self._bench.metric}; it takes {_PILOT_KEPT} at least",
                hint="repeat the base more often, or measure it beside the head: --baseline COMMIT",
            )
        test = self._limits.test
        spread, words = pilot_words(before)
        self._spread = spread
        self._plan = (
            words,
            *capability(spread, self._limits.regression, test),
            "the base was not measured beside it: drifts count too",
        )
        self._say_plan()
        interrupted = False
        try:
            self._refuse_other_machine(self._run(head, "head"), figures, any_host)
            for _ in range(self._limits.pairs):
                if self._late():
                    self._notes.append(f"the time was over ({format_duration(self._limits.seconds)})")
                    break
                self._head.append(self._run(head, "head"))
                if len(self._head) in test.looks:
                    outcome = self._unpaired_outcome(before, test)
                    self._tell(self._unpaired(outcome, before).words)
                    if outcome != "undecided":
                        return self._unpaired(outcome, before)
        except KeyboardInterrupt:
            interrupted = True
            self._notes.append(f"interrupted after {len(self._head)} repeats")
        return self._unpaired("undecided", before, interrupted)

    # --- parts ---

    def _run(self, folder: str, side: str) -> Repeat:
        try:
            return self._bench.run(folder, side)
        except CommandFailed as error:
            done = min(len(self._base), len(self._head))
            raise CommandFailed(
                f"{error} (after {done} pairs)" if done else str(error), hint=error.hint
            ) from error

    def _late(self) -> bool:
        return time.monotonic() - self._began > self._limits.seconds

    def _pilot(self, head: str, base: str, test: SequentialTest) -> None:
        """Warm both up, see how far the base spreads, and say what the gate can do, before it begins."""
        metric = self._bench.metric
        repeats: list[Repeat] = []
        for number, folder in enumerate((base, head, *[base] * _PILOT_KEPT)):
            if self._late():
                return
            repeat = self._run(folder, "head" if number == 1 else "base")
            repeats += [repeat] if number > 1 else []
        self._spread, words = pilot_words([one.values[metric] for one in repeats])
        plan = [words, *capability(self._spread, self._limits.regression, test)]
        if self._spread > COVARIATE_FROM:
            known = all(one.others_busy is not None for one in repeats)
            self._covariate = known
            plan.append(
                f"more than {COVARIATE_FROM * 100:g} %: what other processes used is a covariate"
                if known
                else f"more than {COVARIATE_FROM * 100:g} %, and what else ran is not known: it may not decide"
            )
            if self._bench.joules:
                plan.append("CPU time may spread less: --metric cpu_s")
        self._plan = tuple(plan)
        self._say_plan()

    def _say_plan(self) -> None:
        for line in self._plan:
            self._tell(line)

    def _logs(self) -> tuple[list[float], list[float] | None]:
        metric = self._bench.metric
        pairs = list(zip(self._base, self._head, strict=True))
        logs = [math.log(head.values[metric] / base.values[metric]) for base, head in pairs]
        if not self._covariate:
            return logs, None
        return logs, [(head.others_busy or 0.0) - (base.others_busy or 0.0) for base, head in pairs]

    def _paired_outcome(self, test: SequentialTest) -> Outcome:
        logs, busy = self._logs()
        allowed = math.log1p(self._limits.regression)
        if test.rejects(
            [-value for value in logs], -allowed, None if busy is None else [-value for value in busy]
        ):
            return "within"
        mean, _, _ = mean_at_rest(logs, busy)
        return "over" if test.rejects(logs, 0.0, busy) and mean > allowed else "undecided"

    def _paired(self, outcome: Outcome, interrupted: bool = False) -> Verdict:
        logs, busy = self._logs()
        if len(logs) < 2:
            return self._verdict(outcome, len(logs), None, None, interrupted)
        mean, error, freedom = mean_at_rest(logs, busy)
        half = t_quantile(freedom, UPPER) * error
        return self._verdict(outcome, len(logs), (mean, half), stdev(logs) / math.sqrt(2), interrupted)

    def _unpaired_gap(self, before: Sequence[float]) -> tuple[float, float, float]:
        metric = self._bench.metric
        old, new = [math.log(value) for value in before], [math.log(one.values[metric]) for one in self._head]
        terms = [(stdev(group) ** 2 / len(group), len(group) - 1.0) for group in (old, new)]
        error, freedom = welch([term for term, _ in terms], [own for _, own in terms])
        return fmean(new) - fmean(old), error, freedom

    def _unpaired_outcome(self, before: Sequence[float], test: SequentialTest) -> Outcome:
        """Welch's test at each look with an even share of alpha (Bonferroni): the looks share the base's own error."""
        gap, error, freedom = self._unpaired_gap(before)
        allowed, level = math.log1p(self._limits.regression), test.alpha / len(test.looks)
        if error == 0:
            return "over" if gap > allowed else "within"
        if t_tail(freedom, (allowed - gap) / error) <= level:
            return "within"
        return "over" if t_tail(freedom, gap / error) <= level and gap > allowed else "undecided"

    def _unpaired(self, outcome: Outcome, before: Sequence[float], interrupted: bool = False) -> Verdict:
        if len(self._head) < 2:
            return self._verdict(outcome, len(self._head), None, None, interrupted, before)
        gap, error, freedom = self._unpaired_gap(before)
        return self._verdict(
            outcome,
            len(self._head),
            (gap, t_quantile(freedom, UPPER) * error),
            self._spread,
            interrupted,
            before,
        )

    def _refuse_other_machine(self, first: Repeat, figures: Figures, any_host: bool) -> None:
        differences = Machine.here(first.methods).differences(figures.machine, any_host=any_host)
        if differences:
            raise ConfigError(
                f"the baseline {figures.label} is of another machine: {'; '.join(differences)}",
                hint="measure the base commit beside the head: --baseline COMMIT; --any-host where only the name differs",
            )

    def _verdict(
        self,
        outcome: Outcome,
        pairs: int,
        gap: tuple[float, float] | None,
        spread: float | None,
        interrupted: bool,
        before: Sequence[float] | None = None,
    ) -> Verdict:
        metric = self._bench.metric
        ends = (
            (None, None, None)
            if gap is None
            else tuple(math.exp(gap[0] + side * gap[1]) for side in (0, -1, 1))
        )
        methods: Mapping[str, str] = self._head[0].methods if self._head else {}
        notes = list(self._notes)
        if outcome == "undecided" and spread is not None and spread > COVARIATE_FROM and not interrupted:
            notes.append(
                f"runs spread by {spread * 100:.1f} %: a quieter machine, a longer command or more pairs decide"
            )
        modelled = [name for name, how in methods.items() if how == "modelled"]
        if self._bench.joules and modelled:
            notes.append(f"{' and '.join(sorted(modelled))} is modelled here and not judged")
        return Verdict(
            outcome=outcome,
            metric=metric,
            limit=self._limits.regression,
            baseline=self._label,
            pairs=pairs,
            ratio=ends[0],
            low=ends[1],
            high=ends[2],
            spread=spread,
            base=tuple(one.values[metric] for one in self._base) if before is None else tuple(before),
            head=tuple(one.values[metric] for one in self._head),
            machine=Machine.here(methods),
            seconds=time.monotonic() - self._began,
            plan=self._plan,
            notes=tuple(notes),
            interrupted=interrupted,
            command=self._bench.command,
            others=self._others(),
        )

    def _others(self) -> dict[str, Sequence[float]]:
        """All that the head's repeats gave, for a file that later gates are held against."""
        names: Mapping[str, float] = self._head[0].values if self._head else {}
        return {name: [one.values[name] for one in self._head if name in one.values] for name in names}
