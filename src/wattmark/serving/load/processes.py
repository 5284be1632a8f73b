"""Several generator processes, where one core is not enough: the same schedule and the same workload, dealt out.

Each child is ``python -m wattmark.serving.load.child``. It gets its job by its standard input and says when it is
ready; when all are, they get the time at which the test starts. Standard input then stays open: when it closes (a stop,
or this process gone) the child ends. Records come back by its standard output, as frames of
eight bytes of length and a pickle. Children are in sessions of their own, so that Ctrl-C reaches this process only.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.load.arrivals import Arrivals, ClosedLoop, Thinned
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.probe import ServerProfile
from wattmark.serving.load.records import LoadProgress, Outcome, RequestRecord
from wattmark.serving.load.wire.target import Target
from wattmark.serving.prompts.base import Workload

START_S = 0.02
"""Between the last child's "ready" and the start: the message has arrived everywhere by then."""
READY = "ready"


@dataclass(frozen=True, slots=True)
class Job:
    """What one child does."""

    target: Target
    profile: ServerProfile
    arrivals: Arrivals
    workload: Workload
    limits: Limits
    part: int
    parts: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What a child says last."""

    stopped_sending_ns: int
    cpu_s: float
    interrupted: bool
    gave_up: str | None
    error: str | None = None


class Processes:
    """Looks like one :class:`~wattmark.serving.load.generator.engine.Engine`, and is several."""

    def __init__(
        self,
        target: Target,
        profile: ServerProfile,
        arrivals: Arrivals,
        workload: Workload,
        limits: Limits,
        *,
        on_record: Callable[[RequestRecord], None] | None = None,
        on_progress: Callable[[LoadProgress], None] | None = None,
    ) -> None:
        self.records: list[RequestRecord] = []
        self.counts: Counter[Outcome] = Counter()
        self.started_ns = 0
        self.stopped_sending_ns = 0
        self.interrupted = False
        self.gave_up: str | None = None
        self.cpu_s = 0.0
        self.pids: tuple[int, ...] = ()
        self._limits, self._on_record, self._on_progress = limits, on_record, on_progress
        self._jobs = [
            Job(
                target,
                profile,
                share,
                workload,
                _share(limits, part, limits.processes),
                part,
                limits.processes,
            )
            for part in range(limits.processes)
            if (share := _arrivals(arrivals, part, limits.processes)) is not None
        ]
        self._inputs: list[asyncio.StreamWriter] = []
        self._sent: dict[int, LoadProgress] = {}

    async def run(self) -> None:
        """Run all children to their end."""
        packed: list[bytes] = []
        try:
            packed = [pickle.dumps(job) for job in self._jobs]
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"this workload cannot be sent to other processes: {error}", hint="use one process"
            ) from error
        children = await asyncio.gather(*(self._spawn() for _ in packed))
        self.pids = tuple(child.pid for child in children)
        try:
            await asyncio.gather(*(_ready(child, job) for child, job in zip(children, packed, strict=True)))
            self.started_ns = time.monotonic_ns() + int(START_S * 1e9)
            endings = await asyncio.gather(
                *(self._follow(child, part) for part, child in enumerate(children))
            )
        finally:
            for child in children:
                if child.returncode is None:
                    child.kill()
                await child.wait()
        self.stopped_sending_ns = max(ending.stopped_sending_ns for ending in endings)
        self.cpu_s = sum(ending.cpu_s for ending in endings)
        self.gave_up = next((ending.gave_up for ending in endings if ending.gave_up), None)
        for ending in endings:
            if ending.error is not None:
                raise ServerError(f"a load generator process failed: {ending.error}")
        self.records.sort(key=lambda record: record.scheduled_ns)
        for index, record in enumerate(self.records):
            record.index = index

    def stop(self) -> None:
        """End now; the children give up what is in flight and send what they have."""
        self.interrupted = True
        for writer in self._inputs:
            writer.close()

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "wattmark.serving.load.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=1 << 24,
        )

    async def _follow(self, child: asyncio.subprocess.Process, part: int) -> Ending:
        assert child.stdin is not None
        self._inputs.append(child.stdin)
        if not self.interrupted:
            child.stdin.write(self.started_ns.to_bytes(8, "little"))
        while True:
            message = await _message(child)
            if isinstance(message, Ending):
                child.stdin.close()
                with contextlib.suppress(ConnectionError):
                    await child.stdin.wait_closed()
                return message
            if isinstance(message, LoadProgress):
                self._report(part, message)
            else:
                self._take(message)

    def _take(self, records: list[RequestRecord]) -> None:
        for record in records:
            self.counts[record.outcome] += 1
            if self._limits.keep_records:
                self.records.append(record)
            if self._on_record is not None:
                self._on_record(record)

    def _report(self, part: int, progress: LoadProgress) -> None:
        self._sent[part] = progress
        if self._on_progress is not None and part == min(self._sent):
            parts = self._sent.values()
            self._on_progress(
                LoadProgress(
                    progress.elapsed_s,
                    sum(each.sent for each in parts),
                    sum(each.done for each in parts),
                    sum(each.failed for each in parts),
                    sum(each.in_flight for each in parts),
                    sum(each.output_tokens for each in parts),
                )
            )


async def _ready(child: asyncio.subprocess.Process, job: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(len(job).to_bytes(8, "little") + job)
    message = await _message(child)
    if message != READY:
        raise ServerError(f"a load generator process failed: {message.error}")


async def _message(child: asyncio.subprocess.Process) -> Any:
    assert child.stdout is not None
    try:
        size = int.from_bytes(await child.stdout.readexactly(8), "little")
        return pickle.loads(await child.stdout.readexactly(size))  # noqa: S301 (our own child)
    except asyncio.IncompleteReadError:
        return Ending(time.monotonic_ns(), 0.0, False, None, "it ended without saying why")


def _arrivals(arrivals: Arrivals, part: int, parts: int) -> Arrivals | None:
    return arrivals.share(part, parts) if isinstance(arrivals, ClosedLoop) else Thinned(arrivals, part, parts)


def _share(limits: Limits, part: int, parts: int) -> Limits:
    if limits.in_flight is not None:
        limits = replace(limits, in_flight=_dealt(limits.in_flight, part, parts), processes=1)
    if limits.requests is None:
        return limits
    # Arrivals are dealt out in turn, so the first parts get what is left over.
    return replace(limits, requests=_dealt(limits.requests, part, parts))


def _dealt(number: int, part: int, parts: int) -> int:
    return number // parts + (part < number % parts)
