"""The map of the code (docs/extend) says what is so: each file and name in its tables is there, the pictures are current."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest

from wattmark.errors import MissingExtra

ROOT = Path(__file__).parents[1]
EXTEND = ROOT / "docs/extend"
ROW = re.compile(r"^\| ([^|]*)\| `([\w/]+\.py)` \| ((?:`[\w.]+`(?:, )?)+) \|$", re.MULTILINE)
PLACES = [
    (page, path, name)
    for page in ("find-your-way.md", "how-it-is-built.md")
    for _, path, names in ROW.findall((EXTEND / page).read_text(encoding="utf-8"))
    for name in re.findall(r"`([\w.]+)`", names)
]


def module_of(path: str) -> ModuleType:
    return importlib.import_module(
        f"wattmark.{path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}"
    )


@pytest.mark.parametrize(("page", "path", "name"), PLACES, ids=lambda value: value)
def test_every_name_on_the_map_is_in_its_file(page: str, path: str, name: str) -> None:
    try:
        module = module_of(path)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    assert Path(str(module.__file__)).as_posix().endswith(f"src/wattmark/{path}")
    assert hasattr(reduce(getattr, name.split(".")[:-1], module), name.split(".")[-1]), (
        f"{page}: {path} has no {name}"
    )
    found = inspect.unwrap(getattr(module, name.split(".")[0]))
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__module__ == module.__name__, f"{page}: {name} lives in {found.__module__}"


@pytest.mark.parametrize("page", ["find-your-way.md", "how-it-is-built.md"])
def test_no_row_of_the_map_is_passed_over(page: str) -> None:
    text = (EXTEND / page).read_text(encoding="utf-8")
    assert len(ROW.findall(text)) == len(re.findall(r"^\|[^|]*\| `[\w/]+\.py`", text, re.MULTILINE)) > 10


def test_the_counts_of_the_walks_are_those_of_their_tables() -> None:
    text = (EXTEND / "how-it-is-built.md").read_text(encoding="utf-8")
    sample = ROW.findall(text.partition("### From a power sample")[2].partition("\n## ")[0])
    run = ROW.findall(text.partition("## `wattmark run`")[2])
    assert f"{len({path for _, path, _ in sample})} files" in text
    assert [shape.partition(".")[0] for shape, _, _ in sample if shape.strip()] == [
        str(n) for n in range(1, 13)
    ]
    names = sum(len(re.findall("`[^`]+`", names)) for _, _, names in run)
    assert f"{len({path for _, path, _ in run})} files, of which {names} functions and classes" in text


def test_pictures_are_drawn_from_the_layers_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    drawing = importlib.import_module("make_map")
    monkeypatch.delitem(sys.modules, "make_map")
    for name, draw in drawing.PICTURES.items():
        kept = (ROOT / "docs/_static" / name).read_text(encoding="utf-8")
        assert kept == draw(), "run: python docs/make_map.py"


def test_every_folder_has_its_place_on_the_map() -> None:
    import wattmark

    package = Path(wattmark.__file__).parent
    text = (EXTEND / "how-it-is-built.md").read_text(encoding="utf-8").partition("## How a joule")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    lacking: list[str] = []
    for file in sorted(package.rglob("__init__.py")):
        top, _, rest = file.parent.relative_to(package).as_posix().partition("/")
        row = rows.get(top, "")
        if top != "." and not (row and (not rest or f"`{rest}`" in row or f"`{top}/{rest}`" in row)):
            lacking.append(file.parent.relative_to(package).as_posix())
    assert not lacking, "say in docs/extend/how-it-is-built.md what lives there"
