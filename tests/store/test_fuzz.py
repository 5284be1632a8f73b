"""Journals that nobody wrote, again and again; ``LOOP_SECONDS=600`` makes the loop last that long."""

from __future__ import annotations

import os
import random
import time
import warnings
from pathlib import Path

import pytest

from wattmark.recorder import journal
from wattmark.recorder.events import EventLog
from wattmark.recorder.journal import SegmentWriter
from wattmark.runs.view import RunView
from wattmark.store import open_store
from wattmark.store.ingest import ingest_leftovers, recover

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SECONDS = float(os.environ.get("LOOP_SECONDS", "4"))
ODD = [
    b"", b"0", b"-1", b"1e308", b"-1e308", b"1e999", b"nan", b"inf", b"9" * 40, b"true", b"null", b"[]", b"{}", b'"', b",",
    b";", b"\n", b"\r", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"2024-02-30 25:61:61", b"0001-01-01T00:00:00Z",
    b"9999-12-31 23:59:59", b"[Unknown Error]", b"N/A", b"=1+1", "٣".encode(), "½".encode(),
]  # fmt: skip


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A few bytes changed, lost, doubled, swapped, or taken from another input."""
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice([0, 1, 2, 8, 40]))
        kind = chance.randrange(6)
        if kind == 0:
            data = data[:at] + chance.choice(ODD) + data[end:]
        elif kind == 1:
            data = data[:at] + bytes([chance.randrange(256)]) + data[end:]
        elif kind == 2:
            data = data[:at] + data[end:]
        elif kind == 3:
            data = data[:at] + data[at:end] * 2 + data[end:]
        elif kind == 4:
            other = chance.choice(others)
            cut = chance.randrange(len(other) + 1)
            data = data[:at] + other[cut : cut + 60] + data[end:]
        else:  # one cell of a table or a value of JSON
            cells = [place for place, sign in enumerate(data) if sign in b",;:\t\n"]
            if len(cells) > 1:
                number = chance.randrange(len(cells) - 1)
                data = data[: cells[number] + 1] + chance.choice(ODD) + data[cells[number + 1] :]
    return data[:100_000]


def test_no_journal_makes_reading_end_in_anything_but_words(tmp_path: Path) -> None:
    chance = random.Random(4)
    whole = tmp_path / "whole"
    whole.mkdir()
    writer = SegmentWriter(str(whole), "recorder", {"role": "recorder", "host": "elsewhere", "groups": []})
    for code in ("hole", "blip", "update-period", "clock-step"):
        note = {"code": code, "t_ns": 5, "from_ns": 1, "to_ns": 9, "channel": "cpu0/package", "message": "x"}
        writer.append(journal.encode_json(journal.NOTE, note))
    writer.append(journal.encode_json(journal.END, {"t_ns": 10**9, "reason": "asked"}))
    writer.close()
    log = EventLog(str(whole), {"host": "elsewhere", "start_ticks": 1})
    run = {"run_id": "r1", "name": "x", "t_ns": 1, "wall_ns": 10**18, "tags": {"a": "b"}, "span": 1}
    log.write_json(journal.RUN_OPEN, run)
    log.close_span(log.open_span("s", 1, 5), 9)
    log.write_json(journal.RUN_CLOSE, {"run_id": "r1", "t_ns": 10**9, "status": "completed", "exit_code": 0})
    log.close()
    files = {path.name: path.read_bytes() for path in whole.iterdir()}
    until = time.monotonic() + SECONDS
    journals = tmp_path / "journals"
    tries = 0
    with open_store(str(tmp_path / "store.db")) as store, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while tries < 30 or time.monotonic() < until:
            tries += 1
            folder = journals / f"s{tries}"
            folder.mkdir(parents=True)
            for name, data in files.items():
                records = list(journal.decode(data))
                at = chance.randrange(len(records))
                parts = [
                    journal.encode(
                        record.type if chance.random() > 0.1 else chance.randrange(30),
                        mutated(bytes(record.payload), list(files.values()), chance),
                    )
                    if number == at
                    else journal.encode(record.type, bytes(record.payload))
                    for number, record in enumerate(records)
                ]
                body = b"".join(parts)
                (folder / name).write_bytes(body if chance.random() < 0.7 else mutated(body, [body], chance))
                os.utime(folder / name, (0, 0))
            ingest_leftovers(store, str(journals))
            recover(store, str(journals))
            assert not folder.exists(), "it would be read again by every command"
        for kept in store.summaries():
            RunView(store.get(kept.run_id)).spans()
