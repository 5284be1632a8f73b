"""``wm.benchmark("local:10m", concurrency=4)``: one load on a model server, its joules, and the run that keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wattmark.errors import ConfigError
from wattmark.serving.bench import BASELINE_S, SCRAPE_S, BenchResult, Plan, open_bench, save
from wattmark.serving.load.arrivals import ClosedLoop, OpenLoop
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import LoadProgress
from wattmark.serving.prompts.base import Lengths
from wattmark.serving.server.local import ServerOptions


def benchmark(
    where: str,
    *,
    concurrency: int | None = None,
    rate: float | None = None,
    requests: int | None = None,
    seconds: float | None = None,
    input: int | str = 64,
    output: int | str = 32,
    baseline_s: float = BASELINE_S,
    seed: int = 0,
    name: str = "",
    tags: Mapping[str, str] | None = None,
    options: ServerOptions | None = None,
    on_progress: Callable[[LoadProgress], None] | None = None,
    **target: Any,
) -> BenchResult:
    """Send a load to the server at a URL, or to ``local:1m`` which is started for it, and account for its joules.

    concurrency: so many requests at a time (default 4); or rate: so many a second, Poisson. requests: how many (default 100,
    unless ``seconds`` says for how long). input, output: tokens, a number or a distribution as in ``wattmark llm bench``.
    target: ``model``, ``dialect``, ``api_key_env`` and further fields of
    :class:`~wattmark.serving.load.wire.target.Target`. The run is kept: ``wm.load(result.run_id)``.
    Raises ConfigError, MissingExtra, ServerError, StoreError.
    """
    if concurrency is not None and rate is not None:
        raise ConfigError("concurrency and rate exclude each other; give one of them")
    arrivals = (
        OpenLoop.at(rate, "poisson", seed=seed)
        if rate is not None
        else ClosedLoop.of(concurrency or 4, seed=seed)
    )
    plan = Plan(
        arrivals,
        Lengths.parse(str(input)),
        Lengths.parse(str(output)),
        limits=Limits(
            requests=requests if requests or seconds else 100, duration_s=seconds, scrape_s=SCRAPE_S
        ),
        baseline_s=baseline_s,
        seed=seed,
    )
    slots = options or ServerOptions(slots=min(16, concurrency or 4) if rate is None else 8, seed=seed)
    with open_bench(where, options=slots, **target) as bench:
        result = bench.run(plan, name=name, tags=tags, on_progress=on_progress)
        save(result)
    return result
