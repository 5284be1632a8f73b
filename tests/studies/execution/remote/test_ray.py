"""The contract of Ray's executor on a real cluster of two nodes, and a node that is killed in the middle of a trial."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wattmark.studies.execution.executors import Executor
from wattmark.studies.execution.remote.ray_nodes import RayExecutor
from wattmark.testing.executor_contract import ExecutorContract, job_of, wait, wait_for

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WATTMARK_LONG_TESTS"), reason="WATTMARK_LONG_TESTS=1 starts Ray"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    clusters = pytest.importorskip("ray.cluster_utils")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    size = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = clusters.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **size})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, include_dashboard=False)
    try:
        yield cluster, nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


class TestRayExecutor(ExecutorContract):
    ended_s = 60.0

    @pytest.fixture
    def executor(self, cluster: Any, tmp_path: Path) -> Executor:
        self.home = str(tmp_path / "there")
        return RayExecutor(home=self.home)

    def fresh_executor(self) -> Executor:
        return RayExecutor(home=self.home)


def test_a_trial_whose_node_is_killed_runs_again_on_another_one_once(cluster: Any, tmp_path: Path) -> None:
    machines, nodes = cluster
    mark, begun, go = tmp_path / "mark", tmp_path / "begun", tmp_path / "go"
    script = f"echo x >> {begun}; echo $$ > {mark}; while [ ! -e {go} ]; do sleep 0.05; done"
    executor = RayExecutor(home=str(tmp_path / "there"))
    assert executor.slots == 2
    handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", script))
    wait_for(mark, 60.0)
    mark.unlink()
    lost = next(node for node in nodes if node.node_id == handle["node"])
    machines.remove_node(lost, allow_graceful=False)
    with pytest.raises(AssertionError, match="did not end"):
        wait(executor, handle, 0.0)
    while not mark.exists():
        assert executor.poll(handle) is None
    assert executor._trips[str(handle["key"])].task.node_id != handle["node"]
    go.touch()
    outcome = wait(executor, handle, 60.0)
    assert outcome.exit_code == 0
    assert begun.read_text() == "x\nx\n"
    assert "run again" in job_of(tmp_path, "true").log.read_text()
