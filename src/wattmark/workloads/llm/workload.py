"""Serving a language model as the work of a study: a server, a load, and what a token and a request cost at it.

In ``studies`` and not beside the other workloads, since it stands on the load client and the accounting of ``serving``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.errors import ConfigError, ServerError
from wattmark.runs.record import Float64, Int64
from wattmark.serving.bench import Bench, BenchResult, Plan, open_bench
from wattmark.serving.energy.measured import wait_for_rest
from wattmark.serving.figures.latency import Distribution, Goal, Metrics, measure
from wattmark.serving.figures.steady import Window
from wattmark.serving.load.arrivals import Arrivals, ClosedLoop, OpenLoop
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import LoadResult
from wattmark.serving.prompts.base import Lengths
from wattmark.serving.prompts.reasoning import ReasoningWorkload
from wattmark.serving.server.gguf import NUMBER_FORMATS, NumberFormat, parse_size
from wattmark.serving.server.local import LOCAL, ServerOptions
from wattmark.serving.server.trained import CONTEXT, TrainedModel
from wattmark.workloads.llm import tasks as llm_tasks
from wattmark.workloads.llm.power_cap import power_cap
from wattmark.workloads.llm.tasks import quantity
from wattmark.workloads.registry import Config, Factor, SpanMaker

WARM_UP_REQUESTS = 4
REST_S = 4.0
"""So long is waited for other work to end before the idle machine is measured; idle is not known if it does not."""
MOST_STEPS = 400
"""Of requests in flight over time; the power of a trial has as many points."""


class LlmWorkload:
    """A load on a model server: one of our own with random weights, a GGUF file, or any server at a URL."""

    factors: Mapping[str, Factor] = {
        "model": Factor(
            "1m",
            "a size (1m, 20m; random weights), trained:SIZE (trained here on the task), the path of a GGUF file, or "
            "the URL of a server",
        ),
        "served_model": Factor(None, "the model to ask a server at a URL for"),
        "number_format": Factor("f16", "of random weights", choices=tuple(NUMBER_FORMATS)),
        "concurrency": Factor(None, "requests at a time; this or rate", kind=int),
        "rate": Factor(
            None, "requests/s, whatever the server does with them; this or concurrency", kind=float
        ),
        "arrivals": Factor("poisson", "of a rate", choices=("poisson", "constant")),
        "input": Factor("64", "tokens of a prompt: 128, 64-256, normal:512,64", also=(int,)),
        "output": Factor("32", "tokens of an answer, likewise", also=(int,)),
        "requests": Factor(None, "how many are sent", kind=int),
        "seconds": Factor(10.0, "for how long they are sent; 0 for no limit"),
        "drain_s": Factor(30.0, "for how long answers are awaited after the last request"),
        "idle_s": Factor(2.0, "for how long the idle machine is measured first, model loaded"),
        "slots": Factor(4, "requests that a server of our own works on at once"),
        "context": Factor(2048, "tokens per slot"),
        "threads": Factor(0, "of a server of our own; 0 for the cores less one"),
        "prompt_cache": Factor(False, "whether a server of our own keeps prefixes"),
        "ttft_limit_s": Factor(None, "an answer is good if its first token comes within this", kind=float),
        "tpot_limit_s": Factor(None, "and if each further token takes at most this", kind=float),
        **llm_tasks.FACTORS,
        "power_cap_w": Factor(None, "of every GPU in use, in W, for the time of the trial", kind=float),
        "seed": Factor(0, "of prompts, problems and arrivals"),
    }

    def __init__(self) -> None:
        self._open = ExitStack()
        self._bench: Bench | None = None
        self._trained: TrainedModel | None = None

    def preparation(self, config: Config) -> str | None:
        """What has to be trained before a trial of these levels, in words; None if nothing has to be."""
        return llm_tasks.needed(config, _number_format(config))

    def prepare(self, config: Config, on_progress: Callable[[float, str], None]) -> None:
        """Train it, as a measured run of its own."""
        llm_tasks.train(config, _number_format(config), on_progress)

    def warm_up(self, config: Config) -> None:
        """Set the power cap, start the server, learn how to speak to it, and send a few requests, so that all its code
        was touched once. Trains the model if no one has done so. Raises ConfigError for a cap that cannot be set."""
        try:
            if config["power_cap_w"] is not None:
                self._open.enter_context(power_cap(float(config["power_cap_w"])))
            self._send_a_few(config)
        except BaseException:
            self._open.close()  # a cap must not outlive a trial that fails here
            raise

    def _send_a_few(self, config: Config) -> None:
        from wattmark.serving.load.client import Synthetic, run_load_blocking

        bench = self._ready(config)
        lengths = Lengths.parse(str(config["input"])), Lengths.parse(str(config["output"]))
        asked = llm_tasks.problems_of({**config, "requests": WARM_UP_REQUESTS}, seed=-1)
        run_load_blocking(
            bench.target,
            ClosedLoop.of(2),
            asked or Synthetic(*lengths, filler=bench.filler),
            limits=Limits(requests=WARM_UP_REQUESTS, scrape_s=None),
            profile=bench.profile,
        )

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """Stages ``idle`` and ``load``; the figures of :func:`figures`. Raises ServerError if no request was answered."""
        bench = self._ready(config)
        try:
            plan = plan_of(config)
            if plan.baseline_s > 0:
                wait_for_rest(REST_S)
            result = bench.run(plan, name="serving", spans=False)
        finally:
            self._open.close()
            self._bench = None
        if not result.load.ok:
            said = next((record.error for record in result.load.records if record.error), "no answer")
            raise ServerError(f"no request was answered: {said}")
        values = figures(result, config)
        if isinstance(plan.workload, ReasoningWorkload):
            values |= _known(llm_tasks.figures(plan.workload, result))
        if self._trained is not None:
            values |= _known(_training(self._trained))
        return {**values, "load": [in_flight(result.load)]}

    def _ready(self, config: Config) -> Bench:
        if self._bench is None:
            where, target = str(config["model"]), {}
            options = _options(config)
            if where.startswith(("http://", "https://")):
                target = {"model": config["served_model"]} if config["served_model"] else {}
            elif llm_tasks.is_trained(config):
                self._trained = llm_tasks.train(config, _number_format(config))
                where = f"{LOCAL}{self._trained.path}"
                options = replace(options, context=min(options.context, CONTEXT))
            else:
                where = LOCAL + where
            bench = self._open.enter_context(open_bench(where, options=options, **target))
            asked = llm_tasks.problems_of(config, seed=0)
            if asked is not None:
                bench.target = replace(bench.target, extra_body=asked.extra_body)
            self._bench = bench
        return self._bench


def plan_of(config: Config) -> Plan:
    """The load that a trial's levels ask for. Raises ConfigError for levels that exclude each other."""
    concurrency, rate, seed = config["concurrency"], config["rate"], int(config["seed"])
    if (concurrency is None) == (rate is None):
        raise ConfigError(
            "a load needs either concurrency or rate", hint="set one of them: rate = [1.0, 4.0]"
        )
    arrivals: Arrivals
    if concurrency is not None:
        arrivals = ClosedLoop.of(int(concurrency), seed=seed)
    else:
        arrivals = OpenLoop.at(
            float(rate), "constant" if config["arrivals"] == "constant" else "poisson", seed=seed
        )
    limits = Limits(
        requests=config["requests"],
        duration_s=float(config["seconds"]) or None,
        drain_s=float(config["drain_s"]),
        scrape_s=None,  # a trial reports nothing of it, and asking costs the server work
    )
    problems = llm_tasks.problems_of(config, seed)
    if problems is not None:
        limits = replace(limits, requests=problems.count, duration_s=None, keep_text=True)
    return Plan(
        arrivals,
        Lengths.parse(str(config["input"])),
        Lengths.parse(str(config["output"])),
        problems,
        limits,
        baseline_s=float(config["idle_s"]),
        goal=_goal(config),
        seed=seed,
    )


def figures(result: BenchResult, config: Config) -> dict[str, float]:
    """Numbers of a trial; what is not known is left out.

    j_per_token and j_per_request: J per output token and per answer, idle included; ``_own`` without idle; ``_low`` and
    ``_high`` the ends of their intervals. request_j_p50 ...: J of single requests, without idle. idle_share: 0..1.
    serving_w: mean W of the server's energy with idle. in_flight: mean requests in flight. Latencies in s. goodput:
    answers/s within the limits. in_time: 1 if the 95th percentiles keep within them and no request failed, else 0.
    """
    metrics, serving, energy = _metrics(result), result.serving, result.energy
    values: dict[str, float | None] = {
        "requests": metrics.requests,
        "failed": result.load.failed,
        "requests_per_s": metrics.requests_per_s,
        "output_tokens_per_s": metrics.output_tokens_per_s,
        "in_flight": metrics.mean_in_flight,
        "goodput": metrics.goodput_per_s,
        "in_time": _in_time(result, _goal(config)),
        **_percentiles("ttft", metrics.ttft_s),
        **_percentiles("tpot", metrics.tpot_s),
        **_percentiles("e2e", metrics.e2e_s),
        **_mean("input_tokens", metrics.input_tokens),
        **_mean("output_tokens", metrics.output_tokens),
    }
    model = str(config["model"])
    if result.noise:
        values["parameters"] = parse_size(Path(model).name.partition("-")[0])
    if serving is not None and serving.with_idle is not None and serving.without_idle is not None:
        with_idle, own = serving.with_idle, serving.without_idle
        values |= {
            **quantity("j_per_token", with_idle.j_per_output_token),
            **quantity("j_per_request", with_idle.j_per_request),
            "idle_share": serving.idle_share,
            "serving_w": with_idle.energy_j.value / serving.duration_s if serving.duration_s > 0 else None,
        }
        if serving.idle_share is not None:
            values |= {
                **quantity("j_per_token_own", own.j_per_output_token),
                **quantity("j_per_request_own", own.j_per_request),
                **{
                    f"request_j_p{at}": percentile.value
                    for at, percentile in serving.percentiles_j.items()
                    if percentile is not None
                },
            }
    if energy is not None:
        values["client_j"] = None if energy.client_j is None else energy.client_j.value
        values["others_j"] = None if energy.others_j is None else energy.others_j.value
    return _known(values)


def _metrics(result: BenchResult) -> Metrics:
    """The figures of the steady part; of a load too short to have one, over all the time that its joules are of."""
    metrics, load = result.metrics, result.load
    if metrics.window is None or not metrics.window.rule.startswith("whole"):
        return metrics
    end_ns = max([load.stopped_sending_ns, *(record.end_ns or 0 for record in load.records)])
    return measure(load, goal=metrics.goal, window=Window(load.started_ns, end_ns, "whole: as the joules"))


def _in_time(result: BenchResult, goal: Goal | None) -> float | None:
    """None without limits, or where a limited latency is not known."""
    if goal is None:
        return None
    metrics = _metrics(result)
    limited = [(goal.ttft_s, metrics.ttft_s), (goal.tpot_s, metrics.tpot_s)]
    compared = [
        (limit, latency.percentiles[95].value) for limit, latency in limited if limit is not None and latency
    ]
    if len(compared) < sum(limit is not None for limit, _ in limited):
        return None
    whole = not result.load.failed and not result.load.counts["abandoned"]
    return float(whole and all(value <= limit for limit, value in compared))


def in_flight(load: LoadResult) -> dict[str, list[float]]:
    """Requests in flight over the load, for the stage of that name: seconds from its first request, and how many.

    At most :data:`MOST_STEPS` times: of a longer load the middle of each part is looked at.
    """
    sent = [record for record in load.records if record.sent_ns is not None]
    starts = np.sort(np.array([record.sent_ns for record in sent], np.int64))
    ends = np.sort(np.array([record.end_ns for record in sent if record.end_ns is not None], np.int64))
    edges: Int64 = np.unique(np.concatenate((starts, ends)))
    if len(edges) > MOST_STEPS:
        edges = np.linspace(int(edges[0]), int(edges[-1]), MOST_STEPS).astype(np.int64)
    running = np.searchsorted(starts, edges, "right") - np.searchsorted(ends, edges, "right")
    seconds: Float64 = (edges - load.started_ns) / 1e9
    return {"in_flight_s": np.round(seconds, 4).tolist(), "in_flight": running.tolist()}


def _known(values: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: float(value) for name, value in values.items() if value is not None}


def _training(model: TrainedModel) -> dict[str, float | None]:
    """What the model is, and what its training took; the energy is None where not all of it was measured."""
    details = model.details
    energy: Mapping[str, float] | None = details.get("training_energy_j")
    return {
        "parameters": details["parameters"],
        "model_training_s": details["seconds"],
        "model_training_j": None if energy is None else energy["value"],
    }


def _options(config: Config) -> ServerOptions:
    return ServerOptions(
        slots=int(config["slots"]),
        context=int(config["context"]),
        threads=int(config["threads"]) or None,
        number_format=_number_format(config),
        prompt_cache=bool(config["prompt_cache"]),
    )


def _goal(config: Config) -> Goal | None:
    ttft_s, tpot_s = config["ttft_limit_s"], config["tpot_limit_s"]
    return None if ttft_s is None and tpot_s is None else Goal(ttft_s=ttft_s, tpot_s=tpot_s)


def _number_format(config: Config) -> NumberFormat:
    return "q8_0" if config["number_format"] == "q8_0" else "f16"


def _percentiles(name: str, distribution: Distribution | None) -> dict[str, float | None]:
    return (
        {}
        if distribution is None
        else {f"{name}_p{at}_s": percentile.value for at, percentile in distribution.percentiles.items()}
    )


def _mean(name: str, distribution: Distribution | None) -> dict[str, float | None]:
    return {} if distribution is None else {name: distribution.mean.value}
