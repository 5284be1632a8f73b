"""The workload of diverse features."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from wattmark.errors import ConfigError
from wattmark.workloads.registry import complete, load


def test_it_reports_quality_diversity_and_the_bound() -> None:
    workload = load("ebm-features")
    config = complete(workload, {"inputs": 40, "steps": 5})
    workload.warm_up(config)
    found = workload.run(config, lambda name, **_: nullcontext())
    assert set(found) == {"nll", "gap", "diversity", "feature_norm", "largest_output", "bound_deviation"}
    assert found["bound_deviation"] > 0


@pytest.mark.parametrize(
    ("levels", "words"), [({"beta": -1.0}, "beta"), ({"steps": 0}, "steps must be above 0")]
)
def test_levels_that_cannot_be_are_refused(levels: dict[str, float], words: str) -> None:
    workload = load("ebm-features")
    with pytest.raises(ConfigError, match=words):
        workload.warm_up(complete(workload, levels))
