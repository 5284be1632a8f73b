"""``%%wattmark`` in a notebook that nbclient executes: live numbers in the widget's state, static HTML beside it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

import wattmark as wm
from wattmark.errors import ConfigError
from wattmark.integrations.notebook import words_of

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")
CELLS = (
    "%load_ext wattmark.integrations.notebook",
    "%%wattmark train --tag model=small\nimport time\ntime.sleep(2.2)\nx = 6 * 7\nx",
    "print(x)",
    "%%wattmark fails\n1 / 0",
)


def test_the_words_of_the_magic() -> None:
    assert words_of("") == ("cell", {})
    assert words_of("'my run' --tag a=1 --tag=b") == ("my run", {"a": "1", "b": ""})
    for wrong in ("a b", "--loud", "--tag", "'open"):
        with pytest.raises(ConfigError):
            words_of(wrong)


def test_a_notebook_has_the_numbers_live_and_static(fake_machine: object) -> None:
    nbclient: Any = pytest.importorskip("nbclient")
    nbformat: Any = pytest.importorskip("nbformat")
    pytest.importorskip("anywidget")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = nbclient.NotebookClient(book, timeout=100, allow_errors=True, kernel_name="python3")
    client.execute()
    outputs = [cell["outputs"] for cell in book.cells]
    assert outputs[2][0]["text"] == "42\n"
    shown = next(output for output in outputs[1] if "text/html" in output.get("data", {}))
    assert "<svg" in shown["data"]["text/html"]
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs[1])
    assert any(output.get("data", {}).get("text/plain") == "42" for output in outputs[1])
    states = book.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    widget = next(
        state["state"] for state in states.values() if state["state"].get("words", "").startswith("train")
    )
    assert widget["state"] == "completed"
    assert widget["low_j"] <= widget["energy_j"] <= widget["high_j"]
    assert len(widget["power_w"]) >= 2
    assert any(
        output["output_type"] == "error" and output["ename"] == "ZeroDivisionError" for output in outputs[3]
    )
    train, fails = wm.load("train"), wm.load("fails")
    assert train.tags == {"model": "small"}
    assert train.energy is not None
    assert widget["energy_j"] == pytest.approx(train.energy.value, rel=0.01)
    assert fails.status == "failed"


def test_the_static_fallback_survives_an_export(fake_machine: object) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    nbconvert: Any = pytest.importorskip("nbconvert")
    nbclient: Any = pytest.importorskip("nbclient")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS[:2]])
    nbclient.NotebookClient(book, timeout=100, kernel_name="python3").execute()
    page, _ = nbconvert.HTMLExporter().from_notebook_node(book)
    assert 'aria-label="power over time"' in page


def test_without_a_widget_the_run_is_shown_all_the_same(
    monkeypatch: pytest.MonkeyPatch, fake_machine: object
) -> None:
    from wattmark.integrations.notebook import measure_cell

    shown: list[dict[str, Any]] = []
    handle = SimpleNamespace(update=lambda bundle, **_: shown.append(bundle))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(
        sys.modules,
        "IPython.display",
        SimpleNamespace(display=lambda bundle, **_: (shown.append(bundle), handle)[1]),
    )
    monkeypatch.setitem(sys.modules, "anywidget", None)
    compiler = SimpleNamespace(cache=lambda code: "<cell>", flags=0)
    shell = SimpleNamespace(transform_cell=lambda cell: cell, compile=compiler, user_ns={"y": 1})
    run = measure_cell(shell, "mine", "x = y + 1\nx;")
    assert shell.user_ns["x"] == 2
    assert run.status == "completed"
    assert "<svg" in shown[-1]["text/html"] or "not measured" in shown[-1]["text/html"]
