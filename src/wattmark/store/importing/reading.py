"""What the importers of CSV files share: the text, rows with their line numbers, numbers and time stamps."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

from wattmark.errors import ImportFileError

_STAMP = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[ T](\d{1,2}):(\d{2}):(\d{2})"
    r"(?:[.,](\d{1,9}))?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµ%°]*)")
_ABSENT = frozenset(("", "-", "nan", "none", "n/a", "not supported", "unknown error", "err!"))
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Row(NamedTuple):
    """One row of a CSV file and the line on which it ends."""

    line: int
    cells: list[str]


class TextFile(NamedTuple):
    """A file's name and its text."""

    path: str
    text: str

    def rows(self) -> Iterator[Row]:
        """The rows that are not empty, cells stripped."""
        reader = csv.reader(io.StringIO(self.text, newline=""), skipinitialspace=True)
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield Row(reader.line_num, [cell.strip() for cell in cells])
        except csv.Error as error:
            raise self.error(reader.line_num, f"this is no CSV ({error})") from error

    def header(self) -> list[str]:
        """The cells of the first row."""
        return next(self.rows(), Row(1, [])).cells

    def error(self, line: int, message: str, hint: str | None = None) -> ImportFileError:
        """An ImportFileError that names the file and the line."""
        return ImportFileError(f"{self.path}, line {line}: {message}", hint=hint)

    def moment_ns(self, row: Row, text: str, zone: tzinfo) -> int:
        """Nanoseconds since the Unix epoch of a stamp such as ``2022/12/06 03:12:27.123`` or ISO 8601."""
        match = _STAMP.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            *date, fraction, offset = match.groups()
            year, month, day, hour, minute, second = (int(part) for part in date)
            moment = datetime(year, month, day, hour, minute, second, tzinfo=_zone(offset) or zone)
        except ValueError as error:
            raise self.error(row.line, f"{text[:60]!r} is no date and time") from error
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
        return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))

    def number(self, row: Row, text: str) -> tuple[float, str] | None:
        """(value, unit) of ``119.17 W`` or ``119.17``; None where the cell says that there is no value."""
        if text.strip("[]").lower() in _ABSENT:
            return None
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise self.error(row.line, f"{text[:60]!r} is no number")
        return float(match[1]), match[2]


def read(path: str) -> TextFile:
    """The text of a file, gunzipped if need be; UTF-8, or UTF-16 with its mark (PowerShell's ``>``)."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except OSError as error:
        raise ImportFileError(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise ImportFileError(f"cannot read {path}: its compressed data is damaged ({error})") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return TextFile(path, data.decode(encoding, "replace"))


def _zone(offset: str | None) -> tzinfo | None:
    if not offset:
        return None
    if offset == "Z":
        return timezone.utc
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:])))
