from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.hosts import host_record
from wattmark.runs.record import RunRecord
from wattmark.store import Store, open_store
from wattmark.workspace import runs as workspace
from wattmark.workspace.jobs import assemble
from wattmark.workspace.listing import lines
from wattmark.workspace.totals import totals

JOB = "slurm-7-0"


def put(store: Store, *records: RunRecord) -> None:
    for record in records:
        workspace.keep(store, record)
        assemble(store, [JOB])


def whole(store: Store) -> RunRecord:
    (job,) = [run for run in store.summaries() if run.run_id.startswith("job-")]
    return store.get(job.run_id)


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "store.db")) as store:
        yield store


def total_j(store: Store) -> float:
    energy = totals(store.summaries()).all.energy
    assert energy is not None
    return energy.value


def test_parts_that_come_one_after_the_other_are_one_run_and_count_once(store):
    parts = [host_record(f"n{n}", node=n, hosts=3, watts=50 + n) for n in range(3)]
    for count, part in enumerate(parts, 1):
        put(store, part)
        record = whole(store)
        assert sum(warning.code == "host-missing" for warning in record.warnings) == 3 - count
        assert total_j(store) == pytest.approx(sum(120 * (50 + n) for n in range(count)), rel=1e-3)
    assert {store.get(part.run_id).parent_id for part in parts} == {whole(store).run_id}
    assert [line.run_id for line in lines(store)] == [whole(store).run_id]  # type: ignore[union-attr]
    assert store.resolve("last") == store.resolve("train") == whole(store).run_id
    assert totals(store.summaries()).all.runs == 1


def test_a_part_that_is_delivered_twice_counts_once(store):
    parts = [host_record(f"n{n}", node=n) for n in range(2)]
    put(store, *parts, *parts)
    assert len(store.summaries()) == 3
    assert total_j(store) == pytest.approx(2 * 6000, rel=1e-3)


@pytest.mark.parametrize("unique", [True, False])
def test_hosts_that_put_the_run_together_at_once_lose_nothing(tmp_path, unique):
    parts = [
        host_record(f"n{n}", node=n, hosts=8, watts=10 * (n + 1), end_s=20.0, unique=unique) for n in range(8)
    ]
    url = str(tmp_path / "store.db")
    open_store(url).close()
    go = threading.Barrier(len(parts))

    def host(part: RunRecord) -> None:
        with open_store(url) as own:
            go.wait()
            put(own, part)

    threads = [threading.Thread(target=host, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_store(url) as store:
        record = whole(store)
        assert {str(host["run_id"]) for host in record.extra["hosts"]} == {part.run_id for part in parts}  # type: ignore[union-attr, index]
        assert total_j(store) == pytest.approx(20 * 1.2 * 10 * 36, rel=2e-2)


@pytest.mark.parametrize("unique", [True, False])
def test_two_hosts_that_saw_different_parts_leave_one_run(store, monkeypatch, unique):
    """While the first host writes what it saw, the second sees both parts and writes, too."""
    early = host_record("n1", node=1, hosts=2, start_s=5.0, unique=unique)
    late = host_record("n0", node=0, hosts=2, unique=unique)  # kept later, though it began first
    workspace.keep(store, early)
    replace_in = store.replace
    met = []

    def meanwhile(record, summary):
        if not met:
            met.append(record.run_id)
            workspace.keep(store, late)
            assemble(store, [JOB])
        replace_in(record, summary)

    monkeypatch.setattr(store, "replace", meanwhile)
    assemble(store, [JOB])
    record = whole(store)
    assert {str(host["run_id"]) for host in record.extra["hosts"]} == {early.run_id, late.run_id}  # type: ignore[union-attr, index]
    assert {store.get(part.run_id).parent_id for part in (early, late)} == {record.run_id}
    assert totals(store.summaries()).all.runs == 1


def test_one_host_of_a_job_of_unknown_size_is_a_run_by_itself(store):
    put(store, host_record("n0", hosts=None))
    assert [run.run_id for run in store.summaries()] == ["run-n0-0"]


def test_two_measures_of_one_script_are_two_runs(store):
    for name, at in (("train", 0.0), ("eval", 200.0)):
        put(
            store,
            *(replace(host_record(f"n{n}", node=n, start_s=at, end_s=at + 50), name=name) for n in range(2)),
        )
    jobs = [run for run in store.summaries() if run.run_id.startswith("job-")]
    assert {run.name for run in jobs} == {"train", "eval"}


def test_a_part_that_cannot_be_understood_harms_no_other(store):
    put(
        store,
        host_record("n0", node=0),
        host_record("n1", node=1, extra={"job": {"id": 3, "hosts": "x", "node": []}}),
    )
    assert len([run for run in store.summaries() if not run.run_id.startswith("job-")]) == 2


CHILD = """
import sys, time, wattmark as wm
with wm.measure("train", sources=["cpu-model"]):
    print("up", flush=True)
    with wm.span("barrier", meet=1):
        pass
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        time.sleep(0.01)
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and namespaces")
def test_two_hosts_with_clocks_and_networks_of_their_own_one_of_them_killed(tmp_path):
    """Real recorders in namespaces of their own: monotonic clocks a day apart, other names, no network between them. The
    second is killed in the middle, and delivers its journal later, from where it lay."""
    probe = ["unshare", "--net", "--uts", "--time", "--monotonic", "1", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no time namespaces here")
    script = tmp_path / "train.py"
    script.write_text(CHILD)
    store = tmp_path / "store.db"

    def host(number: int, seconds: float) -> subprocess.Popen[str]:
        environ = {
            **os.environ, "WATTMARK_STORE": str(store), "WATTMARK_DATA_DIR": str(tmp_path / f"data{number}"),
            "WATTMARK_JOB": "fine", "WATTMARK_HOSTS": "2", "GROUP_RANK": str(number),
        }  # fmt: skip
        command = f'hostname node{number}; exec "{sys.executable}" "{script}" {seconds}'
        return subprocess.Popen(
            ["unshare", "--net", "--uts", "--time", "--monotonic", str(86_400 * number), "sh", "-c", command],
            env=environ, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    first, second = host(0, 0.8), host(1, 60.0)
    for process in (first, second):
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    first.communicate()
    assert first.returncode == 0
    second.send_signal(signal.SIGKILL)
    second.communicate()
    command = [sys.executable, "-m", "wattmark", "ls", "--json", "-"]
    listed: list[dict[str, object]] = []
    for data in ("data0", "data1", "data1"):
        environ = {**os.environ, "WATTMARK_STORE": str(store), "WATTMARK_DATA_DIR": str(tmp_path / data)}
        deadline = 200
        while (
            list(Path(tmp_path, data, "journals").glob("2*")) and deadline
        ):  # its recorder ends a moment later
            deadline -= 1
            # as another host of this name would: the namespace's clocks are gone with it
            done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
            listed = json.loads(done.stdout)
    jobs = [run for run in listed if str(run["run_id"]).startswith("job-")]
    parts = [run for run in listed if run["parent_id"]]
    assert len(jobs) == 1
    assert {run["host"] for run in parts} == {"node0", "node1"}
    assert {run["status"] for run in parts} == {"completed", "interrupted"}
    energies = [run["energy_j"] for run in parts]
    assert jobs[0]["energy_j"] == pytest.approx(sum(energies), abs=1e-5)  # type: ignore[arg-type]
    assert jobs[0]["duration_s"] < 30  # type: ignore[operator]
