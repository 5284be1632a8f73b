"""A prediction as it is kept, and those that a run's record carries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from wattmark.runs.record import RunRecord

STAGES = (0.02, 0.05, 0.10, 0.15, 0.25, 0.50, 0.75)
"""Of the predictions that were made while a run went on, the first one after each of these shares is kept."""
_DETAILS = ("method", "basis", "outside", "terms_j", "progress", "widened")


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """A prediction with the ends of its 90 % intervals, and what came: None where nothing has come yet.

    predictor: which one made it; host: where; subject: of what, in words; run_id: the run that it is about; share:
    of that run, which was seen when it was made. details: what else the predictor said, as plain data.
    """

    prediction_id: str
    made_wall_ns: int
    predictor: str
    host: str
    subject: str
    energy_j: float
    energy_low_j: float
    energy_high_j: float
    time_s: float | None = None
    time_low_s: float | None = None
    time_high_s: float | None = None
    run_id: str | None = None
    share: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    actual_status: str | None = None
    actual_energy_j: float | None = None
    actual_time_s: float | None = None

    @property
    def stage(self) -> float | None:
        """The share after which it was made: the largest of :data:`STAGES` that is not above its own."""
        return None if self.share is None else max((one for one in STAGES if one <= self.share), default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def of_record(record: RunRecord) -> list[StoredPrediction]:
    """What was predicted of a run while it went on: the first after each stage. What is no prediction is left out."""
    said = cast("Sequence[Mapping[str, Any]]", record.extra.get("predictions") or ())
    chosen: dict[float, StoredPrediction] = {}
    for event in said:
        try:
            one = _of_event(record, event)
        except (KeyError, TypeError, ValueError):
            continue
        if one.stage is not None:
            chosen.setdefault(one.stage, one)
    return list(chosen.values())


def _of_event(record: RunRecord, event: Mapping[str, Any]) -> StoredPrediction:
    energy, time = event["energy_j"], event["time_s"]
    joules = [float(energy[key]) for key in ("value", "low", "high")]
    seconds = [float(time[key]) for key in ("value", "low", "high")]
    share = float(event["share"])
    if not all(math.isfinite(one) for one in (*joules, *seconds, share)):
        raise ValueError("not finite")
    stage = max((one for one in STAGES if one <= share), default=0.0)
    return StoredPrediction(
        f"{record.run_id}.{round(stage * 100):02d}",
        record.started_wall_ns + int(event["t_ns"]) - record.start_ns,
        str(event["predictor"]),
        record.host,
        record.name,
        *joules,
        *seconds,
        run_id=record.run_id,
        share=share,
        details={key: event[key] for key in _DETAILS if key in event},
    )
