"""Parts of runs over several hosts, put together in the store as they come in: whoever keeps a part does it.

Several hosts may do so at once: whoever writes looks again afterwards whether another part has come meanwhile, so the last
to write has seen all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from wattmark.documents import mapping, number
from wattmark.errors import RunNotFound, StoreError
from wattmark.runs.hosts import PART_OF
from wattmark.runs.hosts.merging import machine_of, merged, overlap
from wattmark.runs.reading.journals import NOT_UNDERSTOOD
from wattmark.runs.record import RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import Store
from wattmark.tracker.process import warn

_TRIES = 20


def assemble(store: Store, job_ids: Iterable[str]) -> list[str]:
    """Put the parts of these jobs together, as far as they are in the store; the ids of the runs made or renewed."""
    return [run_id for job_id in dict.fromkeys(job_ids) for run_id in _assemble(store, job_id)]


def jobs_of(records: Iterable[RunRecord]) -> list[str]:
    """The ids of the jobs that runs are parts of."""
    return list(dict.fromkeys(record.tags[PART_OF] for record in records if record.tags.get(PART_OF)))


def _assemble(store: Store, job_id: str) -> list[str]:
    made: dict[str, None] = {}
    seen: frozenset[str] = frozenset()
    for _ in range(_TRIES):
        there = frozenset(run.run_id for run in store.summaries(tag=f"{PART_OF}={job_id}"))
        if there == seen:
            break
        seen = there
        records: list[RunRecord] = []
        for run_id in sorted(there):
            try:
                records.append(store.get(run_id))
            except (RunNotFound, StoreError):
                continue  # removed, or damaged: the others stand
        for members in _groups(records):
            try:
                run_id = _keep(store, members)
            except NOT_UNDERSTOOD as error:  # the parts stand by themselves, whatever is wrong with one
                warn(f"the hosts of {job_id} could not be put together: {type(error).__name__}: {error}")
                continue
            if run_id is not None:
                made[run_id] = None
    return list(made)


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


def _keep(store: Store, parts: Sequence[RunRecord]) -> str | None:
    expected = max((number(mapping(part.extra.get("job")).get("hosts")) or 0 for part in parts), default=0)
    if len({machine_of(part) for part in parts}) < 2 and expected < 2:
        return None
    first = min(parts, key=lambda part: (part.started_wall_ns, part.run_id))
    before = sorted(
        {part.parent_id for part in parts if part.parent_id and part.parent_id.startswith("job-")}
    )
    run_id = before[0] if before else f"job-{hashlib.sha256(first.run_id.encode()).hexdigest()[:16]}"
    record = merged(parts, run_id)
    store.replace(record, summarise(RunView(record)))
    store.adopt(run_id, [part.run_id for part in parts if part.parent_id != run_id])
    for other in before[1:]:  # two hosts began one each: the parts are of one
        try:
            store.remove([other])
        except RunNotFound:
            continue
    return run_id
