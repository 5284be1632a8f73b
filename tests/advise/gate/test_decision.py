"""The gate in throw-away repositories with a good and a bad commit, beside figures of before, and bad input in words."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wattmark.advise.gate import outputs
from wattmark.advise.gate.baseline import Commit, Figures, find_baseline, read_figures, save_figures
from wattmark.advise.gate.decision import Gate, Limits, Verdict
from wattmark.advise.gate.question import gate
from wattmark.advise.gate.repeat import Bench, CommandFailed, Machine, Repeat
from wattmark.cli.advise.gate import gate as gate_command
from wattmark.errors import ConfigError
from wattmark.statistics import LOOKS, SequentialTest

REPO = Path(__file__).parents[3]
BOOT = "import sys; from wattmark.cli import main; main()"
WORK = "import sys\nx = 0\nfor i in range({}):\n    x += i * i % 7\n"


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith(("WATTMARK_", "GITHUB_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A main with some work, and a working tree on a branch."""
    folder = tmp_path / "project"
    (folder / "bench").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "bench/work.py").write_text(WORK.format(300_000))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "work")
    git(folder, "checkout", "-qb", "change")
    return folder


def wattmark(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(REPO / "src"), "NO_COLOR": "1", **environ}
    return subprocess.run(
        [sys.executable, "-c", BOOT, *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


COMMAND = ("--", sys.executable, "work.py")
FILES = {"--markdown": "markdown_path"}


@pytest.mark.slow
def test_a_bad_commit_is_over_and_a_good_one_within(repository: Path, tmp_path: Path) -> None:
    bench = repository / "bench"
    words = ("gate", "--baseline", "main", "--max-regression", "20%", "--max-repeats", "14")
    (bench / "work.py").write_text(WORK.format(900_000))
    files = {name: tmp_path / f"gate.{name}" for name in ("md", "svg", "jsonl", "html")}
    bad = wattmark(
        bench, *words, "--json", "-", "--markdown", str(files["md"]), "--badge", str(files["svg"]), "--history",
        str(files["jsonl"]), "--trend", str(files["html"]), *COMMAND,
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "summary"),
    )  # fmt: skip
    assert bad.returncode == 3, bad.stderr
    told = json.loads(bad.stdout)
    assert told["outcome"] == "over"
    assert told["low"] > 1.2
    assert told["pairs"] in LOOKS
    assert len(told["base"]) == len(told["head"]) == told["pairs"]
    assert "3 repeats of the base spread by" in bad.stderr
    assert "is found in" in bad.stderr
    assert "::error title=Energy gate::over: cpu_s of the head is +" in bad.stderr
    assert "Energy gate: over" in files["md"].read_text()
    assert (tmp_path / "summary").read_text() == files["md"].read_text()
    assert files["svg"].read_text().startswith("<svg")
    assert "over" in files["html"].read_text()
    assert outputs.read_history(str(files["jsonl"]))[0].outcome == "over"
    assert git(repository, "worktree", "list").count("\n") == 0, "the base's tree is gone"
    assert git(repository, "status", "--porcelain") == "M bench/work.py"

    (bench / "work.py").write_text(WORK.format(300_000))
    good = wattmark(bench, *words, "--exit-codes", "7,1,0", *COMMAND)
    assert good.returncode in (7, 0), good.stderr
    assert "within" in good.stdout or "undecided" in good.stdout


class Scripted(Bench):
    """A command whose figures are known: base and head draw from lognormal distributions of the same spread."""

    def __init__(self, change: float, spread: float, seed: int = 0, busy: float = 0.0) -> None:
        super().__init__(("work",), "cpu_s", "t")
        rng = np.random.default_rng(seed)
        object.__setattr__(self, "tag", "t")
        Scripted.drawn = lambda side: (rng, change if side == "head" else 0.0, spread, busy)  # type: ignore[attr-defined]

    def run(self, folder: str, side: str) -> Repeat:
        rng, shift, spread, busy = Scripted.drawn(side)  # type: ignore[attr-defined]
        others = float(rng.uniform(0, 1))
        value = math.exp(shift + rng.normal(0, spread) + busy * others)
        return Repeat({"cpu_s": value}, others, {})


def scripted(change: float, spread: float, seed: int = 0, busy: float = 0.0, **limits: float) -> Verdict:
    return Gate(Scripted(change, spread, seed, busy), Limits(**limits), "base").against_commit("h", "b")  # type: ignore[arg-type]


def test_planted_regressions_are_found_and_none_where_there_is_none() -> None:
    found = [scripted(math.log(1.05), 0.02, seed) for seed in range(100)]
    assert sum(one.outcome == "over" for one in found) >= 90
    assert np.median([one.pairs for one in found]) <= 10
    clean = [scripted(0.0, 0.02, seed) for seed in range(100)]
    assert sum(one.outcome == "over" for one in clean) <= 5
    assert sum(one.outcome == "within" for one in clean) >= 85


def test_what_others_use_is_taken_out_where_runs_spread_far() -> None:
    noisy = [scripted(math.log(1.05), 0.01, seed, busy=0.3) for seed in range(30)]
    assert all("covariate" in " ".join(one.plan) for one in noisy)
    assert sum(one.outcome == "over" for one in noisy) >= 27
    widths = [one.high - one.low for one in noisy if one.high is not None and one.low is not None]
    assert np.median(widths) < 0.05


def test_a_spread_that_is_too_large_stays_undecided_and_says_so() -> None:
    verdict = scripted(0.0, 0.4, 1, pairs=7)
    assert verdict.outcome == "undecided"
    assert any("a quieter machine" in note for note in verdict.notes)
    assert any("power 0." in line or "is not found" in line for line in verdict.plan)


def test_the_limits_must_be_possible() -> None:
    for given in ({"regression": 0.0}, {"pairs": 3}, {"seconds": 0.0}):
        with pytest.raises(ConfigError):
            Limits(**given)  # type: ignore[arg-type]
    assert Limits(pairs=12).test.looks == (5, 7, 10, 12)


def test_time_that_is_over_is_said() -> None:
    verdict = scripted(0.0, 0.02, 1, seconds=1e-9)
    assert verdict.outcome == "undecided"
    assert "the time was over" in verdict.notes[0]
    assert (verdict.plan, verdict.ratio, verdict.spread) == ((), None, None), "not even the pilot was run"


def figures(machine: Machine, values: tuple[float, ...] = (1.0, 1.01, 0.99, 1.0)) -> Figures:
    return Figures("figures.json", {"cpu_s": values}, machine)


def test_figures_of_before_decide_on_this_machine_only() -> None:
    here = Machine.here()
    work = Gate(Scripted(math.log(1.3), 0.01), Limits(), "figures.json")
    assert work.against_figures("h", figures(here), False).outcome == "over"
    work = Gate(Scripted(0.0, 0.01), Limits(), "figures.json")
    assert work.against_figures("h", figures(here), False).outcome == "within"
    other = replace(here, host="elsewhere", cpu="Another CPU")
    with pytest.raises(ConfigError) as error:
        Gate(Scripted(0.0, 0.01), Limits(), "f").against_figures("h", figures(other), False)
    assert "of another machine: host: elsewhere there" in str(error.value)
    assert "CPU: Another CPU there" in str(error.value)
    assert "beside the head" in str(error.value.hint)
    same_parts = replace(here, host="elsewhere")
    Gate(Scripted(0.0, 0.01), Limits(), "f").against_figures("h", figures(same_parts), True)
    with pytest.raises(ConfigError, match="2 values of cpu_s"):
        Gate(Scripted(0.0, 0.01), Limits(), "f").against_figures("h", figures(here, (1.0, 1.1)), False)


def test_figures_are_written_and_read(tmp_path: Path) -> None:
    path = str(tmp_path / "f.json")
    save_figures(path, {"cpu_s": [1.0, 2.0, 3.0]}, Machine.here())
    assert read_figures(path).values == {"cpu_s": [1.0, 2.0, 3.0]}
    assert read_figures(path).machine == Machine.here()
    assert isinstance(find_baseline(path, "cpu_s"), Figures)
    Path(path).write_text('{"format": "other"}')
    with pytest.raises(ConfigError, match="no figures of a gate"):
        read_figures(path)


def test_a_baseline_that_is_not_there_says_what_could_be_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="no file, no commit of a repository here, no run in the store"
    ) as error:
        gate(["true"], baseline="nowhere", folder=str(tmp_path))
    assert "fetch it first" in str(error.value.hint)
    with pytest.raises(ConfigError, match=r"there is no file none\.json"):
        gate(["true"], baseline="none.json", folder=str(tmp_path))


def test_metrics_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="there is no metric 'smiles'"):
        Bench(("true",), "smiles", "t")
    with pytest.raises(ConfigError, match="no command"):
        Bench((), "cpu_s", "t")


def test_modelled_joules_are_refused_and_cpu_time_is_offered(repository: Path) -> None:
    done = wattmark(
        repository / "bench",
        "gate",
        "--baseline",
        "main",
        "--metric",
        "energy_j",
        *COMMAND,
        WATTMARK_SOURCES="cpu-model",
    )
    assert done.returncode == 2, done.stderr
    assert "modelled, not measured" in done.stderr
    assert "--metric cpu_s" in done.stderr


def test_measured_joules_per_sample_are_judged(repository: Path, tmp_path: Path) -> None:
    bench = repository / "bench"
    wave = tmp_path / "wave.csv"
    wave.write_text("t_s,power_w\n0,40\n600,40\n")
    counted = (
        "import wattmark as wm\nwith wm.span('work', samples=50):\n    sum(i * i for i in range(2_000_000))\n"
    )
    (bench / "work.py").write_text(counted)
    os.environ["WATTMARK_REPLAY"] = str(wave)
    os.environ["PYTHONPATH"] = str(REPO / "src")
    try:
        repeat = Bench((sys.executable, "work.py"), "j_per_sample", "t").run(str(bench), "head")
        with pytest.raises(ConfigError, match=r"no j_per_token; there is .*j_per_sample"):
            Bench((sys.executable, "work.py"), "j_per_token", "t").run(str(bench), "head")
    finally:
        del os.environ["WATTMARK_REPLAY"], os.environ["PYTHONPATH"]
    assert repeat.methods == {"host": "integrated"}
    assert repeat.values["j_per_sample"] == pytest.approx(repeat.values["energy_j"] / 50)
    assert 0.1 < repeat.values["energy_j"] < 40 * 60, "the process tree's part of 40 W"
    assert repeat.values["cpu_s"] > 0.01


def test_a_command_that_fails_on_a_later_repeat_says_which(repository: Path) -> None:
    counter = repository / "count"
    script = (
        f"import pathlib; p = pathlib.Path({str(counter)!r}); n = len(p.read_text()) if p.exists() else 0; "
        "p.write_text('x' * (n + 1)); sum(range(200000)); raise SystemExit('no more disk' if n > 8 else 0)"
    )
    with pytest.raises(CommandFailed, match=r"ended with 1 \(gate \w+\): no more disk \(after 2 pairs\)"):
        gate([sys.executable, "-c", script], baseline="main", folder=str(repository))
    assert git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_shows_what_there_is_and_clears_up(repository: Path, asked: signal.Signals) -> None:
    env = {**os.environ, "PYTHONPATH": str(REPO / "src")}
    words = [
        sys.executable,
        "-c",
        BOOT,
        "gate",
        "--baseline",
        "main",
        "--max-regression",
        "0.001%",
        "--json",
        "-",
        *COMMAND,
    ]
    process = subprocess.Popen(
        words, cwd=repository / "bench", env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "is found in" in line or "is not found" in line:
            break
    time.sleep(0.5)
    process.send_signal(asked)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    told = json.loads(out)
    assert told["interrupted"]
    assert any("interrupted after" in note for note in told["notes"])
    assert git(repository, "worktree", "list").count("\n") == 0


def test_the_tree_of_a_killed_gate_goes_with_the_next_and_that_of_a_living_one_stays(
    repository: Path,
) -> None:
    commit = find_baseline("main", "cpu_s", str(repository))
    assert isinstance(commit, Commit)
    with tempfile.TemporaryDirectory(prefix="wattmark-base-") as killed:
        git(repository, "worktree", "add", "-q", "--detach", f"{killed}/tree", "main")
        with commit.tree() as living, commit.tree():
            assert not Path(killed).exists()
            assert Path(living).is_dir()
            Path(killed).mkdir()
    assert git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("option", ["--save", "--markdown", "--badge", "--history", "--trend"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(repository: Path, option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}: there is no folder"):
        gate_command(["true"], **{FILES.get(option, option[2:]): f"{repository}/none/file"})


def test_a_history_is_never_added_to_another_file(repository: Path) -> None:
    other = repository / "bench/work.py"
    before = other.read_bytes()
    with pytest.raises(ConfigError, match="is no history of gates"):
        gate_command(["true"], history=str(other))
    with pytest.raises(ConfigError, match=r"--badge: of a gate, not of --budgets"):
        gate_command([], badge=str(repository / "b.svg"), budgets=True)
    assert other.read_bytes() == before


def test_what_people_write_cannot_become_markup_or_a_command() -> None:
    verdict = scripted(0.1, 0.02, 3)
    odd = replace(verdict, baseline="a|b<script>\n::error::x", notes=("100%\nnew",))
    assert "<script>" not in outputs.markdown(odd)
    assert "\n" not in outputs.annotation(odd)
    assert "100%25" in outputs.annotation(odd)


def test_the_sequential_test_keeps_its_error_and_its_power() -> None:
    test = SequentialTest()
    assert sum(test.levels) > 0.05, "more than Bonferroni's: the looks are not independent"
    wrong, _ = test.stops(0.0, simulations=40_000, seed=3)
    assert wrong == pytest.approx(0.05, abs=0.004)
    power, pairs = test.stops(math.log(1.05) / (0.02 * math.sqrt(2)), seed=1)
    assert power > 0.99
    assert pairs <= 7
    assert not test.rejects([1.0] * 6, 0.0), "no look at six"
    assert test.rejects([1.0] * 5, 0.0)
    for looks in ((2, 5), (5, 5), ()):
        with pytest.raises(ValueError, match="looks"):
            SequentialTest(looks)
