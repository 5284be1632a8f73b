"""The load client: ``await run_load(target, arrivals, workload, limits=...)``, or ``run_load_blocking`` from plain code.

>>> from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load_blocking
>>> result = run_load_blocking(
...     Target("http://127.0.0.1:8080"), ClosedLoop.of(8),
...     Synthetic(Lengths.fixed(64), Lengths.fixed(32)), limits=Limits(requests=200))  # doctest: +SKIP
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wattmark.serving.load.arrivals import Arrivals, ClosedLoop, OpenLoop, Replay, Segment
from wattmark.serving.load.generator.engine import Engine
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.probe import ServerProfile, find_filler, probe
from wattmark.serving.load.processes import Processes
from wattmark.serving.load.records import LoadProgress, LoadResult, RequestRecord
from wattmark.serving.load.scrape import Scraper, timing_series
from wattmark.serving.load.wire.target import Target, shown_url
from wattmark.serving.prompts.base import Fixed, FreshTexts, Lengths, Noted, Workload
from wattmark.serving.prompts.synthetic import Synthetic

__all__ = [
    "ClosedLoop",
    "Lengths",
    "Limits",
    "LoadProgress",
    "LoadResult",
    "OpenLoop",
    "Replay",
    "RequestRecord",
    "Segment",
    "ServerProfile",
    "Synthetic",
    "Target",
    "find_filler",
    "probe",
    "run",
    "run_load",
    "run_load_blocking",
]

LATE_S = 0.01
"""A generator that is later than this for one request in twenty is not giving the load that was asked for."""
T = TypeVar("T")


async def run_load(
    target: Target,
    arrivals: Arrivals,
    workload: Workload,
    *,
    limits: Limits | None = None,
    profile: ServerProfile | None = None,
    on_record: Callable[[RequestRecord], None] | None = None,
    on_progress: Callable[[LoadProgress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> LoadResult:
    """Send a load and return its records. The server is looked at first (see :func:`probe`) unless ``profile`` is given.

    on_record is called with each record as soon as it is whole, on_progress a few times a second. Setting ``stop`` ends
    the test early and keeps what was measured. Raises ServerError if the server cannot be used at all, ConfigError for
    settings that cannot; single requests never raise, their records say what happened. If the call is cancelled, what
    is in flight is given up, recorded through ``on_record``, and nothing is returned.
    """
    limits = limits or Limits()
    profile = profile or await probe(target, answer_s=limits.first_byte_s)
    warnings = [*profile.warnings, *_sockets_warning(arrivals)]
    if isinstance(workload, Noted):
        warnings += workload.notes
    if isinstance(workload, FreshTexts) and workload.text_seed is None:
        workload = workload.with_text_seed(secrets.randbits(32))
    scraper = Scraper(target, limits.scrape_s) if limits.scrape_s and profile.dialect.metrics else None
    scraping = asyncio.create_task(scraper.run()) if scraper else None
    wall_ns, cpu_s = time.time_ns(), time.process_time()
    generator: Engine | Processes
    if limits.processes > 1:
        generator = Processes(
            target, profile, arrivals, workload, limits, on_record=on_record, on_progress=on_progress
        )
    else:
        generator = Engine(
            target,
            profile.dialect,
            profile.model,
            arrivals,
            workload.conversations(),
            limits,
            on_record=on_record,
            on_progress=on_progress,
        )
    watcher = asyncio.create_task(_stop_when(stop, generator)) if stop else None
    try:
        if scraper is not None:
            await scraper.begun()
            wall_ns, cpu_s = time.time_ns(), time.process_time()
        await generator.run()
    finally:
        if watcher is not None:
            watcher.cancel()
        if scraper is not None and scraping is not None:
            await scraper.end(scraping)
    ended_ns = time.monotonic_ns()
    children_cpu_s, pids = (
        (generator.cpu_s, generator.pids) if isinstance(generator, Processes) else (0.0, ())
    )
    result = LoadResult(
        url=shown_url(target.url),
        model=profile.model,
        dialect=profile.dialect.name,
        arrivals=arrivals.describe(),
        workload=workload.describe(),
        started_ns=generator.started_ns,
        ended_ns=ended_ns,
        started_wall_ns=wall_ns,
        stopped_sending_ns=generator.stopped_sending_ns or ended_ns,
        records=generator.records,
        counts=generator.counts,
        client_cpu_s=time.process_time() - cpu_s + children_cpu_s,
        client_pids=(os.getpid(), *pids),
        interrupted=generator.interrupted,
        warnings=warnings,
        text_seed=workload.text_seed if isinstance(workload, FreshTexts) else None,
        concurrency=arrivals.stages[0][0]
        if isinstance(arrivals, ClosedLoop) and len(arrivals.stages) == 1
        else None,
    )
    if scraper is not None:
        result.series = (*scraper.series(), *timing_series(result.records))
        result.latencies = scraper.latencies()
        result.warnings += [scraper.missing] if scraper.missing else []
    result.warnings += [*_findings(result, generator.gave_up, limits.in_flight), *_hits(result)]
    if isinstance(workload, Fixed) and len(result.records) > len(workload.given):
        result.warnings.append(
            f"the {len(workload.given)} prompts of {workload.name} were sent {len(result.records)} times in all: a server "
            "that keeps prefixes works less for those that it has seen"
        )
    return result


def run_load_blocking(
    target: Target,
    arrivals: Arrivals,
    workload: Workload,
    *,
    limits: Limits | None = None,
    profile: ServerProfile | None = None,
    on_record: Callable[[RequestRecord], None] | None = None,
    on_progress: Callable[[LoadProgress], None] | None = None,
) -> LoadResult:
    """:func:`run_load` from code without an event loop. A first Ctrl-C ends the test and the result is returned with
    ``interrupted`` set; a second one is raised."""

    async def main() -> LoadResult:
        stop = asyncio.Event()
        with _first_interrupt_sets(stop):
            return await run_load(
                target,
                arrivals,
                workload,
                limits=limits,
                profile=profile,
                on_record=on_record,
                on_progress=on_progress,
                stop=stop,
            )

    return run(main())


def run(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, on uvloop where it is installed (it halves the cost of a chunk)."""
    if sys.platform == "win32":
        return asyncio.run(work)
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run(work)
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    return uvloop.run(work)


@contextlib.contextmanager
def _first_interrupt_sets(stop: asyncio.Event) -> Any:
    """Within it, the first Ctrl-C sets ``stop`` and the second does what it did before."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)

    def interrupted() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


async def _stop_when(stop: asyncio.Event, generator: Engine | Processes) -> None:
    await stop.wait()
    generator.stop()


def _hits(result: LoadResult) -> list[str]:
    """Prefix-cache hits by the server's own metrics, where its answers do not tell of cached tokens (vLLM's default)."""
    if result.cached_share is not None:
        return []
    hits = [
        item.values[-1]
        for item in result.series
        if item.series.id == "server/prefix-cache-hits" and len(item.values)
    ]
    if not any(hits):
        return []
    return [
        f"{sum(hits):.0f} prompt tokens came from the server's prefix cache by its own metrics: the figures are of "
        f"prompts that "
        "it has seen in part, not of fresh ones"
    ]


def _sockets_warning(arrivals: Arrivals) -> list[str]:
    if not isinstance(arrivals, ClosedLoop) or sys.platform == "win32":
        return []
    import resource

    wanted, (allowed, _) = (
        max(users for users, _ in arrivals.stages),
        resource.getrlimit(resource.RLIMIT_NOFILE),
    )
    if wanted + 32 <= allowed:  # some are in use already: the loop's, the terminal's, the recorder's
        return []
    return [
        f"{wanted} connections are wanted but this process may open {allowed} files: raise it with ulimit -n"
    ]


def _findings(result: LoadResult, gave_up: str | None, cap: int | None) -> list[str]:
    """What a reader of the figures must know."""
    findings = [] if gave_up is None else [gave_up]
    if result.counts["sockets"]:
        findings.append(
            f"{result.counts['sockets']} requests could not be sent because this system allows no more open sockets: "
            "raise the limit (ulimit -n) or lower the load"
        )
    problems = [record.usage_problem for record in result.records if record.usage_problem]
    if problems:
        findings.append(
            f"{len(problems)} answers carried token counts that cannot be true ({problems[0]}); they are left out"
        )
    odd = [record.usage_note for record in result.records if record.usage_note]
    if odd:
        findings.append(
            f"{len(odd)} answers carried odd token counts, which were taken as they are ({odd[0]})"
        )
    uncounted = sum(1 for record in result.ok if record.output_tokens is None) - len(problems)
    if uncounted > 0:
        findings.append(f"{uncounted} answers came without token counts: no figures per token for them")
    if share := result.cached_share:
        portion = f"{share:.0%}" if share >= 0.01 else "under 1 %"
        findings.append(
            f"{portion} of the prompt tokens came from the server's prefix cache: the figures are of prompts that it "
            "has seen in part, not of fresh ones"
        )
    if result.records:
        late = sorted(record.released_ns - record.scheduled_ns for record in result.records)
        worst_s = late[int(len(late) * 0.95)] / 1e9
        if cap is not None:
            held = sum(1 for each in late if each / 1e9 > LATE_S)
            if held:
                findings.append(
                    f"{held} of {len(late)} requests waited for one of the {cap} places, {late[-1] / 1e9:.2g} s at most: "
                    "the rate that was asked for is more than the server takes at so many at a time"
                )
        elif worst_s > LATE_S:
            findings.append(
                f"the generator was up to {worst_s * 1e3:.0f} ms late for 95 % of the requests: it could not keep up; "
                "use more processes or a lower rate"
            )
    short = sum(
        1
        for record in result.ok
        if record.output_tokens is not None
        and record.output_tokens < (record.wanted_output_tokens or 0) * record.answers
    )
    if short:
        findings.append(
            f"{short} of {len(result.ok)} answers were shorter than asked for: this server cannot be made to go on"
        )
    return findings
