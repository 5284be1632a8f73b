"""The type of a file from its bytes (Magika): files that are written or found here."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
import sysconfig
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import Answer, ModelEntry, ModelFacts, Score, Settings, Task
from wattmark.workloads.tasks.data.texts import documents
from wattmark.workloads.tasks.scoring import share
from wattmark.workloads.tasks.weights import PACKAGES, need_module, need_package

MAGIKA = "magika"
_MODULES = (
    "argparse",
    "ast",
    "bisect",
    "calendar",
    "configparser",
    "copy",
    "csv",
    "datetime",
    "difflib",
    "enum",
)
"""Files of the standard library, as Python sources."""


class _Output(Protocol):
    label: str


class _Result(Protocol):
    output: _Output


class _Magika(Protocol):
    def identify_bytes(self, content: bytes) -> _Result: ...


class FileTypes:
    """Magika's standard model."""

    def __init__(self, settings: Settings) -> None:
        del settings  # its session is its own
        need_module("onnxruntime", extra="vision")
        folder = need_package(MAGIKA)
        self._model = cast("_Magika", import_module("magika").Magika())
        self.facts = ModelFacts(None, (folder / next(iter(PACKAGES[MAGIKA].files))).stat().st_size)

    def infer(self, inputs: Sequence[bytes]) -> list[Answer[str]]:
        """The label of each file."""
        if not all(inputs):
            raise ConfigError("a file is empty", hint="a file without bytes has no type")
        return [Answer(str(self._model.identify_bytes(data).output.label), len(data), 1) for data in inputs]

    def close(self) -> None:
        """Nothing to give back."""


@cache
def files() -> tuple[tuple[bytes, str], ...]:
    """Files with their type, as Magika calls it."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    found = [((stdlib / f"{name}.py").read_bytes(), "python") for name in _MODULES]
    for document in documents():
        found += [
            (_json(document.title, document.sentences), "json"),
            (_csv(document.sentences), "csv"),
            (_html(document.title, document.sentences), "html"),
            (gzip.compress(document.text.encode(), mtime=0), "gzip"),
            (_zip(document.title, document.text), "zip"),
        ]
    texts = [document.text.encode() for document in documents()[:5]]
    found += [(_wav(text), "wav") for text in texts]
    found += [(_tar(text), "tar") for text in texts]
    found += [(_png(text), "png") for text in texts]
    found.append((_sqlite(), "sqlite"))
    return tuple(found)


def score(answers: Sequence[str]) -> Score:
    """The share of right types; chance: the commonest type, each time."""
    truths = [label for _, label in files()[: len(answers)]]
    right = [got == truth for got, truth in zip(answers, truths, strict=True)]
    return share(right, max(truths.count(label) for label in truths) / len(truths))


def _json(title: str, sentences: Sequence[str]) -> bytes:
    rows = [{"id": place, "text": text, "words": len(text.split())} for place, text in enumerate(sentences)]
    return json.dumps({"title": title, "sentences": rows}, indent=2).encode()


def _csv(sentences: Sequence[str]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["id", "words", "letters", "first", "last"])
    for place in range(12):
        words = sentences[place % len(sentences)].split()
        writer.writerow([place, len(words), len("".join(words)), words[0], words[-1]])
    return file.getvalue().encode()


def _html(title: str, sentences: Sequence[str]) -> bytes:
    body = "\n".join(f"    <p class='text'>{text}</p>" for text in sentences)
    head = f"  <head><meta charset='utf-8'><title>{title}</title></head>"
    return f"<!DOCTYPE html>\n<html lang='en'>\n{head}\n  <body>\n{body}\n  </body>\n</html>\n".encode()


def _zip(title: str, text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{title}.txt"), text)
        archive.writestr(zipfile.ZipInfo("README"), f"About the {title}")
    return file.getvalue()


def _tar(text: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("text.txt")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return file.getvalue()


def _wav(text: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8_000)
        sound.writeframes(text * 8)
    return file.getvalue()


def _png(text: bytes) -> bytes:
    """A grey picture of 16 columns (W3C PNG, third edition): a header, compressed rows, an end."""
    rows = len(text) // 16
    data = b"".join(b"\0" + text[row * 16 : row * 16 + 16] for row in range(rows))
    header = (16).to_bytes(4, "big") + rows.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        for kind, body in chunks
    )


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table sentences (id integer primary key, text text)")
        connection.executemany(
            "insert into sentences (text) values (?)",
            [(text,) for one in documents() for text in one.sentences],
        )
        connection.commit()
        return connection.serialize() if hasattr(connection, "serialize") else _MINIMAL_SQLITE


_MINIMAL_SQLITE = b"SQLite format 3\0" + bytes([16, 0, 1, 1, 0, 64, 32, 32]) + bytes(4_072)
"""A header and an empty page, for Pythons (3.10) that cannot give a database as bytes."""


def _inputs() -> Sequence[bytes]:
    return [data for data, _ in files()]


FILE_TYPES: Task[bytes, str] = Task(
    "file-types",
    "Types of files",
    "byte",
    "token",
    _inputs,
    {"magika": ModelEntry(FileTypes, "Magika, its standard model", package=MAGIKA)},
    score,
    "accuracy",
    "always the commonest type",
    "76 files of nine types, written or found here",
)
