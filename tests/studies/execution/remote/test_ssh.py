"""The contract and bad days of SSH hosts, through a real sshd on the loopback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.clusters import sshd
from wattmark.errors import ConfigError
from wattmark.paths import journals_dir
from wattmark.studies.designs.design import Command, Design, Quiet
from wattmark.studies.execution.executors import Executor
from wattmark.studies.execution.remote.ssh import SshExecutor
from wattmark.studies.execution.runner import run_study
from wattmark.testing.executor_contract import ExecutorContract, job_of, wait, wait_for
from wattmark.workspace.runs import store_here

pytestmark = pytest.mark.skipif(sshd.program() is None, reason="no sshd here (Debian: openssh-server)")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, fake_machine: object) -> Iterator[sshd.Server]:
    folder = tmp_path_factory.mktemp("sshd")
    home = folder / "wattmark"
    names = (
        "WATTMARK_SYSFS",
        "WATTMARK_SOURCES",
        "PYTHONPATH",
        "COVERAGE_PROCESS_START",
        "COVERAGE_PROCESS_CONFIG",
    )
    environ = {key: os.environ[key] for key in names if key in os.environ}
    with sshd.server(folder, {**environ, "WATTMARK_DATA_DIR": str(home)}) as there:
        yield there


def executor_at(server: sshd.Server, *names: str, patience_s: float = 10.0) -> SshExecutor:
    hosts = [server.host(name) for name in names or ("127.0.0.1",)]
    return SshExecutor(hosts, python=sys.executable, options=server.options, patience_s=patience_s)


class TestSshExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, server: sshd.Server) -> Executor:
        self.server = server
        return executor_at(server)

    def fresh_executor(self) -> Executor:
        return executor_at(self.server)


def test_a_study_on_a_host_keeps_each_trial_as_one_run(server: sshd.Server) -> None:
    data = {
        "name": "far",
        "repeats": 2,
        "command": Command.model_validate({"argv": ["/bin/sh", "-c", "echo '{\"n\": {n}}'"]}),
        "factors": {"n": [1, 2]},
        "quiet": Quiet.model_validate({"baseline_s": 0.3, "cooldown_max_s": 0}),
    }
    results = run_study(Design.model_validate(data), executor=executor_at(server))
    assert [trial.status for trial in results.trials] == ["completed"] * 4
    assert {trial.metrics["n"] for trial in results.trials} == {1, 2}
    assert all(trial.total_j is not None and trial.total_j > 0 for trial in results.trials)
    assert all(trial.idle_w for trial in results.trials)
    with store_here() as store:
        runs = {run.run_id: run for run in store.summaries()}
    assert set(runs) == {trial.run_id for trial in results.trials}
    for trial in results.trials:
        energy = runs[trial.run_id or ""].energy_j
        assert energy == pytest.approx(trial.total_j)
    assert not list(Path(journals_dir()).glob("*"))


def test_a_broken_connection_is_made_again_and_the_trial_runs_once(
    server: sshd.Server, tmp_path: Path
) -> None:
    mark, begun, go = tmp_path / "mark", tmp_path / "begun", tmp_path / "go"
    script = (
        f"echo x >> {begun}; echo $$ > {mark}; while [ ! -e {go} ]; do sleep 0.05; done; echo '{{\"ok\": 1}}'"
    )
    executor = executor_at(server)
    handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", script))
    wait_for(mark)
    connection = executor._trips[str(handle["key"])].task.process
    connection.send_signal(signal.SIGKILL)
    connection.wait()
    connection.returncode = 255  # as where ssh itself found the connection broken
    assert executor.poll(handle) is None
    go.touch()
    outcome = wait(executor, handle)
    assert outcome.result is not None
    assert outcome.exit_code == 0
    assert begun.read_text() == "x\n"
    session = outcome.result["session"]
    assert (Path(journals_dir()) / session).is_dir()


def test_a_trial_lost_with_its_host_runs_on_another_one_once(server: sshd.Server, tmp_path: Path) -> None:
    unreachable = "127.0.0.1:1"
    executor = SshExecutor(
        [unreachable, server.host()], python=sys.executable, options=server.options, patience_s=0.0
    )
    outcome = wait(executor, executor.submit(job_of(tmp_path, "true")))
    assert outcome.exit_code == 0
    log = job_of(tmp_path, "true").log.read_text()
    assert f"run again: {unreachable}" in log
    assert executor.slots == 1


def test_a_lost_trial_waits_for_a_host_that_answers(server: sshd.Server, tmp_path: Path) -> None:
    go, mark = tmp_path / "go", tmp_path / "mark"
    executor = SshExecutor(
        [server.host(), "127.0.0.1:1"], python=sys.executable, options=server.options, patience_s=0.0
    )
    script = f"echo $$ > {mark}; while [ ! -e {go} ]; do sleep 0.05; done"
    first = executor.submit(job_of(tmp_path / "a", "/bin/sh", "-c", script))
    second = executor.submit(job_of(tmp_path / "b", "true"))
    wait_for(mark)
    while executor.slots == 2:
        assert executor.poll(second) is None
    assert executor.poll(second) is None
    go.touch()
    assert wait(executor, first).exit_code == 0
    assert wait(executor, second).exit_code == 0


def test_no_host_that_answers_is_a_failed_trial_that_names_them(tmp_path: Path, server: sshd.Server) -> None:
    executor = SshExecutor(["127.0.0.1:1", "127.0.0.1:2"], options=server.options, patience_s=0.0)
    outcome = wait(executor, executor.submit(job_of(tmp_path, "true")))
    assert (outcome.exit_code, outcome.result) == (None, None)
    assert "127.0.0.1:1: " in outcome.log_tail
    assert "127.0.0.1:2: " in outcome.log_tail


def test_a_host_without_wattmark_says_so(server: sshd.Server, tmp_path: Path) -> None:
    executor = SshExecutor([server.host()], python="/nowhere/python", options=server.options)
    outcome = wait(executor, executor.submit(job_of(tmp_path, "true")))
    assert outcome.exit_code == 127
    assert "/nowhere/python" in outcome.log_tail


@pytest.mark.parametrize(
    "hosts", [[], ["-oProxyCommand=touch /tmp/x"], ["a", "a"], ["a b"], ["a;b"], [""], ["a\nb"]]
)
def test_hosts_that_are_none_are_refused(hosts: list[str]) -> None:
    with pytest.raises(ConfigError):
        SshExecutor(hosts)


def test_what_is_cancelled_before_the_host_has_it_never_begins(server: sshd.Server, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    executor = executor_at(server)
    handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", f"sleep 1; touch {mark}"))
    executor.cancel(handle)
    after = executor_at(server)
    done = wait(after, after.submit(job_of(tmp_path, "true")))
    assert done.exit_code == 0
    assert not mark.exists()
