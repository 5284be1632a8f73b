"""The workload: stages, metrics, seeds and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.workloads.ebm.picture import Picture
from wattmark.workloads.ebm.workload import EbmWorkload
from wattmark.workloads.registry import complete, load

SMALL = {"bits": 8, "width": 16, "steps": 12, "evaluations": 3, "batch_size": 32, "data": "moons"}


class _Spans:
    """Spans with their counts, as they came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def add(self, **details: Any) -> None:
        self.seen[-1][1].update(details)

    @contextmanager
    def __call__(self, name: str, **counts: Any) -> Iterator[_Spans]:
        self.seen.append((name, dict(counts)))
        yield self


def _run(**config: Any) -> tuple[dict[str, Any], _Spans]:
    workload = EbmWorkload()
    levels = complete(workload, {**SMALL, **config})
    workload.warm_up(levels)
    spans = _Spans()
    return workload.run(levels, spans), spans


@pytest.mark.parametrize("method", ["aloe", "pcd", "autoregressive"])
def test_learning_and_evaluations_take_turns(method: str) -> None:
    found, spans = _run(method=method)
    names = [name for name, _ in spans.seen]
    assert names == ["data", *["epoch", "evaluation"] * 3, "inference", "picture"]
    epochs = [counts for name, counts in spans.seen if name == "epoch"]
    assert epochs == [{"samples": 128, "steps": 4}] * 3
    assert len(found["epoch"]) == len(found["evaluation"]) == 3
    assert found["learning_steps"] == 12
    assert found["kl"] == found["evaluation"][-1]["kl"] > 0
    assert found["kl_uniform"] > 0.5
    assert found["mmd_uniform"] > 0
    picture = Picture.read(found["picture"][0])
    assert picture is not None
    assert picture.density is not None
    assert picture.samples.max() == picture.data.max() == 255


def test_equal_seeds_give_equal_models_and_others_do_not() -> None:
    first, second, other = (_run(seed=seed)[0]["evaluation"] for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_long_words_are_judged_by_importance_sampling() -> None:
    found, _ = _run(bits=22, method="autoregressive", steps=1, evaluations=1)
    assert "kl" not in found
    assert 0 < found["effective_proposals"] <= 20_000
    assert found["log_z"] == pytest.approx(0.0, abs=1.0)  # of a density that is normalised
    picture = Picture.read(found["picture"][0])
    assert picture is not None
    assert picture.density is None


def test_a_length_in_processor_time_ends() -> None:
    found, _ = _run(steps=0, cpu_seconds=0.05, method="autoregressive")
    assert found["learning_steps"] >= 3


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ({"bits": 7}, "even number of bits"),
        ({"cpu_seconds": 0.0}, "cpu_seconds must be above 0"),
        ({"steps": 2, "evaluations": 5}, "cannot be evaluated"),
    ],
)
def test_levels_that_cannot_be_are_refused_in_words(levels: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _run(**levels)


def test_it_is_in_the_registry() -> None:
    assert isinstance(load("ebm"), EbmWorkload)
    with pytest.raises(ConfigError, match="cannot be 'moon'"):
        complete(load("ebm"), {"data": "moon"})
