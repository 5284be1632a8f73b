"""The sentences written for this project: reviews, endings, entities, paraphrases, addresses, short documents."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from wattmark.documents import items, mappings, text

_MARKED = re.compile(r"\[([^|\]]+)\|([A-Z]+)\]")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its label."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Span:
    """A marked part of a text: characters from start to before end."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with its marked parts."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences, and whether they say the same."""

    first: str
    second: str
    same: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the sentences that hold the answer, the words of the answer, and which sentence has them."""

    text: str
    sentences: tuple[str, ...]
    answer: str
    place: int


@dataclass(frozen=True, slots=True)
class Document:
    """A short text of five sentences with a summary and questions."""

    title: str
    sentences: tuple[str, ...]
    summary: str
    questions: tuple[Question, ...]

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(self.sentences)


@cache
def reviews(part: Literal["train", "test"]) -> tuple[Labelled, ...]:
    """Sentences of reviews, ``positive`` or ``negative``, half of each."""
    rows = _rows("sentiment.tsv")
    return tuple(Labelled(words, label) for own, label, words in rows if own == part)


@cache
def endings() -> tuple[Labelled, ...]:
    """Beginnings of sentences, each with the one word that everyone would go on with."""
    return tuple(Labelled(words, label) for words, label in _rows("endings.tsv"))


@cache
def entities() -> tuple[Marked, ...]:
    """Sentences with people, organisations, places (GPE) and dates marked."""
    found: list[Marked] = []
    for (row,) in _rows("entities.tsv"):
        plain, at = "", 0
        spans: list[Span] = []
        for match in _MARKED.finditer(row):
            plain += row[at : match.start()]
            spans.append(Span(len(plain), len(plain) + len(match[1]), match[2]))
            plain += match[1]
            at = match.end()
        found.append(Marked(plain + row[at:], tuple(spans)))
    return tuple(found)


@cache
def addresses() -> tuple[tuple[tuple[str, str], ...], ...]:
    """Postal addresses of the United States: pairs of a word and the part that it is."""
    rows = (row.split() for (row,) in _rows("addresses.tsv"))
    return tuple(tuple((word.rpartition("/")[0], word.rpartition("/")[2]) for word in row) for row in rows)


@cache
def pairs() -> tuple[Pair, ...]:
    """Pairs of sentences, half of them paraphrases."""
    return tuple(Pair(first, second, same == "1") for same, first, second in _rows("paraphrases.tsv"))


@cache
def documents() -> tuple[Document, ...]:
    """Short texts about invented places, so that no model can know the answers beforehand."""
    found: list[Document] = []
    for entry in mappings(json.loads(_read("documents.json"))):
        sentences = tuple(str(sentence) for sentence in items(entry.get("sentences")))
        questions = tuple(
            Question(str(asked), sentences, str(answer), int(str(place)))
            for asked, answer, place in map(items, items(entry.get("questions")))
        )
        found.append(
            Document(text(entry.get("title")) or "", sentences, text(entry.get("summary")) or "", questions)
        )
    return tuple(found)


@cache
def questions() -> tuple[Question, ...]:
    """The questions of all documents."""
    return tuple(question for document in documents() for question in document.questions)


@cache
def all_sentences() -> tuple[str, ...]:
    """The sentences of all documents."""
    return tuple(sentence for document in documents() for sentence in document.sentences)


def _rows(name: str) -> list[list[str]]:
    return [line.split("\t") for line in _read(name).splitlines() if line]


def _read(name: str) -> str:
    return files("wattmark.workloads.tasks.data").joinpath(name).read_text(encoding="utf-8")
