"""The work of ``wattmark llm bench``: one load or a sweep of loads on one server, each kept as a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wattmark.cli.llm.progress import SAID_EVERY_S, LoadLine, WritingBar
from wattmark.cli.terminal.output import say
from wattmark.errors import WattmarkError
from wattmark.serving.bench import Bench, BenchResult, Plan, journal_hint, open_bench, save
from wattmark.serving.loads import LoadResults, LoadSeries, run_series
from wattmark.serving.server.local import ServerOptions


def run_bench(
    where: str,
    ask: LoadSeries,
    options: ServerOptions,
    target: Mapping[str, Any],
    *,
    name: str,
    tags: Mapping[str, str],
    live: bool,
    server_pids: Sequence[int] = (),
    power: str | None = None,
    wait_s: float | None = None,
) -> LoadResults:
    """Open the server, run every load, keep every run. Ctrl-C ends it; a sweep ends once two loads brought no more work, a
    search once it is fine enough or out of time."""
    if live and ask.asked.of_hub:
        say(f"the rows of {ask.asked.data} are fetched; without a network this takes half a minute to fail")
    data = ask.asked.read(ask.requests)
    for load in ask.loads:
        ask.plan(load, data)  # what cannot be sent is told before a server starts
    with (
        WritingBar() as bar,
        open_bench(
            where,
            options=options,
            on_writing=bar.show if live else None,
            server_pids=server_pids,
            on_wait=_Loading(),
            power=power,
            on_samples=_Samples(),
            wait_s=wait_s,
            **target,
        ) as bench,
    ):
        bar.clear()

        def run(plan: Plan, load: float) -> BenchResult:
            result = _one(bench, plan, name, {**tags, ask.kind: f"{load:g}"}, live)
            _keep(result)
            return result

        return run_series(ask, data, run, say if live else None)


class _Samples:
    """Says now and then that the last samples of power are not there yet."""

    def __init__(self) -> None:
        self._said_s = 0.0

    def __call__(self, waited_s: float) -> None:
        if waited_s < self._said_s:
            self._said_s = 0.0
        if waited_s - self._said_s >= SAID_EVERY_S:
            self._said_s = waited_s
            say(f"the last samples of the server's power are waited for ({waited_s:.0f} s so far)")


class _Loading:
    """Says now and then that the server is still loading."""

    def __init__(self) -> None:
        self._said_s = -SAID_EVERY_S

    def __call__(self, waited_s: float) -> None:
        if waited_s - self._said_s >= SAID_EVERY_S:
            self._said_s = waited_s
            say(f"the server is still loading its model ({waited_s:.0f} s so far); it is waited for")


def _one(bench: Bench, plan: Plan, name: str, tags: Mapping[str, str], live: bool) -> BenchResult:
    line = LoadLine(plan.limits.requests) if live and sys.stderr.isatty() else None
    if line is not None and bench.here and bench.idle is None and plan.baseline_s > 0:
        line.write(f"the idle machine is measured first, {plan.baseline_s:g} s")
    try:
        return bench.run(plan, name=name, tags=tags, on_progress=line.draw if line else None)
    finally:
        if line is not None:
            line.clear()


def _keep(result: BenchResult) -> None:
    try:
        save(result)
    except WattmarkError as error:  # the figures stand, wherever they are kept
        say(f"the run is not in the store ({error}); {journal_hint()}")
