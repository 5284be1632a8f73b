"""Every factor of a serving trial acts, and what cannot be is told."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.prompts.reasoning import ReasoningWorkload
from wattmark.workloads import registry
from wattmark.workloads.llm import tasks as llm_tasks
from wattmark.workloads.llm.workload import LlmWorkload, plan_of


def config(**levels: Any) -> dict[str, Any]:
    return registry.complete(LlmWorkload(), levels)


def asked(**levels: Any) -> ReasoningWorkload:
    workload = plan_of(config(**levels)).workload
    assert isinstance(workload, ReasoningWorkload)
    return workload


def test_a_task_asks_its_problems_at_its_level_in_its_mode() -> None:
    workload = asked(task="parity", level=12, mode="budget:16", concurrency=2, requests=7, seed=5)
    assert (workload.task, workload.level, str(workload.mode)) == ("parity", 12, "budget:16")
    assert (workload.count, workload.seed, workload.style) == (7, 5, "chat")
    assert len(list(workload.conversations())) == 7
    assert plan_of(config(concurrency=1)).workload is None


def test_every_problem_is_asked_once_and_its_answer_kept() -> None:
    plan = plan_of(config(task="addition", rate=4.0, seconds=5.0))
    assert (plan.limits.requests, plan.limits.duration_s, plan.limits.keep_text) == (20, None, True)
    assert asked(task="addition", concurrency=4).count == llm_tasks.PROBLEMS


def test_models_trained_here_are_asked_in_compact_prompts() -> None:
    assert asked(task="addition", model="trained:0.1m", rate=1.0).style == "compact"
    assert asked(task="addition", model="/tmp/trained-llama-x.gguf", rate=1.0).style == "compact"
    assert asked(task="addition", model="/tmp/other.gguf", rate=1.0).style == "chat"
    assert asked(task="addition", model="/tmp/other.gguf", rate=1.0, style="compact").style == "compact"


@pytest.mark.parametrize(
    ("levels", "what"),
    [({"model": "trained:0.1m"}, "a task only"), ({"task": "addition", "level": 40}, "no level 40"),
     ({"task": "addition", "mode": "think"}, "no mode")],
)  # fmt: skip
def test_what_there_is_none_of_is_told(levels: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        plan_of(config(rate=1.0, **levels))


def test_lengths_reach_the_load() -> None:
    plan = plan_of(config(rate=1.0, input="128", output="8-16"))
    assert str(plan.input) == "128"
    assert str(plan.output) == "8-16"
    assert str(plan_of(config(rate=1.0, input=128)).input) == "128"


def test_server_options_reach_the_server() -> None:
    from wattmark.workloads.llm.workload import _options  # pyright: ignore[reportPrivateUsage]

    options = _options(config(slots=7, context=128, threads=3, number_format="q8_0", prompt_cache=True))
    assert (options.slots, options.context, options.threads) == (7, 128, 3)
    assert (options.number_format, options.prompt_cache) == ("q8_0", True)


def test_a_power_cap_is_asked_for_before_the_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    from wattmark.workloads.llm import workload as llm_trial

    def refuse(watts: float) -> None:
        raise ConfigError(f"no cap of {watts} W here")

    monkeypatch.setattr(llm_trial, "power_cap", refuse)
    monkeypatch.setattr(llm_trial, "open_bench", None)
    with pytest.raises(ConfigError, match=r"no cap of 250.0 W"):
        LlmWorkload().warm_up(config(rate=1.0, power_cap_w=250.0))


def test_a_power_cap_does_not_outlive_a_trial_that_fails_to_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from wattmark.workloads.llm import workload as llm_trial

    events: list[str] = []

    @contextmanager
    def cap(watts: float) -> Generator[None]:
        events.append(f"set {watts:g}")
        try:
            yield
        finally:
            events.append("put back")

    def broken(*_: object, **__: object) -> None:
        raise ServerError("it did not start")

    monkeypatch.setattr(llm_trial, "power_cap", cap)
    monkeypatch.setattr(llm_trial, "open_bench", broken)
    with pytest.raises(ServerError):
        LlmWorkload().warm_up(config(rate=1.0, power_cap_w=250.0))
    assert events == ["set 250", "put back"]


def test_training_follows_its_factors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gguf")
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    levels = config(
        model="trained:0.06m", task="addition", train_steps=7, train_batch=16, train_seed=3, rate=1.0
    )
    plan = llm_tasks.training_plan(levels)
    assert (plan.task, plan.size, plan.steps, plan.batch, plan.seed) == ("addition", "0.06m", 7, 16, 3)
    assert llm_tasks.training_plan({**levels, "train_on": "arithmetic"}).task == "arithmetic"
    assert "train 0.06m on addition" in (llm_tasks.needed(levels, "f16") or "")
    assert llm_tasks.needed(config(model="1m", rate=1.0), "f16") is None


def test_rates_of_a_short_load_are_over_the_time_of_its_joules() -> None:
    from array import array
    from collections import Counter

    from wattmark.serving.bench import BenchResult
    from wattmark.serving.figures.latency import Goal, measure
    from wattmark.serving.load.records import LoadResult, RequestRecord
    from wattmark.workloads.llm.workload import figures

    second = 1_000_000_000
    record = RequestRecord(
        0, 0, 0, second, second, second, second + 5_000_000, second + 9_000_000, second + 10_000_000,
        array("q", [second + 5_000_000, second + 9_000_000]), input_tokens=8, output_tokens=2, outcome="ok",
    )  # fmt: skip
    load = LoadResult(
        "http://h", "m", "vllm", "open loop", "synthetic", 0, 4 * second, 0, 4 * second, [record],
        Counter({"ok": 1}), 0.0, (1,),
    )  # fmt: skip
    goal = Goal(ttft_s=0.01, tpot_s=0.01)
    result = BenchResult("", {}, load, measure(load, goal=goal), None, None, ())
    found = figures(result, config(rate=0.25, ttft_limit_s=0.01, tpot_limit_s=0.01))
    assert found["requests_per_s"] == pytest.approx(0.25)
    assert found["goodput"] == pytest.approx(0.25)
    assert found["in_flight"] == pytest.approx(0.01 / 4)
    assert found["in_time"] == 1.0
    late = figures(result, config(rate=0.25, ttft_limit_s=0.001))
    assert late["in_time"] == 0.0
