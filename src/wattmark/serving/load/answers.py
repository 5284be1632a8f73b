"""Answers of endpoints that make no tokens: vectors, an order of documents, speech, what was said.

Shapes: OpenAI API reference (embeddings, audio), Jina and Cohere (rerank), Text Embeddings Inference
(lists without a frame). Each reader raises ValueError with what is wrong with an answer that is none.
"""

from __future__ import annotations

from typing import Any, cast

from wattmark.serving.load.records import RequestRecord
from wattmark.serving.load.usage import input_counts
from wattmark.serving.load.wire.body import loads
from wattmark.serving.load.wire.endpoints import Endpoint
from wattmark.serving.prompts.media import wav_seconds

PCM_BYTES_PER_S = 48_000
"""OpenAI's ``pcm``: 24 kHz, 16 bits, one channel (API reference, createSpeech)."""
LISTS: dict[Endpoint, tuple[str, ...]] = {"embeddings": ("data", "embeddings"), "rerank": ("results", "data")}
MP3_KBIT = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Layer III, by MPEG version bits: 3 is MPEG-1; MPEG-2 and 2.5 share the second row (ISO 11172-3 and 13818-3)."""


def read_answer(endpoint: Endpoint, record: RequestRecord, data: bytes, kind: str) -> None:
    """Take an answer into the record. kind: its content type."""
    if endpoint == "speech":
        _speech(record, data, kind)
        return
    document: Any = (
        loads(data)
        if endpoint != "transcriptions" or data[:1] == b"{"
        else {"text": data.decode("utf-8", "replace")}
    )
    if isinstance(document, dict):
        named = cast("dict[str, Any]", document)
        usage: Any = named.get("usage") or _meta(named)
        if usage:
            input_counts(record, usage)
    if endpoint == "transcriptions":
        text: Any = document.get("text") if isinstance(document, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(text, str):
            raise ValueError("no text in it")
        record.text, record.text_size, record.choices = text, len(text), 1
        duration: Any = document.get("duration") if isinstance(document, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if record.audio_s is None and isinstance(duration, (int, float)) and duration > 0:
            record.audio_s = float(duration)
        return
    found = _listed(document, LISTS[endpoint])
    if not found:
        raise ValueError(
            "nothing in it that is a vector" if endpoint == "embeddings" else "no documents in it"
        )
    if endpoint == "embeddings" and record.inputs is not None and len(found) != record.inputs:
        raise ValueError(f"{len(found)} vectors for {record.inputs} inputs")
    record.choices = len(found)


def _listed(document: Any, names: tuple[str, ...]) -> list[Any]:
    if isinstance(document, list):
        return cast("list[Any]", document)
    named = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    for name in names:
        if isinstance(named.get(name), list):
            return cast("list[Any]", named[name])
    return []


def _meta(document: dict[str, Any]) -> Any:
    """Cohere: ``meta.tokens.input_tokens`` or ``meta.billed_units``."""
    meta: Any = document.get("meta")
    named = cast("dict[str, Any]", meta) if isinstance(meta, dict) else {}
    return named.get("tokens") or named.get("billed_units")


def _speech(record: RequestRecord, data: bytes, kind: str) -> None:
    if not data:
        raise ValueError("no sound in it")
    if data[:1] in b"{[" and "json" in kind:
        raise ValueError(f"no sound: {data[:200].decode('utf-8', 'replace')}")
    record.choices = 1
    record.audio_s = wav_seconds(data, len(data))
    if record.audio_s is None and ("pcm" in kind or "l16" in kind.lower()):
        record.audio_s = len(data) / PCM_BYTES_PER_S
    if record.audio_s is None:
        record.audio_s = _mp3_seconds(data)


def _mp3_seconds(data: bytes) -> float | None:
    """The length of an MP3 of one bit rate by its first frame; None if it is none."""
    at = 0
    if data[:3] == b"ID3" and len(data) > 10:
        at = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])
    frame = data[at : at + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return None
    rates = MP3_KBIT[3 if frame[1] >> 3 & 3 == 3 else 2]
    place = frame[2] >> 4
    return (len(data) - at) * 8 / (rates[place] * 1_000) if 0 < place < len(rates) else None
