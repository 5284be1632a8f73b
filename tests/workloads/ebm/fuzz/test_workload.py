"""The workload of fuzzing."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from wattmark.errors import ConfigError
from wattmark.workloads.registry import complete, load


def test_it_counts_branches_by_mutator(capsys: pytest.CaptureFixture[str]) -> None:
    workload = load("ebm-fuzz")
    config = complete(workload, {"mutator": "random", "executions": 100, "target": "series"})
    workload.warm_up(config)
    found = workload.run(config, lambda name, **_: nullcontext())
    assert found["branches_found"] > 0
    assert found["crashes"] == 0
    assert capsys.readouterr().out == ""


def test_no_executions_are_refused() -> None:
    workload = load("ebm-fuzz")
    with pytest.raises(ConfigError, match="above 0"):
        workload.warm_up(complete(workload, {"executions": 0}))
