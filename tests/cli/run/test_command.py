from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/run.schema.json").read_text())
ISSUE_KEYS = {
    "run_id", "name", "status", "exit_code", "started_at", "duration_s", "coverage", "energy_j", "energy_above_idle_j",
    "energy_attributed_j", "power_w", "channels", "carbon_g", "spans", "warnings",
}  # fmt: skip


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def started(cli, marker: str) -> None:
    """The measured command has begun: it makes this file."""
    wait_for((cli.folder / marker).exists)


def test_known_watts_give_the_right_joules_and_the_documented_object(cli, read, powercap) -> None:
    powercap("--domains", "package,core,dram,psys")
    code, data, err = cli.run_json(
        "--name", "fifty", "--tag", "a", "--tag", "k=v", "--zone", "FR", "--", "sleep", "1.5"
    )
    assert code == 0
    jsonschema.validate(data, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert data.keys() >= ISSUE_KEYS
    assert data["energy_j"]["cpu"]["value"] == pytest.approx(50 * data["duration_s"], rel=0.005)
    assert data["energy_j"]["dram"]["value"] == pytest.approx(5 * data["duration_s"], rel=0.005)
    assert data["energy_j"]["total"]["value"] == pytest.approx(55 * data["duration_s"], rel=0.005)
    assert data["status"] == "completed"
    assert data["exit_code"] == 0
    assert data["tags"] == {"a": "", "k": "v"}
    assert data["carbon_g"]["zone"] == "FR"
    assert "measured by a counter (rapl)" in err
    assert "modelled" not in err
    assert f"wattmark show {data['run_id']}" in err
    assert read("show", "fifty") == data
    assert read("show", data["run_id"][:-2]) == data
    listed = read("ls")
    assert [row["run_id"] for row in listed] == [data["run_id"]]
    assert {"run_id", "name", "status", "started_at", "duration_s", "energy_j"} <= listed[0].keys()
    assert listed[0]["energy_j"] == pytest.approx(data["energy_j"]["total"]["value"])
    assert list((cli.data / "journals").iterdir()) == []


def test_unreadable_counters_fall_back_to_the_model_and_say_so(cli, here, powercap) -> None:
    powercap("--unreadable")
    code, data, err = cli.run_json("--", "sh", "-c", "exit 7")
    assert code == 7
    assert data["status"] == "failed"
    assert data["exit_code"] == 7
    assert {channel["method"] for channel in data["channels"] if channel["counted_in_total"]} == {"modelled"}
    assert "modelled, no sensor is usable (wattmark sources)" in err
    assert "sources --fix" in here("sources")[1]
    assert "udevadm" in here("sources", "--fix")[1]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["no-such-command-at-all"], 127),
        (["./no-such-file"], 127),
        (["./not-executable"], 126),
        (["sh", "-c", "kill -9 $$"], 137),
        (["sh", "-c", "exit 3"], 3),
    ],
)
def test_the_exit_code_is_that_of_a_shell(cli, command, code) -> None:
    (cli.folder / "not-executable").write_text("x")
    done = cli("run", "--", *command)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    begun = command[0] == "sh"
    assert len(json.loads(cli("ls", "--json", "-").stdout)) == (1 if begun else 0)


@pytest.mark.parametrize(("path", "why"), [("no/such/out.json", "no folder no/such"), (".", "is a folder")])
def test_a_json_file_that_cannot_be_written_is_said_before_the_work(cli, path, why) -> None:
    for words in (["run", "--json", path, "--", "touch", "done"], ["sources", "--json", path]):
        done = cli(*words)
        assert done.returncode == 2, done.stderr
        assert why in done.stderr
    assert not (cli.folder / "done").exists()


def test_json_on_standard_output_is_alone_there(cli) -> None:
    done = cli("run", "--json", "-", "sh", "-c", "echo from the command; cat", stdin=subprocess.DEVNULL)
    assert json.loads(done.stdout)["name"] == "sh"
    assert "from the command" in done.stderr


def test_standard_input_and_output_go_through(cli) -> None:
    process = cli.start("run", "--quiet", "--json", "out.json", "--", "cat", stdin=subprocess.PIPE)
    out, err = process.communicate("hello\n", timeout=60)
    assert out == "hello\n"
    assert err == ""
    assert json.loads((cli.folder / "out.json").read_text())["exit_code"] == 0


def test_a_command_after_options_needs_no_dashes_and_keeps_its_own(cli) -> None:
    done = cli("run", "-q", "sh", "-c", 'echo "$@"', "x", "--name", "y", "--", "z")
    assert done.stdout == "--name y -- z\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on_and_the_run_is_interrupted(cli, number) -> None:
    process = cli.start("run", "--json", "-", "--", "sh", "-c", "touch begun; exec sleep 60")
    started(cli, "begun")
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert json.loads(out)["status"] == "interrupted"


def test_a_command_that_handles_its_signal_ends_as_it_likes(cli) -> None:
    process = cli.start(
        "run",
        "--json",
        "-",
        "--",
        "sh",
        "-c",
        "trap 'exit 0' TERM; touch begun; while :; do sleep 0.05; done",
    )
    started(cli, "begun")
    process.terminate()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(out)["status"] == "completed"


def test_ctrl_c_reaches_the_command_once_and_the_summary_comes(cli) -> None:
    count = (
        "import signal, time, pathlib\nseen = []\nsignal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
    )
    count += "pathlib.Path('begun').touch()\nwhile not seen: time.sleep(0.01)\ntime.sleep(0.2)\n"
    count += "pathlib.Path('seen').write_text(str(len(seen)))\n"
    leader, follower = pty.openpty()
    terminal = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    terminal += "os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", terminal, *cli.command, "run", "--", sys.executable, "-c", count],
        stdin=follower, stdout=follower, stderr=follower, env=cli.env, cwd=cli.folder,
    )  # fmt: skip
    os.close(follower)
    started(cli, "begun")
    os.write(leader, b"\x03")
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:  # the last process that had the terminal is gone
        pass
    finally:
        os.close(leader)
    assert process.wait(timeout=30) == 0
    assert (cli.folder / "seen").read_text() == "1"
    assert b"wattmark show" in shown


def test_the_live_line_shows_watts_joules_and_time(cli, powercap) -> None:
    powercap()
    leader, follower = pty.openpty()
    process = cli.start("run", "--", "sleep", "1.2", stderr=follower, stdout=subprocess.DEVNULL)
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
    lines = [line for line in shown.decode().split("\r\x1b[2K") if "⚡" in line]
    assert len(lines) >= 3
    assert " W · " in lines[-1]
    assert " J · " in lines[-1]


def test_a_killed_wattmark_leaves_a_run_that_says_so(cli, read, powercap) -> None:
    powercap()
    process = cli.start("run", "--name", "doomed", "--", "sh", "-c", "touch begun; exec sleep 2")
    started(cli, "begun")
    time.sleep(0.5)
    process.kill()
    process.communicate(timeout=30)

    def ended() -> bool:
        return [row["status"] for row in read("ls")] == ["interrupted"]

    wait_for(ended)
    data = read("show", "doomed")
    assert data["energy_j"]["total"]["value"] > 5
    assert any(warning["code"] == "interrupted" for warning in data["warnings"])


def test_a_killed_recorder_costs_coverage_and_nothing_else(cli, powercap) -> None:
    powercap()
    process = cli.start("run", "--json", "-", "--", "sh", "-c", "touch begun; sleep 1.5; exit 4")
    started(cli, "begun")
    time.sleep(0.3)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    recorder = next(pid for pid in children if b"recorder" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(int(recorder), signal.SIGKILL)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 4
    data = json.loads(out)
    assert data["coverage"] < 0.7
    assert any(warning["code"] == "recorder-lost" for warning in data["warnings"])


def test_where_nothing_can_be_measured_the_command_still_runs(cli) -> None:
    shutil.rmtree(cli.data)
    cli.data.write_text("a file where the data folder should be")
    done = cli("run", "--", "sh", "-c", "echo worked; exit 9")
    assert done.returncode == 9
    assert done.stdout == "worked\n"
    assert "nothing is measured" in done.stderr
    assert "this run is in no list" in done.stderr
    assert "wattmark show" not in done.stderr
    assert "Traceback" not in done.stderr
    _, data, _ = cli.run_json("--", "sh", "-c", "exit 9")
    assert (data["status"], data["exit_code"], data["energy_j"]["total"]) == ("failed", 9, None)


def test_a_run_without_a_journal_is_listed_where_the_store_is_elsewhere(cli, read) -> None:
    (cli.data / "journals").write_text("a file where the journals should be")
    done = cli("run", "--name", "blind", "--", "sh", "-c", "exit 4")
    assert done.returncode == 4
    assert "wattmark show" in done.stderr
    (listed,) = read("ls")
    assert (listed["name"], listed["status"], listed["energy_j"]) == ("blind", "failed", None)


def test_a_data_folder_removed_meanwhile_costs_the_numbers_and_nothing_else(cli) -> None:
    code, data, err = cli.run_json("--", "sh", "-c", f"rm -rf '{cli.data}'; exit 3")
    assert (code, data["status"], data["exit_code"]) == (3, "failed", 3)
    assert data["energy_j"]["total"] is None
    assert [warning["code"] for warning in data["warnings"]] == ["journal-lost"]
    assert "Traceback" not in err


def test_inside_another_run_it_is_a_span(cli, read, powercap) -> None:
    powercap()
    inner = [*cli.command, "run", "--json", "inner.json", "--name", "inner", "--", "sleep", "0.3"]
    code, data, _ = cli.run_json("--name", "outer", "--", *inner)
    assert code == 0
    assert [span["name"] for span in data["spans"]] == ["inner"]
    part = json.loads((cli.folder / "inner.json").read_text())
    jsonschema.validate(part, SCHEMA)
    assert part["name"] == "inner"
    assert part["energy_j"]["total"]["value"] == pytest.approx(
        data["spans"][0]["energy_j"]["value"], rel=0.05
    )
    assert [row["name"] for row in read("ls")] == ["outer"]


def test_a_python_child_adds_its_spans(cli, powercap) -> None:
    powercap()
    script = "import time, wattmark as wm\nwith wm.span('epoch', samples=10):\n    time.sleep(0.2)\n"
    _, data, err = cli.run_json("--", sys.executable, "-c", script)
    assert [(span["name"], span["counts"]) for span in data["spans"]] == [("epoch", {"samples": 10})]
    assert "epoch" in err


def test_a_run_that_goes_on_is_listed_and_shown(cli, read, here, powercap) -> None:
    powercap()
    process = cli.start("run", "--name", "long", "--", "sh", "-c", "touch begun; exec sleep 60")
    started(cli, "begun")
    rows = read("ls", "--status", "running")
    assert [(row["name"], row["status"]) for row in rows] == [("long", "running")]
    assert read("show", "long")["status"] == "running"
    code, _, err = here("rm", "long", "--yes")
    assert code == 1
    assert "goes on" in err
    process.terminate()
    process.communicate(timeout=30)
    assert [row["status"] for row in read("ls")] == ["interrupted"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hz", "5", "--period", "1", "--", "true"], "give one of them"),
        (["--hz", "0", "--", "true"], "more than 0"),
        (["--period", "77", "--", "true"], "period_s must be"),
        (["--pue", "0.5", "--", "true"], "pue must be"),
        (["--zone", "Atlantis", "--", "true"], "Atlantis"),
        (["--tag", "=x", "--", "true"], "a tag needs a key"),
        (["--baseline", "-1", "--", "true"], "--baseline"),
        (["--no-such", "--", "true"], "unrecognized"),
        ([], "no command"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(here, arguments, said) -> None:
    code, _, err = here("run", *arguments)
    assert code == 2
    assert said in err


def test_the_baseline_is_measured_first_and_taken_off(cli, powercap) -> None:
    powercap()
    _, data, err = cli.run_json("--baseline", "0.4", "--", "sleep", "0.4")
    assert data["energy_j"]["total"]["value"] == pytest.approx(55 * data["duration_s"], rel=0.02)
    assert data["energy_above_idle_j"]["value"] < 0.1 * data["energy_j"]["total"]["value"]
    assert "Above idle" in err


def test_little_is_imported_before_the_command_starts(cli) -> None:
    heavy = "{'numpy', 'sqlalchemy', 'rich', 'typer', 'pydantic'}"
    code = f"import sys, wattmark.cli.run.command; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=cli.env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_a_process_left_behind_does_not_keep_the_numbers_back(cli, read) -> None:
    left = "import time, wattmark as wm\nwm.span('late').start()\nopen('joined', 'w')\ntime.sleep(3)\n"
    script = f"import subprocess, sys, os, time\nsubprocess.Popen([sys.executable, '-c', {left!r}], stderr=-3, stdout=-3)\n"
    script += "while not os.path.exists('joined'): time.sleep(0.01)\n"
    code, data, _ = cli.run_json("--name", "leader", "--", sys.executable, "-c", script)
    assert code == 0
    assert data["name"] == "leader"
    assert [row["name"] for row in read("ls")] == ["leader"]


def test_a_short_command_has_the_joules_of_its_own_cpu_time(cli) -> None:
    burn = "import time\nwhile time.process_time() < 0.4: pass"
    code, data, _ = cli.run_json("--", sys.executable, "-c", burn)
    assert code == 0
    assert data["energy_attributed_j"]["value"] > 0
    assert "CPU time" in data["rules"]["attributed"]


def at_a_terminal(cli, *arguments: str, answers: str = "") -> str:
    """What ``wattmark`` shows someone who sits at a terminal and types ``answers`` ahead of each question."""
    (cli.data / "zone-asked").unlink(missing_ok=True)
    leader, follower = pty.openpty()
    terminal = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    terminal += "os.execv(sys.argv[1], sys.argv[1:])"
    env = {key: value for key, value in cli.env.items() if key != "CI"}
    process = subprocess.Popen(
        [sys.executable, "-c", terminal, *cli.command, *arguments],
        stdin=follower, stdout=follower, stderr=follower, env=env, cwd=cli.folder,
    )  # fmt: skip
    os.close(follower)
    shown, left = b"", answers.splitlines(keepends=True)
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
            if shown.endswith(b"Enter: none): ") and left:
                os.write(leader, left.pop(0).encode())
    except OSError:  # the last process that had the terminal is gone
        pass
    finally:
        os.close(leader)
    assert process.wait(timeout=30) == 0
    return shown.decode()


def test_the_zone_is_asked_for_once_after_the_run_and_kept(cli, powercap) -> None:
    powercap()
    shown = at_a_terminal(cli, "run", "--", "true", answers="Atlantis\nfr\n")
    assert "no zone is called 'Atlantis'" in shown
    assert "FR (France) is kept" in shown
    assert cli("config", "get", "zone").stdout.strip() == "FR"
    assert "where does this machine's power come from" not in at_a_terminal(cli, "run", "--", "true")


def test_no_answer_is_an_answer(cli, powercap) -> None:
    powercap()
    assert "none; later: wattmark config set zone FR" in at_a_terminal(cli, "run", "--", "true", answers="\n")
    assert (cli.data / "zone-asked").exists()
    assert cli("config", "get", "zone").returncode == 1


def test_nobody_is_asked_where_nobody_sits(cli, powercap) -> None:
    powercap()
    (cli.data / "zone-asked").unlink()
    assert "where does" not in cli("run", "--", "true", stdin=subprocess.DEVNULL).stderr
    assert not (cli.data / "zone-asked").exists()


def test_a_project_is_a_tag_of_every_run(cli, read, powercap) -> None:
    powercap()
    (cli.folder / "pyproject.toml").write_text('[tool.wattmark]\nproject = "of-the-folder"\n')
    script = "import wattmark as wm\nwith wm.measure('in-python'): pass\n"
    for words in (
        ["--name", "one"],
        ["--name", "two", "--project", "given"],
        ["--name", "three", "--tag", "project=tagged"],
    ):
        assert cli("run", *words, "--", "true").returncode == 0
    subprocess.run([sys.executable, "-c", script], env=cli.env, cwd=cli.folder, check=True)
    projects = {row["name"]: row["tags"].get("project") for row in read("ls")}
    assert projects == {
        "one": "of-the-folder",
        "two": "given",
        "three": "tagged",
        "in-python": "of-the-folder",
    }
    cli.env["WATTMARK_PROJECT"] = "of-the-shell"
    assert cli("run", "--name", "four", "--", "true").returncode == 0
    assert read("ls", "--project", "of-the-shell")[0]["name"] == "four"
