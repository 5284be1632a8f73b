"""``wattmark run --predict``: progress from spans, words and bars; budgets; what becomes of the command's output."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

LINES = """
import sys, time
for epoch in range(1, 13):
    time.sleep(0.7)
    print(f"Epoch {epoch}/12 loss={1 / epoch:.3f}", flush=True)
"""
SPANS = """
import time
import wattmark as wm
with wm.measure("training") as run:
    run.expect(epochs=12)
    for _ in range(12):
        with run.span("epoch", samples=10):
            time.sleep(0.7)
"""
STOPS = """
import pathlib, signal, sys, time
def save(*_):
    time.sleep(0.3)
    pathlib.Path("checkpoint").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
for epoch in range(1, 121):
    time.sleep(0.7)
    print(f"Epoch {epoch}/120 loss=1", flush=True)
"""


def python(code: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", code)


@pytest.mark.slow
@pytest.mark.parametrize("code", [LINES, SPANS], ids=["lines", "spans"])
def test_a_run_is_predicted_while_it_goes_on_and_scored_when_it_has_ended(cli, read, powercap, code) -> None:
    powercap()
    exit_code, data, err = cli.run_json("--name", "training", "--predict", *python(code))
    assert exit_code == 0, err
    assert "Predicted: " in err
    said = read("show", "last")
    assert said["energy_j"]["total"]["value"] == pytest.approx(55 * data["duration_s"], rel=0.01)
    found = read("predict", "score")["scores"]
    assert found
    late = [score for score in found if score["stage"] == 0.5]
    assert late[0]["predictor"] == "early"
    assert late[0]["number"] == 1
    assert late[0]["mape"] < 0.2
    (miss,) = late[0]["worst"]
    assert miss["run_id"] == data["run_id"]
    assert miss["actual_j"] == pytest.approx(data["energy_j"]["total"]["value"])
    assert miss["low_j"] < miss["predicted_j"] < miss["high_j"]


def test_the_output_goes_through_as_it_is(cli) -> None:
    code = "import os, sys; os.write(1, bytes(range(256)) * 1000); os.write(2, b'to the other')"
    done = cli("run", "-q", "--predict", *python(code), text=False)
    assert done.stdout == bytes(range(256)) * 1000
    assert done.stderr == b"to the other"


def test_a_reader_that_goes_away_ends_the_command_as_ever(cli) -> None:
    process = cli.start("run", "-q", "--predict", "--", "yes")
    assert process.stdout.read(4) == "y\ny\n"
    process.stdout.close()
    assert process.wait(timeout=30) == 128 + signal.SIGPIPE
    process.stdout = None


@pytest.mark.slow
def test_a_command_on_a_terminal_has_one_and_its_line_is_below(cli, powercap) -> None:
    powercap()
    code = "import os, sys; assert os.isatty(1) and os.isatty(2); print(os.get_terminal_size(1)); " + LINES
    leader, follower = pty.openpty()
    process = cli.start("run", "--predict", *python(code), stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:
        pass
    finally:
        os.close(leader)
    assert process.wait(timeout=30) == 0
    text = shown.decode()
    assert "Epoch 7/12 loss" in text
    assert "predicted " in text
    assert " left" in text


@pytest.mark.slow
def test_a_budget_that_will_not_hold_is_said_and_the_run_goes_on(cli, read, powercap) -> None:
    powercap()
    exit_code, data, err = cli.run_json("--budget", "100J", *python(LINES))
    assert exit_code == 0
    assert "over the budget of 100J: " in err
    assert err.count("over the budget") == 2  # as it was said, and as a warning of the run
    assert any("over the budget" in warning["message"] for warning in data["warnings"])


@pytest.mark.slow
def test_a_budget_that_holds_is_not_mentioned(cli, powercap) -> None:
    powercap()
    assert "budget" not in cli.run_json("--budget", "10kJ", *python(LINES))[2]


@pytest.mark.slow
def test_over_the_budget_the_work_is_asked_to_stop_and_writes_its_checkpoint(cli, read, powercap) -> None:
    powercap()
    exit_code, data, _ = cli.run_json("--budget", "1kJ", "--stop-over-budget", *python(STOPS))
    assert exit_code == 124
    assert (cli.folder / "checkpoint").read_text() == "saved"
    assert data["status"] == "interrupted"
    assert data["exit_code"] == 124
    assert any("stopped over the budget of 1kJ" in warning["message"] for warning in data["warnings"])
    assert read("show", "last")["status"] == "interrupted"
    scores = read("predict", "score")["scores"]
    assert sum(score["number"] for score in scores) == 0
    assert sum(score["otherwise"] for score in scores) > 0


@pytest.mark.slow
def test_who_does_not_stop_is_killed_after_the_grace_period_with_all_that_it_started(cli, powercap) -> None:
    powercap()
    stubborn = STOPS.replace("sys.exit(0)", "pass")
    inner = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {stubborn!r}]))"
    options = ("--budget", "1kJ", "--stop-over-budget", "--grace", "1")
    exit_code, _, err = cli.run_json(*options, *python(inner))
    assert exit_code == 124
    assert "did not stop within 1 s" in err
    left = subprocess.run(["pgrep", "-f", "for epoch in range.1, 121"], capture_output=True, text=True)
    assert left.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--budget", "50 parsecs"), "no unit 'parsecs'"),
        (("--budget", "50kj"), "did you mean 50kJ"),
        (("--budget", "2EUR"), "--price"),
        (("--budget", "20gCO2e"), "--zone FR"),
        (("--stop-over-budget",), "needs a budget"),
        (("--price", "0.2"), "belongs to --budget"),
        (("--epochs", "nan"), "--epochs must be"),
        (("--budget", "5kJ", "--stop-over-budget", "--grace", "-1"), "--grace must be"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(here, cli, options, words) -> None:
    code, _, err = here("run", *options, "--", "touch", "begun")
    assert code == 2
    assert words in err
    assert not (cli.folder / "begun").exists()


@pytest.mark.slow
def test_budgets_of_carbon_and_money_are_joules_at_the_place(cli, powercap) -> None:
    powercap()
    err = cli.run_json("--zone", "FR", "--budget", "1mgCO2e", *python(LINES))[2]
    assert "over the budget of 1mgCO2e (" in err
    err = cli.run_json("--budget", "0.00001EUR", "--price", "0.25", *python(LINES))[2]
    assert "0.25 EUR/kWh" in err


def test_without_progress_it_says_what_it_waits_for(cli) -> None:
    done = cli("run", "--predict", "--", "sleep", "4")
    assert done.returncode == 0
    assert "Not predicted: nothing says how much there is to do" in done.stderr


@pytest.mark.slow
def test_top_and_the_dashboard_show_what_the_whole_run_will_cost(cli, powercap, monkeypatch) -> None:
    from fakes.dashboard import api
    from wattmark.cli.top.watch import Watcher
    from wattmark.store import open_store

    powercap()
    process = cli.start(
        "run", "-q", "--name", "training", "--predict", *python(LINES), stdout=subprocess.DEVNULL
    )
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(cli.data))
    watcher = Watcher(str(cli.data / "journals"))
    state = shown = None
    with open_store(str(cli.data / "store.db")) as store:
        client = api(store)
        while process.poll() is None and (state is None or shown is None):
            time.sleep(0.1)
            state = next((one for one in watcher.look() if one.prediction is not None), state)
            live = client.get("/api/v1/runs/live").json()
            told = client.get(f"/api/v1/runs/{live[0]['run_id']}").json() if live else {}
            shown = told.get("prediction") or shown
        assert process.wait(timeout=30) == 0
        assert state is not None
        assert state.prediction is not None
        assert state.prediction.energy_low_j < state.prediction.energy_j < state.prediction.energy_high_j
        assert "of 12 epochs" in state.prediction.progress
        assert state.as_dict()["prediction"]["energy_j"] == state.prediction.energy_j
        assert shown is not None
        assert shown["energy_low_j"] < shown["energy_j"] < shown["energy_high_j"]
