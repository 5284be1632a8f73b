"""``wm.plan("4h", deadline="24h", series="grid.csv")``: when to run a job, in plain words."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.errors import ConfigError
from wattmark.impact.providers import CarbonProvider
from wattmark.impact.series import Signal
from wattmark.impact.series.readers import read_series
from wattmark.impact.series.series import IntensitySeries
from wattmark.plan.asked import provider_series
from wattmark.plan.backtest import Savings, along, backtest
from wattmark.plan.forecast import Forecast, forecast, season
from wattmark.plan.grid import Float64, history_of, on_grid, step_of
from wattmark.plan.schedule import Option, best_pieces, best_start, start_now
from wattmark.quantity import FIT, Quantity
from wattmark.units import J_PER_KWH, significant
from wattmark.workspace.moments import parse_age

MOST_STEPS = 50_000


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run the job. starts: Unix seconds at which pieces begin. g_per_kwh: expected mean over the work, with its
    interval where it rests on a forecast. grams: with the job's energy. savings: of the same way at times of the past, None
    where the future is known or the past too short."""

    name: str
    words: str
    place: str
    starts: tuple[float, ...]
    end_s: float
    g_per_kwh: Quantity
    grams: Quantity | None
    savings: Savings | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        saved = self.savings
        return {
            "name": self.name,
            "place": self.place,
            "starts": [_iso(start) for start in self.starts],
            "end": _iso(self.end_s),
            "g_per_kwh": self.g_per_kwh.as_dict(),
            "grams": None if self.grams is None else self.grams.as_dict(),
            "savings": None
            if saved is None
            else {
                "mean": saved.mean,
                "low": saved.low,
                "high": saved.high,
                "worst": saved.worst,
                "moments": saved.moments,
            },
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Ways to run a job before its deadline, the one that is advised, and why. known: the series covers the time itself.
    beside: the same by the other signal, average beside marginal, if it was asked."""

    ways: tuple[Way, ...]
    advised: Way
    why: str
    known: bool
    method: str
    signal: str
    notes: tuple[str, ...]
    beside: Plan | None = None

    @property
    def disagrees(self) -> bool:
        """Whether the other signal advises something else: another place, another way, or another hour."""
        other = self.beside
        if other is None:
            return False
        apart = abs(other.advised.starts[0] - self.advised.starts[0])
        return (
            other.advised.place != self.advised.place
            or apart >= 3_600
            or other.advised.name != self.advised.name
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        other = {} if self.beside is None else {"beside": self.beside.as_dict(), "disagrees": self.disagrees}
        return {
            "ways": [way.as_dict() for way in self.ways],
            "advised": self.advised.name,
            "place": self.advised.place,
            "start": _iso(self.advised.starts[0]),
            "why": self.why,
            "known": self.known,
            "method": self.method,
            "signal": self.signal,
            "notes": list(self.notes),
            **other,
        }


SeriesLike = str | os.PathLike[str] | IntensitySeries


def plan(
    duration: str | float,
    *,
    deadline: str | float,
    series: SeriesLike | Mapping[str, SeriesLike] | Sequence[SeriesLike] | None = None,
    zones: Sequence[str] = (),
    provider: str | CarbonProvider | None = None,
    signal: Signal | None = None,
    offline: bool = False,
    now: datetime | float | None = None,
    pausable: bool = False,
    checkpoint_s: float = 0.0,
    energy: Quantity | None = None,
    beside: SeriesLike | Mapping[str, SeriesLike] | Sequence[SeriesLike] | None = None,
) -> Plan:
    """When to run a job of ``duration`` so that it is done within ``deadline`` from now, with the least carbon.

    duration, deadline: seconds, or words (``4h``). series: of a grid; several (by place) ask where as well. zones: in its
    place, places of which ``provider`` is asked over the network (default: the setting ``provider``, else yearly averages);
    offline: what was kept of its answers only. signal: average or marginal, of the provider. now: of the plan
    (default: the present; the series' end if that is past). pausable: it may be stopped and go on, which costs
    ``checkpoint_s`` of work each time. energy: of the job, in J, for grams. beside: series of the other signal (average
    beside marginal), by which the same is planned and put beside it; they answer two questions and are not mixed.

    Where the series covers the time to the deadline the optimum is exact; else it is forecast from the series' past, and
    each way is tried at moments of that past. Raises ConfigError for a deadline that cannot be kept or a series that tells
    nothing.
    """
    length_s, within_s = _seconds(duration, "the duration"), _seconds(deadline, "the deadline")
    if within_s < length_s:
        raise ConfigError(
            f"a job of {length_s:g} s cannot be done within {within_s:g} s",
            hint="give it more time, or start now",
        )
    if not 0 <= checkpoint_s < length_s:
        raise ConfigError("a checkpoint takes from 0 s to less than the job", hint="--checkpoint 60s")
    notes: list[str] = []
    if series is None:
        at_s = now.timestamp() if isinstance(now, datetime) else now
        places, notes = provider_series(
            zones, within_s, provider=provider, signal=signal, now_s=at_s, offline=offline
        )
        now = at_s if at_s is not None else datetime.now(timezone.utc)
    elif zones or provider is not None:
        raise ConfigError("a series and a provider are two answers to one question", hint="give one of them")
    else:
        places = _places(series)
    if len({one.signal for one in places.values()}) > 1:
        raise ConfigError(
            "average and marginal intensities cannot be compared: they answer two questions",
            hint="take one signal for all places",
        )
    ways: list[Way] = []
    known, methods = True, list[str]()
    for place, one in places.items():
        got, is_known, method, said = _ways(
            place, one, length_s, within_s, now, pausable, checkpoint_s, energy
        )
        ways += got
        known = known and is_known
        methods.append(method)
        notes += [f"{place}: {note}" if len(places) > 1 else note for note in (*one.notes, *said)]
    advised, why = _advise(ways)
    other = None
    if beside is not None:
        theirs = _places(beside)
        own = next(iter(places.values())).signal
        if any(one.signal == own for one in theirs.values()):
            raise ConfigError(
                f"both series are of {own} intensity",
                hint="beside it stands the other signal: say which is marginal",
            )
        other = plan(
            length_s,
            deadline=within_s,
            series=theirs,
            now=now,
            pausable=pausable,
            checkpoint_s=checkpoint_s,
            energy=energy,
        )
    return Plan(
        tuple(ways),
        advised,
        why,
        known,
        "; ".join(dict.fromkeys(methods)),
        next(iter(places.values())).signal,
        tuple(dict.fromkeys(notes)),
        other,
    )


def _seconds(value: str | float, what: str) -> float:
    seconds = parse_age(value).total_seconds() if isinstance(value, str) else float(value)
    if not math.isfinite(seconds) or seconds <= 0:
        raise ConfigError(f"{what} must be more than nothing, not {value!r}", hint="4h, 90m, 2d")
    return seconds


def _places(
    series: SeriesLike | Mapping[str, SeriesLike] | Sequence[SeriesLike],
) -> dict[str, IntensitySeries]:
    if isinstance(series, Mapping):
        named = {str(name): _read(one) for name, one in series.items()}
    else:
        many = [series] if isinstance(series, str | os.PathLike | IntensitySeries) else list(series)
        named = dict[str, IntensitySeries]()
        for one in many:
            read = _read(one)
            name = (
                read.zone
                or (Path(os.fspath(one)).stem if not isinstance(one, IntensitySeries) else read.source)
                or "here"
            )
            named[name if name not in named else f"{name} ({len(named) + 1})"] = read
    if not named:
        raise ConfigError(
            "there is no series to plan by",
            hint="give one: --series grid.csv, or --zones FR,DE with --provider",
        )
    return named


def _read(one: SeriesLike) -> IntensitySeries:
    return one if isinstance(one, IntensitySeries) else read_series(one)


def _ways(
    place: str,
    series: IntensitySeries,
    length_s: float,
    within_s: float,
    now: datetime | float | None,
    pausable: bool,
    checkpoint_s: float,
    energy: Quantity | None,
) -> tuple[list[Way], bool, str, list[str]]:
    step_s = step_of(series, within_s)
    notes: list[str] = []
    if now is None:
        at_s = datetime.now(timezone.utc).timestamp()
        if at_s > series.end_s + 86_400:
            notes.append(f"the series ends at {_iso(series.end_s)}: the plan is as of then")
            at_s = series.end_s
    else:
        at_s = now.timestamp() if isinstance(now, datetime) else float(now)
    steps, window = math.ceil(length_s / step_s - 1e-9), math.floor(within_s / step_s + 1e-9)
    if window > MOST_STEPS:
        raise ConfigError(f"{window} steps of {step_s:g} s are too many to plan", hint="a shorter deadline")
    window = max(window, steps)
    cost = checkpoint_s / step_s
    future = on_grid(series, at_s, at_s + window * step_s, step_s)
    told = float(np.isfinite(future).mean())
    known = told == 1.0
    if 0 < told < 1:
        notes.append(f"the series tells {told:.0%} of the time to the deadline: what is missing is forecast")
    history = history_of(series, at_s, step_s)
    outlook: Forecast | None = None
    if not known:
        outlook = forecast(history, step_s, window)
        future = np.where(np.isfinite(future), future, outlook.mean)
    tried = {} if known else backtest(history, step_s, steps, window, checkpoint_steps=cost)
    if not known and not tried:
        notes.append("the series' past is too short to try the plan on")

    def way(name: str, words: str, option: Option, savings: Savings | None) -> Way:
        mean = Quantity.exact(option.mean_g_per_kwh, "g/kWh", series.source)
        if (
            outlook is not None
        ):  # errors of neighbouring steps go together, so the mean is as uncertain as they are
            chosen = option.running & np.isnan(on_grid(series, at_s, at_s + window * step_s, step_s))
            share = chosen.sum() / max(1, option.running.sum())
            below = float((outlook.mean - outlook.low)[chosen].mean()) * share if chosen.any() else 0.0
            above = float((outlook.high - outlook.mean)[chosen].mean()) * share if chosen.any() else 0.0
            mean = mean.with_error(f"{FIT}/forecast/{place}", below, above)
        last = int(np.flatnonzero(option.running)[-1]) + 1
        return Way(
            name,
            words,
            place,
            tuple(at_s + float(start) * step_s for start in option.starts),
            at_s + last * step_s,
            mean,
            None if energy is None else (energy * (mean / J_PER_KWH)).with_unit("g"),
            savings,
        )

    ways = [way("now", "start now", start_now(future, steps), None)]
    ways.append(way("one", "one piece, begun later", best_start(future, steps), tried.get("one")))
    if pausable:
        ways.append(
            way("pieces", "in pieces, paused between", best_pieces(future, steps, cost), tried.get("pieces"))
        )
    if not known and tried:
        model = season(history, step_s)
        running = _expected_run(model, future, steps, pausable, cost)
        words = (
            "as it goes: runs while now is among the cheapest"
            if pausable
            else "as it goes: starts when now is the cheapest"
        )
        ways.append(way("along", words, running, tried["along pieces" if pausable else "along"]))
    method = "the series covers the time: exact" if outlook is None else outlook.method
    return ways, known, method, notes


def _expected_run(model: Any, future: Float64, steps: int, pausable: bool, cost: float) -> Option:
    """What the step-by-step rule would do if the forecast came true."""
    from wattmark.plan.schedule import Controller

    controller = Controller(model, steps, len(future), pausable=pausable, checkpoint_steps=cost)
    running = np.array([controller.step(float(value)) for value in future])
    mean, _ = along(model, future, steps, pausable=pausable, checkpoint_steps=cost)
    return Option(running, mean)


def _advise(ways: Sequence[Way]) -> tuple[Way, str]:
    """The way of the least expected carbon, if its savings at times of the past were above nothing; else now."""
    now = min((way for way in ways if way.name == "now"), key=lambda way: way.g_per_kwh.value)

    def proven(way: Way) -> bool:
        return way.name == "now" or way.savings is None or way.savings.mean > 0

    tried = [way for way in ways if way.savings is not None and proven(way) and way.place == now.place]
    if tried:
        best = max(tried, key=lambda way: way.savings.mean if way.savings else 0.0)
        assert best.savings is not None
        why = (
            f"at {best.savings.moments} times of the past it saved {best.savings.mean:.0%} against starting at once "
            f"(90 % of times {best.savings.low:.0%} to {best.savings.high:.0%}, at worst {best.savings.worst:.0%})"
        )
        elsewhere = min(ways, key=lambda way: way.g_per_kwh.high)
        if elsewhere.place != best.place and elsewhere.g_per_kwh.high < best.g_per_kwh.low:
            return elsewhere, f"{elsewhere.place} is cleaner beyond the forecast's errors"
        return best, why
    candidates = [way for way in ways if proven(way)]
    best = min(candidates, key=lambda way: way.g_per_kwh.value)
    if (best.name == "now" and best.place == now.place) or best.g_per_kwh.value >= now.g_per_kwh.value:
        return now, "no later time is expected to be better"
    where = f" in {now.place}" if best.place != now.place else ""
    if best.g_per_kwh.value > 0:
        saved = 1 - best.g_per_kwh.value / now.g_per_kwh.value
        return best, f"it saves {saved:.0%} against starting now{where}"
    # no share of what is nothing or less
    return best, (
        f"it is {significant(best.g_per_kwh.value)} g/kWh instead of {significant(now.g_per_kwh.value)} now{where}"
    )


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).isoformat(timespec="seconds")
