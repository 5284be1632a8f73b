"""What executors on other machines share: keys, parcels, and the one repeat of a trial that was lost with its machine."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from wattmark.paths import journals_dir
from wattmark.studies.execution.executors import Handle, Job, TrialOutcome
from wattmark.studies.execution.remote.shipment import TRIES, Parcel, Shipment, shipment_of, unpack

Task = TypeVar("Task")
LABEL_LENGTH = 63
"""What Kubernetes allows of a label, the least of all that take our keys."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A machine went away with its trial. place: which, so that the repeat goes elsewhere."""

    place: str
    why: str


@dataclass(slots=True)
class _Trip(Generic[Task]):
    job: Job
    shipment: Shipment
    task: Task
    lost: list[Lost] = field(default_factory=list[Lost])


class RemoteExecutor(ABC, Generic[Task]):
    """An executor that sends trials out. A subclass says how one is sent, whether it is back, and how it is called off.

    A trial whose machine is lost is sent once more, elsewhere if there is another place; after that it has failed. What a
    lost machine had measured stays with it, so that no run counts twice.
    """

    def __init__(self, home: str = "") -> None:
        """home: the folder for trials on the other machines; empty for one in Wattmark's data folder there."""
        self._home = home
        self._trips: dict[str, _Trip[Task]] = {}

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many trials may run at once."""

    @abstractmethod
    def send(self, shipment: Shipment, avoid: Sequence[str]) -> Task:
        """Start a trial or queue it, at none of the places ``avoid`` if another can be had. Raises WattmarkError."""

    @abstractmethod
    def arrival(self, task: Task) -> Parcel | Lost | None:
        """What came back; None while the trial goes on. Never waits."""

    @abstractmethod
    def call_off(self, handle: Handle) -> None:
        """End what was sent under ``handle["key"]``, wherever it is; also what another process sent."""

    def description(self, task: Task) -> dict[str, object]:
        """What a later process needs beside the key to call the trial off; plain data."""
        return {}

    def submit(self, job: Job) -> Handle:
        """Send a trial out."""
        shipment = shipment_of(job, _key(job), self._home)
        task = self.send(shipment, ())
        self._trips[shipment["key"]] = _Trip(job, shipment, task)
        return {"key": shipment["key"], "home": self._home, **self.description(task)}

    def poll(self, handle: Handle) -> TrialOutcome | None:
        """The outcome once the trial is back; a trial that was lost is sent again, once."""
        key = str(handle["key"])
        trip = self._trips[key]
        came = self.arrival(trip.task)
        if came is None:
            return None
        if isinstance(came, Lost):
            trip.lost.append(came)
            if len(trip.lost) < TRIES:
                trip.task = self.send(trip.shipment, [lost.place for lost in trip.lost])
                return None
            del self._trips[key]
            return _never_came(trip.job, trip.lost)
        del self._trips[key]
        outcome = unpack(came, trip.job, journals_dir())
        if trip.lost:
            with trip.job.log.open("a", encoding="utf-8") as log:
                log.write(f"\n[run again: {_story(trip.lost)}]\n")
        return outcome

    def cancel(self, handle: Handle) -> None:
        """Call a trial off; nothing of it runs afterwards."""
        self.call_off(handle)
        self._trips.pop(str(handle["key"]), None)


def _never_came(job: Job, lost: Sequence[Lost]) -> TrialOutcome:
    words = f"the trial was lost with its machine {len(lost)} times: {_story(lost)}"
    job.log.parent.mkdir(parents=True, exist_ok=True)
    job.log.write_text(f"{words}\n", encoding="utf-8")
    return TrialOutcome(None, None, words)


def _story(lost: Sequence[Lost]) -> str:
    return "; ".join(f"{one.place}: {one.why}" for one in lost)


def _key(job: Job) -> str:
    """``study-trial-random`` in small letters, fit for a label."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{job.spec.get('study', '')}-{job.trial_id}".lower()).strip("-")
    return f"wm-{words[: LABEL_LENGTH - 15]}".strip("-") + f"-{secrets.token_hex(4)}"
