"""The live view, against real runs: recorders of their own over a fake powercap tree."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal
import sys
import time

import pytest

from wattmark.cli.top.watch import Watcher

pytest.importorskip("textual")

WORK = """
import pathlib, sys, time
import wattmark as wm

def wait(name):
    while not pathlib.Path(name).exists():
        time.sleep(0.01)

name = sys.argv[1]
with wm.measure(name, tags={"model": "small"}) as run:
    with run.span("load"):
        pass
    with run.span("train") as train:
        for _ in range(3):
            with run.span("epoch", samples=100):
                pass
        with run.span("epoch") as last:
            last.add(samples=40)
            with run.span("request"), run.span("request"):
                pass
            open(f"{name}.begun", "w").close()
            wait(f"{name}.go")
    open(f"{name}.out", "w").close()
    wait(f"{name}.end")
"""


@pytest.fixture
def begin(cli):
    """Starts the script above as a run of a given name, and waits until it stands in its last epoch."""

    def start(name: str = "train.py"):
        process = cli.start(name)
        until(lambda: (cli.folder / f"{name}.begun").exists())
        return process

    cli.command = [sys.executable, "-c", WORK]
    return start


@pytest.fixture
def watcher(cli) -> Watcher:
    return Watcher(str(cli.data / "journals"))


def until(condition, seconds: float = 20.0):
    """What the condition gives once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def seen(watcher: Watcher, check):
    """The newest run, once it is as wanted."""

    def look():
        states = watcher.look()
        return states[0] if states and check(states[0]) else None

    return until(look)


def let(cli, word: str, name: str = "train.py") -> None:
    (cli.folder / f"{name}.{word}").touch()


def test_a_run_that_goes_on_is_seen_with_its_watts_joules_spans_and_counts(
    cli, powercap, begin, watcher
) -> None:
    powercap("--watts", "50")
    process = begin()
    state = seen(watcher, lambda state: state.duration_s > 1.2 and state.power_w is not None)
    assert (state.name, state.status, state.pid, state.tags) == (
        "train.py",
        "running",
        process.pid,
        {"model": "small"},
    )
    parts = {part.name: part for part in state.components}
    assert parts["cpu"].power_w == pytest.approx(50, rel=0.1)
    assert parts["dram"].power_w == pytest.approx(5, rel=0.1)
    assert (parts["cpu"].how, parts["cpu"].modelled) == ("measured (rapl)", False)
    energy = state.energy()
    assert energy is not None
    assert energy.low < energy.value < energy.high
    assert energy.value == pytest.approx(55 * state.duration_s, rel=0.25)
    assert state.readings > 5
    assert {(row.path, row.times) for row in state.open} == {("train", 1), ("train/epoch", 1)}
    ended = {row.path: row for row in state.ended}
    assert {path: row.times for path, row in ended.items()} == {
        "load": 1,
        "train/epoch": 3,
        "train/epoch/request": 1,
        "train/epoch/request/request": 1,
    }
    assert ended["train/epoch"].counts == {"samples": 300}
    samples = next(count for count in state.counts if count.name == "samples")
    assert samples.value == 340
    train = next(row for row in state.open if row.path == "train")
    assert train.energy_j == pytest.approx(55 * train.seconds, rel=0.25)


def test_its_joules_agree_with_those_of_the_finished_run(cli, powercap, begin, watcher) -> None:
    powercap("--square", "10,90,0.4")
    process = begin()
    let(cli, "go")
    seen(watcher, lambda state: state.duration_s > 1.0)
    live = seen(watcher, lambda state: "train" in {row.path for row in state.ended})
    let(cli, "end")
    process.wait(timeout=20)
    ended = watcher.look()
    from wattmark.runs.reading.session import SessionData
    from wattmark.runs.view import RunView

    (record,) = SessionData(next(iter((cli.data / "journals").glob("2*"))).as_posix()).runs()
    view = RunView(record)
    train = next(span for span in view.spans() if span.path == "train")
    seen_train = next(row for row in live.ended if row.path == "train")
    assert train.energy is not None
    assert seen_train.energy_j == pytest.approx(train.energy.value, rel=0.2)
    assert [state.status for state in ended] == ["completed"]
    assert ended[0].duration_s == pytest.approx(record.duration_s)
    assert view.energy is not None
    energy = ended[0].energy()
    assert energy is not None
    assert energy.value == pytest.approx(view.energy.value, rel=0.1)


def test_measured_and_modelled_joules_are_told_apart(cli, powercap, begin, watcher) -> None:
    powercap("--watts", "50", "--domains", "package,core")
    cli.env["WATTMARK_SOURCES"] = "rapl,dram-model"
    begin()
    state = seen(watcher, lambda state: state.duration_s > 1 and state.power_w is not None)
    how = {part.name: (part.modelled, part.how) for part in state.components}
    assert how["cpu"] == (False, "measured (rapl)")
    assert how["dram"] == (True, "modelled (dram-model)")
    whole, measured, modelled = (state.energy(modelled=kind) for kind in (None, False, True))
    assert whole is not None
    assert measured is not None
    assert modelled is not None
    assert whole.value == pytest.approx(measured.value + modelled.value)


def test_what_stands_beside_the_total_is_shown_and_not_added(cli, powercap, begin, watcher) -> None:
    powercap("--watts", "50", "--domains", "package,core")
    begin()
    state = seen(watcher, lambda state: state.duration_s > 1 and state.power_w is not None)
    parts = {part.name: part for part in state.components}
    assert [part.counted for part in parts.values()] == [True, False]
    assert parts["dram"].energy is not None
    assert state.energy() == parts["cpu"].energy
    assert state.power_w == parts["cpu"].power_w


def test_a_run_that_was_killed_is_interrupted_and_then_gone(cli, powercap, begin, watcher) -> None:
    powercap()
    process = begin()
    seen(watcher, lambda state: state.status == "running")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert seen(watcher, lambda state: state.status != "running").status == "interrupted"
    assert watcher.look() == []


def test_watching_asks_the_recorder_for_nothing_and_writes_nothing(cli, powercap, begin, watcher) -> None:
    powercap()
    begin()
    folder = next(iter((cli.data / "journals").glob("2*")))
    seen(watcher, lambda state: bool(state.components))
    before = sorted(path.name for path in folder.iterdir())
    done = [watcher._sessions[str(folder)]._page().read().commands_done for _ in range(2) if watcher.look()]
    assert len(set(done)) == 1
    assert sorted(path.name for path in folder.iterdir()) == before


def screen(watcher: Watcher, script, size=(80, 24), **options) -> None:
    """Run ``script(app, pilot)`` on the screen of ``wattmark top``."""
    from wattmark.cli.top.screen import TopApp

    async def play() -> None:
        app = TopApp(watcher.look, where=watcher.journals, every_s=0.05, **options)
        async with app.run_test(size=size) as pilot:
            await script(app, pilot)

    asyncio.run(play())


def text(app) -> str:
    """What stands on the screen, without colours."""
    return "\n".join(
        "".join(segment.text for segment in app.screen._compositor.render_strips()[line])
        for line in range(app.size.height)
    )


async def shows(app, pilot, *words: str, seconds: float = 20.0) -> str:
    """Wait until all the words stand on the screen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await pilot.pause(0.05)
        shown = text(app)
        if all(word in shown for word in words):
            return shown
    raise AssertionError(f"{words} not on the screen:\n{text(app)}")


def test_the_screen_of_a_run_fits_80_by_24_and_needs_no_colour(cli, powercap, begin, watcher) -> None:
    powercap("--watts", "50")
    begin()

    async def script(app, pilot) -> None:
        shown = await shows(app, pilot, "measured (rapl)", " W ", "samples", "readings of cpu and dram")
        lines = shown.splitlines()
        assert len(lines) == 24
        assert lines[0].startswith("train.py  running")
        assert "model=small" in lines[1]
        total = next(line for line in lines if line.startswith("total"))
        assert " J to " in total
        assert any(line.startswith("train ") and " J" in line for line in lines)
        assert any(line.startswith("  epoch ") and "40 samples" in line for line in lines)
        assert "q quit" in lines[-1]

    screen(watcher, script)


def test_where_nothing_runs_it_says_how_to_begin_and_takes_up_what_begins(
    cli, powercap, begin, watcher
) -> None:
    powercap()

    async def script(app, pilot) -> None:
        await shows(app, pilot, "Nothing is being measured here", "wattmark run --", watcher.journals[-20:])
        process = begin()
        await shows(app, pilot, "train.py  running")
        let(cli, "go")
        let(cli, "end")
        process.wait(timeout=20)
        await shows(app, pilot, "train.py  completed", "It has ended: wattmark show")
        begin("next.py")
        await shows(app, pilot, "next.py  running")

    screen(watcher, script)


def test_keys_turn_to_other_runs_and_quit(cli, powercap, begin, watcher) -> None:
    powercap()
    begin("one.py")
    begin("two.py")

    async def script(app, pilot) -> None:
        await shows(app, pilot, "two.py  running", "n next run", "> ", "one.py")
        await pilot.press("n")
        await shows(app, pilot, "one.py  running")
        await pilot.press("p")
        await shows(app, pilot, "two.py  running")
        await pilot.press("tab")
        await shows(app, pilot, "one.py  running")
        await pilot.press("q")
        assert not app.is_running or app._exit

    screen(watcher, script)


def test_many_spans_scroll_in_a_small_window(cli, powercap, begin, watcher) -> None:
    powercap()
    begin()

    async def script(app, pilot) -> None:
        await shows(app, pilot, "spans open now", "↑ ↓ spans")
        assert "load" not in text(app)
        for _ in range(6):
            await pilot.press("down")
        await shows(app, pilot, "request")

    screen(watcher, script, size=(80, 16))


def test_one_run_is_shown_alone_if_it_is_named(cli, powercap, begin, here) -> None:
    powercap()
    begin("one.py")
    begin("two.py")
    code, out, err = here("top", "one.py", "--json", "-")
    assert code == 0, err
    (state,) = json.loads(out)
    assert (state["name"], state["status"]) == ("one.py", "running")
    assert json.loads(here("top", state["run_id"], "--json", "-")[1])[0]["run_id"] == state["run_id"]
    assert {state["name"] for state in json.loads(here("top", "--json", "-")[1])} == {"one.py", "two.py"}
    code, _, err = here("top", "three.py")
    assert code
    assert "no run 'three.py' goes on here" in err
    code, _, err = here("top", "2", "--json", "-")
    assert code
    assert "2 runs that go on fit" in err


def test_without_a_terminal_it_says_what_to_do_instead(here) -> None:
    code, _, err = here("top")
    assert code == 2
    assert "wattmark top --json -" in err


def test_on_a_real_terminal_it_draws_without_colours_if_asked_and_leaves_with_q(cli, powercap, begin) -> None:
    powercap()
    begin()
    cli.command = [sys.executable, "-c", "from wattmark.cli import main; main()"]
    leader, follower = pty.openpty()
    os.set_blocking(leader, False)
    cli.env |= {"TERM": "xterm", "LINES": "24", "COLUMNS": "80"}
    process = cli.start("top", stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    drawn = b""

    def read() -> bytes:
        nonlocal drawn
        if select.select([leader], [], [], 0.05)[0]:
            try:
                drawn += os.read(leader, 65536)
            except OSError:  # the other side is closed
                return drawn
        return drawn

    until(lambda: b"measured" in read())
    os.write(leader, b"q")
    until(lambda: (read(), process.poll())[1] is not None)
    os.close(leader)
    assert process.returncode == 0
    assert b"\x1b[38;" not in drawn  # no colours of our own
    assert b"\x1b[?1049l" in drawn  # the terminal is as it was before
