"""``wm.benchmark("local:10m", concurrency=4)``: one load on a model server, its joules, and the run that keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from wattmark.errors import ConfigError
from wattmark.serving.asked import Asked
from wattmark.serving.bench import BASELINE_S, SCRAPE_S, BenchResult, Plan, open_bench, save
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import LoadProgress
from wattmark.serving.server.local import ServerOptions


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
    on_progress: Callable[[LoadProgress], None] | None = None,
    warm_up: int = 0,
    in_flight: int | None = None,
    **more: Any,
) -> BenchResult:
    """Send a load to the server at a URL, or to ``local:1m`` which is started for it, and account for its joules.

    concurrency: so many requests at a time (default 4); or rate: so many a second, Poisson. requests: how many (default 100,
    unless ``seconds`` says for how long). input, output: tokens, a number or a distribution as in ``wattmark llm bench``
    (default 64 and 32). warm_up: requests before all else. in_flight: so many of a rate at a time at most. more: fields
    of :class:`~wattmark.serving.asked.Asked` (``data``, ``stages``, ``images``, ``endpoint`` ...), and ``model``,
    ``dialect``, ``api_key_env`` and further fields of :class:`~wattmark.serving.load.wire.target.Target`. The run is kept:
    ``wm.load(result.run_id)``. Raises ConfigError, ImportFileError, MissingExtra, ServerError, StoreError.
    """
    names = {each.name for each in fields(Asked)}
    own = {name: more.pop(name) for name in list(more) if name in names}
    asked = Asked(
        input=None if input is None else str(input),
        output=None if output is None else str(output),
        seed=seed,
        **own,
    )
    if sum(given is not None for given in (concurrency, rate, asked.stages)) > 1:
        raise ConfigError("concurrency, rate and stages exclude each other; give one of them")
    kind, most = asked.at(concurrency, rate)
    load = asked.load(kind, most, asked.read(requests))
    ends = load.ends or load.lasts_s is not None
    given, made = asked.lengths
    plan = Plan(
        load.arrivals,
        given,
        made,
        load.workload,
        Limits(
            requests=requests if requests or seconds or ends else 100,
            duration_s=seconds or load.lasts_s,
            scrape_s=SCRAPE_S,
            in_flight=in_flight,
        ),
        baseline_s=baseline_s,
        seed=seed,
        turns=asked.turns or 1,
        prefix_tokens=asked.prefix,
        warm_up=warm_up,
    )
    slots = options or ServerOptions(slots=min(16, int(most)) if kind == "concurrency" else 8, seed=seed)
    target: dict[str, Any] = {"endpoint": asked.endpoint, **more}
    with open_bench(where, options=slots, **target) as bench:
        result = bench.run(plan, name=name, tags=tags, on_progress=on_progress)
        save(result)
    return result
