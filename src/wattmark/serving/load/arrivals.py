"""When requests come: closed loops, open loops at a rate that may change, and traces replayed.

An open loop is a renewal process in *operational time* (Cinlar, Introduction to Stochastic Processes, 1975, ch. 4.7):
gaps of mean one are drawn, and the integral of the rate maps them to seconds. So a Poisson process stays one under
ramps and steps, and one seed gives one schedule. Standard library only: the generator stays small and starts at once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, Protocol

from wattmark.errors import ConfigError

Process = Literal["poisson", "gamma", "constant"]


class OpenArrivals(Protocol):
    """Arrivals that do not wait for answers."""

    def offsets_s(self) -> Iterator[float]:
        """Seconds after the start, never decreasing; the same at every call."""
        ...

    def describe(self) -> str:
        """One phrase for people."""
        ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a rate profile: from one rate to another in requests/s, straight, over some seconds."""

    duration_s: float
    rate_from: float
    rate_to: float

    def __post_init__(self) -> None:
        if not (self.duration_s > 0 and self.rate_from >= 0 and self.rate_to >= 0):
            raise ConfigError("a stretch of load needs a length above 0 s and rates of at least 0 requests/s")
        if math.isinf(self.duration_s) and not self.rate_from == self.rate_to > 0:
            raise ConfigError("a load without end needs one rate above 0 requests/s")

    @property
    def most(self) -> float:
        """Its highest rate."""
        return max(self.rate_from, self.rate_to)

    @property
    def requests(self) -> float:
        """How many requests are expected in it."""
        return self.duration_s * (self.rate_from + self.rate_to) / 2

    def time_of(self, requests: float) -> float:
        """Seconds into the segment at which that many are expected (inverse of the integrated rate)."""
        if math.isinf(self.duration_s):
            return requests / self.rate_from
        slope = (self.rate_to - self.rate_from) / self.duration_s
        root = math.sqrt(max(0.0, self.rate_from**2 + 2 * slope * requests))
        return 2 * requests / (self.rate_from + root) if requests else 0.0


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests at a rate, whatever the server does with them.

    process: ``poisson``; ``constant``; or ``gamma`` with ``burstiness`` = shape of the gaps (1 is Poisson, below 1 is
    burstier: the coefficient of variation is 1/sqrt(shape); as in ``vllm bench serve --burstiness``).
    """

    segments: tuple[Segment, ...]
    process: Process = "poisson"
    burstiness: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.segments:
            raise ConfigError("an open loop needs a rate")
        if self.process not in ("poisson", "gamma", "constant"):
            raise ConfigError(
                f"there is no arrival process {self.process!r}", hint="use poisson, gamma or constant"
            )
        if not self.burstiness > 0:
            raise ConfigError("burstiness must be above 0 (1 is Poisson, below 1 is burstier)")

    @classmethod
    def at(
        cls, rate: float, process: Process = "poisson", *, burstiness: float = 1.0, seed: int = 0
    ) -> OpenLoop:
        """A rate in requests/s that never changes."""
        return cls((Segment(math.inf, rate, rate),), process, burstiness, seed)

    @classmethod
    def ramp(
        cls,
        rate_from: float,
        rate_to: float,
        duration_s: float,
        process: Process = "poisson",
        *,
        seed: int = 0,
    ) -> OpenLoop:
        """A rate that changes evenly."""
        return cls((Segment(duration_s, rate_from, rate_to),), process, seed=seed)

    @classmethod
    def steps(
        cls, steps: Sequence[tuple[float, float]], process: Process = "poisson", *, seed: int = 0
    ) -> OpenLoop:
        """Rates that follow each other: (requests/s, seconds)."""
        return cls(tuple(Segment(duration, rate, rate) for rate, duration in steps), process, seed=seed)

    def offsets_s(self) -> Iterator[float]:
        """Arrival times in seconds after the start."""
        gap = self._gap(random.Random(self.seed))
        expected, begin_s, before = gap(), 0.0, 0.0
        for segment in self.segments:
            while expected - before <= segment.requests:
                yield begin_s + segment.time_of(expected - before)
                expected += gap()
            before += segment.requests
            begin_s += segment.duration_s

    def describe(self) -> str:
        """One phrase for people."""
        name = f"gamma {self.burstiness:g}" if self.process == "gamma" else self.process
        stretches = [
            f"{part.rate_from:g}" + (f"-{part.rate_to:g}" if part.rate_to != part.rate_from else "")
            for part in self.segments
        ]
        return f"open loop, {name}, {' then '.join(stretches)} requests/s"

    def _gap(self, dice: random.Random) -> Callable[[], float]:
        if self.process == "constant":
            return lambda: 1.0
        if self.process == "poisson":
            return lambda: dice.expovariate(1.0)
        return lambda: dice.gammavariate(self.burstiness, 1 / self.burstiness)


@dataclass(frozen=True, slots=True)
class Replay:
    """Arrivals at recorded times. ``times_s``: seconds, never decreasing; the first becomes 0; ``speed`` 2 halves gaps."""

    times_s: tuple[float, ...]
    speed: float = 1.0
    name: str = "trace"

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ConfigError("the speed of a replay must be above 0")
        if any(later < earlier for earlier, later in pairwise(self.times_s)):
            raise ConfigError("the times of a trace must not go back")

    def offsets_s(self) -> Iterator[float]:
        """Arrival times in seconds after the start."""
        for time_s in self.times_s:
            yield (time_s - self.times_s[0]) / self.speed

    def describe(self) -> str:
        """One phrase for people."""
        return f"{self.name}, {len(self.times_s)} arrivals" + (
            f" at {self.speed:g} x speed" if self.speed != 1 else ""
        )


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """So many conversations at a time; the next one starts when one has ended (and its user has thought).

    stages: (concurrency, seconds), one after the other; the last one's seconds may be infinite. ramp_s: over how long
    the first stage's start is spread, so that requests do not march in step. think_time_s: mean of exponentially
    distributed pauses between a user's conversations (0: none).
    """

    stages: tuple[tuple[int, float], ...]
    ramp_s: float = 0.0
    think_time_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.stages or any(users < 1 or not seconds > 0 for users, seconds in self.stages):
            raise ConfigError("a closed loop needs a concurrency of at least 1, for more than 0 s")
        if self.ramp_s < 0 or self.think_time_s < 0:
            raise ConfigError("ramp and think time must be at least 0 s")

    @classmethod
    def of(
        cls, concurrency: int, *, ramp_s: float = 0.0, think_time_s: float = 0.0, seed: int = 0
    ) -> ClosedLoop:
        """A concurrency that never changes."""
        return cls(((concurrency, math.inf),), ramp_s, think_time_s, seed)

    def changes(self) -> list[tuple[float, int]]:
        """(seconds after the start, concurrency from then on); a last 0 if the last stage ends."""
        begins = [0.0, *accumulate(seconds for _, seconds in self.stages)]
        steps = [(begin, users) for begin, (users, _) in zip(begins, self.stages, strict=False)]
        if not math.isinf(begins[-1]):
            steps.append((begins[-1], 0))
        return steps

    def share(self, part: int, parts: int) -> ClosedLoop | None:
        """The users of one of several generator processes; None if none is left for it."""
        stages = tuple(
            (users * (part + 1) // parts - users * part // parts, seconds) for users, seconds in self.stages
        )
        if any(users < 1 for users, _ in stages):
            return None
        return ClosedLoop(stages, self.ramp_s, self.think_time_s, self.seed * 1_000 + part)

    def describe(self) -> str:
        """One phrase for people."""
        users = " then ".join(str(users) for users, _ in self.stages)
        think = f", think time {self.think_time_s:g} s" if self.think_time_s else ""
        return f"closed loop, concurrency {users}{think}"


Arrivals = OpenArrivals | ClosedLoop
STAGES_HINT = "write rate:1-20@60,20@30 (requests/s over seconds), or concurrency:1@30,8@30"
MINUTE_S, HOUR_S = 60.0, 3600.0


def stages_of(
    text: str,
    process: Process = "poisson",
    *,
    burstiness: float = 1.0,
    think_time_s: float = 0.0,
    seed: int = 0,
) -> OpenLoop | ClosedLoop:
    """Loads that follow each other: ``rate:1-20@60,20@30`` or ``concurrency:1@30,8@30``; ``A-B`` goes from one to the other.

    Raises ConfigError for what is none.
    """
    kind, _, listed = text.partition(":")
    try:
        parts = [_stage(part) for part in listed.split(",")]
        if kind == "rate":
            return OpenLoop(
                tuple(Segment(seconds, a, b) for a, b, seconds in parts), process, burstiness, seed
            )
        if kind == "concurrency" and all(a == int(a) and b == int(b) for a, b, _ in parts):
            users = tuple(stage for a, b, seconds in parts for stage in _rising(int(a), int(b), seconds))
            return ClosedLoop(users, 0.0, think_time_s, seed)
    except ValueError:
        pass
    raise ConfigError(f"{text!r} is no sequence of loads", hint=STAGES_HINT)


def _stage(text: str) -> tuple[float, float, float]:
    """From, to, seconds of ``A-B@SECONDS``."""
    load, _, length = text.strip().partition("@")
    first, dash, last = load.partition("-")
    scale = {"s": 1.0, "m": MINUTE_S, "h": HOUR_S}.get(length[-1:], 0.0)
    seconds = float(length[:-1]) * scale if scale else float(length)
    if not math.isfinite(seconds):
        raise ValueError(text)
    return float(first), float(last if dash else first), seconds


def _rising(first: int, last: int, seconds: float) -> list[tuple[int, float]]:
    """A user more (or fewer) at a time, evenly over the seconds."""
    step = 1 if last >= first else -1
    users = range(first, last + step, step)
    return [(number, seconds / len(users)) for number in users]


@dataclass(frozen=True, slots=True)
class Thinned:
    """Every ``parts``-th arrival of a schedule: what one of several generator processes sends."""

    whole: OpenArrivals
    part: int
    parts: int

    def offsets_s(self) -> Iterator[float]:
        """Arrival times in seconds after the start."""
        for number, offset in enumerate(self.whole.offsets_s()):
            if number % self.parts == self.part:
                yield offset

    def describe(self) -> str:
        """One phrase for people."""
        return self.whole.describe()
