"""The page of all options, made when the documentation is built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def test_every_command_and_its_options_are_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "docs"))
    monkeypatch.setenv("COLUMNS", "100")
    import make_options  # pyright: ignore[reportMissingImports]

    from wattmark.cli.app import COMMANDS

    text = make_options.pages()
    for command in COMMANDS:
        assert f"\n## wattmark {command}\n" in text
    for words in ("## wattmark study export", "--paper FOLDER", "--stop-over-budget", "--reach METRIC>=X"):
        assert words in text
    sys.modules.pop("make_options")
