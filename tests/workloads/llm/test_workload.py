from __future__ import annotations

import importlib.util
from contextlib import nullcontext

import pytest

from wattmark.errors import ConfigError
from wattmark.serving.load.arrivals import ClosedLoop, OpenLoop
from wattmark.studies.designs.builtin import builtin_names, find_design
from wattmark.studies.designs.plan import cells
from wattmark.workloads import registry
from wattmark.workloads.llm.workload import LlmWorkload, plan_of

needs_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("gguf") is None,
    reason="xllamacpp and gguf are not installed (extra llm)",
)


def config(**levels):
    return registry.complete(registry.load("llm"), levels)


def test_a_load_is_a_rate_or_a_concurrency() -> None:
    assert plan_of(config(concurrency=3)).arrivals == ClosedLoop.of(3)
    assert plan_of(config(rate=2.0, arrivals="constant")).arrivals == OpenLoop.at(2.0, "constant")
    for levels in ({}, {"rate": 1.0, "concurrency": 1}):
        with pytest.raises(ConfigError, match="either"):
            plan_of(config(**levels))


def test_limits_become_a_goal_and_zero_seconds_no_limit() -> None:
    plan = plan_of(config(rate=1.0, ttft_limit_s=0.5, requests=3, seconds=0.0))
    assert plan.goal is not None
    assert plan.goal.ttft_s == 0.5
    assert (plan.limits.requests, plan.limits.duration_s) == (3, None)
    assert plan_of(config(rate=1.0)).goal is None


@pytest.mark.parametrize("name", ["genops-quick", "genops", "capacity"])
def test_the_built_in_studies_can_be_run(name: str) -> None:
    assert name in builtin_names()
    design = find_design(name)
    for levels in cells(design):
        plan_of(registry.complete(registry.load(design.workload), {**design.fixed, **levels}))


@needs_llama
def test_a_trial_reports_what_a_token_costs(tmp_path, monkeypatch) -> None:
    wave = tmp_path / "wave.csv"
    wave.write_text("t_s,cpu0/package:power_w\n0,40\n600,40\n", encoding="utf-8")
    monkeypatch.setenv("WATTMARK_REPLAY", str(wave))
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))
    given = config(
        model="1m", concurrency=2, requests=6, seconds=0.0, idle_s=0.2, input="8", output="4", context=256
    )
    workload = LlmWorkload()
    workload.warm_up(given)
    found = workload.run(given, lambda *_, **__: nullcontext())
    assert found["requests"] == 6
    assert found["failed"] == 0
    assert found["output_tokens"] == 4
    assert found["parameters"] == 1_000_000
    assert found["j_per_token_low"] <= found["j_per_token"] <= found["j_per_token_high"]
    # the steady window may begin or end within an answer
    assert found["j_per_request"] == pytest.approx(4 * found["j_per_token"], rel=0.15)
    assert found["serving_w"] <= 41
