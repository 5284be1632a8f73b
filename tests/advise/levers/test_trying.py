"""The whole of it on a command whose figures are known, without a process; then once for real, as a user has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wattmark.advise.gate.repeat import CommandFailed, Conditions, Usage
from wattmark.advise.levers import outputs, trying
from wattmark.advise.levers.result import Tried
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.report.levers import levers_page

REPO = Path(__file__).parents[3]
BOOT = "import sys; from wattmark.cli import main; main()"
Effects = Mapping[str, float]


class Bench:
    """Stands for the command: CPU seconds by lever, with scatter; some levers fail or change the result."""

    def __init__(
        self,
        effects: Effects,
        *,
        worse: Effects | None = None,
        fails: Sequence[str] = (),
        stop_after: int = 0,
    ) -> None:
        self.effects, self.worse, self.fails, self.stop_after = effects, worse or {}, fails, stop_after
        self.names: list[str] = []
        self.rng = np.random.default_rng(0)

    def __call__(
        self,
        command: Sequence[str],
        folder: str,
        *,
        name: str,
        tags: Mapping[str, str],
        conditions: Conditions,
        limit_s: float | None = None,
    ) -> Usage:
        lever = tags["lever"]
        self.names.append(lever)
        if self.stop_after and len(self.names) > self.stop_after:
            raise KeyboardInterrupt
        if lever in self.fails:
            raise CommandFailed(f"the command ended with 1 ({name}): no")
        report = conditions.environ["WATTMARK_LEVERS_REPORT"]
        asked = json.loads(conditions.environ["WATTMARK_LEVERS"])
        Path(report).write_text(
            json.dumps({"pid": 1, "loaded": ["numpy"], "applied": list(asked.get("hook", {}))}) + "\n"
        )
        parts = lever.split(" + ")
        value = float(
            np.prod([self.effects.get(part, 1.0) for part in parts]) * np.exp(self.rng.normal(0, 0.01))
        )
        accuracy = 0.9 + sum(self.worse.get(part, 0.0) for part in parts) + float(self.rng.normal(0, 0.001))
        run = SimpleNamespace(
            attributed=SimpleNamespace(energy=Quantity(10 * value, 9 * value, 11 * value, error="curve/cpu")),
            energy=None, run_id=f"r{len(self.names)}", spans=(), metrics={}, channels=(), methods={}, energy_by_component={},
        )  # fmt: skip
        figures: dict[str, float] = {"cpu_s": value, "duration_s": 0.5 * value}
        return Usage(figures, 0.02, run, json.dumps({"accuracy": accuracy}) + "\n")  # type: ignore[arg-type]


def tried(monkeypatch: pytest.MonkeyPatch, bench: Bench, **given: Any) -> Tried:
    monkeypatch.setattr(trying, "run_once", bench)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return trying.try_levers(["work"], **given)


def outcomes(result: Tried) -> dict[str, str]:
    return {one.lever.name: one.outcome for one in result.levers}


def test_savers_are_put_together_and_the_best_is_compared_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({"memory kept": 0.8, "threads that sleep": 0.9, "one thread": 1.3})
    result = tried(monkeypatch, bench)
    told = outcomes(result)
    assert told["memory kept"] == told["threads that sleep"] == "saves"
    assert told["one thread"] == "costs"
    assert bench.names.count("one thread") == 3
    assert result.winner is not None
    assert result.winner.lever.name == "memory kept + threads that sleep"
    assert result.winner.confirmed
    assert result.winner.used is not None
    assert result.winner.used.value == pytest.approx(0.72, abs=0.02)
    assert result.winner.saved is not None
    assert result.winner.saved.value == pytest.approx(2.8, abs=0.3)
    assert result.winner.saved.low > 2
    assert (result.metric, result.modelled) == ("cpu_s", True)
    assert "28" in result.words
    assert not set(result.winner.runs) & {run for one in result.levers for run in one.runs}, (
        "a comparison of its own"
    )


def test_where_nothing_saves_nothing_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    result = tried(monkeypatch, Bench({}))
    assert result.winner is None
    assert "nothing to recommend" in result.words


def test_a_lever_that_makes_the_result_worse_is_flagged_and_not_recommended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench({"memory kept": 0.5, "few arenas": 0.9}, worse={"memory kept": -0.05})
    result = tried(monkeypatch, bench)
    assert outcomes(result)["memory kept"] == "changes the result"
    assert result.winner is not None
    assert "memory kept" not in result.winner.lever.name
    text = outputs.markdown(result)
    assert ": worse" in text
    allowed = tried(monkeypatch, Bench({"memory kept": 0.5}, worse={"memory kept": -0.05}), loss=0.1)
    assert allowed.winner is not None
    assert "memory kept" in allowed.winner.lever.name


def test_a_command_that_fails_under_a_lever_costs_that_lever_only(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({"memory kept": 0.8}, fails=["few arenas"])
    result = tried(monkeypatch, bench)
    failed = next(one for one in result.levers if one.lever.name == "few arenas")
    assert failed.outcome == "failed"
    assert failed.reason is not None
    assert "ended with 1" in failed.reason
    assert bench.names.count("few arenas") == 1
    assert result.winner is not None


def test_a_command_that_fails_as_it_is_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandFailed):
        tried(monkeypatch, Bench({}, fails=["as it is"]))


def test_ctrl_c_shows_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    result = tried(monkeypatch, Bench({"memory kept": 0.8}, stop_after=20))
    assert result.interrupted
    assert any(one.used is not None for one in result.levers)
    assert "not finished" in result.words


def test_time_that_is_over_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    result = tried(monkeypatch, Bench({}), max_seconds=1e-9)
    assert any("the time was over" in note for note in result.notes)


def test_levers_are_chosen_by_name_or_group(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({"memory kept": 0.8})
    tried(monkeypatch, bench, only=["keeping"], rounds=3, confirm=5)
    assert set(bench.names) == {"as it is", "memory kept"}
    left = tried(monkeypatch, Bench({}), without=["threads"], rounds=3)
    assert next(one for one in left.levers if one.lever.name == "one thread").reason == "left out (--without)"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"only": ["nonsense"]}, "no lever 'nonsense'"),
        ({"quality": "bleu"}, "reports no bleu; there is accuracy"),
        ({"quality": "loss:less"}, "min or max"),
        ({"rounds": 2}, "3 rounds at least"),
        ({"worth": 1.5}, "a share"),
        ({"loss": -1.0}, "0 or more"),
        ({"metric": "watts"}, "not judged by"),
        ({"max_seconds": 0.0}, "needs time"),
    ],
)
def test_bad_input_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        tried(monkeypatch, Bench({}), **given)
    with pytest.raises(ConfigError, match="no command"):
        trying.try_levers([])


def test_the_surfaces_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    result = tried(monkeypatch, Bench({"memory kept": 0.8}, worse={"few arenas": -0.2}), quality="accuracy")
    data = json.loads(json.dumps(result.to_dict()))
    assert data["winner"]["lever"] == "memory kept"
    assert data["quality"]["name"] == "accuracy"
    assert {"lever", "saved_j", "used", "time", "quality", "confidence", "permanent"} <= set(
        data["levers"][0]
    )
    text = outputs.markdown(result)
    assert "memory kept" in text
    assert "MALLOC_TRIM_THRESHOLD_" in text
    page = levers_page(result)
    assert page.startswith("<!doctype html>")
    assert "memory kept" in page
    assert "<svg" in page


def test_names_from_outside_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "run_once", Bench({"memory kept": 0.8}))
    result = trying.try_levers(["<script>alert(1)</script>|`x`"], only=["keeping"], rounds=3, confirm=5)
    assert "<script>alert" not in levers_page(result)
    assert "<script>" not in outputs.markdown(result)


# --- for real ---


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("WATTMARK_")}
    env |= {"PYTHONPATH": str(REPO / "src"), "NO_COLOR": "1", "WATTMARK_DATA_DIR": str(folder / "data")}
    return subprocess.Popen(
        [sys.executable, "-c", BOOT, *words],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WORK = "import sys\nx = [bytearray(100) for _ in range(30_000)]\nprint('accuracy: 93.5 %')\n"


@pytest.mark.slow
def test_as_a_user_has_it(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORK)
    words = (
        "try",
        "--only",
        "keeping",
        "--only",
        "gc",
        "--rounds",
        "3",
        "--worth",
        "95%",
        "--quality",
        "accuracy",
    )
    with start(tmp_path, *words, "--json", "-", "--", sys.executable, "work.py") as process:
        out, errors = process.communicate(timeout=110)
    assert process.returncode == 0, errors
    data = json.loads(out)
    begun = [one for one in data["levers"] if one["outcome"] != "not tried"]
    assert {one["lever"] for one in begun} >= {"memory kept", "rare garbage collection"}
    assert all(one["quality"]["value"] == 0 for one in begun)
    assert data["base"]["scores"][0] == 0.935
    with start(tmp_path, "ls", "--tag", data["tag"], "--json", "-") as process:
        listed = json.loads(process.communicate(timeout=60)[0])
    assert len(listed) >= 7
    assert {one["tags"]["lever"] for one in listed} >= {"as it is", "memory kept"}


def wait_for(there: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_an_interrupt_ends_the_command_too_and_keeps_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "import glob, os, time\nopen(f'pid-{os.getpid()}', 'w').close()\ntime.sleep(60 * (len(glob.glob('pid-*')) > 2))\n"
    )
    with start(
        tmp_path, "try", "--only", "keeping", "--metric", "duration_s", "--", sys.executable, "work.py"
    ) as process:
        wait_for(lambda: len(list(tmp_path.glob("pid-*"))) >= 3)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "not finished" in out
    for path in tmp_path.glob("pid-*"):
        wait_for(lambda path=path: not Path("/proc", path.name.removeprefix("pid-")).exists())
