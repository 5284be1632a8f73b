"""The report of a period."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from fakes.records import rapl_record
from wattmark.errors import ConfigError
from wattmark.report.files.period import Price, period_page, write_period
from wattmark.runs.view import RunView
from wattmark.workspace.runs import summary_of
from wattmark.workspace.totals import totals


def month(number: int, project: str | None, run_id: str) -> RunView:
    when = datetime(2026, number, 10, tzinfo=timezone.utc)
    tags = {} if project is None else {"project": project}
    started = int(when.timestamp() * 1e9)
    return RunView(replace(rapl_record(30), run_id=run_id, tags=tags, started_wall_ns=started))


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.fixture
def three():
    views = [
        month(1, "vision", "a"),
        month(2, "vision", "b"),
        month(2, "<i>llm</i>", "c"),
        month(2, None, "d"),
    ]
    return totals([summary_of(view) for view in views], by="project", period="month")


def test_it_has_sums_groups_the_trend_and_what_changed(three) -> None:
    html = period_page(three, "project", Price(0.25, "EUR"))
    text = words(html)
    assert "runs 4" in text
    assert "EUR" in text
    assert "<i>" not in html
    assert html.count("<rect") == 4
    assert re.search(r"vision \S+ J \S+ J \+0%", text)
    assert re.search(r"&lt;i&gt;llm&lt;/i&gt; 0 J \S+ J new", text)
    assert "4 of 4 runs have no carbon" in text


def test_without_a_period_there_is_no_trend(three) -> None:
    html = period_page(replace(three, slices=()), "project")
    assert 'id="trend"' not in html
    assert 'id="changes"' not in html


def test_what_cannot_be_reported_is_said(three, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written as"):
        write_period(three, tmp_path / "x.docx")
    with pytest.raises(ConfigError, match="no runs"):
        write_period(totals([]), tmp_path / "x.html")
    assert write_period(three, tmp_path / "x.html").read_text(encoding="utf-8").startswith("<!doctype html>")
