"""The results of a run that is going on or has just ended, read from its session's folder."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wattmark.runs.metrics import KEY, part_of
from wattmark.runs.reading.session import SessionData
from wattmark.runs.record import RunRecord, RunWarning, Spans
from wattmark.runs.view import RunView

if TYPE_CHECKING:
    from wattmark.tracker.process import Process


def view_of(
    process: Process | None, run_id: str, name: str, start_ns: int, end_ns: int, folder: str = ""
) -> RunView:
    """The run of the window ``run_id`` of this process, or for one that lies in another run that part of it.

    folder: of the session that it was begun in, where this process may have another one by now.

    Asks the recorder to put everything on disk first. A session that another command has read into the store meanwhile is
    found there. Without a session the run is empty and says why.
    """
    session = process.session if process is not None else None
    if session is not None and folder in ("", session.folder):
        session.sync()
        folder = session.folder
    if folder:
        record = SessionData(folder).run(run_id) or _kept(run_id)
        if record is not None and record.run_id == run_id:
            return RunView(record)
        if record is not None:
            until_ns = end_ns or time.monotonic_ns()
            return RunView(_part(record, name, max(start_ns, record.start_ns), until_ns))
    now = time.monotonic_ns()
    return RunView(
        RunRecord(
            run_id=run_id,
            name=name,
            status="completed" if end_ns else "running",
            exit_code=None,
            started_wall_ns=time.time_ns() - (now - start_ns),
            start_ns=start_ns,
            end_ns=end_ns or now,
            warnings=(RunWarning("not-measured", "no recorder ran, so nothing was measured"),),
        )
    )


def _kept(run_id: str) -> RunRecord | None:
    """The run in the store, or None."""
    import wattmark
    from wattmark.errors import WattmarkError

    try:
        return wattmark.load(run_id).record
    except WattmarkError:
        return None


def _part(record: RunRecord, name: str, start_ns: int, end_ns: int) -> RunRecord:
    spans = record.spans
    inside = (spans.start_ns >= start_ns) & (spans.end_ns <= end_ns)
    rows = np.flatnonzero(inside)
    new_row = {int(old): new for new, old in enumerate(rows)}
    metrics = part_of(record, (start_ns - record.start_ns) / 1e9, (end_ns - record.start_ns) / 1e9)
    return replace(
        record,
        name=name,
        extra={
            **{key: value for key, value in record.extra.items() if key != KEY},
            **({KEY: metrics} if metrics else {}),
        },
        start_ns=start_ns,
        end_ns=end_ns,
        started_wall_ns=record.started_wall_ns + (start_ns - record.start_ns),
        spans=Spans(
            spans.names,
            spans.name_ids[rows],
            spans.start_ns[rows],
            spans.end_ns[rows],
            np.array([new_row.get(int(parent), -1) for parent in spans.parents[rows]], np.int32),
            spans.pids[rows],
            spans.tids[rows],
            spans.open[rows],
            {new_row[row]: detail for row, detail in spans.details.items() if row in new_row},
        ),
    )
