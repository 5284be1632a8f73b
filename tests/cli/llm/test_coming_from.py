"""What the guides say of ``wattmark llm bench`` can be sent as it stands: every line is taken as a user would type it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from wattmark.cli.llm import bench as module
from wattmark.cli.llm.command import app
from wattmark.serving.load.wire.target import Target
from wattmark.serving.prompts import dataset

GUIDE = Path(__file__).parents[3] / "docs/guide"
LINE = re.compile(r"`(wattmark llm bench URL[^`]*)`|^\$ (wattmark llm bench [^\n|]*)", re.MULTILINE)
TRACE = ("trace:", "Azure")


def lines() -> list[str]:
    texts = [
        (GUIDE / name).read_text(encoding="utf-8") for name in ("coming-from.md", "what-to-ask-a-server.md")
    ]
    found = [first or second for text in texts for first, second in LINE.findall(text)]
    return [line.removeprefix("wattmark llm bench ") for line in found]


class Taken(Exception):
    """What the command was about to do."""

    def __init__(self, plans: list[Any], target: Target) -> None:
        super().__init__()
        self.plans, self.target = plans, target


@pytest.mark.parametrize("line", lines())
def test_every_line_of_the_guides_is_taken(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": "one"}, {"prompt": "two"}]
    if any(word in line for word in TRACE):
        rows = [{"timestamp": 0, "input_length": 9, "output_length": 2}]  # type: ignore[list-item]
    file = tmp_path / "file.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"png")
    named = [
        ("FILE", str(file)),
        ("AzureLLMInferenceTrace_conv.csv", str(file)),
        ("prompts.jsonl", str(file)),
    ]
    for name, path in [*named, ("photos/", str(folder)), ("requests.jsonl", str(tmp_path / "out.jsonl"))]:
        line = line.replace(name, path)

    def run_bench(where: str, ask: Any, options: object, target: dict[str, Any], **_: object) -> None:
        data = ask.asked.read(ask.requests)
        raise Taken([ask.plan(load, data) for load in ask.loads], Target(where, **target))

    monkeypatch.setattr(module, "run_bench", run_bench)
    monkeypatch.setitem(dataset.HUBS, "hf", lambda *_: iter([("row 1", {"question": "q"})]))
    words = ["http://127.0.0.1:1" if word == "URL" else word for word in shlex.split(line)]
    done = CliRunner().invoke(app, ["bench", *words])
    assert isinstance(done.exception, Taken), f"{done.output} {done.exception!r}"
    assert done.exception.plans


def test_the_guides_have_lines() -> None:
    assert len(lines()) > 35
