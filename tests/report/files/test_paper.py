"""A study's folder for a paper: complete, escaped, and LaTeX whose braces, environments and tables close."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fakes.latex import balanced
from fakes.vision_study import vision_study
from wattmark.errors import ConfigError
from wattmark.report.files.markdown import latex_text
from wattmark.report.files.paper import latex_of, write_paper

HOSTILE = "\u6f22 \u2212 \u0127 e\u0301 \U0001f600 \u2264 %_&$#{}~^\\\\ \x1b[31m CO\u2082"
STUDY = vision_study(("LeNet", "ResNet18"), (32, 128), repeats=2, epochs=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("matplotlib")
    target = tmp_path_factory.mktemp("paper") / "out"
    files = write_paper(STUDY, target)
    assert all(path.is_file() for path in files)
    return target


def test_everything_that_a_reader_needs_is_there(folder: Path) -> None:
    for name in (
        "main.tex",
        "cells.tex",
        "methods.tex",
        "figures.tex",
        "references.bib",
        "README.md",
        "design.json",
    ):
        assert (folder / name).stat().st_size > 0
    assert json.loads((folder / "data/study.json").read_text(encoding="utf-8"))
    assert list((folder / "data").glob("*.csv"))
    json.loads((folder / "environment.json").read_text(encoding="utf-8"))


def test_latex_closes_what_it_opens_and_finds_its_files(folder: Path) -> None:
    for path in folder.glob("*.tex"):
        text = path.read_text(encoding="utf-8")
        balanced(text)
        for name in re.findall(r"\\input\{(\w+)\}", text):
            assert (folder / f"{name}.tex").is_file()
        for name in re.findall(r"\\includegraphics\[[^]]*\]\{([^}]*)\}", text):
            assert (folder / name).read_bytes().startswith(b"%PDF")
    labels = re.findall(r"\\label\{([^}]*)\}", (folder / "figures.tex").read_text(encoding="utf-8"))
    assert labels
    assert len(labels) == len(set(labels))
    cells = (folder / "cells.tex").read_text(encoding="utf-8")
    assert r"\numrange{" in cells
    assert cells.count("\\\\\n") == 1 + len({tuple(t.factors.values()) for t in STUDY.trials})


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here; the test above reads the source")
def test_latex_compiles_it_and_nothing_is_too_wide(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "paper")
    main = tmp_path / "paper/main.tex"
    main.write_text(
        main.read_text(encoding="utf-8").replace(r"\author{}", rf"\author{{{latex_text(HOSTILE)}}}"), "utf-8"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"],
        cwd=tmp_path / "paper", capture_output=True, encoding="latin-1", timeout=100,
    )  # fmt: skip
    if "siunitx.sty' not found" in done.stdout:
        pytest.skip("this LaTeX has no siunitx")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper/main.pdf").read_bytes().startswith(b"%PDF")
    # what the table of cells alone complains about; words of a paragraph may stand out by some points
    cells = done.stdout.partition("(./cells.tex")[2].partition("(./figures.tex")[0]
    assert "Overfull" not in cells


def test_signs_that_latex_does_not_know_are_told_by_their_number() -> None:
    assert latex_text("\u2212 5 %") == r"\ensuremath{-} 5 \%"
    assert latex_text("e\u0301 \u6f22\n\U0001f600") == "\u00e9 [U+6F22] [U+1F600]"


def test_a_folder_with_something_in_it_is_left_alone(folder: Path) -> None:
    with pytest.raises(ConfigError, match="not empty"):
        write_paper(STUDY, folder)


def test_text_of_a_section_cannot_become_a_command() -> None:
    assert latex_of("<p>50&nbsp;% of \\input{x} &amp; more</p>").strip() == (
        r"50 \% of \textbackslash{}input\{x\} \& more"
    )
    assert (
        latex_of("<ul><li>a</li><li>b_c</li></ul>")
        == "\\begin{itemize}\n  \\item a\n  \\item b\\_c\n\\end{itemize}\n"
    )
