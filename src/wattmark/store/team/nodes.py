"""What nodes send of themselves: batches of samples, each kept once however often it comes.

A batch is named by the machine (its id, not its host name: two machines may share one), the start of the agent that made
it, and a number that counts from 0. Numbers that are missing are a gap with a name; none is made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from wattmark.runs.record import Int64
from wattmark.store import tables
from wattmark.store.columns import BLOCK, decode, encode
from wattmark.store.engine import copy_rows
from wattmark.store.portable import storable
from wattmark.store.store import Store

_B = tables.node_batches.c
_KEY = ("node_id", "stream", "number")


class Batch(NamedTuple):
    """t_ns: wall times of the samples, ascending; energy_uj: cumulative, (n,). Both int64, of 1 to 65,536 samples.

    A batch begins with the last sample of the one before it, so that no interval lies between two."""

    node_id: str
    stream: str
    number: int
    host: str
    t_ns: Int64
    energy_uj: Int64


@dataclass(frozen=True, slots=True)
class Stream:
    """One start of an agent. energy_j: of the batches that came. missing: numbers that did not come (yet)."""

    node_id: str
    stream: str
    host: str
    batches: int
    samples: int
    energy_j: float
    missing: int


def add_batches(store: Store, batches: Sequence[Batch]) -> int:
    """Keep batches, all or none; how many of them were new. Raises StoreError: the sender keeps them, and sends again."""
    rows = [_row(batch) for batch in batches]
    if not rows:
        return 0
    with store.writing() as connection:
        if connection.dialect.name != "postgresql":
            insert = sqlite.insert(tables.node_batches).on_conflict_do_nothing().returning(_B.number)
            names = [column.name for column in tables.node_batches.columns]
            return sum(
                connection.execute(insert.values(dict(zip(names, row, strict=True)))).first() is not None
                for row in rows
            )
        connection.exec_driver_sql("CREATE TEMPORARY TABLE incoming (LIKE node_batches) ON COMMIT DROP")
        copy_rows(connection, tables.node_batches, rows, "incoming")
        moved = connection.exec_driver_sql(
            "INSERT INTO node_batches SELECT * FROM incoming ON CONFLICT DO NOTHING"
        )
        return moved.rowcount


def streams(store: Store) -> list[Stream]:
    """What came, by machine and start of its agent."""
    last = sa.func.max(_B.number) + 1 - sa.func.count()
    query = (
        sa.select(
            _B.node_id,
            _B.stream,
            sa.func.max(_B.host),
            sa.func.count(),
            sa.func.sum(_B.samples),
            sa.func.sum(_B.energy_uj),
            last,
        )
        .group_by(_B.node_id, _B.stream)
        .order_by(_B.node_id, _B.stream)
    )
    with store.reading() as connection:
        return [
            Stream(node, stream, host, int(count), int(samples), int(energy) / 1e6, int(missing))
            for node, stream, host, count, samples, energy, missing in connection.execute(query)
        ]


def samples_of(store: Store, node_id: str, stream: str) -> tuple[Int64, Int64]:
    """All samples of one stream in their order: wall times in ns and cumulative µJ, as they were sent (times to the µs)."""
    query = sa.select(_B.data).where(_B.node_id == node_id, _B.stream == stream).order_by(_B.number)
    with store.reading() as connection:
        parts = [_unpacked(data) for data in connection.execute(query).scalars()]
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    t_ns, energy_uj = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    fresh = np.diff(t_ns, prepend=t_ns[0] - 1) > 0  # not the sample that two batches share
    return t_ns[fresh], energy_uj[fresh]


def _row(batch: Batch) -> tuple[object, ...]:
    t_ns, energy_uj = batch.t_ns, batch.energy_uj
    if (
        not len(t_ns)
        or len(t_ns) != len(energy_uj)
        or (np.diff(t_ns) <= 0).any()
        or (np.diff(energy_uj) < 0).any()
    ):
        raise ValueError("a batch has samples whose times ascend and whose cumulative energy never falls")
    if len(t_ns) > BLOCK:
        raise ValueError(f"a batch has {BLOCK} samples at most")
    if batch.number < 0:
        raise ValueError("batches are counted from 0")
    times, energies = encode(t_ns // 1000), encode(energy_uj)
    data = b"".join(len(block).to_bytes(4, "little") + block for block in (times[0], energies[0]))
    return (
        storable(batch.node_id),
        storable(batch.stream),
        batch.number,
        storable(batch.host),
        int(t_ns[0]),
        int(t_ns[-1]),
        len(t_ns),
        int(energy_uj[-1] - energy_uj[0]),
        data,
    )


def _unpacked(data: bytes) -> tuple[Int64, Int64]:
    size = int.from_bytes(data[:4], "little")
    times, rest = data[4 : 4 + size], data[4 + size :]
    return decode([times]) * 1000, decode([rest[4:]])
