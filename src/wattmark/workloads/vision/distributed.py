"""Distributed data parallel on one host: a process each, started by and reporting to this one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from wattmark.workloads.vision.config import Span, TrainConfig, TrainResult, no_span
from wattmark.workloads.vision.train import finish, prepare, train_epochs

_POLL_S = 0.02


def train_distributed(config: TrainConfig, span: Span) -> TrainResult:
    """As ``train``, in ``config.processes`` processes (NCCL with one GPU each, gloo on the CPU).

    The first process sends word of its stages; their spans are opened and closed here, a pipe's delay later.
    Raises torch's ProcessRaisedException or ProcessExitedException if a process fails; the others are ended
    then.
    """
    ours, theirs = mp.get_context("spawn").Pipe(duplex=False)
    result: TrainResult | None = None
    with tempfile.TemporaryDirectory() as folder, ours, closing(_Stages(span)) as stages:
        with theirs:
            arguments = (config, str(Path(folder) / "rendezvous"), theirs)
            processes: Any = cast("Any", mp).spawn(_process, arguments, config.processes, join=False)
        try:
            while True:  # until the last process has let go of its end of the pipe
                if not ours.poll(_POLL_S):
                    processes.join(timeout=0)  # raises for a process that failed
                    continue
                message = ours.recv()
                if isinstance(message, TrainResult):
                    result = message
                else:
                    stages.follow(message)
        except EOFError:
            while not processes.join():
                pass
    if result is None:
        raise RuntimeError("the first process ended without a result")
    return result


class _Stages:
    """Spans opened here on behalf of another process."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._open: list[ExitStack] = []

    def follow(self, message: tuple[str, dict[str, float]] | None) -> None:
        """Open the stage that a message names; None closes the last."""
        if message is None:
            self._open.pop().close()
            return
        name, counts = message
        stage = ExitStack()
        stage.enter_context(self._span(name, **counts))
        self._open.append(stage)

    def close(self) -> None:
        """Close what a process that failed has left open."""
        while self._open:
            self._open.pop().close()


def _reporting(pipe: Connection) -> Span:
    @contextmanager
    def span(name: str, /, **counts: float) -> Generator[None]:
        pipe.send((name, counts))
        try:
            yield
        finally:
            pipe.send(None)

    return span


def _process(rank: int, config: TrainConfig, rendezvous: str, pipe: Connection) -> None:
    on_gpu = config.device.startswith("cuda")
    torch.set_num_threads(config.threads or max(1, (os.cpu_count() or 1) // config.processes))
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=f"file://{rendezvous}",
        rank=rank,
        world_size=config.processes,
    )
    try:
        span = _reporting(pipe) if rank == 0 else no_span
        prepared = prepare(config, span, rank)
        parallel = DistributedDataParallel(
            prepared.model,
            device_ids=[prepared.device] if on_gpu else None,
            find_unused_parameters=not prepared.all_used,
        )
        epochs = train_epochs(prepared, span, parallel=parallel, rank=rank)
        if rank == 0:
            pipe.send(finish(prepared, epochs, span))
    finally:
        dist.destroy_process_group()
