"""Scores: number, errors, bias, coverage, drift, worst misses."""

from __future__ import annotations

import pytest
from scipy import stats

from wattmark.predict.scores.score import scores, share_of
from wattmark.store.predictions.rows import StoredPrediction


def made(
    number: int, predicted: float, came: float | None, status: str | None = "completed", **more
) -> StoredPrediction:
    given = {"predictor": "early", "host": "here", "share": 0.1} | more
    return StoredPrediction(
        f"p{number}",
        number,
        subject="training",
        energy_j=predicted,
        energy_low_j=0.9 * predicted,
        energy_high_j=1.1 * predicted,
        run_id=f"r{number}",
        actual_status=status,
        actual_energy_j=came,
        **given,
    )


def test_errors_by_hand() -> None:
    rows = [
        made(1, 110, 100),
        made(2, 95, 100),
        made(3, 150, 100),
        made(4, 100, None, None),
        made(5, 100, 20, "interrupted"),
    ]
    (score,) = scores(rows)
    assert (score.predictor, score.host, score.stage) == ("early", "here", 0.10)
    assert (score.number, score.runs, score.waiting, score.otherwise) == (3, 3, 1, 1)
    assert score.mape == pytest.approx((0.10 + 0.05 + 0.50) / 3)
    assert score.bias == pytest.approx((0.10 - 0.05 + 0.50) / 3)
    assert score.coverage is not None
    assert score.coverage.value == pytest.approx(2 / 3)
    assert [miss.run_id for miss in score.worst] == ["r3", "r1", "r2"]
    assert not score.worst[0].held
    assert score.drift is None


def test_predictors_machines_and_stages_are_told_apart() -> None:
    rows = [
        made(1, 1, 1),
        made(2, 1, 1, host="there"),
        made(3, 1, 1, share=0.3),
        made(4, 1, 1, predictor="llm", share=None),
    ]
    assert [(one.predictor, one.host, one.stage) for one in scores(rows)] == [
        ("early", "here", 0.10),
        ("early", "here", 0.25),
        ("early", "there", 0.10),
        ("llm", "here", None),
    ]


def test_a_predictor_that_gets_worse_drifts() -> None:
    rows = [made(n, 100 + (30 if n >= 6 else 0) + n % 2, 100) for n in range(12)]
    (score,) = scores(rows)
    assert score.drift is not None
    assert score.drift.value == pytest.approx(0.30)
    assert score.drift.low > 0.28


@pytest.mark.parametrize(("count", "number"), [(0, 5), (5, 5), (9, 10), (50, 60)])
def test_the_interval_of_a_share_is_that_of_scipy(count: int, number: int) -> None:
    expected = stats.binomtest(count, number).proportion_ci(0.95, method="exact")
    share = share_of(count, number)
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_nothing_has_no_scores() -> None:
    assert scores([]) == []
    (score,) = scores([made(1, 100, None, None)])
    assert (score.number, score.mape, score.bias, score.coverage) == (0, None, None, None)
