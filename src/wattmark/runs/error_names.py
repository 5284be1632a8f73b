"""What the errors of a run have in common with those of others, said by their names.

Two runs of one command on one host share the sensor's scale and the character of the work; two commands on one host
share the scale only; two hosts with one kind of part share the part's curve, and not what is this specimen's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

from wattmark.documents import items, mapping
from wattmark.quantity import CHARACTER, CURVE, EDGES, OFFSET, SCALE
from wattmark.runs.record import RunRecord
from wattmark.sources.base import Channel

_NUMBER = re.compile(r"(?<![\w.])\d+(\.\d+)?(e[+-]?\d+)?(?![\w.])")
"""A number by itself, not the 18 of ``resnet18``, the 20 of ``20m`` or the 7 of ``model-7b``, which name a thing."""


class ChannelErrors(NamedTuple):
    """Names and sizes of one channel's errors. shares: (name, below, above) as shares of the energy. offset: (name,
    watts), None where there is none. edges: the beginning of the name of an interval's own error."""

    shares: tuple[tuple[str, float, float], ...]
    offset: tuple[str, float] | None
    edges: str


@dataclass(frozen=True, slots=True)
class ErrorNames:
    """What one run's errors are common to: its host, the parts in it, the work, and itself."""

    host: str = "?"
    parts: str = "?"
    work: str = "?"
    run: str = "?"

    @classmethod
    def of_record(cls, record: RunRecord) -> ErrorNames:
        """Those of a run. A host without a name is like no other."""
        host = record.host or f"?{record.run_id}"
        if record.extra.get("hosts"):  # each channel says whose it is
            host = ""
        return cls(host, parts_of(record), work_of(record), record.run_id)

    def of(self, channel: Channel) -> ChannelErrors:
        """The errors of one channel: the accuracy that it was given, split by what each part is common to."""
        accuracy = channel.accuracy
        sensor = f"{self.host}/{channel.id}" if self.host else channel.id
        family = f"{channel.source}/{channel.component}"
        shares = (
            (f"{CHARACTER}/{family}/{self.work}", accuracy.character_low, accuracy.character_high),
            (f"{CURVE}/{family}/{self.parts}", accuracy.curve_low, accuracy.curve_high),
            (f"{SCALE}/{sensor}", accuracy.specimen_low, accuracy.specimen_high),
        )
        offset = (f"{OFFSET}/{sensor}", accuracy.absolute_w) if accuracy.absolute_w else None
        return ChannelErrors(
            tuple(share for share in shares if any(share[1:])), offset, f"{EDGES}/{self.run}/{channel.id}"
        )


def work_of(record: RunRecord) -> str:
    """A short name of the kind of work: of a study its cell, of a command its words and folder, of a part of a program its
    name too. Numbers are left out: with more epochs, or another seed, a program does more or less of the same."""
    if "study" in record.tags:
        return _digest("study", _kind(record.name))
    process = mapping(record.environment.get("process"))
    words = [str(word) for word in items(process.get("command"))]
    if not words:
        return _digest("run", record.run_id)
    if "--" in words:  # wattmark run [options] -- the work
        return _digest("command", str(process.get("cwd", "")), *map(_kind, words[words.index("--") + 1 :]))
    return _digest("program", str(process.get("cwd", "")), *map(_kind, (record.name, *words)))


def _kind(word: str) -> str:
    return _NUMBER.sub("#", word)


def parts_of(record: RunRecord) -> str:
    """A short name of what the machine is made of: its CPUs and GPUs by model."""
    named = record.environment.get("cpu")  # other tools give a name only
    cpu = named if isinstance(named, str) else str(mapping(named).get("model", ""))
    models = (cpu, str(record.environment.get("gpus", "")))
    return _digest(*models) if any(models) else _digest("host", record.host or record.run_id)


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:12]
