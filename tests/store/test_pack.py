from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.records import assert_same_record, example_record, rapl_record, spans_record
from wattmark.errors import StoreError
from wattmark.runs.record import Curve
from wattmark.store import pack


def through_the_store(record):
    packed = pack.pack(record)
    return pack.unpack(pack.load_json(pack.dump_json(packed.header)), packed.columns, record.tags)


def test_times_are_rounded_to_microseconds_and_energies_are_not():
    record = rapl_record(1_000)
    (before,), (after,) = record.curves, through_the_store(record).curves
    np.testing.assert_array_equal(after.energy_uj, before.energy_uj)
    assert 0 < np.abs(after.t_ns - before.t_ns).max() <= 500
    assert np.all(np.diff(after.t_ns) > 0)


def test_a_stored_record_stored_again_is_the_same():
    once = through_the_store(rapl_record(300))
    assert_same_record(through_the_store(once), once)


@given(st.lists(st.integers(1, 2_000), min_size=2, max_size=30), st.integers(-(10**15), 10**15))
def test_samples_closer_than_a_microsecond_stay_apart(steps, start):
    curve = example_record().curves[0]
    t_ns = np.cumsum([start, *steps]).astype(np.int64)
    energy = np.arange(len(t_ns), dtype=np.int64)
    (after,) = through_the_store(example_record(curves=(Curve(curve.channel, t_ns, energy),))).curves
    assert np.all(np.diff(after.t_ns) > 0)
    assert np.abs(after.t_ns - t_ns).max() <= 500


def test_holes_still_begin_and_end_at_samples():
    record = rapl_record(100)
    (curve,) = record.curves
    holes = np.array([curve.t_ns[[3, 9]], curve.t_ns[[40, 41]]])
    (after,) = through_the_store(replace(record, curves=(replace(curve, holes=holes),))).curves
    np.testing.assert_array_equal(after.holes, after.t_ns[[[3, 9], [40, 41]]])


def test_channels_with_one_clock_store_it_once():
    one, three = (pack.pack(rapl_record(5_000, channels)) for channels in (1, 3))
    times = {curve["t"] for curve in three.header["curves"]}
    assert len(times) == 1
    assert three.size < 3 * one.size


def test_a_rapl_trace_needs_less_than_four_bytes_a_sample():
    assert pack.pack(rapl_record(50_000)).size / 50_000 < 4


def test_many_spans_with_details_come_back():
    record = spans_record(70_000)
    assert_same_record(through_the_store(record), record)


def test_numpy_numbers_and_foreign_objects_in_details_become_plain():
    extra = {"n": np.int64(3), "a": np.arange(2), "o": complex(1, 2)}
    assert through_the_store(example_record(extra=extra)).extra == {"n": 3, "a": [0, 1], "o": "(1+2j)"}


@pytest.mark.parametrize("key", ["curves", "spans", "run_id", "anchors"])
def test_a_header_that_misses_something_is_damage(key):
    packed = pack.pack(example_record())
    del packed.header[key]
    with pytest.raises(StoreError, match="damaged"):
        pack.unpack(packed.header, packed.columns, {})


def test_a_column_that_is_gone_is_damage():
    packed = pack.pack(example_record())
    packed.columns.pop("c0")
    with pytest.raises(StoreError, match="damaged"):
        pack.unpack(packed.header, packed.columns, {})
    with pytest.raises(StoreError, match="damaged"):
        pack.load_json(b"junk")


def test_json_that_unpacks_beyond_all_bounds_is_damage(monkeypatch):
    monkeypatch.setattr(pack, "MOST_JSON_BYTES", 1000)
    assert pack.load_json(pack.dump_json(["x" * 990])) == ["x" * 990]
    for data in (pack.dump_json(["x" * 2000]), pack.dump_json([1])[:-3]):
        with pytest.raises(StoreError, match="damaged"):
            pack.load_json(data)
