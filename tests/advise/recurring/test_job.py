"""A job that recurs: learnt from one run to the next, on the disk, by one process at a time."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import wattmark as wm
from wattmark.advise.recurring.history import history_of
from wattmark.errors import ConfigError
from wattmark.testing.machines import capped as capped_machine

JOB = "import sys, time; n = int(sys.argv[1]); time.sleep({8: 1.2, 16: 0.5, 32: 0.3}[n]); sys.exit(n == 32)"


def job(code: str = JOB) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, "{batch}"]


def kept(name: str = "nightly") -> dict:
    return json.loads(Path(os.environ["WATTMARK_DATA_DIR"], "recurring", f"{name}.json").read_text())


def test_what_a_run_has_cost_is_kept_and_the_next_one_goes_on_from_it(fake_machine):
    (first,) = wm.recur("nightly", job(), [8, 16], default=8)
    assert (first.size, first.reached, first.stopped, first.modelled) == (8, True, False, False)
    assert first.cost == pytest.approx(first.energy.value)
    turns = wm.recur("nightly", job(), [8, 16], default=8, seed=1, tries=3)
    assert turns[-1].reached
    assert [one["size"] for one in kept()["trials"]] == [8, *[turn.size for turn in turns]]
    assert wm.load("last").tags["recurring"] == "nightly"


def test_joules_of_a_model_are_said_to_be_so(fake_machine, monkeypatch):
    monkeypatch.setenv("WATTMARK_SOURCES", "cpu-model")
    told: list[str] = []
    (turn,) = wm.recur("guessed", job(), [16], default=16, tell=told.append)
    assert turn.to_dict()["modelled"] is True
    assert any("J (modelled)" in line for line in told)


def test_a_run_that_is_too_dear_is_stopped_and_another_size_tried(fake_machine):
    with history_of("nightly", 1.0) as history:
        from wattmark.advise.recurring.bandit import Trial

        history.trials = [Trial(16, 12.0, True)] * 3
        history.write()
    slow = JOB.replace("0.5", "9").replace("1.2", "9")
    turns = wm.recur("nightly", job(slow), [16], default=16, tries=1)
    assert turns[0].stopped
    assert not turns[0].reached
    assert turns[0].seconds < 5
    assert kept()["trials"][-1]["reached"] is False


def test_a_job_that_has_never_ended_well_is_not_tried_again_and_again(fake_machine):
    (turn,) = wm.recur("nightly", job("import sys; sys.exit(7)"), [16, 32], tries=5)
    assert (turn.exit_code, turn.reached) == (7, False)


def test_the_cap_is_chosen_for_each_size_and_gone_after_the_run(tmp_path, monkeypatch):
    import subprocess

    root = tmp_path / "capped"
    served = subprocess.Popen(
        [sys.executable, "-I", "-S", capped_machine.__file__, "serve", str(root), "--cpu"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert served.stdout is not None
    before = json.loads(served.stdout.readline())["limits"]
    for name, value in (("WATTMARK_SYSFS", str(root)), ("WATTMARK_SOURCES", "rapl"), ("LD_LIBRARY_PATH", "")):
        monkeypatch.setenv(name, value)
    work = [
        sys.executable,
        "-I",
        "-S",
        capped_machine.__file__,
        "work",
        str(root),
        "--seconds",
        "0.3",
        "--steps",
        "{batch}",
    ]
    caps = [wm.recur("capped", work, [4], apply=True)[-1].cap_w for _ in range(3)]
    assert caps == [125, 40, 65]
    assert {path: int((root / path).read_text()) for path in before} == before
    assert [row["cap_w"] for row in kept("capped")["windows"]] == caps
    served.terminate()
    served.communicate()


def test_one_process_at_a_time(fake_machine):
    with history_of("nightly", 1.0), pytest.raises(ConfigError, match="runs already"):
        wm.recur("nightly", job(), [16])


@pytest.mark.parametrize(
    ("name", "command", "sizes", "more", "told"),
    [
        ("../x", job(), [16], {}, "cannot be named"),
        ("a", ["true"], [16], {}, "where the batch size goes"),
        ("a", job(), [16], {"eta": 2.0}, "between 0"),
        ("a", job(), [16], {"eta": 0.5}, "largest power"),
        ("a", job(), [16], {"default": 8}, "none of 16"),
        ("a", ["no-such-command", "{batch}"], [16], {}, "no-such-command"),
    ],
)
def test_what_cannot_be_used_is_told(fake_machine, name, command, sizes, more, told):
    with pytest.raises(ConfigError, match=told):
        wm.recur(name, command, sizes, **more)


def test_costs_of_two_kinds_are_not_mixed(fake_machine):
    wm.recur("nightly", job(), [16])
    with pytest.raises(ConfigError, match=r"learnt with eta 1, not 0\.5"):
        wm.recur("nightly", job(), [16], eta=0.5, max_power_w=100)


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 9}'])
def test_a_history_that_cannot_be_read_is_told(fake_machine, content, data_dir):
    (data_dir / "recurring").mkdir(parents=True)
    (data_dir / "recurring" / "nightly.json").write_text(content)
    with pytest.raises(ConfigError, match=r"learnt anew|no history|cannot be read"):
        wm.recur("nightly", job(), [16])
