"""What a study makes before its first trial is made once, tells how far it is, and ends the study if it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import WattmarkError
from wattmark.studies.designs.design import Design, parse_design
from wattmark.studies.execution import preparation
from wattmark.workloads.registry import Factor

MODULE = """
from pathlib import Path
from wattmark.errors import ConfigError
from wattmark.workloads.registry import Factor

class Cooking:
    factors = {"dish": Factor("soup"), "folder": Factor("")}

    def preparation(self, config):
        made = Path(config["folder"], config["dish"])
        return None if made.exists() or config["dish"] == "air" else f"cook {config['dish']}"

    def prepare(self, config, on_progress):
        if config["dish"] == "stone":
            raise ConfigError("stones stay hard", hint="take a potato")
        on_progress(0.5, "simmering")
        on_progress(1.0, "done")
        Path(config["folder"], config["dish"]).write_text("made")

    def warm_up(self, config):
        pass

    def run(self, config, span):
        return {}
"""


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Design]:
    (tmp_path / "cooking_workload.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def design(*dishes: str) -> Design:
        levels = ", ".join(json.dumps(dish) for dish in dishes)
        return parse_design(
            f'name = "meal"\nworkload = "cooking_workload:Cooking"\n[factors]\ndish = [{levels}]\n'
            f"[fixed]\nfolder = {json.dumps(str(tmp_path))}\n"
        )

    return design


def test_only_what_is_missing_is_made_and_every_thing_once(
    kitchen: Callable[..., Design], tmp_path: Path
) -> None:
    (tmp_path / "bread").write_text("there")
    assert list(preparation.missing(kitchen("soup", "bread", "air"))) == ["cook soup"]


def test_it_is_made_in_a_process_of_its_own_that_tells_how_far_it_is(
    kitchen: Callable[..., Design], tmp_path: Path
) -> None:
    told: list[str] = []
    preparation.prepare(kitchen("soup", "stew"), tmp_path, told.append, at_once=2)
    assert (tmp_path / "soup").read_text() == (tmp_path / "stew").read_text() == "made"
    assert preparation.missing(kitchen("soup", "stew")) == {}
    assert any("cook" in line for line in told)


def test_what_cannot_be_made_ends_the_study_with_the_reason(
    kitchen: Callable[..., Design], tmp_path: Path
) -> None:
    with pytest.raises(
        WattmarkError, match=r"could not cook stone: stones stay hard \(take a potato\)"
    ) as caught:
        preparation.prepare(kitchen("stone"), tmp_path, lambda _: None)
    assert "cook-stone.log" in (caught.value.hint or "")


def test_progress_is_told_as_lines_of_json(kitchen: Callable[..., Design], tmp_path: Path) -> None:
    kitchen("soup")
    lines: list[str] = []
    levels = {"dish": "soup", "folder": str(tmp_path)}
    spec = json.dumps({"workload": "cooking_workload:Cooking", "levels": levels})
    assert preparation.main(spec, lines.append) == 0
    assert [json.loads(line) for line in lines][-1] == {"share": 1.0, "detail": "done"}


def test_a_study_of_commands_or_of_a_workload_without_preparation_makes_nothing() -> None:
    command = parse_design('name = "c"\n[command]\nargv = ["true"]\n')
    assert preparation.missing(command) == {}
    plain = parse_design('name = "t"\nworkload = "tabular"\n')
    assert preparation.missing(plain) == {}


def test_the_workload_of_language_models_prepares() -> None:
    from wattmark.workloads.llm.workload import LlmWorkload

    workload: Any = LlmWorkload()
    assert isinstance(workload, preparation.Prepares)
    assert isinstance(workload.factors["task"], Factor)
