"""Speech that eSpeak NG speaks here, so that what was said is known; with pauses, for detectors of speech."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.data.texts import all_sentences
from wattmark.workloads.tasks.weights import need_package

Float32 = NDArray[np.float32]

RATE = 16_000
"""Samples per second of all audio here."""
SENTENCES = 20
_ESPEAK = "espeakng-loader"
_SYNCHRONOUS, _UTF8 = 2, 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Utterance:
    """audio: (n,) float32, -1..1, at :data:`RATE`. text: what is said. spoken: (n // FRAME,) whether a frame has speech."""

    audio: Float32
    text: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Speech between pauses with a little noise. spoken: by frame of :data:`FRAME` samples."""

    audio: Float32
    spoken: NDArray[np.bool_]


FRAME = 512


@cache
def utterances() -> tuple[Utterance, ...]:
    """Sentences of the documents, spoken. Raises ConfigError without eSpeak NG."""
    chosen = [sentence for sentence in all_sentences() if not any(letter.isdigit() for letter in sentence)]
    texts = chosen[:SENTENCES]
    return tuple(Utterance(audio, text) for audio, text in zip(spoken(texts), texts, strict=True))


@cache
def paused() -> tuple[Paused, ...]:
    """The same with pauses before, after and between, of ten seconds at most."""
    rng = np.random.default_rng(0)
    found: list[Paused] = []
    for one, two in zip(utterances()[::2], utterances()[1::2], strict=False):
        parts: list[tuple[Float32, bool]] = []
        for audio in (one.audio, two.audio):
            silence = np.zeros(int(rng.uniform(0.8, 2.0) * RATE), np.float32)
            parts += [(silence, False), (_trimmed(audio)[: 3 * RATE], True)]
        parts.append((np.zeros(RATE, np.float32), False))
        audio = np.concatenate([part for part, _ in parts])
        noisy = (audio + rng.normal(0, 0.002, len(audio))).astype(np.float32)
        marks = np.concatenate([np.full(len(part), speech) for part, speech in parts])
        frames = len(audio) // FRAME
        share = marks[: frames * FRAME].reshape(frames, FRAME).mean(axis=1)
        found.append(Paused(noisy[: frames * FRAME], share >= 0.5))
    return tuple(found)


def spoken(texts: Sequence[str]) -> list[Float32]:
    """Each text as audio at :data:`RATE`. Raises ConfigError where eSpeak NG cannot be loaded."""
    folder = need_package(_ESPEAK)
    library = _library(folder)
    pieces: list[NDArray[np.int16]] = []

    def on_sound(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:  # pyright: ignore[reportPrivateUsage]
        if count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        return 0

    callback = _CALLBACK(on_sound)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(folder / "espeak-ng-data").encode(), 0)
    if rate <= 0:
        raise ConfigError("eSpeak NG cannot be started", hint="install espeakng-loader again")
    library.espeak_SetSynthCallback(callback)
    found: list[Float32] = []
    for text in texts:
        pieces.clear()
        data = text.encode()
        library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        if not pieces:
            raise ConfigError(f"eSpeak NG says nothing for {text[:40]!r}")
        found.append(_at_rate(np.concatenate(pieces), rate))
    return found


def check_audio(audio: Float32) -> None:
    """Raises ConfigError for audio that is empty or no sound."""
    if audio.ndim != 1 or not len(audio):
        raise ConfigError(
            "an input has no audio", hint=f"one channel at {RATE} Hz, at least a tenth of a second"
        )
    if not np.isfinite(audio).all():
        raise ConfigError("an input has samples that are no numbers")


def _library(folder: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(folder / "libespeak-ng.so"))
    except OSError as error:
        raise ConfigError(f"eSpeak NG cannot be loaded: {error}") from error


def _at_rate(samples: NDArray[np.int16], rate: int) -> Float32:
    """Resampled by straight lines, after a mean over what a sample stands for: good enough for a voice that is made."""
    sound = samples.astype(np.float64) / 32_768
    length = int(len(sound) * RATE / rate)
    return np.interp(np.arange(length) * rate / RATE, np.arange(len(sound)), sound).astype(np.float32)


def _trimmed(audio: Float32) -> Float32:
    loud = np.flatnonzero(np.abs(audio) > 0.02)
    return audio[loud[0] : loud[-1] + 1] if len(loud) else audio
