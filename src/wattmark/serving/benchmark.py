"""``wm.benchmark("local:10m", concurrency=4)``: one load on a model server, its joules, and the run that keeps them;
``wm.benchmark_loads(url, "concurrency:1-32", ttft_s=0.5, search=True)``: several, or the largest within limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from wattmark.errors import ConfigError
from wattmark.serving.asked import Asked
from wattmark.serving.bench import BASELINE_S, BenchResult, Plan, open_bench, save
from wattmark.serving.load.records import LoadProgress
from wattmark.serving.loads import SEARCH_S, LoadResults, LoadSeries, run_series
from wattmark.serving.server.local import ServerOptions

OnProgress = Callable[[LoadProgress], None]


def benchmark(
    where: str,
    *,
    concurrency: int | None = None,
    rate: float | None = None,
    requests: int | None = None,
    seconds: float | None = None,
    input: int | str | None = None,
    output: int | str | None = None,
    baseline_s: float = BASELINE_S,
    seed: int = 0,
    name: str = "",
    tags: Mapping[str, str] | None = None,
    options: ServerOptions | None = None,
    on_progress: OnProgress | None = None,
    warm_up: int = 0,
    in_flight: int | None = None,
    **more: Any,
) -> BenchResult:
    """Send a load to the server at a URL, or to ``local:1m`` which is started for it, and account for its joules.

    concurrency: so many requests at a time (default 4); or rate: so many a second, Poisson. requests: how many (default: as
    many as settle the figures, 100 or more, unless ``seconds`` says for how long). input, output: tokens, a number or a
    distribution as in ``wattmark llm bench`` (default 64 and 32). warm_up: requests before all else. in_flight: so many of
    a rate at a time at most. more: fields of :class:`~wattmark.serving.asked.Asked` (``data``, ``stages``, ``images``,
    ``endpoint`` ...), of :class:`~wattmark.serving.loads.LoadSeries` (``ttft_s``, ``zone``, ``price`` ...), and ``model``,
    ``dialect``, ``api_key_env`` and further fields of :class:`~wattmark.serving.load.wire.target.Target`. The run is kept:
    ``wm.load(result.run_id)``. Raises ConfigError, ImportFileError, MissingExtra, ServerError, StoreError.
    """
    asked, own, target = _sorted(input, output, seed, more)
    if sum(given is not None for given in (concurrency, rate, asked.stages)) > 1:
        raise ConfigError("concurrency, rate and stages exclude each other; give one of them")
    kind, load = asked.at(concurrency, rate)
    series = LoadSeries(
        kind,
        (load,),
        asked,
        requests,
        seconds,
        baseline_s=baseline_s,
        warm_up=warm_up,
        in_flight=in_flight,
        **own,
    )
    return _measured(where, series, target, name, tags or {}, options, on_progress).results[0]


def benchmark_loads(
    where: str,
    loads: str | None = None,
    *,
    search: bool = False,
    search_s: float = SEARCH_S,
    requests: int | None = None,
    seconds: float | None = None,
    input: int | str | None = None,
    output: int | str | None = None,
    baseline_s: float = BASELINE_S,
    seed: int = 0,
    name: str = "",
    tags: Mapping[str, str] | None = None,
    options: ServerOptions | None = None,
    on_progress: OnProgress | None = None,
    on_step: Callable[[str], object] | None = None,
    **more: Any,
) -> LoadResults:
    """Several loads on one server, each kept as a run: ``concurrency:1-32`` (doubled; the default) or ``rate:0.5,1,2``.

    search: the largest load within the limits (``ttft_s``, ``tpot_s``, ``e2e_s`` seconds, met by the share ``attain`` of the
    requests) between the first and the last of them, 1 and 256 unless said; no load begins after ``search_s`` seconds.
    on_step: is told each step in words. All else as in :func:`benchmark`. ``results.best`` has the largest and the cheapest
    load within the limits, ``results.knee`` where more load buys waiting. Raises as :func:`benchmark` does.

    >>> found = wm.benchmark_loads("http://127.0.0.1:8000", search=True, ttft_s=0.5)  # doctest: +SKIP
    >>> found.best.largest  # doctest: +SKIP
    """
    asked, own, target = _sorted(input, output, seed, more)
    if asked.stages is not None:
        raise ConfigError("stages are one load by themselves", hint="wm.benchmark(..., stages=...)")
    series = LoadSeries("concurrency", (1.0,), asked, requests, seconds, baseline_s=baseline_s, **own)
    if loads is not None or not search:
        series = series.swept(loads or "concurrency:1-32")
    if search:
        series = replace(series.searched(), search_s=search_s)
    return _measured(where, series, target, name, tags or {}, options, on_progress, on_step)


def _sorted(
    input: int | str | None, output: int | str | None, seed: int, more: dict[str, Any]
) -> tuple[Asked, dict[str, Any], dict[str, Any]]:
    """What else was given: of the question, of the loads, and of the server. Raises ConfigError."""
    of_asked = {each.name for each in fields(Asked)} & more.keys()
    of_loads = (
        {each.name for each in fields(LoadSeries)} - {"asked", "kind", "loads", "search"}
    ) & more.keys()
    asked = Asked(
        input=None if input is None else str(input),
        output=None if output is None else str(output),
        seed=seed,
        **{name: more[name] for name in of_asked},
    )
    own = {name: more[name] for name in of_loads}
    target = {name: value for name, value in more.items() if name not in of_asked | of_loads}
    return asked, own, {"endpoint": asked.endpoint, **target}


def _measured(
    where: str,
    series: LoadSeries,
    target: Mapping[str, Any],
    name: str,
    tags: Mapping[str, str],
    options: ServerOptions | None,
    on_progress: OnProgress | None,
    on_step: Callable[[str], object] | None = None,
) -> LoadResults:
    data = series.asked.read(series.requests)
    for load in series.loads:
        series.plan(load, data)  # what cannot be sent is told before a server starts
    slots = options or ServerOptions(slots=series.slots, seed=series.asked.seed)
    with open_bench(where, options=slots, **target) as bench:

        def run(plan: Plan, load: float) -> BenchResult:
            own = {**tags, series.kind: f"{load:g}"} if len(series.loads) > 1 else tags
            result = bench.run(plan, name=name, tags=own, on_progress=on_progress)
            save(result)
            return result

        return run_series(series, data, run, on_step)
