"""What the importers share: the text of a file, its rows with their line numbers, numbers with ceilings, and the result."""

from __future__ import annotations

import csv
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, overload

from wattmark.errors import ImportFileError
from wattmark.runs.record import RunRecord

MOST_BYTES = 512 * 2**20
"""Of a file, unpacked: two months of a log once a second."""
_MOST_RATIO, _RATIO_FROM_BYTES = 250, 32 * 2**20
"""Logs pack at most some 50 to 1; what unpacks to far more is no log."""
MOST_KWH = 2.5e6
"""Of one run: what int64 holds in microjoules (2.56 GWh), twice the training of GPT-3 (1,287 MWh, arXiv:2104.10350)."""
MOST_RUN_W = 1e8
"""Mean power of a run: no single data centre of today feeds one with more than 100 MW."""
MOST_DEVICE_W = 2e4
"""Power of one device: a whole node of eight GPUs draws 10 to 15 kW (NVIDIA DGX H100 and B200 data sheets)."""
MOST_SECONDS = 3.2e8
"""Ten years."""

HEADER_ROWS = 50
"""A header, or what the columns are, is looked for in this many rows."""

_PIECE_BYTES = 2**20
_NUMBER = re.compile(r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,4})?)\s*([A-Za-zµμ%°]*)")
_ABSENT = frozenset(("", "-", "nan", "none", "null", "n/a", "na", "not supported", "unknown error", "err!"))
_LINE_END = re.compile(r"\r\n|\n|\r")
_QUOTED_LINES = 20
"""A quoted cell may span this many lines; a quote that is not closed by then is a stray one."""


class UnreadableCell(ValueError):
    """A cell that is not what its column says; the text says why. Importers turn it into a :class:`Problem`."""


class Problem(NamedTuple):
    """Something in a file that was left out: the line (None where the format has none) and why."""

    line: int | None
    reason: str

    def __str__(self) -> str:
        return self.reason if self.line is None else f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Reading(Sequence[RunRecord]):
    """The runs in a file, and what of it could not be read."""

    format: str
    runs: tuple[RunRecord, ...]
    problems: tuple[Problem, ...] = ()

    @overload
    def __getitem__(self, index: int) -> RunRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RunRecord]: ...
    def __getitem__(self, index: int | slice) -> RunRecord | Sequence[RunRecord]:
        return self.runs[index]

    def __len__(self) -> int:
        return len(self.runs)


class Row(NamedTuple):
    """One row of a CSV file and the line on which it begins."""

    line: int
    cells: list[str]


class TextFile(NamedTuple):
    """A file's name and its text."""

    path: str
    text: str

    def lines(self) -> list[str]:
        """The lines without their ends; the last one may have been cut off."""
        return _LINE_END.split(self.text)

    def rows(self, delimiter: str = ",") -> Iterator[Row]:
        """The rows that are not empty, cells stripped. A quote that is never closed spoils its line, not the file."""
        lines = self.lines()
        number = 0
        while number < len(lines):
            line, height = lines[number], 1
            if line.strip():
                if '"' not in line:
                    cells = line.split(delimiter)
                else:
                    cells, height = _quoted(lines[number : number + _QUOTED_LINES], delimiter)
                yield Row(number + 1, [cell.strip() for cell in cells])
            number += height

    def delimiter(self) -> str:
        """The sign that cuts the first lines into most cells: a comma, a semicolon or a tab."""
        first = [line for line in self.text[:8_192].splitlines() if line.strip()][:20]
        # A decimal comma is one within a cell: "100,5 W; 3 %" has its cells between semicolons.
        often = [sign for sign in ";\t" if 2 * sum(sign in line for line in first) > len(first)]
        return next(iter(often), ",")

    def beginning(self) -> list[Row]:
        """The rows in which a header is looked for."""
        return list(islice(self.rows(self.delimiter()), HEADER_ROWS))

    def error(self, line: int, message: str, hint: str | None = None) -> ImportFileError:
        """An ImportFileError that names the file and the line."""
        return ImportFileError(f"{self.path}, line {line}: {message}", hint=hint)


def number(text: str, most: float = math.inf, *, unit: str | None = None) -> tuple[float, str] | None:
    """(value, unit) of ``119.17 W``, ``119,17`` or ``119.17``; None where the cell says that there is no value.

    Any text in brackets says so, as ``[N/A]`` and ``[Unknown Error]``. Raises UnreadableCell for other text, and for a
    value that is not finite or whose size is beyond ``most``. ``unit``: what the value is, for the message.
    """
    if text.strip("[]").lower() in _ABSENT or (text.startswith("[") and text.endswith("]")):
        return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnreadableCell(f"{shortened(text)} is no number")
    value = float(match[1].replace(",", "."))
    if not (math.isfinite(value) and abs(value) <= most):
        raise UnreadableCell(f"{shortened(text)} is beyond all bounds" + (f" for {unit}" if unit else ""))
    return value, match[2]


def amount(text: str, most: float, name: str) -> float | None:
    """A number that is not negative; None where there is none. Raises UnreadableCell with the column's name."""
    try:
        reading = number(text, most)
    except UnreadableCell as error:
        raise UnreadableCell(f"{error} ({name})") from None
    if reading is None:
        return None
    if reading[0] < 0:
        raise UnreadableCell(f"{name} is negative")
    return reading[0]


def shortened(text: object) -> str:
    """A cell for a message: quoted, at most 60 characters of it."""
    return repr(str(text)[:60])


def read(path: str) -> TextFile:
    """The text of a file, gunzipped if need be; UTF-8, or UTF-16 with its mark (PowerShell's ``>``).

    Raises ImportFileError for a file that cannot be read, is damaged, or is larger than :data:`MOST_BYTES`.
    """
    try:
        with open(path, "rb") as file:
            pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
            data = b"".join(islice(pieces, MOST_BYTES // _PIECE_BYTES + 1))
    except OSError as error:
        raise ImportFileError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise ImportFileError(f"cannot read {path!r}: {error}") from error
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(path, data)
    if len(data) > MOST_BYTES:
        raise _too_large(path)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return TextFile(path, data.decode(encoding, "replace"))


def _unpacked(path: str, packed: bytes) -> bytes:
    """What gzip packed, piece by piece, so that a few bytes cannot fill the memory."""
    parts: list[bytes] = []
    size, rest = 0, packed
    try:
        while rest[:2] == b"\x1f\x8b":
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            while not member.eof:
                part = member.decompress(rest, _PIECE_BYTES)
                rest = member.unused_data if member.eof else member.unconsumed_tail
                if not part and not member.eof and not rest:
                    raise ImportFileError(
                        f"cannot read {path}: its compressed data is damaged (it ends too early)"
                    )
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES or (size > _RATIO_FROM_BYTES and size > _MOST_RATIO * len(packed)):
                    raise _too_large(path)
            rest = rest.lstrip(b"\0")  # gzip pads with zeros
    except zlib.error as error:
        raise ImportFileError(f"cannot read {path}: its compressed data is damaged ({error})") from error
    return b"".join(parts)


def _too_large(path: str) -> ImportFileError:
    return ImportFileError(
        f"cannot read {path}: it holds more than {MOST_BYTES // 2**20} MB, or unpacks to {_MOST_RATIO} times its size",
        hint="cut it into several files",
    )


def _quoted(lines: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    """The cells of the row that begins with the first of ``lines``, and the number of its lines."""
    quotes = 0
    for height, line in enumerate(lines, 1):
        quotes += line.count('"')
        if quotes % 2 == 0:
            try:
                text = [part + "\n" for part in lines[:height]]
                rows = list(csv.reader(text, skipinitialspace=True, delimiter=delimiter))
            except csv.Error:
                break
            if len(rows) == 1:
                return rows[0], height
            break
    return lines[0].split(delimiter), 1
