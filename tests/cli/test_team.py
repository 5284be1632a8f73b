"""``wattmark store``, as one types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fakes.records import example_record, example_summary
from wattmark.cli.entry import main
from wattmark.store import open_store


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["store", *words]))
    assert (ended.value.code or 0) == code
    output = capsys.readouterr()
    return output.out if code == 0 else output.err


def test_copy_tokens_and_retention(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with open_store() as here:
        here.add(example_record("a1"), example_summary(1))
    target = str(tmp_path / "copy.db")
    done = json.loads(said(capsys, "copy", target, "--project", "vision", "--json", "-"))
    assert (done["copied"], done["present"]) == (1, 0)
    assert "0 runs copied" in said(capsys, "copy", target)
    with open_store(target) as there:
        assert there.get("a1").tags["project"] == "vision"
    made = said(capsys, "token", "ann", "--project", "vision", "--lasts", "90d").strip()
    assert made.startswith("wm_")
    assert made not in said(capsys, "tokens")
    assert json.loads(said(capsys, "tokens", "--json", "-"))[0]["rights"] == "read"
    assert "void" in said(capsys, "token", "ann", "--remove")
    said(capsys, "retention", "vision", "--runs", "730d", "--curves", "30d", "--period", "60")
    assert json.loads(said(capsys, "retention", "--json", "-"))[0]["period_s"] == 60
    assert "0 runs would be removed" in said(capsys, "tidy", "--dry-run")
    said(capsys, "retention", "vision", "--none")
    assert json.loads(said(capsys, "retention", "--json", "-")) == []


@pytest.mark.parametrize(
    "words",
    [
        ("token", "ann"),
        ("token", "ann", "--project", "a", "--all-projects"),
        ("token", "ann", "--project", "a", "--rights", "all"),
        ("token", "ann", "--project", "a", "--lasts", "soon"),
        ("token", "nobody", "--remove"),
        ("retention", "--runs", "-1d"),
        ("retention", "--curves", "30d"),
        ("users",),
        ("copy", "mysql://x/y"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert "Traceback" not in said(capsys, *words, code=2)
