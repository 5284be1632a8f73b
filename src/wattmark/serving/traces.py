"""Recorded load of real services, to be replayed: arrival times and lengths (the texts are not public; ours are made up).

Formats: Azure LLM inference traces 2023 and 2024 (CSV ``TIMESTAMP,ContextTokens,GeneratedTokens``; Azure/
AzurePublicDataset, CC-BY), BurstGPT (CSV with ``Timestamp`` in s, ``Request tokens``, ``Response tokens``; arXiv
2401.17644, CC-BY 4.0), Mooncake (JSON lines with ``timestamp`` in ms, ``input_length``, ``output_length`` and
``hash_ids`` of blocks of 512 tokens; arXiv 2407.00079).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from wattmark.errors import ImportFileError
from wattmark.serving.arrivals import Replay
from wattmark.serving.workload import Conversation, Turn
from wattmark.serving.workload_synthetic import Filler, Pool

MOONCAKE_BLOCK = 512
"""Tokens of one hashed block (Mooncake, FAST25-release/README.md)."""


class Row(NamedTuple):
    """One request of a trace: seconds, tokens in and out, and the hashes of its blocks where they are known."""

    time_s: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in memory, in the order of time. skipped: rows without tokens (failed requests in BurstGPT)."""

    name: str
    rows: tuple[Row, ...]
    skipped: int

    def arrivals(self, speed: float = 1.0) -> Replay:
        """The arrival times, ``speed`` times as fast."""
        return Replay(tuple(row.time_s for row in self.rows), speed, self.name)

    def workload(
        self, *, filler: Filler | None = None, most_tokens: int | None = None, seed: int = 0
    ) -> TraceWorkload:
        """Made-up prompts of the trace's lengths; what shared blocks there shares text here.

        most_tokens: longer inputs and outputs are cut to this (a small server's context).
        """
        return TraceWorkload(self, filler or Filler(), most_tokens, seed)


@dataclass(frozen=True, slots=True)
class TraceWorkload:
    """See :meth:`Trace.workload`."""

    trace: Trace
    filler: Filler = field(default_factory=Filler)
    most_tokens: int | None = None
    seed: int = 0

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """Every ``parts``-th request as a conversation of one turn."""
        pool = Pool(self.filler.units, self.seed)
        for index in range(part, len(self.trace.rows), parts):
            row = self.trace.rows[index]
            given, made = self._cut(row.input_tokens), self._cut(row.output_tokens)
            yield Conversation(index, (Turn(self._text(row, given, index, pool), None, given, made),))

    def describe(self) -> str:
        """One phrase for people."""
        cut = f", at most {self.most_tokens} tokens" if self.most_tokens else ""
        return f"lengths of {self.trace.name}{cut}"

    def _cut(self, tokens: int) -> int:
        return tokens if self.most_tokens is None else min(tokens, self.most_tokens)

    def _text(self, row: Row, tokens: int, index: int, pool: Pool) -> str:
        units = self.filler.units_for(tokens)
        if not row.blocks:
            return pool.text(index * 7_919, units)
        block = round(MOONCAKE_BLOCK / self.filler.tokens_per_unit)
        parts: list[str] = []
        for name in row.blocks:
            size = min(block, units)
            parts.append(pool.text(name * 7_919, size))
            units -= size
        return "".join(parts) + (pool.text(index * 7_919, units) if units else "")


def read_trace(path: str | Path, *, most_rows: int | None = None) -> Trace:
    """Read a trace of any of the known formats, told by its first line.

    Raises ImportFileError with the line's number if one is not as it should be.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            rows, skipped = _take(_parse(path, first, file), most_rows)
    except (OSError, UnicodeDecodeError) as error:
        raise ImportFileError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise ImportFileError(f"{path} holds no request with tokens")
    rows.sort(key=lambda row: row.time_s)
    return Trace(path.name, tuple(rows), skipped)


def _parse(path: Path, first: str, file: Iterator[str]) -> Iterator[Row]:
    if first.lstrip().startswith("{"):
        parse = _mooncake(file)
    elif "ContextTokens" in first:
        parse = (_azure(row) for row in csv.DictReader(file))
    elif "Request tokens" in first:
        parse = (_burstgpt(row) for row in csv.DictReader(file))
    else:
        raise ImportFileError(
            f"{path} is no trace that is known here",
            hint="Azure LLM inference or BurstGPT CSV, or Mooncake JSON lines",
        )
    number = 0
    try:
        for number, row in enumerate(parse, 1):  # noqa: B007 (the number is for the message)
            yield row
    except (ValueError, KeyError, TypeError) as error:
        raise ImportFileError(f"{path}: request {number + 1} is not as in its format ({error})") from error


def _take(rows: Iterator[Row], most: int | None) -> tuple[list[Row], int]:
    kept: list[Row] = []
    skipped = 0
    for row in rows:
        if most is not None and len(kept) >= most:
            break
        if row.input_tokens > 0 and row.output_tokens > 0:
            kept.append(row)
        else:
            skipped += 1
    return kept, skipped


def _azure(row: dict[str, str]) -> Row:
    return Row(_azure_time(row["TIMESTAMP"]), int(row["ContextTokens"]), int(row["GeneratedTokens"]))


def _azure_time(text: str) -> float:
    """``2023-11-16 18:15:46.6805900`` (seven decimals) and ``2024-05-10 00:00:00.009930+00:00``, as seconds."""
    whole, _, rest = text.strip().removesuffix("+00:00").partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.timestamp() + (float(f"0.{rest}") if rest else 0.0)


def _burstgpt(row: dict[str, str]) -> Row:
    return Row(float(row["Timestamp"]), int(float(row["Request tokens"])), int(float(row["Response tokens"])))


def _mooncake(file: Iterator[str]) -> Iterator[Row]:
    for line in file:
        if line.strip():
            row = json.loads(line)
            blocks = tuple(int(block) for block in row.get("hash_ids", ()))
            yield Row(
                float(row["timestamp"]) / 1e3, int(row["input_length"]), int(row["output_length"]), blocks
            )
