"""Recorded load of real services, to be replayed: arrival times and lengths (the texts are not public; ours are made up).

Formats: Azure LLM inference traces 2023 and 2024 (CSV ``TIMESTAMP,ContextTokens,GeneratedTokens``; Azure/
AzurePublicDataset, CC-BY), BurstGPT (CSV with ``Timestamp`` in s, ``Request tokens``, ``Response tokens``; arXiv
2401.17644, CC-BY 4.0), Mooncake (JSON lines with ``timestamp`` in ms, ``input_length``, ``output_length`` and
``hash_ids`` of blocks of 512 tokens; arXiv 2407.00079), also with ``session_id`` and ``delay`` in ms as AIPerf has them
(docs.nvidia.com/aiperf, "Trace Replay with Mooncake Traces"): lines of one session are the turns of one conversation, and
``text_input`` is sent as it is. Of a row only its tokens in (or a text) are needed: without times requests come as the
load says, without ``output_length`` answers are as long as the load says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple, cast

from wattmark.errors import ImportFileError
from wattmark.serving.load.arrivals import Replay
from wattmark.serving.prompts.base import Conversation, Lengths, Turn
from wattmark.serving.prompts.rows import Skipped, rows_of
from wattmark.serving.prompts.synthetic import Filler, Texts

MOONCAKE_BLOCK = 512
"""Tokens of one hashed block (Mooncake, FAST25-release/README.md)."""
MOST_TOKENS = 10_000_000
"""No request has more; a larger number is a damaged line, and text of that length would fill the memory."""


class Row(NamedTuple):
    """One request of a trace: seconds, tokens in and out, and the hashes of its blocks; None where it is not told.

    session: turns of one conversation have the same. delay_s: pause after the answer before. text: what was asked, if the
    trace tells it.
    """

    time_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    blocks: tuple[int, ...] = ()
    session: str | None = None
    delay_s: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in memory, in the order of time. skipped: rows without tokens (failed requests in BurstGPT). notes: rows
    that could not be read, for people."""

    name: str
    rows: tuple[Row, ...]
    skipped: int
    notes: tuple[str, ...] = ()

    @property
    def talks(self) -> list[tuple[Row, ...]]:
        """The conversations: rows of one session together, in their order; all others one by one. By their start."""
        by_session: dict[object, list[Row]] = {}
        for index, row in enumerate(self.rows):
            by_session.setdefault(index if row.session is None else row.session, []).append(row)
        return [tuple(rows) for rows in by_session.values()]

    @property
    def timed(self) -> bool:
        """Whether it tells when every conversation began."""
        return all(talk[0].time_s is not None for talk in self.talks)

    def arrivals(self, speed: float = 1.0) -> Replay:
        """When conversations begin, ``speed`` times as fast. Later turns wait for the answer before, and their delay.
        Raises ImportFileError if it tells no times."""
        times = tuple(talk[0].time_s for talk in self.talks if talk[0].time_s is not None)
        if not self.timed:
            raise ImportFileError(
                f"{self.name} does not tell when requests came", hint="say how they come, as --rate 2"
            )
        return Replay(times, speed, self.name)

    def workload(
        self,
        *,
        filler: Filler | None = None,
        most_tokens: int | None = None,
        seed: int = 0,
        output: Lengths | None = None,
    ) -> TraceWorkload:
        """Made-up prompts of the trace's lengths; what shared blocks there shares text here.

        most_tokens: longer inputs and outputs are cut to this (a small server's context). output: of answers whose length
        the trace does not tell (None: the model ends by itself).
        """
        return TraceWorkload(self, filler or Filler(), most_tokens, seed, output=output)


@dataclass(frozen=True, slots=True)
class TraceWorkload:
    """See :meth:`Trace.workload`."""

    trace: Trace
    filler: Filler = field(default_factory=Filler)
    most_tokens: int | None = None
    seed: int = 0
    text_seed: int | None = None
    output: Lengths | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Rows that were left out."""
        return self.trace.notes

    def with_text_seed(self, seed: int) -> TraceWorkload:
        """The same lengths in the same order, other texts."""
        return replace(self, text_seed=seed)

    def with_filler(self, filler: Filler) -> TraceWorkload:
        """The same with text of these units."""
        return replace(self, filler=filler)

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
        made = row.output_tokens
        if made is None and self.output is not None:
            made = self.output.draw(random.Random(self.seed * 1_000_003 + index * 8_191 + at))
        made = None if made is None else self._cut(made)
        given = None if row.input_tokens is None else self._cut(row.input_tokens)
        text = row.text or self._text(row, given or 1, index + at * 104_729, texts)
        if at == 0:
            return Turn(text, None, given, made)
        before = rows[at - 1].time_s
        pause_s = 0.0 if row.time_s is None or before is None else row.time_s - before
        pause_s = pause_s if row.delay_s is None else row.delay_s
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
    """Read a trace of any of the known formats, packed or not.

    A row that is not as it should be is left out and named in the trace's notes. Raises ImportFileError if none is.
    """
    skipped = Skipped()
    return trace_of(rows_of(Path(path), skipped), Path(path).name, skipped, most_rows=most_rows)


def trace_of(
    rows: Iterable[tuple[str, Any]], name: str, bad: Skipped, *, most_rows: int | None = None
) -> Trace:
    """The trace in rows that were read already. Raises ImportFileError if there is none in them."""
    usable: list[Row] = []
    skipped, known = 0, False
    for where, data in rows:
        if most_rows is not None and len(usable) >= most_rows:
            break
        known = known or is_trace_row(data)
        try:
            row = _row(data)
        except (ValueError, TypeError, OverflowError) as error:
            bad.add(where, f"not as in its format ({error})")
        except KeyError as error:
            bad.add(where, f"there is no {error.args[0]}")
        else:
            if row.input_tokens == 0 or row.output_tokens == 0:
                skipped += 1
            else:
                usable.append(row)
    if not usable:
        why = f" ({bad.first[0]})" if bad.first else ""
        if not known and bad.first:
            raise ImportFileError(
                f"{name} is no trace that is known here{why}",
                hint="Azure LLM inference or BurstGPT CSV, or Mooncake JSON lines",
            )
        raise ImportFileError(f"{name} holds no request with tokens{why}")
    note = bad.note(name, len(usable))
    return Trace(name, tuple(_in_order(usable)), skipped, () if note is None else (note,))


def is_trace_row(data: Any) -> bool:
    """Whether a row tells of a request's lengths in one of the known formats, and so belongs to a trace."""
    if not isinstance(data, dict):
        return False
    names = {_plain(name) for name in cast("dict[Any, Any]", data)}
    return bool(names & {"contexttokens", "requesttokens", "inputlength", "textinput"}) and not names & {
        "prompt",
        "messages",
    }


def _plain(name: object) -> str:
    return "".join(sign for sign in str(name).lower() if sign.isalnum())


def _in_order(rows: list[Row]) -> list[Row]:
    """By time; the turns of a session stay in their order and go with its first. Rows without a time stay where they are."""
    if all(row.time_s is None for row in rows):
        return rows
    begun: dict[str, float] = {}
    last_s, keys = 0.0, list[float]()
    for row in rows:
        last_s = last_s if row.time_s is None else row.time_s
        keys.append(last_s if row.session is None else begun.setdefault(row.session, last_s))
    return [row for _, row in sorted(zip(keys, rows, strict=True), key=lambda pair: pair[0])]


def _row(data: Any) -> Row:
    if not isinstance(data, dict):
        raise TypeError("no JSON object")
    row = cast("dict[Any, Any]", data)
    named = {_plain(name): value for name, value in row.items()}
    if "contexttokens" in named or ("generatedtokens" in named and "timestamp" in named):
        return Row(
            _moment(named.get("timestamp")),
            _needed(named, "ContextTokens"),
            _needed(named, "GeneratedTokens"),
        )
    if "requesttokens" in named or "responsetokens" in named:
        return Row(
            _moment(named.get("timestamp")),
            _needed(named, "Request tokens"),
            _needed(named, "Response tokens"),
        )
    return _mooncake(named)


def _moment(value: Any) -> float | None:
    """Seconds: a number of them, or ``2023-11-16 18:15:46.6805900`` (seven decimals, or with a zone)."""
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    if ":" not in text:
        return _number(text, "Timestamp")
    text = text.replace("T", " ").removesuffix("Z").removesuffix("+00:00")
    whole, _, rest = text.partition(".")
    moment = datetime.strptime(whole.strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.timestamp() + (float(f"0.{rest}") if rest else 0.0)


def _mooncake(row: Mapping[str, Any]) -> Row:
    session, delay, time_ms = row.get("sessionid"), row.get("delay"), row.get("timestamp")
    text: Any = row.get("textinput")
    if not isinstance(text, str) or not text.strip():
        text = ""
    if not text and row.get("inputlength") is None:
        raise KeyError("input_length")
    blocks: Any = row.get("hashids") or ()
    return Row(
        None if time_ms is None else _number(time_ms, "timestamp") / 1e3,
        _tokens(row, "input_length"),
        _tokens(row, "output_length"),
        tuple(int(block) for block in blocks),
        None if session is None else str(session),
        None if delay is None else max(0.0, _number(delay, "delay") / 1e3),
        text,
    )


def _number(value: Any, name: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value}")
    return number


def _tokens(row: Mapping[str, Any], name: str) -> int | None:
    """Tokens of a column; None where there is nothing in it."""
    value = row.get(_plain(name))
    if value is None or value == "":
        return None
    number = _number(value, name)
    if number != int(number) or not 0 <= number <= MOST_TOKENS:
        raise ValueError(f"{name} is {value}, no number of tokens")
    return int(number)


def _needed(row: Mapping[str, Any], name: str) -> int:
    tokens = _tokens(row, name)
    if tokens is None:
        raise KeyError(name)
    return tokens
