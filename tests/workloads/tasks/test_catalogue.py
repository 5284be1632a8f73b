"""Our tasks by name: what each says of itself, its data, and what is said where something is missing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError, MissingExtra, WattmarkError
from wattmark.studies.designs.builtin import find_design
from wattmark.workloads.tasks.base import Settings
from wattmark.workloads.tasks.catalogue import OURS, find_task, is_general, names, open_model
from wattmark.workloads.tasks.data import pictures, speech, texts
from wattmark.workloads.tasks.kinds import filetypes, reading, tokens
from wattmark.workloads.tasks.weights import PACKAGES, package_folder

STUDIES = ("tasks", "tasks-quick", "task", "energy-score")
WITHOUT_PACKAGES = [
    name for name in OURS if name not in ("image-classification", "speech-recognition", "speech-detection")
]


@pytest.mark.parametrize("name", OURS)
def test_a_task_is_what_its_name_says(name: str):
    task = find_task(name)
    assert task.name == name
    assert task.title
    assert task.data
    assert (task.score is None) == (not task.metric) == (not task.chance)
    for model, entry in task.models.items():
        assert entry.package == "" or entry.package in PACKAGES
        assert (entry.package == "") == model.endswith("-random"), "real weights come in packages"


@pytest.mark.parametrize("name", WITHOUT_PACKAGES)
def test_inputs_are_there_and_always_the_same(name: str):
    if name == "optical-character-recognition":
        pytest.importorskip("PIL", reason="lines of text are drawn with pillow")
    first, again = find_task(name).inputs(), find_task(name).inputs()
    assert len(first) == len(again) >= 10
    assert repr(first[0]) == repr(again[0])


def test_at_least_eight_tasks_have_real_weights():
    real = [name for name in OURS if any(entry.package for entry in find_task(name).models.values())]
    assert len(real) >= 8


@pytest.mark.parametrize("study", STUDIES)
def test_built_in_studies_name_models_that_there_are(study: str):
    design = find_design(study)
    cells = design.trial or [{**design.fixed, "model": model} for model in design.factors["model"]]
    for cell in cells:
        assert str(cell["model"]) in find_task(str(cell["task"])).models


@pytest.mark.parametrize("name", OURS)
def test_what_is_missing_is_told_in_words(name: str, data_dir: Path):
    task = find_task(name)
    for model, entry in task.models.items():
        if entry.package and package_folder(entry.package) is not None:
            continue
        if not entry.package and find_spec("transformers") and find_spec("torch"):
            continue
        if model == "dcgan-random" and find_spec("torch"):
            continue
        with pytest.raises((ConfigError, MissingExtra)) as error:
            open_model(task, model, Settings())
        assert error.value.hint
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "model"),
    [("image-classification", "onnx:/nowhere.onnx"), ("text-generation", "gguf:/nowhere.gguf")],
)
def test_a_file_that_is_not_there_is_told(name: str, model: str):
    with pytest.raises(WattmarkError) as error:
        open_model(find_task(name), model, Settings())
    assert "nowhere" in str(error.value) or "not installed" in str(error.value)


def test_a_way_that_the_task_does_not_know_is_refused():
    with pytest.raises(ConfigError, match="has no model 'gguf:x'"):
        open_model(find_task("similarity"), "gguf:x", Settings())


def test_general_models_are_known():
    assert is_general(find_task("text-classification"), "smollm2")
    assert is_general(find_task("text-classification"), "gguf:/some.gguf")
    assert not is_general(find_task("text-classification"), "minilm")
    assert not is_general(find_task("text-classification"), "hf:owner/name")


def test_names_are_ours_first():
    assert names()[: len(OURS)] == tuple(OURS)


def test_reviews_are_half_and_half_and_never_in_both_parts():
    for part in ("train", "test"):
        labels = [one.label for one in texts.reviews(part)]
        assert labels.count("positive") * 2 == len(labels)
    both = {one.text for one in texts.reviews("train")} & {one.text for one in texts.reviews("test")}
    assert not both


def test_marked_spans_are_where_they_say():
    for one in texts.entities():
        assert one.spans
        assert "[" not in one.text
        assert "|" not in one.text
        for span in one.spans:
            words = one.text[span.start : span.end]
            assert words
            assert words == words.strip()
            assert span.label in tokens.LABELS


def test_every_answer_is_in_its_sentence_and_in_no_question():
    for one in texts.questions():
        assert one.answer.casefold() in one.sentences[one.place].casefold()
        assert one.answer.casefold() not in one.text.casefold()


def right(name: str) -> list[Any]:
    return {
        "token-classification": [frozenset(one.spans) for one in texts.entities()],
        "address-parsing": list(texts.addresses()),
        "question-answering": [one.answer for one in texts.questions()],
        "summarisation": [one.summary for one in texts.documents()],
        "similarity": [one.same for one in texts.pairs()],
        "retrieval": [texts.all_sentences().index(one.sentences[one.place]) for one in texts.questions()],
        "text-classification": [one.label for one in texts.reviews("test")],
        "text-generation": [f" {one.label}, and so on" for one in texts.endings()],
        "file-types": [label for _, label in filetypes.files()],
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "token-classification", "address-parsing", "question-answering", "summarisation", "similarity", "retrieval",
        "text-classification", "text-generation", "file-types",
    ],
)  # fmt: skip
def test_right_answers_are_worth_one_and_chance_less(name: str):
    score = find_task(name).score
    assert score is not None
    found = score(right(name))
    assert found.value == pytest.approx(1.0)
    assert 0 <= found.chance < 0.6
    assert score(right(name)[:3]).value == pytest.approx(1.0)


def test_a_wrong_answer_costs():
    answers = right("question-answering")
    answers[0] = "nothing of the kind"
    assert reading.score_answers(answers).value == pytest.approx(1 - 1 / len(answers))


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
def test_a_picture_that_is_none_is_refused_in_words(data: bytes):
    pytest.importorskip("PIL", reason="pictures are read with pillow")
    with pytest.raises(ConfigError, match="no picture") as error:
        pictures.read_picture(data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("samples", [[], [float("nan")] * 10])
def test_audio_that_is_none_is_refused_in_words(samples: list[float]):
    import numpy as np

    with pytest.raises(ConfigError):
        speech.check_audio(np.array(samples, np.float32))


def test_a_drawn_line_is_a_picture_of_its_text():
    pytest.importorskip("PIL", reason="lines of text are drawn with pillow")
    line = pictures.lines()[0]
    pixels = pictures.read_picture(line.picture)
    assert pixels.shape[2] == 3
    assert pixels.min() < 64 < 192 < pixels.max()
    assert pictures.resized(pixels, 32).shape == (32, 32, 3)
