"""Parts of runs over several hosts, put together in the store as they come in: whoever keeps a part does it.

Several hosts may do so at once: whoever writes looks again afterwards whether another part has come meanwhile, so the last
to write has seen all of them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence, Set

from wattmark.documents import items, mapping, number
from wattmark.errors import RunNotFound, StoreError
from wattmark.runs.attribution import HOSTS
from wattmark.runs.hosts import JOB, PART_OF
from wattmark.runs.hosts.merging import machine_of, merged, overlap
from wattmark.runs.reading.journals import NOT_UNDERSTOOD
from wattmark.runs.record import RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import Store
from wattmark.tracker.process import warn

_TRIES = 20
_OURS = "job-"
"""What ids of runs begin with that are put together here."""


def assemble(store: Store, job_ids: Iterable[str]) -> list[str]:
    """Put the parts of these jobs together, as far as they are in the store; the ids of the runs made or renewed."""
    return [run_id for job_id in dict.fromkeys(job_ids) for run_id in _assemble(store, job_id)]


def jobs_of(records: Iterable[RunRecord]) -> list[str]:
    """The ids of the jobs that runs are parts of."""
    return list(dict.fromkeys(record.tags[PART_OF] for record in records if record.tags.get(PART_OF)))


def _assemble(store: Store, job_id: str) -> list[str]:
    made: dict[str, None] = {}
    seen: set[str] = set()
    for _ in range(_TRIES):
        parts = {run.run_id for run in store.summaries(tag=f"{PART_OF}={job_id}")}
        wholes = _wholes(store, job_id)
        if parts | wholes.keys() == seen:
            break
        records: list[RunRecord] = []
        for run_id in sorted(parts):
            with contextlib.suppress(RunNotFound, StoreError):  # removed, or damaged: the others stand
                records.append(store.get(run_id))
        seen = parts | wholes.keys()
        for members in _groups(records):
            mine = {part.run_id for part in members}
            before = {run_id for run_id, of in wholes.items() if of & mine}
            before |= {part.parent_id for part in members if part.parent_id in wholes}
            try:
                run_id = _keep(store, job_id, members, before)
            except NOT_UNDERSTOOD as error:  # the parts stand by themselves, whatever is wrong with one
                warn(f"the hosts of {job_id} could not be put together: {type(error).__name__}: {error}")
                continue
            if run_id is not None:
                made[run_id] = None
                seen = (seen - before) | {run_id}
    return list(made)


def _wholes(store: Store, job_id: str) -> dict[str, set[str]]:
    """The runs that were put together of this job, and the ids of their parts."""
    wholes: dict[str, set[str]] = {}
    for run in store.summaries(tag=f"{JOB}={job_id}"):
        if run.run_id.startswith(_OURS):
            with contextlib.suppress(RunNotFound, StoreError):
                hosts = items(store.get(run.run_id).extra.get(HOSTS))
                wholes[run.run_id] = {str(mapping(host).get("run_id")) for host in hosts}
    return wholes


def _groups(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """The parts of each run: of one name, the first of that name on each host, the second, and so on."""
    alike: dict[tuple[str, int], list[RunRecord]] = {}
    for record in records:
        job = mapping(record.extra.get("job"))
        alike.setdefault((record.name, int(number(job.get("ordinal")) or 0)), []).append(record)
    groups: list[list[RunRecord]] = []
    for members in alike.values():
        unique = all(mapping(record.extra.get("job")).get("unique") is True for record in members)
        groups += [members] if unique else overlap(members)
    return groups


def _keep(store: Store, job_id: str, parts: Sequence[RunRecord], before: Set[str]) -> str | None:
    expected = max((number(mapping(part.extra.get("job")).get("hosts")) or 0 for part in parts), default=0)
    if len({machine_of(part) for part in parts}) < 2 and expected < 2:
        return None
    run_id = _run_id(job_id, parts, before)
    record = merged(parts, run_id)
    store.replace(record, summarise(RunView(record)))
    store.adopt(run_id, [part.run_id for part in parts if part.parent_id != run_id])
    for other in before - {run_id}:  # hosts began one each at the same moment: the parts are of one
        with contextlib.suppress(RunNotFound):
            store.remove([other])
    return run_id


def _run_id(job_id: str, parts: Sequence[RunRecord], before: Set[str]) -> str:
    """The id of the run that the parts make: the same on every host, whichever parts it sees, where the job's id is of this
    job alone; else that of the run which is there, or one after the part that began first."""
    first = min(parts, key=lambda part: (part.started_wall_ns, part.run_id))
    job = mapping(first.extra.get("job"))
    if all(mapping(part.extra.get("job")).get("unique") is True for part in parts):
        named = f"{job_id}/{first.name}/{int(number(job.get('ordinal')) or 0)}"
    elif before:
        return min(before)
    else:
        named = first.run_id
    return f"{_OURS}{hashlib.sha256(named.encode()).hexdigest()[:16]}"
