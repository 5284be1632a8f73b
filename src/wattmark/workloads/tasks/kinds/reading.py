"""Texts that are read: questions about them, their gist, sentences that say the same, sentences that answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wattmark.workloads.tasks.base import Answer, In, Model, ModelEntry, Out, Score, Settings, Task
from wattmark.workloads.tasks.data.texts import (
    Document,
    Pair,
    Question,
    all_sentences,
    documents,
    pairs,
    questions,
)
from wattmark.workloads.tasks.models.encoder import MINILM, MINILM_INT8, Encoder, minilm, minilm_int8
from wattmark.workloads.tasks.models.gguf import SMOLLM2, LanguageModel, Prompt, gguf_file, smollm2
from wattmark.workloads.tasks.models.hub import Extractive, Seq2Seq
from wattmark.workloads.tasks.scoring import mean, rouge1, share, words_of

ANSWER_TOKENS, SUMMARY_TOKENS = 24, 40
_SAME_FROM = 0.6
"""Cosine from which two sentences say the same; chosen on no data: the middle of what the encoder's card shows."""


class AnswerSentence:
    """The sentence of the text that is nearest to the question."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.facts = encoder.facts

    def infer(self, inputs: Sequence[Question]) -> list[Answer[str]]:
        """A sentence for each question."""
        texts = [text for one in inputs for text in (one.text, *one.sentences)]
        vectors, tokens = self._encoder.encode(texts)
        answers: list[Answer[str]] = []
        at = 0
        for one in inputs:
            count = 1 + len(one.sentences)
            own = vectors[at : at + count]
            best = one.sentences[int((own[1:] @ own[0]).argmax())]
            answers.append(Answer(best, sum(tokens[at : at + count]), len(best.split())))
            at += count
        return answers

    def close(self) -> None:
        """Nothing to give back."""


class AskedQuestions:
    """A general language model that is given the text and the question."""

    def __init__(self, model: LanguageModel, tokens: int) -> None:
        self._model, self._tokens = model, tokens
        self.facts = model.facts

    def infer(self, inputs: Sequence[Question]) -> list[Answer[str]]:
        """The first line of each answer."""
        prompts = [
            Prompt(f"{' '.join(one.sentences)}\n\nQuestion: {one.text}\nAnswer:", self._tokens, chat=False)
            for one in inputs
        ]
        return [
            Answer(reply.text.strip().partition("\n")[0], reply.prompt_tokens, reply.tokens)
            for reply in self._model.ask(prompts)
        ]

    def close(self) -> None:
        """End the server."""
        self._model.close()


class Marked:
    """A network of Hugging Face that marks the answer in the text."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._network = Extractive(name, settings)
        self.facts = self._network.facts

    def infer(self, inputs: Sequence[Question]) -> list[Answer[str]]:
        """The marked words of each text."""
        return self._network.answer([one.text for one in inputs], [" ".join(one.sentences) for one in inputs])

    def close(self) -> None:
        """Nothing to give back."""


class Summariser:
    """A network of Hugging Face that writes one text for another."""

    def __init__(self, name: str, settings: Settings) -> None:
        before = "summarize: " if "t5" in name.casefold() else ""
        self._network = Seq2Seq(name, settings, settings.output or SUMMARY_TOKENS, before)
        self.facts = self._network.facts

    def infer(self, inputs: Sequence[Document]) -> list[Answer[str]]:
        """A summary of each text."""
        return self._network.write([one.text for one in inputs])

    def close(self) -> None:
        """Nothing to give back."""


class CentralSentences:
    """The sentence that is nearest to the mean of all: the gist of the text in its own words."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.facts = encoder.facts

    def infer(self, inputs: Sequence[Document]) -> list[Answer[str]]:
        """The first sentence, which names what it is about, and the most central of the others."""
        vectors, tokens = self._encoder.encode([text for one in inputs for text in one.sentences])
        answers: list[Answer[str]] = []
        at = 0
        for one in inputs:
            count = len(one.sentences)
            own = vectors[at : at + count]
            best = 1 + int((own[1:] @ own.mean(axis=0)).argmax())
            gist = f"{one.sentences[0]} {one.sentences[best]}"
            answers.append(Answer(gist, sum(tokens[at : at + count]), len(gist.split())))
            at += count
        return answers

    def close(self) -> None:
        """Nothing to give back."""


class AskedSummaries:
    """A general language model that is asked for the gist."""

    def __init__(self, model: LanguageModel, tokens: int) -> None:
        self._model, self._tokens = model, tokens
        self.facts = model.facts

    def infer(self, inputs: Sequence[Document]) -> list[Answer[str]]:
        """A summary of each text."""
        prompts = [
            Prompt(f"Summarise this text in one sentence.\n\n{one.text}", self._tokens) for one in inputs
        ]
        replies = self._model.ask(prompts)
        return [Answer(reply.text.strip(), reply.prompt_tokens, reply.tokens) for reply in replies]

    def close(self) -> None:
        """End the server."""
        self._model.close()


class Alike:
    """Whether two sentences say the same, by the cosine of their vectors."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.facts = encoder.facts

    def infer(self, inputs: Sequence[Pair]) -> list[Answer[bool]]:
        """Yes or no for each pair."""
        vectors, tokens = self._encoder.encode([text for one in inputs for text in (one.first, one.second)])
        alike = (vectors[::2] * vectors[1::2]).sum(axis=1) >= _SAME_FROM
        sizes = zip(tokens[::2], tokens[1::2], strict=True)
        return [Answer(bool(same), sum(size), 1) for same, size in zip(alike, sizes, strict=True)]

    def close(self) -> None:
        """Nothing to give back."""


class Retriever:
    """The sentence of all documents that is nearest to a question; the sentences are encoded beforehand."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._sentences: NDArray[np.float32] = encoder.encode(all_sentences())[0]
        self.facts = encoder.facts

    def infer(self, inputs: Sequence[str]) -> list[Answer[int]]:
        """The place of a sentence for each question."""
        vectors, tokens = self._encoder.encode(inputs)
        best = (vectors @ self._sentences.T).argmax(axis=1)
        return [Answer(int(place), size, 1) for place, size in zip(best, tokens, strict=True)]

    def close(self) -> None:
        """Nothing to give back."""


def score_answers(answers: Sequence[str]) -> Score:
    """Whether the answer has the right words; chance: some sentence of the text."""
    asked = questions()[: len(answers)]
    right = [_holds(text, one.answer) for text, one in zip(answers, asked, strict=True)]
    return share(right, sum(1 / len(one.sentences) for one in asked) / len(asked))


def score_summaries(answers: Sequence[str]) -> Score:
    """ROUGE-1 with the summary that was written for the text; chance: that of any two sentences of other texts."""
    own = documents()[: len(answers)]
    others = [
        rouge1(" ".join(other.sentences[:2]), one.summary)
        for one in own
        for other in documents()
        if other is not one
    ]
    values = [rouge1(text, one.summary) for text, one in zip(answers, own, strict=True)]
    return mean(values, sum(others) / len(others))


def score_pairs(answers: Sequence[bool]) -> Score:
    """The share of pairs that are judged rightly; chance is one of two."""
    return share([said == one.same for said, one in zip(answers, pairs(), strict=False)], 0.5)


def score_places(answers: Sequence[int]) -> Score:
    """Whether the sentence found is the one that answers; chance: any of all sentences."""
    sentences = all_sentences()
    asked = questions()[: len(answers)]
    right = [sentences[place] == one.sentences[one.place] for place, one in zip(answers, asked, strict=True)]
    return share(right, 1 / len(sentences))


def _holds(text: str, answer: str) -> bool:
    return " ".join(words_of(answer)) in " ".join(words_of(text))


def _encoded(
    kind: Callable[[Encoder], Model[In, Out]],
) -> dict[str, ModelEntry[In, Out]]:
    return {
        "minilm": ModelEntry(lambda settings: kind(minilm(settings)), "all-MiniLM-L6-v2", package=MINILM),
        "minilm-int8": ModelEntry(
            lambda settings: kind(minilm_int8(settings)), "the same in 8 bits, ONNX", package=MINILM_INT8
        ),
    }


def _asked(settings: Settings) -> AskedQuestions:
    return AskedQuestions(smollm2(settings), settings.output or ANSWER_TOKENS)


def _summed_up(settings: Settings) -> AskedSummaries:
    return AskedSummaries(smollm2(settings), settings.output or SUMMARY_TOKENS)


def _question_texts() -> Sequence[str]:
    return [one.text for one in questions()]


QUESTION_ANSWERING: Task[Question, str] = Task(
    "question-answering",
    "Question answering",
    "token",
    "token",
    questions,
    {
        **_encoded(AnswerSentence),
        "smollm2": ModelEntry(_asked, "SmolLM2-135M, asked in words", general=True, package=SMOLLM2),
    },
    score_answers,
    "answers with the right words",
    "some sentence of the text",
    "40 questions about 10 short texts on invented places",
    {
        "gguf": lambda path, settings: AskedQuestions(
            gguf_file(path, settings), settings.output or ANSWER_TOKENS
        ),
        "hf": Marked,
    },
)
SUMMARISATION: Task[Document, str] = Task(
    "summarisation",
    "Summarisation",
    "token",
    "token",
    documents,
    {
        **_encoded(CentralSentences),
        "smollm2": ModelEntry(_summed_up, "SmolLM2-135M, asked in words", general=True, package=SMOLLM2),
    },
    score_summaries,
    "ROUGE-1",
    "two sentences of another text",
    "10 short texts of five sentences with a summary each",
    {
        "gguf": lambda path, settings: AskedSummaries(
            gguf_file(path, settings), settings.output or SUMMARY_TOKENS
        ),
        "hf": Summariser,
    },
)
SIMILARITY: Task[Pair, bool] = Task(
    "similarity",
    "Sentence similarity",
    "token",
    "token",
    pairs,
    _encoded(Alike),
    score_pairs,
    "accuracy",
    "one of two labels",
    "40 pairs of sentences, half of them paraphrases",
)
RETRIEVAL: Task[str, int] = Task(
    "retrieval",
    "Retrieval",
    "token",
    "token",
    _question_texts,
    _encoded(Retriever),
    score_places,
    "recall at 1",
    "any of 50 sentences",
    "40 questions, 50 sentences",
)
