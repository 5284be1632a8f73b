"""``wattmark advise`` as a user has it, and killed at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wattmark.testing.machines import capped as capped_machine

SCRIPT = [sys.executable, "-I", "-S", capped_machine.__file__]


@pytest.fixture
def machine(cli):
    """One CPU package whose caps act, seen by ``cli``."""
    process = subprocess.Popen([*SCRIPT, "serve", str(cli.sysfs), "--cpu"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    before = json.loads(process.stdout.readline())["limits"]
    cli.env |= {"WATTMARK_SOURCES": "rapl", "LD_LIBRARY_PATH": ""}
    yield {Path(cli.sysfs, path): value for path, value in before.items()}
    process.terminate()
    process.communicate(timeout=10)


def as_before(before) -> bool:
    return all(int(path.read_text() or 0) == value for path, value in before.items())


def words(cli, seconds=0.4, *more):
    return [
        "advise", "cap", "--apply", "--settle", "0", "--caps", "60,90", "--windows", "2", "--prove", "1", *more, "--",
        *SCRIPT, "work", str(cli.sysfs), "--seconds", str(seconds),
    ]  # fmt: skip


def test_caps_that_can_be_set_are_shown(cli, machine):
    done = cli("advise", "caps")
    assert done.returncode == 0
    assert "cpu0" in done.stdout
    assert "37.5 to 125 W" in done.stdout
    (row,) = json.loads(cli("advise", "caps", "--json", "-").stdout)["limits"]
    assert (row["cap_w"], row["may_set"], row["kept"]) == (
        125,
        os.access(next(iter(machine)), os.W_OK),
        False,
    )


def test_a_machine_without_anything_to_cap_has_an_exit_code_of_its_own(cli):
    cli.env |= {"LD_LIBRARY_PATH": ""}
    for arguments in (("advise", "caps"), ("advise", "cap", "--apply", "--", "true")):
        done = cli(*arguments)
        assert done.returncode == 3
        assert "nothing here can be capped" in done.stderr
        assert "hint:" in done.stderr


def test_the_script_that_permits_is_printed_and_quotes_what_it_is_given(cli):
    cli.env["WATTMARK_SYSFS"] = "/tmp/a b$(touch x)"
    done = cli("advise", "caps", "--permit")
    assert "chgrp powercap" in done.stdout
    assert "'/tmp/a b$(touch x)'/class/powercap" in done.stdout
    assert subprocess.run(["sh", "-n"], input=done.stdout, text=True, check=False).returncode == 0
    assert not (cli.folder / "x").exists()


def test_a_search_gives_a_table_json_and_a_picture(cli, machine):
    done = cli(*words(cli, 0.15, "--json", "a.json", "--picture", "a.svg"))
    assert done.returncode == 0, done.stderr
    assert "best" in done.stdout
    assert "the old cap is back" in done.stdout
    told = json.loads((cli.folder / "a.json").read_text())
    assert told["basis"] == "measured"
    assert {one["cap_w"] for one in told["windows"]} >= {60, 125}
    assert "<svg" in (cli.folder / "a.svg").read_text()
    assert as_before(machine)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--objective", "speed"], 2, "no objective"),
        (["--caps", "sixty"], 2, "no list of watts"),
        (["--slowdown", "fast"], 2, "no percentage"),
        (["--picture", "a.gif"], 2, "ends in none of"),
        (["--picture", "none/a.svg"], 2, "there is no folder none"),
        (["--device", "gpu3"], 3, "no 'gpu3'"),
        (["--apply", "--caps", "500"], 2, "out of the range"),
        (["--keep"], 2, "only kept where it is set"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(cli, machine, arguments, code, told):
    done = cli("advise", "cap", *arguments, "--", "true")
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_puts_back_and_says_what_was_seen(cli, machine):
    process = cli.start(*words(cli, 1.0))
    wait_until(lambda: not as_before(machine))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert as_before(machine)
    assert "no cap was found" in out
    assert "interrupted" in out


def test_a_second_search_on_one_device_is_told_who_holds_it(cli, machine):
    first = cli.start(*words(cli, 2.0))
    wait_until(lambda: not as_before(machine))
    second = cli(*words(cli, 0.1))
    assert second.returncode == 4
    assert "is capped by process" in second.stderr
    first.send_signal(signal.SIGTERM)  # a scheduler's way, taken as Ctrl-C
    first.communicate(timeout=60)
    assert first.returncode == 130
    assert as_before(machine)


def test_the_next_command_puts_back_what_a_killed_search_has_left(cli, machine):
    process = cli.start(*words(cli, 1.5))
    wait_until(lambda: not as_before(machine))
    for pid in [*family(process.pid), process.pid]:
        kill(pid)
    process.wait()
    assert not as_before(machine)
    done = cli("config", "path")
    assert done.returncode == 0
    assert "CPU package-0 is back at 125 W" in done.stderr
    assert as_before(machine)


def test_killed_at_random_a_few_times(cli, machine):
    killed_at_random(cli, machine, 4, seed=1, work_s=0.15, latest_s=2.5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not os.environ.get("WATTMARK_LONG_TESTS"), reason="minutes of waiting: WATTMARK_LONG_TESTS=1 runs it"
)
def test_killed_at_random_thirty_times(cli, machine):
    killed_at_random(cli, machine, 30, seed=20)


def killed_at_random(cli, machine, times: int, seed: int, work_s: float = 0.5, latest_s: float = 6.0) -> None:
    """kill -9 of a process of the search (or of all), drawn like the moment; then one more command: the old cap is there."""
    drawn = random.Random(seed)
    hit = set()
    for _ in range(times):
        process = cli.start(*words(cli, work_s), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(drawn.uniform(0.3, latest_s))
        living = {pid: kind_of(pid) for pid in [*family(process.pid), process.pid]}
        victims = [pid for pid, kind in living.items() if drawn.random() < 0.3] or [
            drawn.choice(list(living))
        ]
        if drawn.random() < 0.3:
            victims = list(living)
        hit |= {living[pid] for pid in victims}
        for pid in victims:
            kill(pid)
        if process.pid not in victims:
            process.wait(60)
        process.wait()
        for pid in living:
            if living[pid] == "work":
                kill(pid)  # what a killed search has left running
        deadline = time.monotonic() + 20
        while any(kind_of(pid) == "keeper" for pid in living) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert cli("config", "path").returncode == 0
        assert as_before(machine), f"after kill -9 of {[living[pid] for pid in victims]}"
        left = (
            [one.name for one in (cli.data / "caps").glob("*.json")] if (cli.data / "caps").exists() else []
        )
        assert left == []
    assert "search" in hit


def family(pid: int) -> list[int]:
    """All that a process has started, children first."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [*family(child), child]
    except OSError:
        pass
    return found


def kind_of(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"
    if state == "Z":
        return "gone"
    for kind, sign in (
        ("keeper", "limits.keeper"),
        ("recorder", "recorder.process"),
        ("work", "machines/capped"),
    ):
        if sign in line and "advise" not in line:
            return kind
    return "search"


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(true, seconds=40.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
