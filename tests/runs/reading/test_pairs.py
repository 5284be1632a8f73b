"""Spans in bulk: as record by record, whatever stands between them and whatever is damaged."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmark.recorder import journal
from wattmark.runs.reading.journals import read_events
from wattmark.runs.reading.pairs import crc32_of, pairs_at
from wattmark.runs.reading.pairs import pair as layout


@given(st.lists(st.binary(min_size=29, max_size=29), min_size=1, max_size=20))
def test_checksums_are_zlibs(rows: list[bytes]) -> None:
    table = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), 29)
    assert crc32_of(table).tolist() == [zlib.crc32(row) for row in rows]


def opened(span: int, t_ns: int) -> bytes:
    return journal.encode(journal.SPAN_OPEN, journal.SPAN_OPEN_BODY.pack(span, 0, 1, t_ns, 7))


def closed(span: int, t_ns: int) -> bytes:
    return journal.encode(journal.SPAN_CLOSE, journal.SPAN_CLOSE_BODY.pack(span, t_ns))


def pair(span: int) -> bytes:
    return opened(span, 10 * span) + closed(span, 10 * span + 5)


def detail(span: int, **counts: float) -> bytes:
    return journal.encode_json(journal.SPAN_DETAIL, {"span": span, "counts": counts})


def test_pairs_are_read_up_to_the_first_other_or_damaged_record() -> None:
    data = b"".join(pair(n) for n in range(1, 101))
    found = pairs_at(data, 0)
    assert (found.read, len(found.opens), len(found.closes)) == (len(data), 2900, 1300)
    assert pairs_at(data, layout().itemsize).read == len(data) - layout().itemsize
    assert pairs_at(data[:-1], 0).read == 99 * layout().itemsize  # the last is torn
    assert pairs_at(detail(1, a=2) + data, 0).read == 0
    counted = b"".join(opened(n, n) + detail(n, a=1) + closed(n, n + 1) for n in range(1, 21))
    found = pairs_at(counted + data, 0)  # up to 9, since the number of the tenth is longer
    assert [json.loads(payload)["span"] for payload in found.details] == list(range(1, 10))
    assert len(found.opens) == 9 * 29
    torn = bytearray(counted)
    torn[found.read // 9 * 3 + 50] ^= 1  # within the details of the fourth
    assert len(pairs_at(bytes(torn), 0).details) == 3
    broken = bytearray(data)
    broken[40 * layout().itemsize + 20] ^= 1
    assert pairs_at(bytes(broken), 0).read == 40 * layout().itemsize
    assert pairs_at(b"", 0).read == 0


def journal_of(folder: Path, records: list[bytes]) -> None:
    header = journal.encode_json(journal.HEADER, {"format": journal.FORMAT, "pid": 5, "kind": "events"})
    (folder / f"events-5-ab-0001{journal.SUFFIX}").write_bytes(header + b"".join(records))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_events_are_those_of_their_records_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, seed: int, damage: bool
) -> None:
    rng, records, spans, counts = random.Random(seed), [], [], {}
    span = 0
    for _ in range(rng.randint(1, 40)):
        span += 1
        kind = rng.choice(("pairs", "pairs with details", "open", "detail", "nested"))
        if kind == "pairs":
            for _ in range(rng.randint(1, 30)):
                records.append(pair(span))
                spans.append(span)
                span += 1
        elif kind == "pairs with details":
            for _ in range(rng.randint(1, 30)):
                tokens = rng.choice((1, 2, 100))
                records.append(opened(span, span) + detail(span, tokens=tokens) + closed(span, span + 5))
                counts[span] = {"tokens": tokens}
                spans.append(span)
                span += 1
        elif kind == "nested":
            records.append(opened(span, 10 * span) + pair(span + 1) + closed(span, 10 * span + 9))
            spans += [span, span + 1]
            span += 1
        elif kind == "open":
            records.append(opened(span, 10 * span))
            spans.append(span)
        else:
            records.append(detail(span, samples=span))
            counts[span] = {"samples": span}
    if damage:
        records.insert(len(records) // 2, b"\x07\x00\x00\x00garbage that is no record")
    folder = tmp_path_factory.mktemp("session")
    journal_of(folder, records)
    (events,) = read_events(str(folder))
    assert events.opens["span"].tolist() == spans
    assert {number: found.get("counts") for number, found in events.details.items()} == counts
    assert bool(events.problems) == damage


def test_details_that_are_not_what_they_should_be_are_named_and_the_others_kept(tmp_path: Path) -> None:
    strange = journal.encode_json(journal.SPAN_DETAIL, {"span": "x", "counts": {"a": 1}})
    torn = journal.encode(journal.SPAN_DETAIL, b"{no json")
    journal_of(tmp_path, [detail(1, a=1), strange, torn, detail(2, a=2), detail(2, b=3)])
    (events,) = read_events(str(tmp_path))
    assert events.details[1].get("counts") == {"a": 1}
    assert events.details[2].get("counts") == {"a": 2, "b": 3}
    assert len(events.problems) == 2
