"""Recorded load of real services, to be replayed: arrival times and lengths (the texts are not public; ours are made up).

Formats: Azure LLM inference traces 2023 and 2024 (CSV ``TIMESTAMP,ContextTokens,GeneratedTokens``; Azure/
AzurePublicDataset, CC-BY), BurstGPT (CSV with ``Timestamp`` in s, ``Request tokens``, ``Response tokens``; arXiv
2401.17644, CC-BY 4.0), Mooncake (JSON lines with ``timestamp`` in ms, ``input_length``, ``output_length`` and
``hash_ids`` of blocks of 512 tokens; arXiv 2407.00079), also with ``session_id`` and ``delay`` in ms as AIPerf has them
(docs.nvidia.com/aiperf, "Trace Replay with Mooncake Traces"): lines of one session are the turns of one conversation.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple, cast

from wattmark.errors import ImportFileError
from wattmark.serving.load.arrivals import Replay
from wattmark.serving.prompts.base import Conversation, Turn
from wattmark.serving.prompts.synthetic import Filler, Texts

MOONCAKE_BLOCK = 512
"""Tokens of one hashed block (Mooncake, FAST25-release/README.md)."""
MOST_TOKENS = 10_000_000
"""No request has more; a larger number is a damaged line, and text of that length would fill the memory."""


class Row(NamedTuple):
    """One request of a trace: seconds, tokens in and out, and the hashes of its blocks where they are known.

    session: turns of one conversation have the same. delay_s: pause after the answer before (None: not told).
    """

    time_s: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    session: str | None = None
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in memory, in the order of time. skipped: rows without tokens (failed requests in BurstGPT)."""

    name: str
    rows: tuple[Row, ...]
    skipped: int

    @property
    def talks(self) -> list[tuple[Row, ...]]:
        """The conversations: rows of one session together, in their order; all others one by one. By their start."""
        by_session: dict[object, list[Row]] = {}
        for index, row in enumerate(self.rows):
            by_session.setdefault(index if row.session is None else row.session, []).append(row)
        return [tuple(rows) for rows in by_session.values()]

    def arrivals(self, speed: float = 1.0) -> Replay:
        """When conversations begin, ``speed`` times as fast. Later turns wait for the answer before, and their delay."""
        return Replay(tuple(talk[0].time_s for talk in self.talks), speed, self.name)

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
    text_seed: int | None = None

    def with_text_seed(self, seed: int) -> TraceWorkload:
        """The same lengths in the same order, other texts."""
        return replace(self, text_seed=seed)

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """Every ``parts``-th conversation. A later turn's pause is its delay, or else the gap of the time stamps."""
        texts = Texts(self.filler.units, self.seed if self.text_seed is None else self.text_seed)
        talks = self.trace.talks
        for index in range(part, len(talks), parts):
            rows = talks[index]
            turns = tuple(self._turn(rows, at, index, texts) for at in range(len(rows)))
            yield Conversation(index, turns)

    def describe(self) -> str:
        """One phrase for people."""
        cut = f", at most {self.most_tokens} tokens" if self.most_tokens else ""
        return f"lengths of {self.trace.name}{cut}"

    def _cut(self, tokens: int) -> int:
        return tokens if self.most_tokens is None else min(tokens, self.most_tokens)

    def _turn(self, rows: tuple[Row, ...], at: int, index: int, texts: Texts) -> Turn:
        row = rows[at]
        given, made = self._cut(row.input_tokens), self._cut(row.output_tokens)
        text = self._text(row, given, index + at * 104_729, texts)
        if at == 0:
            return Turn(text, None, given, made)
        pause_s = row.time_s - rows[at - 1].time_s if row.delay_s is None else row.delay_s
        return Turn(text, None, None, made, max(0.0, pause_s))  # its input is all that was said, too

    def _text(self, row: Row, tokens: int, index: int, texts: Texts) -> str:
        units = self.filler.units_for(tokens)
        if not row.blocks:
            return texts.text(index, index * 7_919, units)
        block = round(MOONCAKE_BLOCK / self.filler.tokens_per_unit)
        parts: list[str] = []
        for name in row.blocks:
            size = min(block, units)
            parts.append(texts.text(-1 - name, name * 7_919, size))
            units -= size
        return "".join(parts) + (texts.text(index, index * 7_919, units) if units else "")


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
    rows = _in_order(rows)
    return Trace(path.name, tuple(rows), skipped)


def _parse(path: Path, first: str, file: Iterator[str]) -> Iterator[Row]:
    if first.lstrip().startswith("{"):
        lines: Iterator[tuple[int, Any]] = ((n, line) for n, line in enumerate(file, 1) if line.strip())
        read: Callable[[Any], Row] = _mooncake
    elif "ContextTokens" in first or "Request tokens" in first:
        table = csv.DictReader(file)
        lines = ((table.line_num, row) for row in table)
        read = _azure if "ContextTokens" in first else _burstgpt
    else:
        raise ImportFileError(
            f"{path} is no trace that is known here",
            hint="Azure LLM inference or BurstGPT CSV, or Mooncake JSON lines",
        )
    number = 0
    try:
        for number, line in lines:  # noqa: B007 (the number is for the message)
            yield read(line)
    except (ValueError, TypeError, RecursionError) as error:
        raise ImportFileError(f"{path}, line {number}: not as in its format ({error})") from error
    except KeyError as error:
        raise ImportFileError(f"{path}, line {number}: there is no {error.args[0]}") from error
    except csv.Error as error:
        raise ImportFileError(f"{path}, after line {number}: {error}") from error


def _in_order(rows: list[Row]) -> list[Row]:
    """By time; the turns of a session stay in their order and go with its first."""
    begun: dict[str, float] = {}
    for row in rows:
        if row.session is not None:
            begun.setdefault(row.session, row.time_s)
    return sorted(rows, key=lambda row: row.time_s if row.session is None else begun[row.session])


def _take(rows: Iterator[Row], most: int | None) -> tuple[list[Row], int]:
    usable: list[Row] = []
    skipped = 0
    for row in rows:
        if most is not None and len(usable) >= most:
            break
        if row.input_tokens > 0 and row.output_tokens > 0:
            usable.append(row)
        else:
            skipped += 1
    return usable, skipped


def _azure(row: Any) -> Row:
    return Row(
        _azure_time(_cell(row, "TIMESTAMP")), _tokens(row, "ContextTokens"), _tokens(row, "GeneratedTokens")
    )


def _azure_time(text: str) -> float:
    """``2023-11-16 18:15:46.6805900`` (seven decimals) and ``2024-05-10 00:00:00.009930+00:00``, as seconds."""
    whole, _, rest = text.strip().removesuffix("+00:00").partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.timestamp() + (float(f"0.{rest}") if rest else 0.0)


def _burstgpt(row: Any) -> Row:
    time_s = _number(_cell(row, "Timestamp"), "Timestamp")
    return Row(time_s, _tokens(row, "Request tokens"), _tokens(row, "Response tokens"))


def _mooncake(line: Any) -> Row:
    parsed: Any = json.loads(line)
    if not isinstance(parsed, dict):
        raise TypeError("no JSON object")
    row = cast("dict[str, Any]", parsed)
    session, delay = row.get("session_id"), row.get("delay")
    if "timestamp" not in row and session is None:
        raise KeyError("timestamp")
    return Row(
        _number(row.get("timestamp", 0), "timestamp") / 1e3,
        _tokens(row, "input_length"),
        _tokens(row, "output_length"),
        tuple(int(block) for block in row.get("hash_ids") or ()),
        None if session is None else str(session),
        None if delay is None else max(0.0, _number(delay, "delay") / 1e3),
    )


def _cell(row: Mapping[str, Any], name: str) -> Any:
    """What stands in a column. Raises KeyError for lines that end before it, too."""
    value = row.get(name)
    if value is None:
        raise KeyError(name)
    return value


def _number(value: Any, name: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value}")
    return number


def _tokens(row: Mapping[str, Any], name: str) -> int:
    number = _number(_cell(row, name), name)
    if number != int(number) or not 0 <= number <= MOST_TOKENS:
        raise ValueError(f"{name} is {row[name]}, no number of tokens")
    return int(number)
