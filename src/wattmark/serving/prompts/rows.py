"""Rows of a file of prompts or of a trace: JSON lines, a JSON list, CSV, Parquet, plain lines; packed or not.

A row that cannot be read is left out and named; the others are given. Nothing is said of what is in a row.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from wattmark.errors import ImportFileError, MissingExtra

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
TABLES = {".csv": ",", ".tsv": "\t"}
LISTS = ("data", "rows", "prompts", "requests", "conversations", "examples")
"""Where a JSON object of a whole file may have its rows."""
LARGEST_CELL = 1 << 27


class Skipped:
    """Rows that were left out: how many, and what is wrong with the first few."""

    MOST_KEPT = 5

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, where: str, why: object) -> None:
        """One more; ``where`` as ``line 17``."""
        self.count += 1
        if len(self.first) < self.MOST_KEPT:
            self.first.append(f"{where}: {why}")

    def note(self, name: str, good: int) -> str | None:
        """A sentence for people; None if nothing was left out."""
        if not self.count:
            return None
        more = f"; {self.first[1]}" if len(self.first) > 1 else ""
        return f"{self.count} of {good + self.count} rows of {name} were left out ({self.first[0]}{more})"


def rows_of(path: Path, skipped: Skipped) -> Iterator[tuple[str, Any]]:
    """Where a row is (``line 3``, ``row 3``) and what is in it: strings, mappings, or whatever JSON has.

    Raises ImportFileError for a file that cannot be read at all, or whose form is not known.
    """
    try:
        data = _unpacked(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ImportFileError(f"{path} cannot be read: {error}") from error
    if data.startswith(PARQUET):
        yield from _parquet(path)
        return
    text = data.decode("utf-16" if data[:2] in UTF16 else "utf-8-sig", "replace")
    start = text.lstrip()[:1]
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in TABLES or (
        suffix not in (".json", ".jsonl", ".ndjson") and start not in '[{"' and _table(text)
    ):
        yield from _cells(text, TABLES.get(suffix) or _table(text) or ",", skipped)
    elif suffix == ".txt" and start not in "[{":
        yield from ((f"line {number}", line) for number, line in _lines(text))
    elif start == "[":
        yield from _listed(text, skipped)
    elif start == "{" and (whole := _alone(text)) is not None:
        yield from _inside(whole)
    else:
        yield from _json_lines(text, skipped)


def sendable(data: Any) -> Any:
    """The same without lone surrogates, which JSON files may hold and UTF-8 cannot."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode("utf-8", "replace"))
    return data


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(GZIP) else data


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(), which also ends lines at U+2028 and the like, which may stand in JSON strings.
    return ((number, line.strip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _json_lines(text: str, skipped: Skipped) -> Iterator[tuple[str, Any]]:
    for number, line in _lines(text):
        try:
            yield f"line {number}", sendable(json.loads(line))
        except (ValueError, RecursionError) as error:
            skipped.add(f"line {number}", f"not JSON ({_why(error)})")


def _alone(text: str) -> dict[str, Any] | None:
    """The object, if the text is one and nothing else; None for lines of objects, whole or torn."""
    begin = _past(text, 0, " \t\r\n")
    try:
        whole, end = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None
    return sendable(whole) if _past(text, end, " \t\r\n") == len(text) else None


def _inside(whole: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """One object as a file: the list of rows in it, or a row by itself."""
    for name in LISTS:
        rows: Any = whole.get(name)
        if isinstance(rows, list) and not (name == "conversations" and _is_said(cast("list[Any]", rows))):
            yield from ((f"row {number}", row) for number, row in enumerate(cast("list[Any]", rows), 1))
            return
    yield "line 1", whole


def _is_said(rows: list[Any]) -> bool:
    """Whether these are the turns of one conversation, and not conversations."""
    return all(isinstance(row, dict) and ("from" in row or "role" in row) for row in rows)


def _listed(text: str, skipped: Skipped) -> Iterator[tuple[str, Any]]:
    """The elements of a JSON list, one by one: past a damaged one at the next line that begins as the first did."""
    decoder = json.JSONDecoder()
    at, number = text.index("[") + 1, 0
    while True:
        at = _past(text, at, " \t\r\n,")
        if at >= len(text) or text[at] == "]":
            return
        number += 1
        try:
            row, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            skipped.add(f"row {number}", f"not JSON ({_why(error)})")
            following = text.find("\n{", at) if text.rfind("\n", 0, at) == at - 1 else text.find("\n", at)
            if following < 0:
                return
            at = following + 1
            continue
        yield f"row {number}", sendable(row)


def _why(error: Exception) -> str:
    """Without a place, which would be that within the row."""
    return (
        error.msg.lower().removesuffix(" starting at")
        if isinstance(error, json.JSONDecodeError)
        else str(error)
    )


def _past(text: str, at: int, signs: str) -> int:
    while at < len(text) and text[at] in signs:
        at += 1
    return at


def _table(text: str) -> str | None:
    """What parts the columns of a table with a head; None if the text is none."""
    head = next((line for _, line in _lines(text)), "")
    return next((sign for sign in ",\t;" if sign in head), None)


def _cells(text: str, sign: str, skipped: Skipped) -> Iterator[tuple[str, Any]]:
    csv.field_size_limit(min(LARGEST_CELL, sys.maxsize))
    reader = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=sign)
    head: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            skipped.add(f"line {reader.line_num}", error)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if head is None:
            head = [cell.strip() for cell in cells]
            continue
        yield f"line {reader.line_num}", dict(zip(head, cells, strict=False))


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "pandas") from error
    try:
        rows: Iterable[Mapping[str, Any]] = parquet.read_table(str(path)).to_pylist()
    except (OSError, ValueError) as error:
        raise ImportFileError(f"{path} cannot be read: {error}") from error
    yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))
