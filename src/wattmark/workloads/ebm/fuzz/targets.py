"""Parsers to be fuzzed: what they take, which errors they promise, and inputs that are valid."""

from __future__ import annotations

import configparser
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

from wattmark.errors import WattmarkError
from wattmark.impact.series.readers import read_series
from wattmark.recorder import journal
from wattmark.serving.load.wire.sse import EventStream
from wattmark.store.importing import reading_of
from wattmark.store.importing.reading import TextFile


@dataclass(frozen=True, slots=True)
class Target:
    """A parser. files: parts of the paths whose branches count. promised: what it may raise. seeds: valid inputs."""

    parse: Callable[[bytes], object]
    files: tuple[str, ...]
    promised: tuple[type[Exception], ...]
    seeds: Sequence[bytes]


def _journal(data: bytes) -> object:
    records = list(journal.decode(data))
    journal.after_damage(data, 0)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return journal.read_journal(file.name), records


def _importers(data: bytes) -> object:
    return reading_of(TextFile("input", data.decode("utf-8-sig", "replace")))


def _series(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.csv"
        path.write_bytes(data)
        return read_series(path)


def _events(data: bytes) -> object:
    stream, whole = EventStream(), EventStream()
    pieces = [event for place in range(0, len(data), 7) for event in stream.feed(data[place : place + 7])]
    pieces += stream.end()
    if pieces != whole.feed(data) + whole.end():
        raise AssertionError("events depend on how the network cut them")
    return pieces


def _ini(data: bytes) -> object:
    parser = configparser.ConfigParser()
    parser.read_string(data.decode("utf-8", "replace"))
    return [dict(parser[name]) for name in parser.sections()]


def _mail(data: bytes) -> object:
    message = message_from_bytes(data)
    return message.get_payload(), message.get_content_type()


_SMI = b"timestamp, index, name, power.draw [W], utilization.gpu [%]\n" + b"".join(
    b"2024/10/27 02:58:0%d.000, 0, Tesla T4, 70.5 W, 5 %%\n" % second for second in range(4)
)
_CARBON = (
    b"timestamp,project_name,run_id,duration,emissions,cpu_energy,energy_consumed,pue\n"
    b"2024-10-27T01:00:00,p,r,3600,1,0.001,0.001,1.1\n2024-10-27T02:00:00,p,r,7200,1,0.002,0.002,1.1\n"
)
_DMON = b"#Time gpu pwr\n 23:59:50 0 70\n 23:59:51 0 71\n 23:59:52 0 72\n"
_HOURS = b"datetime,carbon_intensity\n" + b"".join(
    b"2024-01-01T%02d:00:00Z,%d.5\n" % (hour, 100 + hour) for hour in range(6)
)

TARGETS = {
    "journal": Target(
        _journal,
        ("recorder/journal",),
        (WattmarkError,),
        [
            journal.encode_json(journal.HEADER, {"format": journal.FORMAT, "pid": 1})
            + journal.encode_json(journal.HEADER + 1, {"id": "cpu0/package"})
            + journal.encode(journal.HEADER + 2, bytes(24))
        ],
    ),
    "importers": Target(_importers, ("store/importing",), (WattmarkError,), [_SMI, _CARBON, _DMON]),
    "series": Target(_series, ("impact/series",), (WattmarkError,), [_HOURS, _HOURS.replace(b",", b";")]),
    "events": Target(
        _events,
        ("wire/sse",),
        (),
        [b'data: {"a": 1}\n\ndata: x\ndata: y\r\n\r\nevent: error\ndata: no\n\n: note\n\ndata: [DONE]\n\n'],
    ),
    "json": Target(
        lambda data: json.loads(data),
        ("json/",),
        (ValueError, RecursionError),
        [json.dumps({"a": [1, 2.5, None, True], "b": {"c": "x\u00e9\n"}}).encode()],
    ),
    "ini": Target(
        _ini, ("configparser",), (configparser.Error,), [b"[a]\nx = 1\ny: %(x)s\n\n[b]\n; note\nz = 3\n  4\n"]
    ),
    "mail": Target(
        _mail,
        ("email/",),
        (),
        [
            b"From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\nA: b\n c\n\ntwo\n--x--\n"
        ],
    ),
}
"""Name -> parser. ``json`` counts the branches of its Python part only: its scanner is C."""
