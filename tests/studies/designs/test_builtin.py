"""The studies that come with Wattmark are what the documentation says of them, and can be made smaller."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.errors import ConfigError
from wattmark.studies.designs.builtin import builtin_names, builtin_text, find_design
from wattmark.studies.designs.plan import cells, plan
from wattmark.workloads.registry import complete, load
from wattmark.workloads.vision import zoo


def test_the_studies_of_discriminative_models_are_there() -> None:
    assert {"batch-size", "hardware", "tabular", "tools", "vision", "vision-quick"} <= set(builtin_names())


@pytest.mark.parametrize("name", builtin_names())
def test_each_is_called_as_its_file_and_says_what_it_is(name: str) -> None:
    design = find_design(name)
    assert design.name == name
    assert design.title
    assert builtin_text(name).startswith("# ")
    assert design.repeats >= 2  # one gives no interval


@pytest.mark.parametrize(
    "name",
    ["batch-size", "capacity", "ebm", "ebm-features", "ebm-fuzz", "ebm-quick", "edge", "genops", "genops-lengths",
     "genops-quick", "genops-reasoning", "hardware", "tabular", "vision", "vision-quick"],
)  # fmt: skip
def test_every_cell_is_one_that_its_workload_takes(name: str) -> None:
    design = find_design(name)
    workload = load(design.workload)
    for cell in cells(design):
        complete(workload, {**design.fixed, **cell})


def test_vision_is_the_fourteen_networks_with_the_recipe_of_the_study() -> None:
    design = find_design("vision")
    assert design.factors == {"model": list(zoo.names())}
    config = complete(load("vision"), design.fixed)
    assert (config["optimizer"], config["learning_rate"], config["momentum"]) == ("sgd", 1e-3, 0.9)
    assert (config["weight_decay"], config["schedule"]) == (5e-4, "cosine")


def test_vision_is_made_small_on_the_command_line() -> None:
    design = find_design("vision", ["samples=2000", "epochs=1", "repeats=1"])
    assert (design.fixed["samples"], design.fixed["epochs"]) == (2000, 1)
    assert len(plan(design)) == 14


def test_batch_sizes_are_those_of_the_study() -> None:
    assert find_design("batch-size").factors["batch_size"] == [4, 8, 16, 32, 64, 128, 256]


def test_the_quick_one_ends_each_trial_that_could_break_its_five_minutes() -> None:
    design = find_design("vision-quick")
    assert len(plan(design)) == 27
    assert design.timeout_s is not None
    assert design.fixed["data"] == "digits"


def test_a_file_comes_before_a_built_in_study_and_a_misspelt_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools").write_text(builtin_text("tools").replace("repeats = 5", "repeats = 7"))
    assert find_design("tools").repeats == 7
    with pytest.raises(ConfigError) as caught:
        find_design("batchsize")
    assert "'batch-size'" in (caught.value.hint or "")


def test_the_quick_one_of_serving_is_three_sizes_at_four_loads_and_two_trained_models() -> None:
    design = find_design("genops-quick")
    text = [row for row in design.trial if row["task"] == "none"]
    assert {(row["model"], row["rate"]) for row in text} == {
        (model, rate) for model in ("1m", "5m", "20m") for rate in (1.0, 3.0, 6.0, 12.0)
    }
    solved = [row for row in design.trial if row["task"] != "none"]
    assert {row["model"] for row in solved} == {"trained:0.1m", "trained:0.5m"}
    assert {row["mode"] for row in solved} == {"answer", "steps"}
    assert design.timeout_s is not None
