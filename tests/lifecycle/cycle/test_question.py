from __future__ import annotations

from dataclasses import replace

import pytest

import wattmark as wm
from fakes.records import rapl_record, spans_record
from wattmark.errors import ConfigError
from wattmark.lifecycle.cycle.amounts import stated
from wattmark.lifecycle.cycle.origins import Library
from wattmark.lifecycle.cycle.question import cycle, models_of, usage_of
from wattmark.runs.view import RunView

TRAIN = RunView(replace(rapl_record(600, seed=1), run_id="train", name="train"))
SERVE = RunView(replace(rapl_record(600, seed=2), run_id="serve", name="serve", spans=spans_record(5).spans))


def nothing(word: str) -> list[RunView]:
    return []


LIBRARY = Library(
    run=lambda ref: {"train": TRAIN, "serve": SERVE}[ref],
    tagged=lambda word: [TRAIN, SERVE] if word == "stage=data" else nothing(word),
    study=lambda name: (_ for _ in ()).throw(ConfigError(f"no study {name}")),
)


def test_stages_come_from_runs_and_words() -> None:
    answer = cycle(
        {
            "big": {"training": "run:train", "data": "tag:stage=data", "inference": "run:serve/samples"},
            "small": {"from": "big", "compression": "2 kJ +-10%", "inference": "1-2 mJ", "quality": 0.9},
        },
        uses=[1e3, "1e6:2"],
        library=LIBRARY,
    )
    big, small = answer["big"], answer["small"]
    assert TRAIN.energy is not None
    assert SERVE.energy is not None
    assert big.fixed.value == pytest.approx(2 * TRAIN.energy.value + SERVE.energy.value)
    assert big.per_use.value == pytest.approx(SERVE.energy.value / 64)  # a step inside an epoch adds nothing
    assert small.fixed.value == pytest.approx(big.fixed.value + 2_000.0)
    assert small.per_use.interval() == (pytest.approx(1e-3), pytest.approx(2e-3))
    assert answer.usage == ((1e3, 1.0), (1e6, 2.0))
    data = answer.as_dict()
    assert [one["name"] for one in data["candidates"]] == ["big", "small"]
    assert data["break_even"][0]["name"] == "small"
    assert data["literature"][0]["shares"] == [0.31, 0.29, 0.40]
    assert sum(data["literature"][1]["shares"]) == pytest.approx(1.0)


def test_what_is_not_understood_is_said_in_words() -> None:
    for model, why in (
        ({"training": "12", "inference": "1 J"}, "not understood"),
        ({"training": "12 kg", "inference": "1 J"}, "not understood"),
        ({"training": "12 bananaJ", "inference": "1 J"}, "no unit of energy"),
        ({"trainign": "12 kJ", "inference": "1 J"}, "no stage 'trainign'"),
        ({"training": 12.0, "inference": "1 J"}, "no unit"),
        ({"training": "tag:none", "inference": "1 J"}, "no run has the tag"),
        ({"training": "run:train/samples", "inference": "1 J"}, "spent once"),
        ({"training": "1 J", "inference": "run:train"}, "counts nothing"),
        ({"training": "1 J", "inference": "run:serve/tokens"}, "It counts samples"),
        ({"training": "1 J", "inference": "1 Wh/0"}, "divided by nothing"),
        ({"training": "1 J", "inference": "1 J", "quality": 7}, "cannot be"),
    ):
        with pytest.raises(ConfigError, match=why):
            cycle({"m": model}, library=LIBRARY)  # pyright: ignore[reportArgumentType]
    for words in (["m=1 J"], ["m.training="], [".training=1 J"]):
        with pytest.raises(ConfigError, match="not understood"):
            models_of(words)
    with pytest.raises(ConfigError, match="has no stage"):
        models_of(["m.training=1 J"], ["n=m"])
    with pytest.raises(ConfigError, match="no number of uses"):
        usage_of("many")


def test_words_for_models_may_repeat_a_stage_and_have_dots() -> None:
    models = models_of(["net.v1.training=1 J", "net.v1.training=2 J", "net.v1.inference=1 J"])
    assert cycle(models, library=LIBRARY)["net.v1"].fixed.value == 3.0


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("12 kWh", 12 * 3.6e6),
        ("12kwh", 12 * 3.6e6),
        ("3 MJ", 3e6),
        ("3 mJ", 3e-3),
        ("2 mWh", 7.2),
        ("2 MWh", 7.2e9),
        ("1.2 Wh/1000", 4.32),
        ("2 W x 1 h", 7_200.0),
        ("0.5 kW*2d", 500.0 * 2 * 86_400),
        ("10-12 kWh", 11 * 3.6e6),
        ("1e3 J", 1e3),
        ("1,250.5 kWh", 1250.5 * 3.6e6),
        ("0J", 0.0),
    ],
)
def test_energies_are_read_as_people_write_them(words: str, value: float) -> None:
    found = stated(words, "x")
    assert found is not None
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize("words", ["1,5 kWh", "1,25,000 kWh", "10-12 kWh +-10%"])
def test_energies_that_could_mean_two_things_are_refused(words: str) -> None:
    with pytest.raises(ConfigError):
        stated(words, "x")


@pytest.mark.parametrize("words", ["-3 kWh", "nan J"])
def test_what_is_no_energy_is_left_to_others(words: str) -> None:
    assert stated(words, "x") is None


def test_models_are_found_by_the_tags_of_their_runs() -> None:
    from wattmark.workspace.runs import keep, store_here

    with store_here() as store:
        for run_id, stage, view in (
            ("t1", "training", TRAIN),
            ("t2", "training", TRAIN),
            ("i1", "inference", SERVE),
        ):
            tags = {"model": "net", "stage": stage}
            keep(store, replace(view.record, run_id=run_id, tags=tags))
    net = wm.cycle(uses=1e6)["net"]
    assert TRAIN.energy is not None
    assert net.fixed.value == pytest.approx(2 * TRAIN.energy.value)
    assert len(net.stages["training"]) == 2


def test_no_tagged_run_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match="no run has the tags") as caught:
        wm.cycle()
    assert "--tag stage=training" in str(caught.value.hint)
