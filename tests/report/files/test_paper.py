"""A study's folder for a paper: complete, escaped, and LaTeX whose braces, environments and tables close."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fakes.latex import balanced
from fakes.vision_study import vision_study
from wattmark.errors import ConfigError
from wattmark.report.files.paper import latex_of, write_paper

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
