"""How a run stands at one moment: what ``wattmark top`` draws, and its ``--json`` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from wattmark.quantity import Quantity, total


class Component(NamedTuple):
    """One component: watts now (None: not known), joules so far, and how they are got.

    history_w: watts second by second, the last one now, NaN where unknown. modelled: no sensor measures it.
    counted: it is part of the total.
    """

    name: str
    power_w: float | None
    energy: Quantity | None
    how: str
    modelled: bool
    counted: bool
    history_w: tuple[float, ...]


class SpanRow(NamedTuple):
    """Spans of one path: how many, for how long (open: since the first began; ended: together), their joules.

    The joules of spans are the whole machine's at the time; those of spans side by side overlap.
    """

    path: str
    times: int
    seconds: float
    energy_j: float | None
    counts: dict[str, float]
    open: bool

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class Count(NamedTuple):
    """Something that spans count: so many so far, per second lately (None: not known), and joules of those spans."""

    name: str
    value: float
    per_s: float | None
    energy_j: float | None


class RunPrediction(NamedTuple):
    """What `wattmark run --predict` expects of the whole run: joules and seconds with the ends of their 90 % intervals.

    share: of the run, that was seen when it was made; progress: how far the work was then, in words; outside: why the
    interval is wider than usual.
    """

    energy_j: float
    energy_low_j: float
    energy_high_j: float
    time_s: float
    share: float
    progress: str
    outside: tuple[str, ...]

    @classmethod
    def of(cls, said: dict[str, Any] | None) -> RunPrediction | None:
        """As the journal has it; None where it is not there, or not as it should be."""
        try:
            energy = (said or {})["energy_j"]
            return cls(
                float(energy["value"]),
                float(energy["low"]),
                float(energy["high"]),
                float((said or {})["time_s"]["value"]),
                float((said or {})["share"]),
                str((said or {}).get("progress") or ""),
                tuple(str(note) for note in (said or {}).get("outside") or ()),
            )
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class RunState:
    """A run at one moment. Intervals of joules hold the sensors' accuracy."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    pid: int
    start_ns: int
    duration_s: float
    components: tuple[Component, ...]
    open: tuple[SpanRow, ...]
    ended: tuple[SpanRow, ...]
    counts: tuple[Count, ...]
    readings: int
    recorder_lost: bool
    prediction: RunPrediction | None = None

    def energy(self, *, modelled: bool | None = None) -> Quantity | None:
        """Joules so far of all that counts, or of its modelled or its measured part."""
        return total(
            [
                part.energy
                for part in self.components
                if part.counted and part.energy is not None and modelled in (None, part.modelled)
            ]
        )

    @property
    def power_w(self) -> float | None:
        """Watts now of all that counts; None if those of a component are not known."""
        powers = [part.power_w for part in self.components if part.counted]
        powers_w = [power for power in powers if power is not None]
        return sum(powers_w) if powers_w and len(powers_w) == len(powers) else None

    @property
    def requests(self) -> int:
        """Requests in flight: open spans of that name."""
        return sum(row.times for row in self.open if row.name == "request")

    def as_dict(self) -> dict[str, Any]:
        """The object of ``--json``."""
        energy = self.energy()
        return {
            "run_id": self.run_id,
            "name": self.name,
            "status": self.status,
            "tags": self.tags,
            "pid": self.pid,
            "duration_s": self.duration_s,
            "power_w": self.power_w,
            "energy_j": None if energy is None else energy.as_dict(),
            "components": [
                {
                    "component": part.name,
                    "power_w": part.power_w,
                    "energy_j": None if part.energy is None else part.energy.as_dict(),
                    "how": part.how,
                    "modelled": part.modelled,
                    "counted": part.counted,
                }
                for part in self.components
            ],
            "open_spans": [_row(row) for row in self.open],
            "ended_spans": [_row(row) for row in self.ended],
            "counts": [count._asdict() for count in self.counts],
            "requests_in_flight": self.requests,
            "readings": self.readings,
            "prediction": None if self.prediction is None else self.prediction._asdict(),
        }


def _row(row: SpanRow) -> dict[str, Any]:
    return {key: value for key, value in row._asdict().items() if key != "open"}
