"""Models by their Hugging Face name (``hf:OWNER/NAME``) or the folder of one (``hf:FOLDER``), through transformers.

What is in the cache already is used without a network. Where the hub cannot be reached the error says so.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Protocol, cast

from wattmark.documents import first, is_mapping, items
from wattmark.errors import ConfigError, ServerError
from wattmark.workloads.tasks.base import Answer, Model, ModelFacts, Settings
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.weights import need_module

if TYPE_CHECKING:
    from torch import nn

BY_HAND = "is the name right, and is there a network? Else give the folder of a model that was downloaded: hf:FOLDER"


class _Tokenizer(Protocol):
    def __call__(self, text: str) -> object: ...


class _Labels(Protocol):
    id2label: Mapping[int, str]


class _Network(Protocol):
    config: _Labels

    def num_parameters(self) -> int: ...
    def get_memory_footprint(self) -> int: ...


class Pipeline(Protocol):
    """A pipeline of transformers."""

    model: _Network
    tokenizer: _Tokenizer | None

    def __call__(self, inputs: object, **options: object) -> object:
        """The answers for a list of inputs."""
        ...


def open_pipeline(kind: str, name: str, settings: Settings, **options: object) -> Pipeline:
    """transformers' pipeline of this kind. Raises MissingExtra without transformers, ServerError where the model cannot be
    had, ConfigError where it is of another kind."""
    need_module("transformers")
    need_module("torch", extra="study")
    import_module("torch").set_num_threads(threads_of(settings))
    make = import_module("transformers").pipeline
    with _in_words(name, kind):
        made: Pipeline = make(kind, model=name, device=settings.device, **options)
        return made


class PipelineModel:
    """A pipeline whose answers are read by ``answer``; a text in has as many units as tokens."""

    def __init__(
        self,
        pipeline: Pipeline,
        answer: Callable[[object], tuple[str, float]],
        options: Mapping[str, object] | None = None,
    ) -> None:
        self._pipeline, self._answer, self._options = pipeline, answer, dict(options or {})
        network = pipeline.model
        self.facts = ModelFacts(int(network.num_parameters()), int(network.get_memory_footprint()))

    def infer(self, inputs: Sequence[str]) -> list[Answer[str]]:
        """An answer for each text."""
        if not all(text.strip() for text in inputs):
            raise ConfigError("a text is empty", hint="every input needs at least one word")
        said = items(self._pipeline(list(inputs), batch_size=len(inputs), **self._options))
        answers: list[Answer[str]] = []
        for text, one in zip(inputs, said, strict=True):
            words, outputs = self._answer(one)
            answers.append(Answer(words, self._tokens(text), outputs))
        return answers

    def close(self) -> None:
        """Nothing to give back."""

    def _tokens(self, text: str) -> int:
        if self._pipeline.tokenizer is None:
            return len(text.split())
        encoded = self._pipeline.tokenizer(text)
        ids = cast("dict[str, list[int]]", encoded)["input_ids"]
        return len(ids)


def text_classifier(name: str, settings: Settings) -> Model[str, str]:
    """A classifier of texts; labels that begin with ``pos`` or ``neg`` (or ``LABEL_1``, ``LABEL_0``) are sentiments."""
    return PipelineModel(open_pipeline("text-classification", name, settings), _label)


def _label(said: object) -> tuple[str, float]:
    best = said if is_mapping(said) else first(said)
    word = str(best.get("label", "")).casefold()
    if word.startswith("pos") or word == "label_1":
        return "positive", 1
    return ("negative", 1) if word.startswith("neg") or word == "label_0" else (word, 1)


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def text_generator(name: str, settings: Settings, tokens: int) -> Model[str, str]:
    """A language model that goes on with a text, always by ``tokens`` tokens."""
    pipeline = open_pipeline("text-generation", name, settings)
    options: dict[str, object] = {
        "max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "return_full_text": False,
    }  # fmt: skip

    def read(said: object) -> tuple[str, float]:
        return str(first(said).get("generated_text", "")), tokens

    return PipelineModel(pipeline, read, options)


def pretrained(kind: str, name: str, settings: Settings) -> nn.Module:
    """A network by its name, of one of transformers' ``AutoModelFor...`` classes. Raises as :func:`open_pipeline`."""
    need_module("transformers")
    need_module("torch", extra="study")
    with _in_words(name, kind):
        return getattr(import_module("transformers"), kind).from_pretrained(name).to(settings.device).eval()


class Seq2Seq:
    """A network that writes one text for another (BART, T5, Marian)."""

    def __init__(self, name: str, settings: Settings, tokens: int, before: str = "") -> None:
        network: Any = pretrained("AutoModelForSeq2SeqLM", name, settings)
        import_module("torch").set_num_threads(threads_of(settings))
        with _in_words(name, "its tokenizer"):
            self._tokenizer: Any = import_module("transformers").AutoTokenizer.from_pretrained(name)
        self._network, self._tokens, self._before = network, tokens, before
        self.facts = ModelFacts(int(network.num_parameters()), int(network.get_memory_footprint()))

    def write(self, texts: Sequence[str]) -> list[Answer[str]]:
        """A text for each."""
        asked = [self._before + text for text in texts]
        given = self._tokenizer(asked, return_tensors="pt", padding=True, truncation=True)
        given = given.to(self._network.device)
        written = self._network.generate(
            input_ids=given["input_ids"],
            attention_mask=given["attention_mask"],
            max_new_tokens=self._tokens,
            do_sample=False,
        )
        sizes: list[int] = given["attention_mask"].sum(dim=1).tolist()
        texts_out: list[str] = self._tokenizer.batch_decode(written, skip_special_tokens=True)
        length = int(written.shape[1])
        return [Answer(text, size, length) for text, size in zip(texts_out, sizes, strict=True)]


class Extractive:
    """A network that marks the answer in a text (BERT and its kin with a head for questions)."""

    def __init__(self, name: str, settings: Settings) -> None:
        network: Any = pretrained("AutoModelForQuestionAnswering", name, settings)
        import_module("torch").set_num_threads(threads_of(settings))
        with _in_words(name, "its tokenizer"):
            self._tokenizer: Any = import_module("transformers").AutoTokenizer.from_pretrained(name)
        self._network = network
        self.facts = ModelFacts(int(network.num_parameters()), int(network.get_memory_footprint()))

    def answer(self, questions: Sequence[str], contexts: Sequence[str]) -> list[Answer[str]]:
        """The likeliest part of each context."""
        torch: Any = import_module("torch")
        given = self._tokenizer(
            list(questions), list(contexts), return_tensors="pt", padding=True, truncation="only_second"
        )
        given = given.to(self._network.device)
        with torch.inference_mode():
            out = self._network(**given)
        answers: list[Answer[str]] = []
        for row in range(len(questions)):
            ids = given["input_ids"][row]
            start = int(out.start_logits[row].argmax())
            end = start + int(out.end_logits[row][start:].argmax())
            text: str = self._tokenizer.decode(ids[start : end + 1], skip_special_tokens=True)
            answers.append(Answer(text, int(given["attention_mask"][row].sum()), end + 1 - start))
        return answers


class Diffusion:
    """A pipeline of diffusers: pictures from words, thirty steps."""

    def __init__(self, name: str, settings: Settings) -> None:
        need_module("diffusers")
        need_module("torch", extra="study")
        with _in_words(name, "image generation"):
            made: Any = import_module("diffusers").DiffusionPipeline.from_pretrained(name)
        import_module("torch").set_num_threads(threads_of(settings))
        self._pipeline: Any = made.to(settings.device)
        self._steps, self._prompts = settings.output or STEPS, cycle(PROMPTS)
        self.facts = ModelFacts()

    def infer(self, inputs: Sequence[object]) -> list[Answer[None]]:
        """A picture for each, of the prompts in turn; it is dropped, its size is kept."""
        prompts = list(islice(self._prompts, len(inputs)))
        pictures = self._pipeline(prompt=prompts, num_inference_steps=self._steps).images
        return [
            Answer(None, len(prompt.split()), picture.size[0] * picture.size[1])
            for prompt, picture in zip(prompts, pictures, strict=True)
        ]

    def close(self) -> None:
        """Nothing to give back."""


STEPS = 30
"""Of diffusion, as in the AI Energy Score."""
PROMPTS = (
    "a lighthouse on a rock in the evening",
    "a bowl of ripe cherries on a wooden table",
    "a yellow tram in the fog",
    "a glacier between dark mountains",
)


def diffusion(name: str, settings: Settings) -> Diffusion:
    """Pictures from words by a model of diffusers. Raises as :func:`open_pipeline`."""
    return Diffusion(name, settings)


@contextmanager
def _in_words(name: str, what: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ServerError(f"{name} cannot be had from Hugging Face: {_first(error)}", hint=BY_HAND) from error
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ConfigError(f"{name} cannot be used for {what}: {_first(error)}") from error
