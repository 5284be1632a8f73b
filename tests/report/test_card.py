"""The section of a model card: written, written again, and what a card lacks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fakes.trainings import training
from wattmark.impact import carbon
from wattmark.impact.locate import resolve_zone
from wattmark.report.card import BEGIN, END, metadata_of, problems_of, run_named_in, section_of, with_section
from wattmark.runs.result import RunResult
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView


def result(name: str = "training", gpu: str = "NVIDIA A100") -> RunResult:
    view = RunView(training(name=name, gpu=gpu))
    place = resolve_zone("FR", {})
    assert place is not None
    emitted = carbon(view.energy, place)
    assert emitted is not None
    return replace(summarise(view), carbon=emitted.result)


def test_the_section_has_figures_with_intervals_and_what_they_rest_on() -> None:
    section = section_of(result())
    assert section.startswith(BEGIN)
    assert section.rstrip().endswith(END)
    assert "| Energy | 35.0 kJ [" in section
    assert "in FR at" in section
    assert "gpu integrated" in section
    assert run_named_in(section) == "train1"
    assert problems_of(section) == []


def test_a_card_gets_its_section_once_and_keeps_what_people_wrote() -> None:
    card = "---\nlicense: mit\ntags:\n- vision\n---\n\n# My model\n\nText.\n"
    once = with_section(card, section_of(result()), metadata_of(result(), "fine-tuning"))
    assert once.startswith("---\nlicense: mit\ntags:\n- vision\nco2_eq_emissions:\n  emissions: ")
    assert "# My model\n\nText.\n" in once
    again = with_section(once, section_of(result("other")), metadata_of(result("other")))
    assert again.count(BEGIN) == again.count("co2_eq_emissions") == 1
    assert "fine-tuning" not in again
    assert problems_of(again) == []
    followed = with_section(once + "\n## More\n", section_of(result()), {})
    assert followed.endswith("## More\n")


def test_a_card_without_a_head_gets_one_only_for_metadata() -> None:
    assert with_section("# My model\n", section_of(result()), {}).startswith("# My model\n\n<!--")
    assert with_section("", section_of(result()), metadata_of(result())).startswith("---\nco2_eq_emissions:")


def test_what_a_card_lacks_is_named() -> None:
    words = {card: [problem.what for problem in problems_of(card)] for card in (
        "# My model\n",
        "---\nco2_eq_emissions: 12\n---\n",
        "---\nco2_eq_emissions:\n  emissions: little\n  source: me\n---\n",
        f"# My model\n{BEGIN}\n",
    )}  # fmt: skip
    assert list(words.values()) == [
        ["it says nothing of the energy that the model used"],
        ["co2_eq_emissions does not say where its number comes from"],
        ["co2_eq_emissions has no number of grams"],
        [
            "the energy section has no end, or no beginning",
            "it says nothing of the energy that the model used",
        ],
    ]


def test_a_run_without_energy_says_so() -> None:
    section = section_of(replace(result(), energy=None, attributed=None, carbon=None))
    assert "not measured" in section
    assert [problem.what for problem in problems_of(section)] == ["its energy was not measured"]


@given(st.text(max_size=40), st.text(max_size=200))
def test_no_name_ends_the_section_or_a_cell(name: str, before: str) -> None:
    section = section_of(result(name, gpu=name or "x"))
    assert section.count(BEGIN) == section.count(END) == 1
    assert all(
        line.count(" | ") == 1 for line in section.splitlines() if line.startswith("| ") and line != "| | |"
    )
    card = before.replace("wattmark", "")
    twice = with_section(with_section(card, section, {}), section, {})
    assert twice == with_section(card, section, {})


def test_the_hook_for_commits_runs_the_check_on_cards_only() -> None:
    words = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text()
    values = dict(re.findall(r"^[- ] (\w+): (.*)$", words, re.MULTILINE))
    assert (values["id"], values["entry"]) == ("wattmark-card", "wattmark card --check")
    cards = ["README.md", "models/a/README.md", "MODEL_CARD.md", "model-card.md"]
    others = ["docs/guide/share.md", "NOT_README.md", "README.md.txt"]
    assert [name for name in (*cards, *others) if re.search(values["files"], name)] == cards
