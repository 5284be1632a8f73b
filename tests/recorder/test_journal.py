from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import JournalError
from wattmark.recorder import journal
from wattmark.recorder.journal import SegmentWriter, decode, encode, encode_json, read_journal

records = st.lists(st.tuples(st.integers(1, 30), st.binary(max_size=60)), max_size=20)


def framed(items: list[tuple[int, bytes]]) -> list[bytes]:
    return [encode(kind, payload) for kind, payload in items]


def plain(data: bytes) -> list[tuple[int, bytes]]:
    return [(record.type, bytes(record.payload)) for record in decode(data)]


@given(records)
def test_what_is_written_is_read(items: list[tuple[int, bytes]]) -> None:
    assert plain(b"".join(framed(items))) == items


@given(records, st.data())
def test_a_truncated_journal_gives_all_whole_records(
    items: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    parts = framed(items)
    whole = b"".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    intact, size = 0, 0
    for part in parts:
        size += len(part)
        if size > cut:
            break
        intact += 1
    assert plain(whole[:cut]) == items[:intact]


@given(records.filter(bool), st.data())
def test_a_flipped_bit_costs_nothing_before_it(items: list[tuple[int, bytes]], data: st.DataObject) -> None:
    parts = framed(items)
    whole = bytearray(b"".join(parts))
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    size, intact = 0, 0
    for part in parts:
        size += len(part)
        if size > at // 8:
            break
        intact += 1
    assert plain(bytes(whole))[:intact] == items[:intact]
    assert plain(bytes(whole)) == items[:intact]


@given(records, st.binary(max_size=200))
def test_garbage_at_the_end_never_raises(items: list[tuple[int, bytes]], garbage: bytes) -> None:
    assert plain(b"".join(framed(items)) + garbage)[: len(items)] == items


def test_reserved_space_ends_the_journal() -> None:
    assert plain(encode(3, b"x") + bytes(4096)) == [(3, b"x")]


def test_a_journal_of_another_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.wmj"
    path.write_bytes(encode_json(journal.HEADER, {"format": 999}))
    with pytest.raises(JournalError, match="format 999") as caught:
        read_journal(str(path))
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"\x01", encode(journal.NOTE, b"{}"), encode(journal.HEADER, b"{")])
def test_a_file_without_a_header_is_a_journal_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wmj"
    path.write_bytes(content)
    with pytest.raises(JournalError):
        read_journal(str(path))


def test_segments_rotate_and_each_can_be_read_alone(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path), "recorder", {"role": "recorder"}, segment_bytes=200)
    for number in range(10):
        writer.append(encode_json(journal.NOTE, {"n": number, "pad": "x" * 50}))
        assert writer.flush()
    writer.close()
    found = []
    paths = sorted(tmp_path.glob("recorder-*.wmj"))
    assert len(paths) > 2
    for path in paths:
        header, rest = read_journal(str(path))
        assert header["role"] == "recorder"
        found += [record.json()["n"] for record in rest]
    assert found == list(range(10))


def test_what_a_full_disk_did_not_take_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(str(tmp_path), "recorder", {"role": "recorder"})
    writer.append(encode_json(journal.NOTE, {"n": 1}))
    assert writer.flush()
    real = os.write

    def full(fd: int, data: bytes) -> int:
        real(fd, bytes(data)[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    writer.append(encode_json(journal.NOTE, {"n": 2}))
    assert not writer.flush()
    assert writer.failed is not None
    monkeypatch.setattr(os, "write", real)
    writer.append(encode_json(journal.NOTE, {"n": 3}))
    assert writer.flush()
    assert writer.failed is None
    writer.close()
    _, rest = read_journal(str(tmp_path / "recorder-000000.wmj"))
    assert [record.json()["n"] for record in rest] == [1, 2, 3]


def test_a_disk_that_stays_full_loses_the_oldest_first_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(str(tmp_path), "recorder", {"role": "recorder"}, waiting_bytes=100)

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for number in range(10):
        writer.append(encode_json(journal.NOTE, {"n": number}))
        assert not writer.flush()
    monkeypatch.undo()
    assert writer.flush()
    writer.close()
    _, rest = read_journal(str(tmp_path / "recorder-000000.wmj"))
    left = [record.json()["n"] for record in rest]
    assert left == list(range(10))[-len(left) :]
    assert writer.lost == 10 - len(left) > 0


def test_a_limit_of_the_size_of_files_begins_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(str(tmp_path), "recorder", {"role": "recorder"})
    real = os.write

    def limited(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_size + len(data) > 300:
            raise OSError(27, "File too large")
        return real(fd, data)

    monkeypatch.setattr(os, "write", limited)
    for number in range(40):
        writer.append(encode_json(journal.NOTE, {"n": number}))
        writer.flush()
    writer.close()
    paths = sorted(tmp_path.glob("recorder-*.wmj"))
    assert len(paths) > 2
    assert [record.json()["n"] for path in paths for record in read_journal(str(path))[1]] == list(range(40))
