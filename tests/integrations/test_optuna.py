"""Trials that cannot reach the front stop, those that can do not; constraints are set; every trial is a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

import wattmark  # noqa: E402
from wattmark.errors import ConfigError  # noqa: E402
from wattmark.integrations.optuna import JOULES, QUALITY, RUN, WattmarkCallback, WattmarkPruner  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.ERROR)
STEPS = 10


def course(width: float, skill: float, seed: int) -> tuple[list[float], list[float]]:
    """A quality that saturates, and joules that grow with the width."""
    rng = np.random.default_rng(seed)
    quality = [
        skill * (1 - math.exp(-0.5 * (step + 1))) + float(rng.normal(0, 0.003)) for step in range(STEPS)
    ]
    return quality, [width * (step + 1) * (1 + float(rng.normal(0, 0.01))) for step in range(STEPS)]


def objective_with(pruner: WattmarkPruner) -> Callable[[object], tuple[float, float]]:
    def objective(trial) -> tuple[float, float]:
        width = trial.suggest_float("width", 1, 10)
        waste = trial.suggest_float("waste", 0, 0.4)
        quality, joules = course(width, 0.6 + 0.03 * width - waste, trial.number)
        watch = pruner.watch(trial)
        energy = 0.0
        for step in range(STEPS):
            energy = max(energy, joules[step])
            watch.report(step + 1, quality=quality[step], energy_j=energy)
        return quality[-1], watch.energy_j

    return objective


def searched(pruner: WattmarkPruner, trials: int = 60):
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective_with(pruner), n_trials=trials)
    return study


def test_what_cannot_reach_the_front_stops_and_the_front_stays() -> None:
    plain = searched(WattmarkPruner(STEPS, least_trials=10_000))
    study = searched(WattmarkPruner(STEPS, error=0.2))
    states = [trial.state.name for trial in study.trials]
    assert states.count("PRUNED") > 10
    assert "PRUNED" not in [trial.state.name for trial in plain.trials]
    front = {trial.number for trial in plain.best_trials}
    kept = {trial.number for trial in study.best_trials}
    assert len(front & kept) >= 0.8 * len(front)
    spent = [sum(t.user_attrs[JOULES][-1] for t in one.trials) for one in (plain, study)]
    assert spent[1] < 0.8 * spent[0]
    pruned = next(trial for trial in study.trials if trial.state.name == "PRUNED")
    assert len(pruned.user_attrs[QUALITY]) < STEPS
    assert study.pruner is not None


def test_nothing_stops_before_enough_have_finished() -> None:
    study = searched(WattmarkPruner(STEPS, least_trials=15), trials=15)
    assert all(trial.state.name == "COMPLETE" for trial in study.trials)
    few = WattmarkPruner(STEPS, error=0.01, least_trials=3)
    assert all(trial.state.name == "COMPLETE" for trial in searched(few, 30).trials), (
        "30 trials bound nothing at 1 %"
    )


def test_budgets_are_constraints_and_reasons_to_stop() -> None:
    study = searched(WattmarkPruner(STEPS, error=0.2, energy_budget_j=40, least_quality=0.5))
    from optuna.trial import TrialState

    for trial in study.get_trials(states=[TrialState.COMPLETE]):
        assert trial.constraints["energy_j"] == pytest.approx(trial.values[1] - 40)
        assert trial.constraints["quality"] == pytest.approx(0.5 - trial.values[0])
    assert any(trial.state.name == "PRUNED" for trial in study.trials)


def test_a_falling_quality_is_minimized() -> None:
    pruner = WattmarkPruner(4, direction="minimize", error=0.4, least_trials=3)
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=1)
    )

    def objective(trial) -> tuple[float, float]:
        bad = trial.suggest_float("bad", 0, 1)
        watch = pruner.watch(trial)
        for step in range(1, 5):
            watch.report(step, quality=1 / step + bad, energy_j=float(step))
        return 0.25 + bad, 4.0

    study.optimize(objective, n_trials=30)
    pruned = [trial.params["bad"] for trial in study.trials if trial.state.name == "PRUNED"]
    assert pruned
    assert min(trial.params["bad"] for trial in study.trials) not in pruned


def test_a_single_objective_asks_should_prune() -> None:
    pruner = WattmarkPruner(STEPS, error=0.2)
    done = searched(pruner)
    frozen = done.trials[-1]
    assert pruner.prune(done, frozen) is False or frozen.state.name == "PRUNED"
    bare = optuna.trial.create_trial(values=[0.0, 0.0])
    assert pruner.prune(done, bare) is False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 0}, "a step at least"),
        ({"steps": 3, "direction": "up"}, "maximize or minimize"),
        ({"steps": 3, "error": 0.0}, "a share"),
        ({"steps": 3, "energy_budget_j": 0.0}, "more than nothing"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        WattmarkPruner(**given)  # type: ignore[arg-type]


def test_reports_out_of_order_are_refused() -> None:
    study = optuna.create_study()
    watch = WattmarkPruner(3).watch(study.ask())
    watch.report(1, quality=0.1, energy_j=2.0)
    with pytest.raises(ConfigError, match="step 3 comes after 1"):
        watch.report(3, quality=0.1, energy_j=3.0)
    with pytest.raises(ConfigError, match="do not fall"):
        watch.report(2, quality=0.1, energy_j=1.0)
    with pytest.raises(ConfigError, match="no joules are known"):
        watch.report(2, quality=0.1)


def test_every_trial_is_a_run_with_its_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    energy = WattmarkCallback(as_objective=True)
    pruner = WattmarkPruner(2)

    def objective(trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        watch = pruner.watch(trial)
        for step in (1, 2):
            sum(i * i for i in range(200_000))
            watch.report(step, quality=x)
        return x

    study = optuna.create_study(directions=["maximize", "minimize"], study_name="s")
    study.optimize(energy.measured(objective), n_trials=2, callbacks=[energy])
    for trial in study.trials:
        run = wattmark.load(trial.user_attrs[RUN])
        assert run.tags["optuna"] == "s"
        assert float(run.tags["x"]) == pytest.approx(trial.params["x"])
        assert run.tags["state"] == "complete"
        assert trial.values[1] > 0
        assert trial.user_attrs[JOULES][1] >= trial.user_attrs[JOULES][0] >= 0
