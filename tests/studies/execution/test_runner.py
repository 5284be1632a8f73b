from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.records import rapl_record
from wattmark.errors import ConfigError
from wattmark.store import open_store
from wattmark.studies.designs.design import Design
from wattmark.studies.designs.plan import plan
from wattmark.studies.execution.executors import Handle, Job, TrialOutcome
from wattmark.studies.execution.runner import StudyProgress, run_study
from wattmark.studies.execution.state import StudyFolder, load_results
from wattmark.studies.results import TrialResult
from wattmark.testing.executor_contract import sleeps_in
from wattmark.workspace.runs import keep

WATTMARK = [sys.executable, "-c", "from wattmark.cli import main; main()"]
NO_QUIET = {"baseline_s": 0, "cooldown_max_s": 0}


def design(*argv: str, **changes: Any) -> Design:
    data: dict[str, Any] = {"name": "t", "repeats": 1, "command": {"argv": list(argv)}, "quiet": NO_QUIET}
    command = {"argv": list(argv), **changes.pop("command", {})}
    return Design.model_validate({**data, **changes, "command": command})


class Instant:
    """An executor whose trials take no time: ``metrics`` of a spec, or None for one that fails."""

    slots = 1

    def __init__(self, metrics: Callable[[Mapping[str, Any]], dict[str, float] | None]) -> None:
        self.metrics = metrics

    def submit(self, job: Job) -> Handle:
        return job.spec

    def poll(self, handle: Handle) -> TrialOutcome:
        metrics = self.metrics(handle)
        result = TrialResult(
            handle["id"], handle["index"], handle["repeat"], handle["factors"],
            "failed" if metrics is None else "completed", duration_s=1.0, host="h", metrics=metrics or {},
            energy_j={"total": {"value": 50.0, "low": 49.0, "high": 51.0}},
        )  # fmt: skip
        return TrialOutcome(0, {"result": result.to_json()}, "what it printed")

    def cancel(self, handle: Handle) -> None:
        raise AssertionError("nothing is left to cancel")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs, made once: migrations take longer than most trials here."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    with open_store(str(path)):
        return path


@pytest.fixture(autouse=True)
def store(empty_store: Path, data_dir: Path) -> None:
    data_dir.mkdir()
    shutil.copy(empty_store, data_dir / "store.db")


@pytest.mark.usefixtures("fake_machine")
class TestTrials:
    def test_a_command_in_any_language_is_measured_with_its_metrics(self) -> None:
        awk = """BEGIN { while (i++ < {n}) s += i; printf "{\\"accuracy\\": %f, \\"word\\": \\"x\\"}\\n", {n} / 1e7 }"""
        results = run_study(design("awk", awk, factors={"n": [2_000_000, 4_000_000]}))
        assert [trial.status for trial in results.trials] == ["completed", "completed"]
        for trial in results.trials:
            assert trial.metrics == {"accuracy": pytest.approx(trial.factors["n"] / 1e7)}
            assert trial.methods == {"cpu": "counter"}
            assert trial.total_j == pytest.approx(50 * trial.duration_s, rel=0.3)
        assert results.factors == ["n"]
        assert results.environment[os.uname().nodename]["channels"][0]["source"] == "rapl"

    def test_its_runs_are_in_the_store_with_their_tags(self) -> None:
        results = run_study(design("sleep", "0.05"))
        with open_store() as store:
            runs = store.summaries(tag=["study=t", f"trial={results.trials[0].trial_id}"])
        assert [run.run_id for run in runs] == [results.trials[0].run_id]

    def test_spans_of_the_command_are_stages_and_metrics_if_asked_for(self) -> None:
        script = (
            "import time, wattmark as wm\n"
            "for epoch in range(2):\n"
            "    with wm.span('epoch', samples=10) as s:\n"
            "        time.sleep(0.15)\n"
            "        s.add(loss=0.5 - epoch / 4)\n"
        )
        results = run_study(design("{python}", "-c", script, command={"metrics_from": "spans"}))
        (trial,) = results.trials
        first, second = trial.stages_named("epoch")
        assert first.energy_j is not None
        assert first.energy_j["value"] == pytest.approx(50 * first.duration_s, rel=0.3)
        assert (first.counts, first.attrs) == ({"samples": 10}, {"loss": 0.5})
        assert second.start_s > first.start_s
        assert trial.metrics == {"loss": 0.25}
        assert len(trial.power_profile[0]) == len(trial.power_profile[1]) > 0

    def test_the_idle_machine_is_measured_once_and_waited_for(self) -> None:
        quiet = {"baseline_s": 0.2, "cooldown_max_s": 1, "cooldown_within_pct": 20}
        results = run_study(design("true", repeats=2, quiet=quiet))
        for trial in results.trials:
            assert trial.idle_w == {"cpu": pytest.approx(50, rel=0.1)}
            assert "not-quiet" not in {warning["code"] for warning in trial.warnings}
        assert results.environment[os.uname().nodename]["baseline"]["seconds"] == 0.2

    def test_warming_up_is_not_measured(self, tmp_path: Path) -> None:
        mark = tmp_path / "mark"
        script = f"echo x >> {mark}; sleep 0.2"
        (trial,) = run_study(design("/bin/sh", "-c", script, quiet={**NO_QUIET, "warmup": True})).trials
        assert mark.read_text() == "x\nx\n"
        assert trial.duration_s < 0.4 * 10  # two of them under load would still be far apart from none

    def test_failing_hanging_and_greedy_trials_are_recorded_and_the_study_goes_on(self) -> None:
        script = (
            "import sys, time\n"
            "what = sys.argv[1]\n"
            "print('this is', what, flush=True)\n"
            "if what == 'crash': sys.exit(3)\n"
            "if what == 'hang': time.sleep(60)\n"
            "if what == 'greed':\n"
            "    import resource\n"
            "    resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\n"
            "    bytearray(2**30)\n"
            "if what == 'signal':\n"
            "    import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n"
        )
        levels = ["well", "crash", "hang", "greed", "signal"]
        results = run_study(
            design("{python}", "-c", script, "{what}", factors={"what": levels}, timeout_s=12)
        )
        found = {trial.factors["what"]: trial for trial in results.trials}
        assert {name: trial.status for name, trial in found.items()} == {
            "well": "completed",
            "crash": "failed",
            "hang": "timeout",
            "greed": "out-of-memory",
            "signal": "failed",
        }
        assert "exit code 3" in (found["crash"].error or "")
        assert "signal 11" in (found["signal"].error or "")
        assert "this is crash" in (found["crash"].log or "")
        assert found["hang"].total_j is not None  # what it burned until then is not lost
        assert found["hang"].total_j > 50

    def test_a_command_that_is_not_there_is_a_failed_trial(self) -> None:
        (trial,) = run_study(design("no-such-command-here")).trials
        assert trial.status == "failed"
        assert "cannot be run" in (trial.error or "")

    def test_a_killed_study_goes_on_where_it_stood(self, tmp_path: Path) -> None:
        ran = tmp_path / "ran"
        study = tmp_path / "kill.toml"
        script = f"echo {{n}} >> {ran}; sleep 0.3; echo {{n}} >> {ran}.done"
        killed = design("/bin/sh", "-c", script, name="kill", factors={"n": [1, 2, 3]})
        study.write_text(killed.as_toml())
        command = [*WATTMARK, "study", "run", str(study)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 60
        while (len(ran.read_text().split()) if ran.exists() else 0) < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        results = run_study(killed)
        kept = [trial.factors["n"] for trial in results.trials]
        assert sorted(kept) == [1, 2, 3]
        assert {trial.status for trial in results.trials} == {"completed"}
        finished = (tmp_path / "ran.done").read_text().split()
        assert len(finished) - len(kept) <= 1  # at most the one that had no time to be kept

    def test_ctrl_c_ends_the_trial_and_leaves_a_study_that_can_be_resumed(self, tmp_path: Path) -> None:
        started = tmp_path / "started"
        study = tmp_path / "c.toml"
        study.write_text(design("/bin/sh", "-c", f"echo $$ > {started}; sleep 60", name="c").as_toml())
        command = [*WATTMARK, "study", "run", str(study)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not started.exists() or not started.read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "wattmark study resume c" in stderr
        assert StudyFolder.open("c").trials() == []
        assert StudyFolder.open("c").running() == {}
        assert not sleeps_in(started)


def test_failed_trials_are_run_again_only_if_asked_to() -> None:
    study = design("true")
    (trial,) = run_study(study, executor=Instant(lambda spec: None)).trials
    assert (trial.status, trial.log) == ("failed", "what it printed")
    well = Instant(lambda spec: {})
    assert run_study(study, executor=well).trials[0].status == "failed"
    assert [trial.status for trial in run_study(study, executor=well, retry_failed=True).trials] == [
        "completed"
    ]


def test_more_repeats_until_the_mean_is_known() -> None:
    stop = {"metric": "x", "within_pct": 1, "max_repeats": 3}
    executor = Instant(lambda spec: {"x": 1 + spec["factors"]["n"] * spec["repeat"]})
    study = design("echo", "{n}", repeats=2, stop=stop, factors={"n": [0, 1]})
    results = run_study(study, executor=executor)
    assert sorted(trial.factors["n"] for trial in results.trials) == [0, 0, 1, 1, 1]


def test_progress_says_what_is_left() -> None:
    seen: list[StudyProgress] = []
    run_study(design("true", repeats=2), executor=Instant(lambda spec: {}), on_progress=seen.append)
    assert [(p.done, p.total, p.begun is not None) for p in seen] == [
        (0, 2, True), (1, 2, False), (1, 2, True), (2, 2, False),
    ]  # fmt: skip
    assert seen[0].left_s is None
    assert seen[-1].left_s == 0
    assert seen[-1].energy_j == 100


def test_two_runners_cannot_run_one_study() -> None:
    folder = StudyFolder.create(design("true"))
    with folder.lock(), pytest.raises(ConfigError, match="another process"):
        run_study(design("true"))


def test_another_design_under_the_same_name_is_refused() -> None:
    StudyFolder.create(design("true"))
    with pytest.raises(ConfigError, match="another design"):
        StudyFolder.create(design("false"))
    assert StudyFolder.create(design("false"), fresh=True).trials() == []


def test_a_result_that_the_killed_runner_had_no_time_to_keep_is_kept(data_dir: Path) -> None:
    import json

    study = design("true")
    folder = StudyFolder.create(study)
    trial = plan(study)[0]
    result = TrialResult(trial.id, 0, 0, {}, "completed", duration_s=7.0, host="h")
    (folder.path / "results").mkdir()
    path = folder.path / "results" / f"{trial.id}.json"
    path.write_text(json.dumps({"result": result.to_json(), "environment": {}, "session": None}))
    with (folder.path / "trials.jsonl").open("ab") as file:
        file.write(b'{"trial_id": "torn')
    assert [trial.duration_s for trial in run_study(study).trials] == [7.0]
    assert not path.exists()
    assert load_results("t").trials[0].duration_s == 7.0


def test_a_failed_trial_that_the_killed_runner_had_no_time_to_keep_says_why(data_dir: Path) -> None:
    import json

    study = design("true", factors={"n": [1, 2]}, combinations="full", command={"env": {"N": "{n}"}})
    folder = StudyFolder.create(study)
    for name in ("results", "logs"):
        (folder.path / name).mkdir()
    for trial, last in zip(plan(study), ("MemoryError", "KeyError: 'x'"), strict=True):
        result = TrialResult(trial.id, trial.index, 0, trial.factors, "failed", host="h", error="exit code 1")
        text = json.dumps({"result": result.to_json(), "environment": {}, "session": None})
        (folder.path / "results" / f"{trial.id}.json").write_text(text)
        (folder.path / "logs" / f"{trial.id}.log").write_text(f"it began\n{last}\n")
    trials = run_study(study).trials
    assert {(trial.status, trial.log) for trial in trials} == {
        ("out-of-memory", "it began\nMemoryError"),
        ("failed", "it began\nKeyError: 'x'"),
    }


def test_a_missing_study_suggests_a_near_one() -> None:
    StudyFolder.create(design("true", name="resnets"))
    with pytest.raises(ConfigError) as caught:
        load_results("resnet")
    assert "'resnets'" in (caught.value.hint or "")


def test_a_trial_that_was_taken_over_has_one_run_that_counts(data_dir: Path) -> None:
    """Its runner was killed ten times; runs of an older study of that name, and of other trials, stay."""
    study = design("echo", "{n}", factors={"n": [1, 2]})
    StudyFolder.create(study)
    first, second = plan(study)
    began = time.time_ns()
    records = {
        f"{trial.id}-{number}": replace(
            rapl_record(3),
            run_id=f"{trial.id}-{number}",
            started_wall_ns=began + number * 10**9,
            tags={"study": "t", "trial": trial.id},
        )
        for trial in (first, second)
        for number in range(3)
    }
    older = replace(records[f"{first.id}-0"], run_id="older", started_wall_ns=began - 3600 * 10**9)
    with open_store() as store:
        for record in (*records.values(), older):
            keep(store, record)

    class Measured(Instant):
        def poll(self, handle: Handle) -> TrialOutcome:
            result = TrialResult(
                handle["id"], handle["index"], handle["repeat"], handle["factors"], "completed",
                duration_s=1.0, run_id=f"{handle['id']}-1" if handle["id"] == first.id else None,
            )  # fmt: skip
            return TrialOutcome(0, {"result": result.to_json()}, "")

    run_study(study, executor=Measured(lambda _: {}))
    with open_store() as store:
        left = {run.run_id for run in store.summaries()}
    assert left == {f"{first.id}-1", "older", *(f"{second.id}-{number}" for number in range(3))}
