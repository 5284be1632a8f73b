"""A command that stands still while the grid is dirty: seconds instead of hours, everything else as it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

from wattmark.recorder.tree import children_of, is_stopped


def grid(cli, clean: int = 3, dirty: int = 6) -> None:
    """A file that is known for ten minutes: so many clean steps of two seconds, so many dirty ones, again and again."""
    now = time.time() - 20
    rows = [
        f"{now + 2 * at:.3f},{now + 2 * at + 2:.3f},{50 if at % (clean + dirty) < clean else 1000}\n"
        for at in range(300)
    ]
    (cli.folder / "grid.csv").write_text("start,end,g/kWh\n" + "".join(rows))


def words(duration: str, deadline: str, *more: str) -> list[str]:
    asked = ["--duration", duration, "--deadline", deadline]
    return ["run", "--when", "green", "--pausable", "--series", "grid.csv", *asked, *more]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def child_of(process: subprocess.Popen, name: str = "sleep") -> int:
    """The measured command's pid, once it is there."""
    found: list[int] = []

    def look() -> bool:
        for pid in children_of(process.pid):
            try:
                with open(f"/proc/{pid}/comm") as file:
                    if file.read().strip() == name:
                        found.append(pid)
            except OSError:
                continue
        return bool(found)

    assert until(look, 60)
    return found[0]


def test_a_command_is_paused_and_goes_on_and_its_pauses_are_apart(cli, powercap) -> None:
    powercap()
    grid(cli)
    process = cli.start(*words("10s", "120s", "--json", "run.json"), "--", "sleep", "40")
    pid = child_of(process)
    assert until(lambda: is_stopped(pid), 60)
    assert until(lambda: not is_stopped(pid))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "paused at" in err
    assert "goes on" in err
    assert "what the machine took then is the span 'paused'" in err
    run = json.loads((cli.folder / "run.json").read_text())
    paused = [span for span in run["spans"] if span["name"] == "paused"]
    assert len(paused) >= 1
    assert 1 < paused[0]["duration_s"] < 30
    assert 0 < paused[0]["energy_j"]["value"] < run["energy_j"]["total"]["value"]


def test_a_command_is_not_left_standing_when_wattmark_is_killed(cli) -> None:
    grid(cli)
    process = cli.start(*words("10s", "120s"), "--", "sleep", "60")
    pid = child_of(process)
    try:
        assert until(lambda: is_stopped(pid), 60)
        process.kill()
        process.wait()
        assert until(lambda: not is_stopped(pid))
        os.kill(pid, 0)  # it still lives
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_paused_command_hears_that_it_should_end(cli) -> None:
    grid(cli)
    process = cli.start(*words("10s", "120s"), "--", "sleep", "60")
    pid = child_of(process)
    assert until(lambda: is_stopped(pid), 60)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT


def test_a_users_commands_pause_and_continue(cli) -> None:
    grid(cli)
    done = cli(
        *words("10s", "120s", "--pause-with", "touch paused-{pid}", "--resume-with", "touch resumed-{pid}"),
        "--",
        "sleep",
        "9",
    )
    assert done.returncode == 0, done.stderr
    names = sorted(path.name.partition("-")[0] for path in cli.folder.glob("*ed-*"))
    assert names == ["paused", "resumed"], done.stderr


def test_a_command_that_cannot_pause_it_lets_it_run(cli) -> None:
    grid(cli)
    done = cli(*words("10s", "120s", "--pause-with", "false", "--resume-with", "true"), "--", "sleep", "25")
    assert done.returncode == 0
    assert "could not be paused (1)" in done.stderr


def test_starting_at_once_is_an_answer(cli) -> None:
    grid(cli)
    (cli.folder / "grid.csv").write_text(
        "start,g/kWh\n" + "".join(f"{time.time() + 2 * at:.3f},100\n" for at in range(-300, 600))
    )
    done = cli(*words("2s", "20s"), "--", "sh", "-c", "exit 7")
    assert done.returncode == 7
    assert "starts now and is not paused" in done.stderr


def test_what_cannot_be_is_said_before_anything_runs(cli) -> None:
    grid(cli)
    for wrong, why in (
        (["run", "--pausable", "--", "true"], "belong to --when green"),
        (["run", "--checkpoint", "3s", "--", "true"], "belong to --pausable"),
        ([*words("1s", "9s", "--pause-with", "x"), "--", "true"], "go together"),
        ([*words("1s", "9s", "--pause-with", "'", "--resume-with", "x"), "--", "true"], "is no command"),
        ([*words("9s", "1s"), "--", "true"], "cannot be done within"),
        ([*words("4s", "9s", "--checkpoint", "5s"), "--", "true"], "checkpoint"),
    ):
        failed = cli(*wrong)
        assert failed.returncode == 2, (wrong, failed.stderr)
        assert why in failed.stderr
