"""Images, sound and video beside the text of prompts: made up, each new, or the files of a folder.

Parts of a message as OpenAI's chat API has them (``image_url``, ``input_audio``), and ``video_url`` as vLLM and SGLang have
it. Made-up images are palettes of noise: the pixels of a size are packed once, and only the palette is drawn anew, so that
no server has seen the image before and making one costs microseconds.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from wattmark.errors import ConfigError
from wattmark.serving.prompts.base import Conversation, FreshTexts, Noted, Recording, Turn, Workload
from wattmark.serving.prompts.synthetic import Filler, OfUnits

Kind = Literal["images", "audio", "video"]
SUFFIXES: Mapping[Kind, Mapping[str, str]] = {
    "images": {
        ".png": "image/png",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".webp": "image/webp",
        ".gif": "image/gif",
        ".bmp": "image/bmp",
    },
    "audio": {".wav": "wav", ".mp3": "mp3", ".flac": "flac", ".ogg": "ogg", ".m4a": "m4a"},
    "video": {".mp4": "video/mp4", ".webm": "video/webm", ".avi": "video/avi", ".mkv": "video/x-matroska"},
}
ONE_OF: Mapping[Kind, str] = {"images": "an image", "audio": "a sound", "video": "a video"}
MANY_OF: Mapping[Kind, str] = {"images": "images", "audio": "sounds", "video": "videos"}
BLOCK = 8
"""Pixels: made-up images are squares of one colour of this size, so that they pack to some kilobytes."""
MOST_PIXELS, MOST_SOUND_S = 8192, 3600.0
SAMPLES_PER_S = 16_000
NOISE_SAMPLES = 1 << 16


class Media(NamedTuple):
    """Where images, sound or video come from. number: how many go with a prompt.

    size: of made-up images, in pixels; seconds: of made-up sound; files: of a folder, in the order of their names.
    """

    kind: Kind
    number: int = 1
    size: tuple[int, int] | None = None
    seconds: float | None = None
    files: tuple[Path, ...] = ()

    @classmethod
    def parse(cls, kind: Kind, text: str, number: int = 1) -> Media:
        """``512x512``, ``10`` (seconds of sound), a folder or a file. Raises ConfigError."""
        path = Path(text).expanduser()
        if path.is_dir() or path.is_file():
            known = SUFFIXES[kind]
            files = [path] if path.is_file() else sorted(path.iterdir())
            files = [file for file in files if file.suffix.lower() in known]
            if files:
                return cls(kind, number, files=tuple(files))
            raise ConfigError(
                f"--{kind}: nothing usable in {path}", hint=f"files that end in {', '.join(known)}"
            )
        size = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
        if kind == "images" and size:
            wide, high = int(size[1]), int(size[2] or size[1])
            if min(wide, high) >= 1 and max(wide, high) <= MOST_PIXELS:
                return cls(kind, number, (wide, high))
        seconds = re.fullmatch(r"(\d+(?:\.\d+)?)s?", text)
        if kind == "audio" and seconds and 0 < float(seconds[1]) <= MOST_SOUND_S:
            return cls(kind, number, seconds=float(seconds[1]))
        made = {"images": "512x512", "audio": "10 (seconds)", "video": "FILE.mp4"}[kind]
        raise ConfigError(
            f"--{kind} cannot be {text!r}: there is no such folder", hint=f"write {made}, or a folder"
        )

    def recording(self, number: int, seed: int) -> Recording:
        """A sound by its number."""
        if self.files:
            file = self.files[number % len(self.files)]
            data = _read(file)
            return Recording(data, file.name, wav_seconds(data))
        assert self.seconds is not None
        return Recording(wav(self.seconds, seed * 1_000_003 + number), "sound.wav", self.seconds)

    def part(self, number: int, seed: int) -> dict[str, Any]:
        """A typed part of a message, by its number."""
        if self.kind == "audio":
            sound = self.recording(number, seed)
            kind = Path(sound.name).suffix.lower().removeprefix(".")
            return {"type": "input_audio", "input_audio": {"data": _text(sound.data), "format": kind}}
        if self.size is not None:
            data, kind = png(*self.size, seed * 1_000_003 + number), "image/png"
        else:
            file = self.files[number % len(self.files)]
            data, kind = _read(file), SUFFIXES[self.kind][file.suffix.lower()]
        name = "image_url" if self.kind == "images" else "video_url"
        return {"type": name, name: {"url": f"data:{kind};base64,{_text(data)}"}}

    def __str__(self) -> str:
        what = ONE_OF[self.kind] if self.number == 1 else f"{self.number} {MANY_OF[self.kind]}"
        if self.size is not None:
            return f"{what} of {self.size[0]}x{self.size[1]}"
        return (
            f"{what} of {self.seconds:g} s"
            if self.seconds is not None
            else f"{what} of {len(self.files)} files"
        )


@dataclass(frozen=True, slots=True)
class WithMedia:
    """Another workload whose conversations begin with images, sound or video. as_file: the sound is all that is sent
    (transcriptions). media_seed: of what is made up; None draws it anew for each load."""

    workload: Workload
    media: tuple[Media, ...]
    as_file: bool = False
    media_seed: int | None = None

    @property
    def text_seed(self) -> int | None:
        """Of the texts and of what is made up; None: they are to be drawn anew."""
        return self.media_seed

    @property
    def notes(self) -> tuple[str, ...]:
        """What the other one says of itself."""
        return self.workload.notes if isinstance(self.workload, Noted) else ()

    def with_text_seed(self, seed: int) -> WithMedia:
        """The same with other texts, and other made-up images."""
        inner = self.workload.with_text_seed(seed) if isinstance(self.workload, FreshTexts) else self.workload
        return replace(self, workload=inner, media_seed=seed)

    def with_filler(self, filler: Filler) -> WithMedia:
        """The same with text of these units."""
        inner = self.workload.with_filler(filler) if isinstance(self.workload, OfUnits) else self.workload
        return replace(self, workload=inner)

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """Every ``parts``-th conversation."""
        for talk in self.workload.conversations(part, parts):
            first, *others = talk.turns
            yield talk._replace(turns=(self._with(first, talk.number), *others))

    def describe(self) -> str:
        """One phrase for people."""
        return f"{self.workload.describe()}, with {' and '.join(map(str, self.media))} each"

    def _with(self, turn: Turn, number: int) -> Turn:
        if self.as_file:
            return turn._replace(audio=self.media[0].recording(number, self.media_seed or 0))
        parts = [
            media.part(number * media.number + place, self.media_seed or 0)
            for media in self.media
            for place in range(media.number)
        ]
        said: Any = turn.message["content"] if turn.message else [{"type": "text", "text": turn.text}]
        more = cast("list[Any]", said) if isinstance(said, list) else [{"type": "text", "text": said}]
        return turn._replace(message={"role": "user", "content": [*parts, *more]})


@dataclass(frozen=True, slots=True)
class Batched:
    """Another workload whose texts go out several at a time: inputs to embed, or documents to rank for a query.

    size: of a batch. query: whether the first text of each is what the others are ranked for.
    """

    workload: Workload
    size: int
    query: bool = False

    @property
    def text_seed(self) -> int | None:
        """Of the texts; None: they are to be drawn anew."""
        return self.workload.text_seed if isinstance(self.workload, FreshTexts) else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the other one says of itself."""
        return self.workload.notes if isinstance(self.workload, Noted) else ()

    def with_text_seed(self, seed: int) -> Batched:
        """The same with other texts."""
        inner = self.workload.with_text_seed(seed) if isinstance(self.workload, FreshTexts) else self.workload
        return replace(self, workload=inner)

    def with_filler(self, filler: Filler) -> Batched:
        """The same with text of these units."""
        inner = self.workload.with_filler(filler) if isinstance(self.workload, OfUnits) else self.workload
        return replace(self, workload=inner)

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """Every ``parts``-th batch."""
        singles = self.workload.conversations()
        each = self.size + self.query
        for number in count():
            taken = [talk.turns[0] for _, talk in zip(range(each), singles, strict=False)]
            if not taken:
                return
            if number % parts == part:
                yield Conversation(number, (self._batch(taken),))

    def describe(self) -> str:
        """One phrase for people."""
        what = "documents" if self.query else "texts"
        return self.workload.describe() + (
            f", {self.size} {what} a request" if self.size > 1 or self.query else ""
        )

    def _batch(self, turns: list[Turn]) -> Turn:
        first = turns[0]
        if any(turn.texts for turn in turns):  # rows that are batches already
            return first
        own = turns[1:] if self.query and len(turns) > 1 else turns
        known = [turn.input_tokens for turn in own]
        given = None if None in known else sum(tokens or 0 for tokens in known)
        return Turn(
            first.text, None, given, None, texts=tuple(turn.text for turn in own), fields=first.fields
        )


def seen(message: Mapping[str, Any]) -> int:
    """How many images a message has."""
    return sum(1 for part in _parts(message) if part.get("type") in ("image_url", "image", "input_image"))


def heard_s(message: Mapping[str, Any]) -> float | None:
    """Seconds of sound in a message; None if there is none, or none whose length can be told."""
    known = [
        wav_seconds(_beginning(cast("dict[str, Any]", part.get("input_audio") or {}).get("data")))
        for part in _parts(message)
        if part.get("type") == "input_audio"
    ]
    lengths = [seconds for seconds in known if seconds is not None]
    return sum(lengths) if lengths else None


def png(wide: int, high: int, seed: int) -> bytes:
    """An image that nobody has seen: squares of noise (PNG specification, third edition: colour type 3)."""
    palette = random.Random(seed).randbytes(768)
    head = struct.pack(">IIBBBBB", wide, high, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in (
            (b"IHDR", head),
            (b"PLTE", palette),
            (b"IDAT", _pixels(wide, high)),
            (b"IEND", b""),
        )
    )


def wav(seconds: float, seed: int) -> bytes:
    """Noise of a length: 16 bits, one channel, 16 kHz; another stretch of it for another seed."""
    samples = max(1, round(seconds * SAMPLES_PER_S))
    noise = _noise()
    start = random.Random(seed).randrange(NOISE_SAMPLES) * 2
    turns = noise[start:] + noise * (samples * 2 // len(noise) + 1)
    return wav_head(samples * 2, SAMPLES_PER_S) + turns[: samples * 2]


def wav_head(size: int, samples_per_s: int, channels: int = 1) -> bytes:
    """The head of a WAV file of 16 bits a sample. size: of its data, in bytes."""
    rate = samples_per_s * channels * 2
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, samples_per_s, rate, channels * 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def wav_seconds(data: bytes, whole: int | None = None) -> float | None:
    """How long a WAV file lasts by its head; None if it is none. whole: bytes of the file, for heads that do not know it."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, rate = 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 20 <= len(data):
            rate = int.from_bytes(data[at + 16 : at + 20], "little")
        if name == b"data":
            if whole is not None and (size == 0 or size > whole):  # written while it was not known yet
                size = whole - at - 8
            return size / rate if rate else None
        at += 8 + size + size % 2
    return None


@cache
def _pixels(wide: int, high: int) -> bytes:
    dice = random.Random(wide * 65_537 + high)
    across = -(-wide // BLOCK)
    rows: list[bytes] = []
    for _ in range(-(-high // BLOCK)):
        row = b"\0" + b"".join(bytes([shade]) * BLOCK for shade in dice.randbytes(across))[:wide]
        rows += [row] * BLOCK
    return zlib.compress(b"".join(rows[:high]), 6)


@cache
def _noise() -> bytes:
    return random.Random(7).randbytes(NOISE_SAMPLES * 2)


@cache
def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _beginning(data: object) -> bytes:
    try:
        return b64decode(data[:512]) if isinstance(data, str) else b""
    except ValueError:
        return b""


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content: Any = message.get("content")
    listed = cast("list[Any]", content) if isinstance(content, list) else []
    return [cast("dict[str, Any]", part) for part in listed if isinstance(part, dict)]
