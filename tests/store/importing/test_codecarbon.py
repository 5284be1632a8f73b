"""Rows of CodeCarbon that are not as they should be, and rows that are the same work again."""

from __future__ import annotations

import itertools

import pytest

from wattmark.errors import ImportFileError
from wattmark.store import open_store
from wattmark.store.importing import read_file, take_in

HEADER = (
    "timestamp,project_name,run_id,duration,emissions,cpu_energy,gpu_energy,ram_energy,energy_consumed,pue\n"
)


def row(hour: int, duration: float, kwh: float, run_id: str = "r1", pue: float = 1.0) -> str:
    return f"2026-08-12T{hour:02}:00:00,p,{run_id},{duration},1e-5,{kwh},0,0,{kwh},{pue}\n"


def energies_j(reading) -> list[float]:
    return [sum(int(c.energy_uj[-1]) - int(c.energy_uj[0]) for c in run.curves) / 1e6 for run in reading]


FLUSHED = [row(11, 3600, 0.001), row(12, 7200, 0.002), row(13, 10_800, 0.003)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_rows_of_one_tracker_and_start_are_one_run_in_any_order(imported, order):
    reading = imported(HEADER + "".join(FLUSHED[i] for i in order))
    (run,) = reading
    assert (energies_j(reading), run.duration_s) == ([10_800.0], 10_800.0)
    assert run.curves[0].t_ns.tolist() == [0, 3600 * 10**9, 7200 * 10**9, 10_800 * 10**9]
    assert run.curves[0].energy_uj.tolist() == [0, 3_600_000_000, 7_200_000_000, 10_800_000_000]


def test_trackers_whose_rows_alternate_are_told_apart(imported):
    other = [line.replace(",r1,", ",r2,") for line in FLUSHED]
    reading = imported(HEADER + "".join(itertools.chain(*zip(FLUSHED, other, strict=True))))
    assert energies_j(reading) == [10_800.0, 10_800.0]


def test_a_tracker_that_starts_again_is_another_run_that_says_so(imported):
    reading = imported(HEADER + FLUSHED[0] + row(15, 3600, 0.001))
    assert energies_j(reading) == [3600.0, 3600.0]
    assert "imported-repeated-run" in {warning.code for warning in reading[1].warnings}


def test_the_pue_of_every_flush_is_taken_out(imported):
    reading = imported(HEADER + row(11, 3600, 0.0015, pue=1.5) + row(12, 7200, 0.003, pue=1.5))
    assert energies_j(reading) == [7200.0]


def test_a_file_that_has_grown_takes_the_place_of_what_it_was(imported, tmp_path):
    with open_store(str(tmp_path / "store.db")) as store:
        first = take_in(store, imported(HEADER + FLUSHED[0]))
        grown = take_in(store, imported(HEADER + "".join(FLUSHED)))
        # on_csv_write="update": the row is written again, with another stamp
        updated = take_in(store, imported(HEADER + row(14, 14_400, 0.004)))
        again = take_in(store, imported(HEADER + FLUSHED[1]))
        assert (len(first.added), grown.grown, updated.grown, again.repeated) == (1, *[first.added] * 3)
        (stored,) = store.summaries()
        assert stored.energy_j == pytest.approx(14_400)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (row(12, -5, 0.001, "r9"), "duration is negative"),
        (row(12, 1e308, 0.001, "r9"), "beyond all bounds"),
        (row(12, 10, 1e308, "r9"), "beyond all bounds"),
        (row(12, 1, 1e5, "r9"), "beyond all bounds"),
        (row(12, 10, -1, "r9"), "negative"),
        (row(12, 10, 0.1, "r9", pue=0.1), "pue"),
        (row(12, 10, 0.1, "r9").replace("2026", "0001"), "no date"),
        (row(12, 10, 0.1, "r9").replace("2026", "9999"), "no date"),
        (row(12, 10, 0.1, "r9").replace(",p,", ","), "9 values where the header has 10"),
        (row(12, 10, 0.1, "r9").strip() + row(13, 10, 0.1, "r8"), "19 values"),
        ('2026-08-12T12:00:00,"never closed,r9,1\n', "values where"),
        ("Traceback (most recent call last):\n", "1 values"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_taken_in(imported, bad, why):
    reading = imported(HEADER + row(10, 100, 0.001) + bad + row(14, 100, 0.002, "r2"))
    assert energies_j(reading) == [3600.0, 7200.0]
    (problem,) = reading.problems
    assert problem.line == 3
    assert why in problem.reason


def test_a_file_of_bad_rows_only_is_refused_with_the_first_and_their_number(imported, tmp_path):
    with pytest.raises(ImportFileError, match=r"line 2: .*, and 1 more") as refusal:
        imported(HEADER + row(12, -5, 1) + row(12, 5, -1))
    assert "negative" in str(refusal.value)
    assert [problem.line for problem in read_file(tmp_path / "log.csv").problems] == [2, 3]


def test_quoted_cells_may_hold_commas_and_line_ends(imported):
    reading = imported(
        HEADER + row(10, 100, 0.001).replace(",p,", ',"a, ""b""\nc",') + row(11, 100, 0.001, "r2")
    )
    assert [run.name for run in reading] == ['a, "b"\nc', "p"]
    assert reading.problems == ()


def test_parts_that_do_not_add_up_are_said(imported):
    (run,) = imported(HEADER + row(10, 100, 0.001).replace("0,0,0.001", "0,0,0.5"))
    assert "imported-sum" in {warning.code for warning in run.warnings}
