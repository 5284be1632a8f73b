"""A measured load test: a server, a load, the joules of both, in one run whose requests are spans.

``with open_bench("local:10m") as bench: result = bench.run(Plan(ClosedLoop.of(8), limits=Limits(requests=200)))``.
The server's energy is what its machine used from the first request to the last answer, less the load client's own part
and that of other work on the machine; idle is what the machine drew just before, with the model loaded and no request.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from wattmark.documents import mapping
from wattmark.errors import ConfigError, ServerError
from wattmark.impact import as_price, as_pue, carbon, cost_at
from wattmark.paths import journals_dir
from wattmark.quantity import Quantity
from wattmark.recorder import journal
from wattmark.recorder.tree import start_ticks
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.serving.energy.accounting import ServingEnergy
from wattmark.serving.energy.measured import (
    SHARED_BY_CPU_TIME,
    BenchEnergy,
    CpuMeter,
    Idle,
    energy_of,
    idle_of,
)
from wattmark.serving.figures.latency import Goal, Metrics, e2e_s, ttft_s
from wattmark.serving.figures.latency import measure as measure_load
from wattmark.serving.figures.server_view import ServerView, server_view
from wattmark.serving.figures.steady import requests_for
from wattmark.serving.load.arrivals import Arrivals, ClosedLoop, OpenLoop
from wattmark.serving.load.client import ServerProfile, find_filler, probe, run, run_load_blocking
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.probe import LOADING_S
from wattmark.serving.load.records import LoadProgress, LoadResult, RequestRecord
from wattmark.serving.load.wire.target import Target, with_scheme
from wattmark.serving.power.meter import PowerMeter, power_meter
from wattmark.serving.power.samples import PowerReadings
from wattmark.serving.prompts.base import FreshTexts, Lengths, Workload
from wattmark.serving.prompts.synthetic import Filler, OfUnits, Synthetic
from wattmark.serving.server.behind import backends, watching
from wattmark.serving.server.local import LOCAL, RunningServer, ServerOptions, open_server
from wattmark.serving.server.owner import Owner, is_here, name_of, owner_of
from wattmark.statistics import mean_of
from wattmark.tracker.measure import Run, measure
from wattmark.tracker.process import this_process

BASELINE_S = 2.0
"""The idle machine is measured this long unless told otherwise: twenty samples at the usual period."""
SCRAPE_S = 1.0
"""How often the server is asked for its own view (``/metrics``), where it has one: far less work than one request."""
WARM_UP_USERS = 8
"""Warm-up requests are sent so many at a time."""
FORMAT = "wattmark.llm-bench.v1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the power comes from and what it costs; None: not known. pue: of the building. price_per_kwh: a number, or a
    range in words (``0.25-0.35``).

    Raises ConfigError for a PUE or a price that cannot be.
    """

    zone: str | None = None
    pue: float | str | None = None
    price_per_kwh: float | str | None = None

    def __post_init__(self) -> None:
        as_pue(self.pue or 1.0)
        if self.price_per_kwh is not None:
            as_price(self.price_per_kwh)

    def grams(self, energy: Quantity) -> Quantity | None:
        """CO2e of an energy; None where the zone is not known."""
        return None if self.zone is None else carbon(energy, self.zone, pue=self.pue or 1.0).grams

    def cost(self, energy: Quantity) -> Quantity | None:
        """The bill for an energy; None where no price is known."""
        if self.price_per_kwh is None:
            return None
        return cost_at(energy, as_price(self.price_per_kwh), as_pue(self.pue or 1.0))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {"zone": self.zone, "pue": self.pue, "price_per_kwh": self.price_per_kwh}


@dataclass(frozen=True, slots=True)
class Plan:
    """One load: when requests come, what they ask, when it ends.

    input, output: tokens, for synthetic prompts; workload instead of them for given ones. baseline_s: how long the idle
    machine is measured first; 0 takes the calibrated watts, if there are any. goal: limits that make an answer good.
    turns, prefix_tokens: of synthetic conversations, and of what they share. place: what carbon and money rest on, kept with
    the run. warm_up: requests that are sent before all else and are in no figure.
    """

    arrivals: Arrivals
    input: Lengths = field(default_factory=lambda: Lengths.fixed(64))
    output: Lengths = field(default_factory=lambda: Lengths.fixed(32))
    workload: Workload | None = None
    limits: Limits = field(default_factory=Limits)
    baseline_s: float = BASELINE_S
    goal: Goal | None = None
    seed: int = 0
    turns: int = 1
    prefix_tokens: int = 0
    place: Place = field(default_factory=Place)
    warm_up: int = 0

    def __post_init__(self) -> None:
        if self.baseline_s < 0:
            raise ConfigError("the baseline needs at least 0 s")
        if self.limits.requests is None and self.limits.duration_s is None and self.workload is None:
            raise ConfigError("a load needs an end", hint="say how many requests, or for how many seconds")


@dataclass(frozen=True, slots=True)
class ModelPart:
    """What one of several models (adapters) had of a load. mean_j: J of an answer, without idle, of those whose joules are
    known; None if none are. Means of times in seconds."""

    requests: int
    ok: int
    output_tokens: int
    mean_j: float | None
    ttft_s: float | None
    e2e_s: float | None

    @classmethod
    def of(cls, records: Sequence[RequestRecord], joules: Mapping[int, float]) -> ModelPart:
        """Of its requests. joules: of requests by their index."""
        good = [record for record in records if record.ok]
        return cls(
            len(records),
            len(good),
            sum(record.output_tokens or 0 for record in good),
            mean_of(joules.get(record.index) for record in good),
            mean_of(map(ttft_s, good)),
            mean_of(map(e2e_s, good)),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What one load came to.

    server: what is known of it, no key and no path. energy: None where the server runs on another machine, or where
    nothing could be measured. run_id: of the measured run, empty where no recorder ran or the run is part of another.
    warnings: what a reader of the figures must know. view: what the server said of itself. place: what carbon and money rest
    on. power: what another machine told of the server's power, if that was asked.
    """

    run_id: str
    server: Mapping[str, Any]
    load: LoadResult
    metrics: Metrics
    energy: BenchEnergy | None
    idle: Idle | None
    warnings: tuple[str, ...]
    view: ServerView | None = None
    place: Place = field(default_factory=Place)
    power: PowerReadings | None = None

    @property
    def serving(self) -> ServingEnergy | None:
        """The energy of serving, accounted for."""
        return None if self.energy is None else self.energy.serving

    @property
    def j_per_token(self) -> Quantity | None:
        """J per output token, idle included."""
        figures = None if self.serving is None else self.serving.with_idle
        return None if figures is None else figures.j_per_output_token

    @property
    def by_model(self) -> dict[str, ModelPart]:
        """What went to each model, where requests were shared out among several; empty otherwise."""
        joules: Mapping[int, float] = {} if self.energy is None else self.energy.request_j
        parts: dict[str, list[RequestRecord]] = {}
        for record in self.load.records:
            if record.model is not None:
                parts.setdefault(record.model, []).append(record)
        return {name: ModelPart.of(records, joules) for name, records in parts.items()}

    @property
    def noise(self) -> bool:
        """Whether the text means nothing (random weights)."""
        return bool(self.server.get("text_is_noise"))

    def as_dict(self) -> dict[str, Any]:
        """The object of ``--json`` (docs/reference/llm-bench.schema.json)."""
        load = self.load
        return {
            "format": FORMAT,
            "run_id": self.run_id or None,
            "server": {**self.server, "url": load.url, "model": load.model, "dialect": load.dialect},
            "load": {
                "arrivals": load.arrivals,
                "workload": load.workload,
                "duration_s": (load.ended_ns - load.started_ns) / 1e9,
                "outcomes": dict(load.counts),
                "errors": dict(load.errors),
                "interrupted": load.interrupted,
                "client_cpu_s": load.client_cpu_s,
                "text_seed": load.text_seed,
                "cached_share": load.cached_share,
                "models": {name: part.as_dict() for name, part in self.by_model.items()},
            },
            "metrics": _plain(self.metrics.as_dict()),
            "energy": None if self.energy is None else self.energy.as_dict(),
            "idle": None if self.idle is None else self.idle.as_dict(),
            "server_metrics": None if self.view is None else self.view.as_dict(),
            "place": self.place.as_dict(),
            "power": None
            if self.power is None
            else {"from": self.power.where, "period_s": self.power.period_s, "clock_s": self.power.clock_s},
            "warnings": list(self.warnings),
        }


@dataclass(slots=True)
class Bench:
    """A server that was looked at and is ready for loads; made by :func:`open_bench`."""

    server: RunningServer
    target: Target
    profile: ServerProfile
    filler: Filler
    idle: Idle | None = None

    owner: Owner = field(default_factory=Owner)
    power: PowerMeter | None = None
    on_samples: Callable[[float], None] | None = None
    named: bool = False

    @property
    def here(self) -> bool:
        """Whether the server runs on this machine, so that its joules can be measured."""
        return self.owner.tunnel is None and is_here(urlsplit(self.target.url).hostname or "")

    @property
    def server_pids(self) -> tuple[int, ...]:
        """The roots of the server's processes; empty where they are not known, or where it is this process itself."""
        pids = self.owner.pids if self.server.pid is None else (self.server.pid,)
        return () if os.getpid() in pids else pids

    def run(
        self,
        plan: Plan,
        *,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        on_progress: Callable[[LoadProgress], None] | None = None,
        spans: bool = True,
    ) -> BenchResult:
        """Measure the idle machine, send the load, account for both. The idle watts are measured once per bench.

        A first Ctrl-C ends the load and what was measured is returned. spans: write every request into the run, with the
        joules that it was given. Raises ServerError and ConfigError as the load client does.
        """
        workload = plan.workload or Synthetic(
            plan.input,
            plan.output,
            turns=plan.turns,
            prefix_tokens=plan.prefix_tokens,
            seed=plan.seed,
        )
        if isinstance(workload, OfUnits):
            workload = workload.with_filler(self.filler)
        warmed = self._warm_up(plan, workload)
        measured: Run = measure(
            name or f"llm bench {self.server.model or self.profile.model or self.target.url}",
            tags={"kind": "serving", **(tags or {})},
        )
        cpu = CpuMeter(self.server_pids)
        began_ns = time.monotonic_ns()
        with measured:
            idle_ns = self._rest(measured, plan) if self.idle is None else None
            at_rest = cpu.lap()
            with measured.span("load") as span, cpu.watching():
                load = run_load_blocking(
                    self.target,
                    plan.arrivals,
                    workload,
                    limits=plan.limits,
                    profile=self.profile,
                    on_progress=on_progress,
                )
            at_work = cpu.lap()
        view = measured.view
        told = None
        if self.power is not None:
            told = _told(self.power, began_ns, load.ended_ns, self.on_samples)
            view = RunView(replace(view.record, curves=told.curves, baseline_w=None))
        # CPU times of this machine say nothing of boards, nor of other machines.
        apart = told is not None and not (self.here and _shared_by_cpu_time(told))
        if self.idle is None:
            self.idle = idle_of(view, idle_ns, None if apart else at_rest)
        metrics = measure_load(load, goal=plan.goal)
        energy = None
        if self.here or told is not None:
            energy = energy_of(
                view,
                load,
                self.idle,
                None if apart else at_work,
                window=metrics.window,
                grams=plan.place.grams,
                money=plan.place.cost,
            )
        if spans:
            _write_requests(load, energy, span.id)
        said = server_view(load, metrics.window)
        warnings = [
            *warmed,
            *load.warnings,
            *_too_few(load, metrics),
            *(energy.notes if energy else ()),
            *(said.warnings if said else ()),
            *(told.notes if told else self._warnings(view)),
        ]
        return BenchResult(
            measured.id if measured.view.curves or view.curves else "",
            self.server.as_dict(),
            load,
            metrics,
            energy,
            self.idle,
            tuple(dict.fromkeys(warnings)),
            said,
            plan.place,
            told,
        )

    def _warm_up(self, plan: Plan, workload: Workload) -> list[str]:
        """Send what comes before the load, so that caches and compilers are done; what a reader must know of it.
        Other texts than those of the load, so that these are still new."""
        if not plan.warm_up:
            return []
        if not isinstance(workload, FreshTexts):
            workload = Synthetic(plan.input, plan.output, seed=plan.seed, filler=self.filler)
        closed = ClosedLoop.of(min(plan.warm_up, WARM_UP_USERS), seed=plan.seed)
        limits = replace(plan.limits, requests=plan.warm_up, scrape_s=None, processes=1, in_flight=None)
        load = run_load_blocking(self.target, closed, workload, limits=limits, profile=self.profile)
        if load.interrupted:
            raise KeyboardInterrupt
        failed = len(load.records) - load.counts["ok"]
        if not failed:
            return []
        why = next(iter(load.errors.values()), "no answer")
        return [f"{failed} of {plan.warm_up} warm-up requests failed: {why}"]

    def _rest(self, measured: Run, plan: Plan) -> tuple[int, int] | None:
        """The idle machine, model loaded, for as long as the plan says: its [start, end) in ns.

        Power from elsewhere comes in samples that may be far apart: whole ones must lie within.
        """
        if plan.baseline_s <= 0 or not (self.here or self.power):
            return None
        period_s = 0.0 if self.power is None else self.power.period_s
        with measured.span("idle") as span:
            time.sleep(max(plan.baseline_s, 3 * period_s))
        edge_ns = round(period_s * 1e9)
        return span.start_ns + edge_ns, span.end_ns - edge_ns

    def _warnings(self, view: RunView) -> list[str]:
        found = [warning.message for warning in view.record.warnings]
        if self.owner.tunnel is not None:
            found.append(
                f"{self.owner.tunnel} listens there, which leads elsewhere: the server's energy is not measured here"
            )
        elif not self.here:
            found.append("the server runs on another machine: its energy is not measured here")
        elif self.owner.behind:
            listed = ", ".join(f"{name_of(pid)} ({pid})" for pid in self.owner.behind)
            found.append(f"the server passes requests on to {listed}: their joules are the server's too")
        late = (
            sorted(set(backends(self.owner.pids)) - set(self.owner.pids))
            if self.here and self.owner.pids
            else []
        )
        if late and not self.named:
            listed = ", ".join(f"{name_of(pid)} ({pid})" for pid in late)
            found.append(
                f"{listed} worked for the server too, but was not seen before the load: name it with --server-pid"
            )
        if self.here and not self.server_pids:
            found.append("if that address is a tunnel to another machine, these joules are not the server's")
        return found


@contextmanager
def open_bench(
    where: str,
    *,
    options: ServerOptions | None = None,
    environ: Mapping[str, str] | None = None,
    on_writing: Callable[[float], None] | None = None,
    server_pids: Sequence[int] = (),
    on_wait: Callable[[float], None] | None = None,
    power: str | None = None,
    on_samples: Callable[[float], None] | None = None,
    wait_s: float | None = None,
    **target: Any,
) -> Generator[Bench]:
    """The server at a URL, or ``local:SIZE`` for as long as the block runs, looked at and ready.

    on_writing: told the share (0..1) of a random model that is written first, if it has to be.
    on_wait: told the seconds for which a server that is still loading (503) was waited for so far. wait_s: how long at most,
    for one that takes no connections yet, too (None: ten minutes, for one that loads). server_pids: the
    processes of a server at a URL, whose children count too; if none are given, the owner of the listening socket is
    looked for. power: where the server's power is read instead of here, ``prometheus://host:port/?query=...`` or the page
    of an exporter; on_samples: told the seconds for which the samples of a load's end were waited for. target: further
    fields of :class:`~wattmark.serving.load.wire.target.Target` (model, dialect, endpoint, ...). Raises ConfigError,
    MissingExtra and ServerError as those that open, look and probe do.
    """
    with open_server(with_scheme(where), options, environ, on_writing) as server:
        if where.startswith(LOCAL):
            target = {"model": server.model, "dialect": "llama.cpp", **target}
        chosen = Target(server.base_url, **target)
        profile = run(
            probe(
                chosen,
                on_wait=on_wait,
                loading_s=LOADING_S if wait_s is None else wait_s,
                starting=wait_s is not None,
            )
        )
        owner = _owner(server, chosen, server_pids)
        with watching(() if server_pids else owner.pids) as behind:
            filler = run(find_filler(chosen, profile))
        owner = replace(owner, pids=(*owner.pids, *sorted(behind)), behind=tuple(sorted(behind)))
        meter = None if power is None else power_meter(power)
        try:
            if meter is not None:
                meter.begin()
            yield Bench(
                server,
                chosen,
                profile,
                filler,
                owner=owner,
                power=meter,
                on_samples=on_samples,
                named=bool(server_pids),
            )
        finally:
            if meter is not None:
                meter.close()


def _shared_by_cpu_time(told: PowerReadings) -> bool:
    return any(curve.channel.component in SHARED_BY_CPU_TIME for curve in told.curves)


def _told(
    power: PowerMeter, start_ns: int, end_ns: int, on_wait: Callable[[float], None] | None
) -> PowerReadings:
    """The power of a load that has been run: it stands, whatever becomes of its joules."""
    try:
        return power.readings(start_ns, end_ns, on_wait)
    except ServerError as error:
        return PowerReadings((), 0.0, power.period_s, (f"the power could not be read: {error}",), "")


def _owner(server: RunningServer, target: Target, pids: Sequence[int]) -> Owner:
    """Whose joules are the server's. Raises ConfigError for processes that are not there."""
    gone = [pid for pid in pids if start_ticks(pid) is None]
    if gone:
        raise ConfigError(
            f"there is no process {gone[0]}", hint="give the id of the server's process on this machine"
        )
    if pids:
        return Owner(tuple(pids))
    address = target.address()
    if server.pid is not None or not is_here(address.host):
        return Owner()
    return owner_of(address.host, address.port)


def _too_few(load: LoadResult, metrics: Metrics) -> list[str]:
    """What a load that is too short to have a steady part leaves in its figures."""
    if load.concurrency is None or metrics.window is None or not metrics.window.rule.startswith("whole"):
        return []
    return [
        f"the load is too short to have a steady part ({metrics.window.rule}): ramp and drain are in its figures; "
        f"{requests_for(load.concurrency)} requests would give one"
    ]


def save(result: BenchResult) -> bool:
    """End this process's recorder and put the run into the store, its figures under ``extra["serving"]``.

    False if there is no run of its own to keep (inside another run, or without a recorder). Raises StoreError.
    """
    process = this_process()
    session = process.session
    if not result.run_id or session is None or process.windows:
        return False
    from wattmark.workspace.runs import keep_session, replace, store_here

    process.end()
    with store_here(ingest=False) as store:
        record = keep_session(store, session.folder, result.run_id)
        if record is not None:
            replace(store, with_figures(record, result))
    return record is not None


def with_figures(record: RunRecord, result: BenchResult) -> RunRecord:
    """The run with the load's figures, its place, and what the server said of itself as side series."""
    known = {item.series.id for item in record.series}
    told = tuple(item for item in result.load.series if item.series.id not in known)
    status = "interrupted" if result.load.interrupted else record.status
    place = {name: value for name in ("zone", "pue") if (value := getattr(result.place, name)) is not None}
    settings = {**mapping(record.extra.get("settings")), **place}
    curves = record.curves
    if result.power is not None:  # the energy of this machine is the client's
        curves = (
            *(replace(curve, channel=curve.channel._replace(counted=False)) for curve in curves),
            *result.power.curves,
        )
    return replace(
        record,
        status=status,
        curves=curves,
        series=(*record.series, *told),
        extra={**record.extra, "settings": settings, "serving": result.as_dict()},
    )


def journal_hint() -> str:
    """Where a run stays that could not be put into the store."""
    return f"its journal stays in {journals_dir()}"


def offered_rate(arrivals: Arrivals) -> float | None:
    """Requests/s that an open loop of one rate asks for; None for any other."""
    if isinstance(arrivals, OpenLoop) and len({(s.rate_from, s.rate_to) for s in arrivals.segments}) == 1:
        return arrivals.segments[0].rate_from
    return None


def _write_requests(load: LoadResult, energy: BenchEnergy | None, parent: int) -> None:
    """Every request that was sent, as a span of the load: written afterwards, so that writing costs the load nothing.

    A span's own energy is all that the machine used meanwhile, for all requests at once; ``attributed_j`` is its share.
    """
    log = this_process().log
    if log is None:
        return
    joules: Mapping[int, float] = {} if energy is None else energy.request_j
    for record in load.records:
        if record.sent_ns is None or record.end_ns is None:
            continue
        span = log.open_span("request", parent, record.sent_ns)
        counts = {"requests": 1, **_counts(record)}
        attrs: dict[str, Any] = {"outcome": record.outcome}
        if (first_s := ttft_s(record)) is not None:
            attrs["ttft_s"] = first_s
        if record.index in joules:
            attrs["attributed_j"] = joules[record.index]
        if record.error:
            attrs["error"] = record.error
        log.write_json(journal.SPAN_DETAIL, {"span": span, "counts": counts, "attrs": attrs})
        log.close_span(span, record.end_ns)


def _counts(record: RequestRecord) -> dict[str, float]:
    counts: dict[str, float] = {}
    if record.input_tokens is not None:
        counts["prompt_tokens"] = record.input_tokens
    if record.output_tokens is not None:
        counts["output_tokens"] = record.output_tokens
    return counts


def _plain(data: Any) -> Any:
    """Keys as JSON has them."""
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return data
