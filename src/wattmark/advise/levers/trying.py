"""``wm.try_levers([...])``: the levers of a command tried, the good ones together, and the best compared once more."""

from __future__ import annotations

import math
import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wattmark.advise.gate.repeat import CommandFailed, Usage, measured_joules, run_once
from wattmark.advise.levers import hook
from wattmark.advise.levers.catalogue import levers_for
from wattmark.advise.levers.lever import Lever, command_under, conditions_under, together
from wattmark.advise.levers.quality import change, value_of, watched
from wattmark.advise.levers.race import WORTH, Pairs, Share, blocks, confirming, racing
from wattmark.advise.levers.result import LeverResult, Outcome, QualityChange, Tried, ordered
from wattmark.advise.levers.serving import benchmark_of, server_levers
from wattmark.advise.levers.subject import Computer, Reports, Subject, read_reports, subject_of
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.runs.differences import mean_with_scatter, of_repeats
from wattmark.studies.analysis.data.quality import Quality
from wattmark.units import format_duration
from wattmark.workloads.command import fill, placeholders

Tell = Callable[[str], None]
Catalogue = Callable[[Subject, Computer], list[Lever]]
BLOCK = 3
"""So many levers share a run of the base beside them."""
MOST_TOGETHER = 4
_SLOWEST = 10.0
_FRESH = 1_000
"""``{repeat}`` of the second comparison begins here, so that its seeds are new."""
_SLOWEST_MORE_S = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How far it goes. rounds: of the race at most; confirm: pairs of the second comparison at most; worth: a saving below
    this share is not worth it; loss: how much of the quality may be lost; only, without: names of levers or groups."""

    rounds: int = 7
    confirm: int = 14
    worth: float = WORTH
    loss: float = 0.0
    seconds: float = math.inf
    quality: str | None = None
    metric: str = "auto"
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 3 <= self.rounds <= 100 or not 5 <= self.confirm <= 100:
            raise ConfigError(
                "a race takes 3 rounds at least, the second comparison 5 pairs",
                hint="--rounds 7 --confirm 14",
            )
        if not 0 <= self.worth < 1:
            raise ConfigError("what is worth it is a share such as 1 %")
        if self.loss < 0 or not math.isfinite(self.loss):
            raise ConfigError("what may be lost of the quality is 0 or more")
        if not self.seconds > 0:
            raise ConfigError("trying needs time")
        if self.metric not in ("auto", "cpu_s", "energy_j", "duration_s"):
            raise ConfigError(
                f"levers are not judged by {self.metric!r}", hint="auto, cpu_s, energy_j or duration_s"
            )


@dataclass(frozen=True, slots=True)
class _Once:
    """One run: the figure that is judged, its time, joules and quality."""

    value: float
    time_s: float
    joules: Quantity | None
    score: float | None
    others_busy: float | None
    run_id: str
    reports: Reports


@dataclass(slots=True)
class _Row:
    """A lever while it is tried."""

    lever: Lever
    used: Pairs
    time: Pairs
    runs: list[_Once] = field(default_factory=list[_Once])
    beside: list[_Once] = field(default_factory=list[_Once])
    failed: str | None = None

    def add(self, base: _Once, own: _Once) -> None:
        busy = None
        if own.others_busy is not None and base.others_busy is not None:
            busy = own.others_busy - base.others_busy
        self.used.add(base.value, own.value, busy)
        self.time.add(base.time_s, own.time_s)
        self.runs.append(own)
        self.beside.append(base)


class Trial:
    """One command whose levers are tried. Made by :func:`try_levers`."""

    def __init__(
        self,
        command: Sequence[str],
        plan: Plan,
        folder: str,
        tell: Tell,
        environ: Mapping[str, str],
        seed: int,
        catalogue: Catalogue = levers_for,
    ) -> None:
        self.command, self.plan, self.folder, self.tell = tuple(command), plan, folder, tell
        self.tag = uuid.uuid4().hex[:8]
        self._environ = environ
        self._catalogue = catalogue
        self._random = random.Random(seed)
        self._began = time.monotonic()
        self._paired = "repeat" in placeholders(command)
        self._metric = plan.metric
        self._modelled = False
        self._quality: Quality | None = None
        self._usual_s = 0.0
        self._bases: list[_Once] = []
        self._rows: dict[str, _Row] = {}
        self._off: list[Lever] = []
        self._winner: LeverResult | None = None
        self._notes: list[str] = []
        self._failed: str | None = None

    def run(self) -> Tried:
        """All of it. Raises CommandFailed where the command fails as it is."""
        interrupted = False
        try:
            self._try()
        except KeyboardInterrupt:
            interrupted = True
            self._notes.append("interrupted: what was tried so far is here, and kept")
        except CommandFailed as error:
            if not self._bases:
                raise
            self._failed = str(error)
            self._notes.append(f"stopped: {error}")
        except _TimeOver:
            self._notes.append(f"the time was over ({format_duration(self.plan.seconds)})")
        return self._result(interrupted)

    def _try(self) -> None:
        levers = self._begin()
        self._race(levers, self.plan.rounds)
        chosen = self._chosen()
        if len(chosen) > 1:
            most = chosen[:MOST_TOGETHER]
            joint = [together(most[:count]) for count in range(2, len(most) + 1)]
            self.tell(f"together: {', '.join(one.name for one in joint)}")
            self._race(joint, max(3, self.plan.rounds - 2))
        best = self._best()
        if best is not None:
            self._confirm(best)

    # --- the parts ---

    def _begin(self) -> list[Lever]:
        """A first run, which is not counted: it warms caches, and tells what can be tried."""
        used, reports = self._use(None, "first", 0, None)
        if self._metric in ("auto", "energy_j"):
            self._choose_metric(used)
        self._quality = watched(self.plan.quality, used)
        known = self._catalogue(subject_of(self.command, reports), Computer.here())
        self._check_names(known)
        wanted = [self._as_wanted(lever) for lever in known]
        self._off = [lever for lever in wanted if lever.off is not None]
        levers = [lever for lever in wanted if lever.off is None]
        self._usual_s = used.values["duration_s"]
        runs = len(levers) + math.ceil(len(levers) / BLOCK)
        least, most = (
            3 * runs * self._usual_s,
            (self.plan.rounds * runs + 2 * self.plan.confirm) * self._usual_s,
        )
        self.tell(
            f"{len(levers)} levers apply, {len(self._off)} do not; a run takes {format_duration(self._usual_s)}, all of it "
            f"{format_duration(least)} to {format_duration(most)}"
        )
        if self._modelled:
            self.tell("joules are modelled here (CPU time times a curve): CPU time is judged")
        self.tell(
            "no quality is watched: the command reports none (--quality NAME)"
            if self._quality is None
            else f"watched: {self._quality.name}"
        )
        if used.others_busy is not None and used.others_busy > 0.1:
            self._notes.append(
                f"other processes used {used.others_busy * 100:.0f} % of this machine meanwhile: a quiet one tells more"
            )
        return levers

    def _choose_metric(self, used: Usage) -> None:
        assert used.run is not None
        try:
            measured_joules(used.run, "energy_j")
        except ConfigError:
            if self._metric == "energy_j":
                raise
            self._metric, self._modelled = "cpu_s", True
        else:
            self._metric = "energy_j"

    def _check_names(self, known: Sequence[Lever]) -> None:
        names = {lever.name for lever in known} | {lever.group for lever in known}
        for asked in (*self.plan.only, *self.plan.without):
            if asked not in names:
                raise ConfigError(
                    f"there is no lever {asked!r}", hint=f"there are: {', '.join(sorted(names))}"
                )

    def _as_wanted(self, lever: Lever) -> Lever:
        words = {lever.name, lever.group}
        if lever.off is None and self.plan.only and not words & set(self.plan.only):
            return replace(lever, off="not asked for (--only)")
        if lever.off is None and words & set(self.plan.without):
            return replace(lever, off="left out (--without)")
        return lever

    def _race(self, levers: Sequence[Lever], rounds: int) -> None:
        """Rounds of all that are still in; each lever beside a run of the base."""
        for lever in levers:
            self._rows[lever.name] = _Row(
                lever, Pairs(racing(rounds), self.plan.worth), Pairs(racing(rounds))
            )
        for number in range(rounds):
            alive = [one.name for one in levers if self._in(self._rows[one.name])]
            if not alive:
                break
            shuffled = list(range(len(alive)))
            self._random.shuffle(shuffled)
            for block in blocks(alive, BLOCK, shuffled):
                self._block(block, number)
            shown = sorted((row for name in alive if (row := self._rows[name]).used.share), key=_left)
            best = "; ".join(f"{row.lever.name} {_percent(row.used.share)}" for row in shown[:3])
            out = [name for name in alive if not self._in(self._rows[name])]
            self.tell(
                f"round {number + 1} of {rounds}: {best}{' | settled: ' if out else ''}{', '.join(out)}"
            )

    def _in(self, row: _Row) -> bool:
        return row.failed is None and row.used.settled is None

    def _block(self, names: Sequence[str | None], number: int) -> None:
        base: _Once | None = None
        own: dict[str, _Once] = {}
        for name in names:
            if name is None:
                base = self._once(None, "race", number)
                self._bases.append(base)
                continue
            row = self._rows[name]
            try:
                own[name] = self._once(row.lever, "race", number)
            except CommandFailed as error:
                row.failed = str(error)
                self.tell(f"{name}: {error}")
        assert base is not None
        for name, once in own.items():
            self._rows[name].add(base, once)
            self._drop_idle(self._rows[name])

    def _drop_idle(self, row: _Row) -> None:
        """A lever that needs the hook and never acted is no lever here."""
        if not row.lever.hooked or len(row.runs) != 1:
            return
        reports = row.runs[0].reports
        for name in row.lever.hook:
            if name not in reports.applied:
                row.failed = f"it did not act: {reports.refused.get(name, 'the script does it another way')}"

    def _once(self, lever: Lever | None, stage: str, number: int) -> _Once:
        if time.monotonic() - self._began > self.plan.seconds:
            raise _TimeOver
        limit = None if not self._usual_s else _SLOWEST * self._usual_s + _SLOWEST_MORE_S
        used, reports = self._use(lever, stage, number, limit)
        assert used.run is not None
        joules = used.run.attributed.energy if used.run.attributed is not None else used.run.energy
        values = dict(used.values)
        if self._metric == "energy_j":
            values.update(measured_joules(used.run, "energy_j")[0])
        value = values.get(self._metric, 0.0)
        if not value > 0:
            raise ConfigError(
                f"{self._metric} is {value:g}: a share of that says nothing", hint="a longer command"
            )
        return _Once(
            value,
            used.values["duration_s"],
            joules,
            None if self._quality is None else value_of(used, self._quality),
            used.others_busy,
            used.run.run_id,
            reports,
        )

    def _use(
        self, lever: Lever | None, stage: str, number: int, limit_s: float | None
    ) -> tuple[Usage, Reports]:
        with tempfile.TemporaryDirectory(prefix="wattmark-try-") as scratch:
            report = Path(scratch, "levers.jsonl")
            words = [fill(word, {"repeat": number}) for word in command_under(lever, self.command)]
            name = "as it is" if lever is None else lever.name
            used = run_once(
                words,
                self.folder,
                name=f"try {name}",
                tags={"try": self.tag, "lever": name, "try-stage": stage, "try-round": str(number)},
                conditions=conditions_under(
                    lever, self._environ, str(Path(hook.__file__).parent), str(report)
                ),
                limit_s=limit_s,
            )
            return used, read_reports(report)

    def _chosen(self) -> list[Lever]:
        """The best of each group that saves and leaves the result alone, the largest saving first."""
        good = sorted(
            (row for row in self._rows.values() if self._row_result(row).outcome == "saves"), key=_left
        )
        best: dict[str, Lever] = {}
        for row in good:
            best.setdefault(row.lever.group, row.lever)
        return list(best.values())

    def _best(self) -> Lever | None:
        good = [row for row in self._rows.values() if self._row_result(row).outcome == "saves"]
        return min(good, key=_left).lever if good else None

    def _confirm(self, lever: Lever) -> None:
        """A comparison of its own, in which nothing was chosen: pairs in alternating order until a test has decided."""
        test = confirming(self.plan.confirm)
        row = _Row(lever, Pairs(test, self.plan.worth), Pairs(test))
        self.tell(f"once more, by itself: {lever.name}")
        try:
            for number in range(self.plan.confirm):
                order: list[Lever | None] = [None, lever] if number % 2 == 0 else [lever, None]
                pair = {one is None: self._once(one, "confirm", _FRESH + number) for one in order}
                self._bases.append(pair[True])
                row.add(pair[True], pair[False])
                if row.used.settled is not None:
                    break
        except CommandFailed as error:
            row.failed = str(error)
        finally:
            told = self._row_result(row)
            sure = told.outcome == "saves"
            self._winner = replace(told, confirmed=True) if sure else None
            if not sure:
                self._notes.append(
                    f"{lever.name} was not confirmed in the second comparison: {told.confidence}"
                )
        if self._winner is not None:
            self.tell(f"{lever.name}: {_percent(self._winner.used)}, confirmed")

    # --- what came of it ---

    def _row_result(self, row: _Row) -> LeverResult:
        used = row.used.share
        if row.failed is not None:
            acted = not row.failed.startswith("it did not act")
            return LeverResult(
                row.lever, "failed" if acted else "no effect", reason=row.failed, runs=_ids(row.runs)
            )
        if used is None:
            return LeverResult(row.lever, "not tried", reason="it was not its turn yet")
        quality = self._quality_change(row)
        outcome: Outcome = row.used.verdict
        reason = None
        if quality is not None and quality.worse and self._quality is not None:
            outcome, reason = "changes the result", f"{self._quality.name} {quality.value:+.4g}"
        elif quality is None and row.lever.may_change and outcome == "saves":
            reason = "it may change the result, and no quality is watched"
        return LeverResult(
            row.lever,
            outcome,
            used,
            row.time.share,
            self._saved(row),
            quality,
            reason,
            runs=_ids(row.runs),
            values=tuple(one.value for one in row.runs),
            base=tuple(one.value for one in row.beside),
            scores=tuple(one.score for one in row.runs if one.score is not None),
        )

    def _quality_change(self, row: _Row) -> QualityChange | None:
        if self._quality is None:
            return None
        pairs = [(a.score, b.score) for a, b in zip(row.beside, row.runs, strict=True)]
        both = [(old, new) for old, new in pairs if old is not None and new is not None]
        gap = change([old for old, _ in both], [new for _, new in both], paired=self._paired)
        if gap is None:
            return None
        value, low, high = gap
        lost = -value * self._quality.sign
        beyond = (high < 0 if self._quality.higher_is_better else low > 0) or (low == high and lost > 0)
        return QualityChange(value, low, high, beyond and lost > self.plan.loss)

    def _saved(self, row: _Row) -> Quantity | None:
        """Joules of a run that the lever saves, as the runs' own sensors or models have them."""
        base = [one.joules for one in row.beside]
        own = [one.joules for one in row.runs]
        known = [
            (old, new) for old, new in zip(base, own, strict=True) if old is not None and new is not None
        ]
        if len(known) < 2:
            return None
        return -of_repeats([old for old, _ in known], [new for _, new in known]).gap

    def _result(self, interrupted: bool) -> Tried:
        tried = [self._row_result(row) for row in self._rows.values()]
        off = [LeverResult(lever, "not tried", reason=lever.off) for lever in self._off]
        joules = [one.joules for one in self._bases if one.joules is not None]
        return Tried(
            self.command,
            self.tag,
            self._metric,
            self._modelled,
            ordered([*tried, *off]),
            self._winner,
            tuple(one.value for one in self._bases),
            tuple(one.time_s for one in self._bases),
            mean_with_scatter(joules) if joules else None,
            self._quality,
            tuple(one.score for one in self._bases if one.score is not None),
            time.monotonic() - self._began,
            tuple(self._notes),
            interrupted,
            self._failed,
        )


class _TimeOver(Exception):
    """The time that was given is over."""


def _left(row: _Row) -> float:
    return math.inf if row.used.share is None else row.used.share.value


def _ids(runs: Sequence[_Once]) -> tuple[str, ...]:
    return tuple(one.run_id for one in runs)


def _percent(share: Share | None) -> str:
    return "?" if share is None else f"{100 * (share.value - 1):+.1f} %"


def _silent(_: str) -> None:
    """Nobody listens."""


def try_levers(
    command: Sequence[str],
    *,
    quality: str | None = None,
    metric: str = "auto",
    rounds: int = 7,
    confirm: int = 14,
    worth: float = WORTH,
    loss: float = 0.0,
    max_seconds: float = math.inf,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    folder: str = ".",
    seed: int = 0,
    tell: Tell | None = None,
) -> Tried:
    """Try the standard levers on a command, the good ones together, and compare the best with the command once more.

    quality: what is watched (``accuracy``, ``loss:min``), from ``run.log``, spans, or what the command prints; a lever
    that makes it worse by more than ``loss`` and beyond the scatter of the runs is flagged and not recommended. metric:
    ``auto`` judges measured joules, where they are modelled CPU seconds; or ``cpu_s``, ``energy_j``, ``duration_s``.
    rounds: of the race at most. confirm: pairs of the second comparison at most. worth: savings below this share are
    not worth it. only, without: names of levers or groups. ``{repeat}`` in the command is the round's number (a seed,
    say). ``["llm", "local:10m"]`` tries the levers of a model server of ours. Every run is kept, tagged ``try=...``.
    Raises CommandFailed where the command fails as it is, ConfigError.
    """
    if not command:
        raise ConfigError("there is no command to try levers on", hint="wattmark try -- python train.py")
    words, catalogue = list(command), levers_for
    if words[0] == "llm" and len(words) == 2:
        words, catalogue = benchmark_of(words[1]), server_levers
    plan = Plan(rounds, confirm, worth, loss, max_seconds, quality, metric, tuple(only), tuple(without))
    home = str(Path(folder).resolve())
    return Trial(words, plan, home, tell or _silent, os.environ, seed, catalogue).run()
