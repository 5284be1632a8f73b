"""Runs as files to send: read back by parsers that know nothing of us."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import wattmark as wm
from fakes.latex import balanced
from fakes.records import rapl_record, shared_record
from wattmark.errors import ConfigError, StoreError
from wattmark.report.files.markdown import latex_text
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.store import open_store
from wattmark.workspace.runs import keep

NASTY = '<b>&"x"</b> \\input{/etc/passwd} $x_1$ % # ~ ^ | =1+1'


@pytest.fixture
def runs() -> list[RunView]:
    """A plain run, one with a name that would be markup, and one on a busy machine."""
    plain = replace(rapl_record(40), name="plain", environment={"host": "node1"})
    metrics = {"loss": {"t_s": [0.5, 1.0, 2.0], "step": [0, 1, 2], "value": [1.0, None, 0.25]}}
    nasty = replace(plain, run_id="cd34", name=NASTY, tags={NASTY: NASTY}, extra={"metrics": metrics})
    return [RunView(record) for record in (plain, nasty, shared_record("ef56", others=8.0))]


class Elements(HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_run_as_a_page_that_loads_nothing(runs: list[RunView], tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    assert wm.export(runs[1], path) == [str(path)]
    text = path.read_text(encoding="utf-8")
    page = Elements(text)
    assert "b" not in page.tags
    assert NASTY in page.texts
    assert "default-src &#x27;none&#x27;" in text
    assert not re.search(r'(?:src|href)="(?!#)', text)
    words = " ".join(page.texts)
    for part in ("the whole machine", "Where the uncertainty comes from", "loss: 0.2500", "cpu0/package"):
        assert part in words
    wm.export(runs[2], path)
    assert "this process tree" in " ".join(Elements(path.read_text(encoding="utf-8")).texts)


def test_a_workbook_has_numbers_as_numbers_and_no_formulas(runs: list[RunView], tmp_path: Path) -> None:
    path = tmp_path / "runs.xlsx"
    wm.export(runs, path)
    space = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        for name in file.namelist():
            ElementTree.fromstring(file.read(name))
        book = ElementTree.fromstring(file.read("xl/workbook.xml"))
        assert [sheet.get("name") for sheet in book.iterfind(".//m:sheet", space)] == [
            "runs",
            "spans",
            "metrics",
        ]
        sheet = ElementTree.fromstring(file.read("xl/worksheets/sheet1.xml"))
        metrics = ElementTree.fromstring(file.read("xl/worksheets/sheet3.xml"))
    rows = [list(row) for row in sheet.iterfind(".//m:row", space)]
    assert len(rows) == 4
    texts = ["".join(cell.itertext()) for cell in rows[2]]
    assert texts[1] == NASTY
    assert float(texts[4]) == pytest.approx(runs[1].energy.value)  # type: ignore[union-attr]
    assert not sheet.findall(".//m:f", space)
    values = [["".join(cell.itertext()) for cell in row] for row in metrics.iterfind(".//m:row", space)]
    assert [row[4] for row in values] == ["value", "1.0", "", "0.25"]


def test_tables_for_latex_and_markdown(runs: list[RunView], tmp_path: Path) -> None:
    wm.export(runs, tmp_path / "runs.tex")
    latex = (tmp_path / "runs.tex").read_text(encoding="utf-8")
    balanced(latex)
    assert r"\toprule" in latex
    assert r"\input{" not in latex
    assert "process tree" in latex
    wm.export(runs, tmp_path / "runs.md")
    lines = (tmp_path / "runs.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 5
    assert "<b>" not in "".join(lines)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 7 for line in lines if line.startswith("|"))


@pytest.mark.parametrize("sign", list('\\&%$#_{}~^<>|"'))
def test_every_sign_that_latex_takes_for_a_command_is_text(sign: str) -> None:
    assert latex_text(f"a{sign}b") != f"a{sign}b"


def test_a_receipt_and_a_badge(runs: list[RunView], tmp_path: Path) -> None:
    for view, words in ((runs[0], "TOTAL"), (runs[1], "TOTAL"), (runs[2], "process tree")):
        wm.export(view, tmp_path / "receipt.svg")
        picture = (tmp_path / "receipt.svg").read_text(encoding="utf-8")
        ElementTree.fromstring(picture)
        assert words in picture
        assert "<script" not in picture
        assert "href" not in picture
    wm.export(runs[0], tmp_path / "badge.svg", format="badge")
    assert "energy" in (tmp_path / "badge.svg").read_text(encoding="utf-8")


def test_what_cannot_be_written_is_said(runs: list[RunView], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of one run"):
        wm.export(runs, tmp_path / "runs.html")
    with pytest.raises(ConfigError, match="no export format"):
        wm.export(runs, tmp_path / "x", format="docx")  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="cannot be written"):
        wm.export(runs, tmp_path / "no" / "runs.md")


def test_citing_names_what_the_joules_rest_on(runs: list[RunView]) -> None:
    text = wm.cite(runs[0])
    assert text.startswith("@software{wattmark,")
    assert "% rapl: made up\n" in text
    assert "%" not in wm.cite()


def test_a_note_is_kept_shown_and_taken_away(tmp_path: Path) -> None:
    record: RunRecord = rapl_record(5)
    with open_store() as store:
        keep(store, record)
    assert wm.note("last") == ""
    assert wm.note("last", "the fans were loud") == "the fans were loud"
    assert wm.note("last") == "the fans were loud"
    assert wm.note("last", "") == ""
