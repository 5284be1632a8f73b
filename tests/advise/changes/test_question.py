"""Advice from studies and from kept runs: what the data carry, in order, with its guard rail, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wattmark
from wattmark.advise.changes.advice import advice_of, best_levels, marginals
from wattmark.advise.changes.question import advise
from wattmark.errors import ConfigError, RunNotFound
from wattmark.studies.analysis import analyse
from wattmark.studies.results import StudyResults, TrialResult


def study(
    effect: dict[str, float], loss: dict[str, float] | None = None, *, spread: float = 0.02, **design: object
) -> StudyResults:
    """Five repeats of each level of ``batch``: joules with a scatter, an accuracy."""
    rng = np.random.default_rng(0)
    trials: list[TrialResult] = []
    for repeat in range(5):
        for level, joules in effect.items():
            value = joules * float(np.exp(rng.normal(0, spread)))
            energy = {
                "value": value,
                "low": 0.9 * value,
                "high": 1.1 * value,
                "terms": {"scale/cpu": [-0.1 * value, 0.1 * value]},
            }
            trials.append(
                TrialResult(
                    f"{level}-{repeat}", len(trials), repeat, {"batch": level}, "completed", duration_s=10.0,
                    energy_j={"total": energy, "cpu": energy},  # type: ignore[dict-item]
                    methods={"cpu": "counter"}, coverage=1.0,
                    metrics={"accuracy": 0.9 - (loss or {}).get(level, 0.0) + float(rng.normal(0, 0.002))}, contention=0.0,
                )
            )  # fmt: skip
    return StudyResults("batches", "", {"name": "batches", **design}, trials)


def test_a_saving_is_said_with_what_it_rests_on_and_its_guard_rail() -> None:
    found = advise(study({"16": 100.0, "64": 60.0}))
    (one,) = found.advice
    assert one.do == "Take batch 64 instead of batch 16."
    assert one.saving is not None
    assert one.saving.value == pytest.approx(0.4, abs=0.03)
    assert 0.3 < one.saving.low < one.saving.value < one.saving.high < 0.5
    assert one.strength == "strong"
    assert "10 trials" in one.rests_on
    assert "after correction" in one.rests_on
    assert one.guard.startswith("accuracy must not fall by more than 0.00")
    assert one.command == "wattmark study run batches"
    assert found.metric == "total_energy"
    json.dumps(found.to_dict())


def test_what_the_data_do_not_carry_is_not_said() -> None:
    assert advise(study({"16": 100.0, "64": 99.5}, spread=0.1)).advice == ()


def test_beside_a_reference_every_level_that_saves_is_told_the_largest_first() -> None:
    results = study({"as it is": 100.0, "a": 80.0, "b": 60.0, "c": 130.0}, reference={"batch": "as it is"})
    told = [one.do for one in advice_of(results, analyse(results))]
    assert told == ["Take batch b instead of batch as it is.", "Take batch a instead of batch as it is."]


def test_which_level_is_by_marginal_effects() -> None:
    results = study({"16": 100.0, "32": 80.0, "64": 60.0, "128": 60.2})
    rows = marginals(analyse(results))
    by_level = {row.level: row for row in rows}
    assert by_level["16"].ratio == pytest.approx(100 / 60, rel=0.05)
    assert by_level["16"].clear
    assert by_level["16"].low is not None
    assert by_level["16"].low > 1.4
    assert set(best_levels(rows)["batch"]) == {"64", "128"}
    assert [row.ratio for row in rows] == sorted(row.ratio for row in rows)
    assert marginals(analyse(results), "no_such_metric") == []


def test_a_loss_is_the_price() -> None:
    found = {one.do: one for one in advise(study({"16": 100.0, "64": 60.0}, {"64": 0.1})).advice}
    assert "accuracy -0." in found["Take batch 64 instead of batch 16."].price
    assert "Stay with batch=64 unless the last points are worth their joules." in found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of two sizes, replayed at 40 W."""
    wave = tmp_path / "wave.csv"
    wave.write_text("t_s,cpu0/package:power_w\n0,40\n600,40\n")
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WATTMARK_REPLAY", str(wave))


@pytest.mark.slow
@pytest.mark.usefixtures("kept")
def test_a_history_is_a_study_whose_factors_are_tags() -> None:
    for _ in range(4):
        for size, count in (("small", 400_000), ("large", 2_400_000)):
            with wattmark.measure("work", tags={"size": size, "project": "p"}) as run:
                sum(i * i for i in range(count))
                run.log(accuracy=0.9)
    found = advise(tag="project=p")
    assert found.factors == ("size",)
    assert found.trials == 8
    (one,) = found.advice
    assert one.do == "Take size small instead of size large."
    assert one.saving is not None
    assert one.saving.low > 0.4
    assert one.command.startswith("wattmark compare --by size ")
    assert any("shuffled" in note for note in found.notes)
    assert advise("last").trials == 8
    assert advise(name="work").factors == ("size",)
    with pytest.raises(ConfigError, match="exclude each other"):
        advise("last", tag="a")
    with pytest.raises(ConfigError, match="on what"):
        advise()
    with pytest.raises(RunNotFound):
        advise("nothing-such")
    with pytest.raises(ConfigError, match=r"0 completed run\(s\)"):
        advise(tag="none")
    with pytest.raises(ConfigError, match="differ in nothing"):
        advise(tag="size=small")
