"""``wattmark advise`` as a user has it, on a study that is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wattmark.cli import main


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(end.value.code or 0)


def kept_study() -> None:
    from wattmark.studies.designs.design import parse_design
    from wattmark.studies.execution.state import StudyFolder
    from wattmark.studies.results import TrialResult

    text = 'name = "sizes"\nrepeats = 5\n[command]\nargv = ["true", "{size}"]\n[factors]\nsize = ["small", "large"]\n'
    folder = StudyFolder.create(parse_design(text, "here"))
    for repeat in range(5):
        for size, joules in (("small", 50.0), ("large", 100.0)):
            value = joules * (1 + 0.01 * repeat)
            energy = {"value": value, "low": value, "high": value}
            folder.append(
                TrialResult(
                    f"{size}-{repeat}", repeat, repeat, {"size": size}, "completed", duration_s=1.0,
                    energy_j={"total": energy},
                    methods={"cpu": "counter"}, coverage=1.0, contention=0.0,
                )
            )  # fmt: skip


def test_a_study_is_advised_on_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    kept_study()
    assert run("advise", "sizes") == 0
    out = capsys.readouterr().out
    assert "1. Take size small instead of size large.  saves 50 %" in out
    assert "guard rail: the result must be as good" in out
    assert "see it again: wattmark study run sizes" in out
    assert "the cheapest" in out
    assert run("advise", "changes", "sizes", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["advice"][0]["saving"]["value"] == pytest.approx(0.5)


def test_what_cannot_be_advised_on_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("advise", "nothing-such") == 1
    assert "nothing-such" in capsys.readouterr().err
    assert run("advise", "--tag", "project=none") == 2
    assert "0 completed run(s)" in capsys.readouterr().err
    assert run("advise", "--help") == 0
    assert "changes" in capsys.readouterr().out
