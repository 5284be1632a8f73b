"""Whose joules a study has."""

from __future__ import annotations

from wattmark.studies.results import Stage, StudyResults, TrialResult


def trial(index: int, contention: float | None, tree: float | None = 20.0) -> TrialResult:
    def energies(value: float) -> dict[str, dict[str, float]]:
        ends = {"value": value, "low": value * 0.9, "high": value * 1.1}
        return {"total": ends, "cpu": ends}

    stage = Stage("train", "train", 0.0, 1.0, energies(90.0)["total"], {"cpu": 90.0}, tree_j=energies(18.0))
    return TrialResult(
        f"t{index}", index, 0, {}, "completed", energy_j=energies(100.0), contention=contention, stages=(stage,),
        tree_j=None if tree is None else energies(tree),
    )  # fmt: skip


def scoped(*trials: TrialResult) -> StudyResults:
    return StudyResults("s", "S", {}, trials).in_scope()


def test_a_quiet_study_has_the_machines_joules():
    results = scoped(trial(0, 0.02), trial(1, None))
    assert (results.scope, [one.total_j for one in results.trials]) == ("machine", [100.0, 100.0])


def test_one_busy_trial_makes_all_of_them_process_trees():
    results = scoped(trial(0, 0.02), trial(1, 0.6))
    assert (results.scope, [one.total_j for one in results.trials]) == ("tree", [20.0, 20.0])
    stage = results.trials[0].stages[0]
    assert stage.energy_j["value"] == 18.0
    assert stage.by_component_j == {"cpu": 18.0}
    assert results.in_scope() is results or results.in_scope().trials[0].total_j == 20.0


def test_trees_that_are_not_all_known_leave_the_machine():
    assert scoped(trial(0, 0.6), trial(1, 0.6, tree=None)).scope == "machine"
