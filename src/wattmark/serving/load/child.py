"""One generator process of several; started by :mod:`wattmark.serving.load.processes`, never by people."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import sys
import threading
import time
from typing import Any, BinaryIO

from wattmark.errors import WattmarkError
from wattmark.serving.load.client import run
from wattmark.serving.load.generator.engine import Engine
from wattmark.serving.load.processes import READY, Ending, Job
from wattmark.serving.load.records import LoadProgress, RequestRecord
from wattmark.text import keep_output_whole

BATCH = 256
"""Records sent at once: a pickle of many is far cheaper than many pickles."""


class _Outbox:
    """Sends records and progress to the parent. Standard output is a pipe with a large reader at its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._records: list[RequestRecord] = []

    def record(self, record: RequestRecord) -> None:
        self._records.append(record)
        if len(self._records) >= BATCH:
            self.flush()

    def progress(self, progress: LoadProgress) -> None:
        self.flush()
        self.send(progress)

    def flush(self) -> None:
        if self._records:
            self.send(self._records)
            self._records = []

    def send(self, message: Any) -> None:
        data = pickle.dumps(message)
        self._file.write(len(data).to_bytes(8, "little") + data)
        self._file.flush()


async def work(job: Job, outbox: _Outbox) -> Ending:
    """Do the job; ends early when standard input closes."""
    outbox.send(READY)
    start = await asyncio.to_thread(sys.stdin.buffer.read, 8)
    if len(start) < 8:  # stopped before it began
        return Ending(time.monotonic_ns(), time.process_time(), True, None)
    start_ns = int.from_bytes(start, "little")
    limits = dataclasses.replace(job.limits, keep_records=False)
    conversations = job.workload.conversations(job.part, job.parts)
    engine = Engine(
        job.target,
        job.profile.dialect,
        job.profile.model,
        job.arrivals,
        conversations,
        limits,
        on_record=outbox.record,
        on_progress=outbox.progress,
        start_ns=start_ns,
    )
    loop = asyncio.get_running_loop()

    def wait_for_parent() -> None:
        while os.read(0, 1):
            pass
        try:
            loop.call_soon_threadsafe(engine.stop)
        except RuntimeError:  # the loop has ended by itself
            return

    threading.Thread(target=wait_for_parent, daemon=True).start()
    if limits.requests != 0:
        await asyncio.sleep(max(0.0, (start_ns - time.monotonic_ns()) / 1e9))
        await engine.run()
    outbox.flush()
    return Ending(engine.stopped_sending_ns, time.process_time(), engine.interrupted, engine.gave_up)


def main() -> None:
    """Read a job, do it, say how it ended."""
    size = int.from_bytes(sys.stdin.buffer.read(8), "little")
    job: Job = pickle.loads(sys.stdin.buffer.read(size))  # noqa: S301 (our own parent)
    keep_output_whole()
    outbox = _Outbox(sys.stdout.buffer)
    try:
        ending = run(work(job, outbox))
    except (WattmarkError, OSError) as error:
        ending = Ending(time.monotonic_ns(), time.process_time(), False, None, str(error))
    outbox.send(ending)


if __name__ == "__main__":
    main()
