"""What runs models: Hugging Face names, GGUF and ONNX files; what is no such thing is an error in words."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from wattmark.errors import ConfigError, MissingExtra, ServerError
from wattmark.workloads.tasks.base import Settings
from wattmark.workloads.tasks.catalogue import find_task, open_model
from wattmark.workloads.tasks.models import hub
from wattmark.workloads.tasks.models.gguf import LanguageModel, Prompt

AWAY = "We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cache.\nCheck it."


class Library(ModuleType):
    """A stand-in for transformers: its pipelines answer as they are told, or cannot be had."""

    def __init__(self, answers: list[Any] | None, error: Exception | None = None) -> None:
        super().__init__("transformers")
        self.answers, self.error = answers, error
        self.asked: list[tuple[Any, ...]] = []

    def pipeline(self, kind: str, model: str, device: str, **_: Any) -> Any:
        self.asked.append((kind, model, device))
        if self.error is not None:
            raise self.error

        def answer(inputs: list[str], **_: Any) -> list[Any]:
            assert self.answers is not None
            return self.answers[: len(inputs)]

        answer.model = SimpleNamespace(num_parameters=lambda: 7, get_memory_footprint=lambda: 28)  # type: ignore[attr-defined]
        answer.tokenizer = lambda text: {"input_ids": list(range(len(text.split()) + 2))}  # type: ignore[attr-defined]
        return answer


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(answers: list[Any] | None = None, error: Exception | None = None) -> Library:
        made = Library(answers, error)
        monkeypatch.setitem(sys.modules, "transformers", made)
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=lambda _: None))
        monkeypatch.setattr(hub, "need_module", lambda *_, **__: None)
        return made

    return install


def test_a_classifier_by_name_answers_in_our_labels(library: Any):
    made = library(
        [{"label": "POSITIVE", "score": 0.9}, {"label": "LABEL_0", "score": 0.8}, {"label": "neutral"}]
    )
    model = open_model(find_task("text-classification"), "hf:owner/name", Settings())
    answers = model.infer(["very good", "bad", "so so"])
    assert [one.output for one in answers] == ["positive", "negative", "neutral"]
    assert [one.inputs for one in answers] == [4, 3, 4]
    assert model.facts.parameters == 7
    assert made.asked == [("text-classification", "owner/name", "cpu")]
    with pytest.raises(ConfigError, match="empty"):
        model.infer([" "])


def test_a_generator_by_name_writes_as_many_tokens_as_asked(library: Any):
    library([[{"generated_text": " Paris."}]])
    model = open_model(find_task("text-generation"), "hf:owner/name", Settings(output=12))
    (answer,) = model.infer(["The capital of France is"])
    assert (answer.output, answer.outputs) == (" Paris.", 12)


def test_pictures_are_made_of_all_prompts_one_at_a_time_too(library: Any, monkeypatch: pytest.MonkeyPatch):
    library()
    asked: list[str] = []

    class Pictures:
        def to(self, _: str) -> Pictures:
            return self

        def __call__(self, prompt: list[str], num_inference_steps: int) -> Any:
            assert num_inference_steps == 30
            asked.extend(prompt)
            return SimpleNamespace(images=[SimpleNamespace(size=(8, 4)) for _ in prompt])

    made = SimpleNamespace(DiffusionPipeline=SimpleNamespace(from_pretrained=lambda _: Pictures()))
    monkeypatch.setitem(sys.modules, "diffusers", made)
    model = hub.diffusion("owner/name", Settings())
    for _ in range(4):
        (answer,) = model.infer([None])
        assert answer.outputs == 32
    assert asked == list(hub.PROMPTS)


@pytest.mark.parametrize(
    "task", ["text-classification", "text-generation", "token-classification", "speech-recognition"]
)
def test_a_hub_that_is_away_is_told_in_one_line_with_the_next_step(library: Any, task: str):
    library(error=OSError(AWAY))
    with pytest.raises(ServerError, match="cannot be had from Hugging Face") as error:
        open_model(find_task(task), "hf:owner/name", Settings())
    assert "owner/name" in str(error.value)
    assert "\n" not in str(error.value)
    assert "network" in str(error.value.hint)
    assert "hf:FOLDER" in str(error.value.hint)


def test_a_model_of_another_kind_is_told(library: Any):
    library(error=ValueError("Unrecognized model"))
    with pytest.raises(ConfigError, match="cannot be used for text-classification"):
        open_model(find_task("text-classification"), "hf:owner/name", Settings())


@pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is installed")
def test_without_transformers_the_extra_is_named():
    with pytest.raises(MissingExtra) as error:
        open_model(find_task("text-classification"), "hf:owner/name", Settings())
    assert "wattmark[tasks]" in str(error.value.hint)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
def test_the_real_library_says_it_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ServerError, match="no-such-owner/no-such-model"):
        open_model(find_task("text-classification"), "hf:no-such-owner/no-such-model", Settings())


def test_a_file_that_is_no_model_is_told(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_text("not a model")
    expected = (ConfigError,) if find_spec("onnxruntime") else (MissingExtra,)
    with pytest.raises(expected) as error:
        open_model(find_task("image-classification"), f"onnx:{path}", Settings())
    assert "\n" not in str(error.value)
    fake = tmp_path / "model.gguf"
    fake.write_text("not a model")
    with pytest.raises((ConfigError, MissingExtra)):
        open_model(find_task("text-generation"), f"gguf:{fake}", Settings())


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("xllamacpp", reason="llama.cpp is in the extra llm")
    from wattmark.serving.server.gguf import ensure_model

    folder = tmp_path_factory.mktemp("models")
    path = ensure_model("1m", "f16", 0, {"WATTMARK_DATA_DIR": str(folder)})
    model = LanguageModel(str(path), Settings(batch=2, threads=1))
    yield model
    model.close()


@pytest.mark.slow
def test_a_language_model_writes_what_is_asked(random_model: LanguageModel):
    assert random_model.facts.random
    assert random_model.facts.parameters is not None
    assert random_model.facts.weight_bytes is not None
    one, two = random_model.ask(
        [Prompt("one two", 5, chat=False, whole=True), Prompt("three", 7, chat=False, whole=True)]
    )
    assert (one.tokens, two.tokens) == (5, 7)
    assert one.prompt_tokens > 0


@pytest.mark.slow
def test_only_the_choices_are_answered(random_model: LanguageModel):
    for reply in random_model.ask(
        [Prompt(text, 30, chat=False, choices=("yes", "no")) for text in ("a", "b", "c")]
    ):
        assert reply.text.strip() in ("yes", "no")
