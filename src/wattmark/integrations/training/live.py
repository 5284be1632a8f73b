"""Energies of a training that goes on: the recorder's journal, read on from look to look.

What a look gives is what the run will say of that time when it has ended, holes and error terms included; spans are not
read, so a look costs the same after a million steps.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wattmark.quantity import Quantity
from wattmark.runs.reading.entries import Opening
from wattmark.runs.reading.journals import ProcessEvents, RecorderFollower
from wattmark.runs.reading.liveness import Liveness
from wattmark.runs.reading.session import SessionData
from wattmark.runs.view import RunView
from wattmark.tracker.process import this_process

if TYPE_CHECKING:
    from wattmark.tracker.run import Run


class LiveEnergy:
    """What a run that this process measures has used so far."""

    def __init__(self, run: Run) -> None:
        session = this_process().session
        self._session = session
        self._run = run
        self._follower = None if session is None else RecorderFollower(session.folder)

    def view(self) -> RunView | None:
        """The run up to now, without its spans; None where nothing is recorded."""
        session, follower = self._session, self._follower
        if session is None or follower is None:
            return None
        session.sync(timeout_s=0.2)
        pid = os.getpid()
        opening = Opening(
            run_id=self._run.id,
            name=self._run.name,
            t_ns=self._run.start_ns,
            wall_ns=0,
            tags={},
            settings={},
            baseline_w=None,
        )
        own = ProcessEvents({"pid": pid, "host": os.uname().nodename, "joined": ""}, runs=[opening])
        living = Liveness(True, True, pid, False, frozenset({pid}), frozenset(), ())
        data = SessionData(session.folder, follower.read(), [own], living)
        record = data.run(self._run.id)
        return None if record is None else RunView(record)


def energy_until(view: RunView, start_ns: int, end_ns: int) -> Quantity | None:
    """Joules between two moments of the machine's clock (monotonic nanoseconds); None where nothing is covered."""
    origin = view.record.start_ns
    return view.energy_between((start_ns - origin) / 1e9, (end_ns - origin) / 1e9)
