"""The loads of a sweep as CSV, Markdown and a page."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from fakes.loads import record, result
from wattmark.serving.results.tables import columns, to_csv, to_markdown


def points():
    return [(1.0, result(record(0), record(1), joules={0: 1.0})), (2.0, result(record(0)))]


def test_a_load_is_a_row_of_the_csv_and_no_cell_is_a_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv("concurrency", points()))))
    assert [row["concurrency"] for row in rows] == ["1.0", "2.0"]
    assert [row["answers"] for row in rows] == ["2", "1"]
    assert float(rows[0]["ttft_p95_s"]) == 0.25
    assert float(rows[0]["answer_p50_s"]) == 0.5
    assert rows[0]["server"].startswith("'=cmd")
    assert rows[0]["j_per_request"] == ""  # not known, not 0


def test_columns_have_one_length_and_what_is_not_known_is_none() -> None:
    table = columns("rate", points())
    assert {len(column) for column in table.values()} == {2}
    assert table["j_per_output_token"] == [None, None]
    assert table["reasoning_share"] == [pytest.approx(1 / 3)] * 2


def test_markdown_is_a_table_that_no_name_breaks() -> None:
    text = to_markdown("concurrency", points(), ["largest: 2"])
    lines = text.splitlines()
    assert lines[0] == "# =cmd\\|' /C calc'!A0"
    assert "largest: 2" in lines
    table = [line for line in lines if line.startswith("|")]
    assert table[0].startswith("| concurrency | requests/s")
    assert len(table) == 4
    assert all(line.count("|") == table[0].count("|") for line in table)


def test_the_page_is_one_file_and_text_in_it_is_no_markup() -> None:
    pytest.importorskip("matplotlib")
    from wattmark.report.serving import serving_page

    loads = points()
    named = replace(loads[1][1], server={"description": "<script>alert(1)</script>"})
    page = serving_page("concurrency", [*loads, (4.0, named)], ["cheapest: 2 at a time"])
    assert page.startswith("<!doctype html>")
    assert "<script>alert" not in page
    assert "cheapest: 2 at a time" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") >= 2  # latencies by load
    assert "ttft_p95_s" in page


def test_a_page_without_matplotlib_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from wattmark.report import serving

    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    page = serving.serving_page("concurrency", points())
    assert "Not drawn" in page
    assert "<svg" not in page
