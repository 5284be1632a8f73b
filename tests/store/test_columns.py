from __future__ import annotations

import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fakes.records import rapl_record
from wattmark.errors import StoreError
from wattmark.store import columns
from wattmark.store.columns import BLOCK, decode, decode_floats, encode, encode_floats

INT64 = st.integers(-(2**63), 2**63 - 1)
COLUMN = st.one_of(
    hnp.arrays(np.int64, st.integers(0, 60), elements=INT64),
    hnp.arrays(np.int64, st.integers(0, 60), elements=st.integers(0, 300)).map(np.cumsum),
    hnp.arrays(np.int64, st.integers(0, 60), elements=st.sampled_from([-(2**63), -1, 0, 1, 2**63 - 1])),
)


@given(COLUMN, st.lists(st.floats(allow_nan=False, min_value=-1e20, max_value=1e20), max_size=3))
def test_any_integers_come_back_whatever_units_are_proposed(values, units):
    result = decode(encode(values, units))
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, values)


@given(
    st.integers(0, 2**62),
    hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 2**31)),
    st.sampled_from([61_035, 15_258, 1_000_000, 2_300]),
)
def test_a_counter_in_the_kernels_units_comes_back(start, steps, unit_nj):
    counts = np.cumsum(steps)
    energy_uj = counts * unit_nj // 1000 + start
    np.testing.assert_array_equal(decode(encode(energy_uj, (unit_nj / 1000,))), energy_uj)


@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda kind: hnp.arrays(
            kind,
            st.integers(0, 50),
            elements=st.one_of(
                st.floats(width=32 if kind is np.float32 else 64),
                st.integers(-100_000, 100_000).map(lambda n: float(kind(n / 100))),
            ),
        )
    )
)
def test_floats_come_back_bit_for_bit(values):
    result = decode_floats(encode_floats(values), values.dtype.type)
    assert result.dtype == values.dtype
    assert result.tobytes() == values.tobytes()


def test_long_columns_are_cut_into_blocks_that_decode_alone():
    values = np.arange(2 * BLOCK + 3, dtype=np.int64) ** 2
    blocks = encode(values)
    assert len(blocks) == 3
    np.testing.assert_array_equal(decode(blocks[1:2]), values[BLOCK : 2 * BLOCK])
    np.testing.assert_array_equal(decode(blocks), values)


def test_the_counters_unit_saves_space_and_constant_columns_need_almost_none():
    energy_uj = rapl_record(20_000).curves[0].energy_uj
    in_units, in_uj = (sum(map(len, encode(energy_uj, units))) for units in ((61.035,), ()))
    assert in_units < 0.8 * in_uj
    assert sum(map(len, encode(np.full(10**6, 7)))) < 1_000


@given(st.binary(max_size=80), st.integers(0, 60), st.integers(0, 255))
def test_damaged_blocks_are_an_error_or_numbers_and_nothing_else(junk, position, byte):
    block = bytearray(encode(np.arange(40, dtype=np.int64) ** 3)[0])
    block[position % len(block)] = byte
    for damaged in (junk, bytes(block), bytes(block[: position + 1])):
        with suppress(StoreError):
            assert decode([damaged]).dtype == np.int64


def test_a_block_of_a_later_version_is_refused():
    block = bytearray(encode(np.arange(3, dtype=np.int64))[0])
    block[0] = columns._VERSION + 1
    with pytest.raises(StoreError, match="format 2"):
        decode([bytes(block)])


@pytest.mark.parametrize(
    ("order", "width", "count"), [(0, 8, 0), (1, 8, 1), (2, 8, 2), (0, 1, 1), (0, 8, BLOCK)]
)
def test_a_block_unpacks_to_what_its_header_says_and_no_more(order, width, count):
    bomb = zlib.compress(bytes(100_000_000), 9)
    block = columns._HEADER.pack(1, order, width, count, 0, 0, 0.0, 0.0) + bomb
    tracemalloc.start()
    with suppress(StoreError):
        decode([block])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
