"""Event streams come out whole however the network cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.serving.load.wire import sse
from wattmark.serving.load.wire.sse import EventStream


def read(*chunks: bytes) -> list[bytes]:
    stream = EventStream()
    return [event for chunk in chunks for event in stream.feed(chunk)] + stream.end()


def test_events_of_all_line_ends():
    assert read(b"data: a\n\ndata: b\r\n\r\ndata:c\n\n") == [b"a", b"b", b"c"]


def test_comments_names_and_ids_are_passed_over():
    assert read(b": ping\n\nevent: x\nid: 1\nretry: 5\ndata: a\n\n\n\n") == [b"a"]


def test_several_data_lines_are_one_event():
    assert read(b"data: a\ndata: b\n\n") == [b"a\nb"]


def test_lone_carriage_returns_end_lines_at_once():
    """As the standard has it; the event is there when its blank line is, not at the next chunk."""
    stream = EventStream()
    assert stream.feed(b"data: a\r\r") == [b"a"]
    assert stream.feed(b"\ndata: b\r") == []
    assert stream.feed(b"") == []
    assert stream.feed(b"\n\r") == [b"b"]
    assert stream.feed(b"\n") == []
    assert read(b"data: a\r\n\rdata: b\n\r\n") == [b"a", b"b"]


def test_a_byte_order_mark_at_the_start_is_none_of_the_data():
    assert read(b"\xef\xbb", b"\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


def test_events_without_data_are_passed_over():
    assert read(b"data:\n\ndata: \n\ndata\n\nevent: ping\n\ndata: a\n\n") == [b"a"]


def test_names_that_only_begin_alike_are_other_fields():
    assert read(b"database: x\ndata : y\n data: z\ndata:  a \n\n") == [b" a "]


def test_one_huge_event_in_many_chunks():
    text = b"x" * 3_000_000
    stream = b"data: " + text + b"\n\n"
    assert read(*(stream[at : at + 65_536] for at in range(0, len(stream), 65_536))) == [text]


def test_a_last_event_without_its_blank_line_counts():
    assert read(b"data: a\n\ndata: b\n") == [b"a", b"b"]
    assert read(b"data: a\n\ndata: b") == [b"a", b"b"]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), min_size=1), max_size=8
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.data(),
)
def test_any_cut_gives_the_same_events(texts: list[str], end: str, data: st.DataObject):
    stream = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*chunks) == [text.encode() for text in texts]


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "LONGEST_LINE", 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        EventStream().feed(b"data: far too long")
