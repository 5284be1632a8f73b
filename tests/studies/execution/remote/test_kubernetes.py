"""The contract of Kubernetes Jobs through the official client, and manifests held against Kubernetes' own schema."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.clusters import kubernetes as fake
from wattmark.errors import ConfigError, WattmarkError
from wattmark.studies.execution.executors import Executor
from wattmark.studies.execution.remote.kubernetes_jobs import KubernetesExecutor, PodNeeds, manifest
from wattmark.studies.execution.remote.shipment import shipment_of
from wattmark.testing.executor_contract import ExecutorContract, job_of, wait, wait_for

NEEDS = PodNeeds(
    image="registry.example/wattmark:1", python=sys.executable, resources={"nvidia.com/gpu": "1"}
)


def problem_of(thing: dict[str, Any]) -> str | None:
    """What Kubernetes' schema says against an object."""
    validate = pytest.importorskip("kubernetes_validate")
    try:
        validate.validate(thing, "1.30", strict=True)
    except validate.ValidationError as error:
        return str(error.message)
    return None


@pytest.fixture
def cluster(fake_machine: object, tmp_path: Path) -> Iterator[fake.Cluster]:
    pytest.importorskip("kubernetes")
    with fake.cluster({"WATTMARK_DATA_DIR": str(tmp_path / "there")}, problem_of) as there:
        yield there


def executor_of(cluster: fake.Cluster) -> KubernetesExecutor:
    from kubernetes import client  # type: ignore[import-not-found]

    configuration = client.Configuration(host=cluster.url)
    return KubernetesExecutor(NEEDS, namespace="studies", api_client=client.ApiClient(configuration))


class TestKubernetesExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, cluster: fake.Cluster) -> Executor:
        self.cluster = cluster
        return executor_of(cluster)

    def fresh_executor(self) -> Executor:
        return executor_of(self.cluster)


def test_a_trial_whose_node_fails_runs_again_once(cluster: fake.Cluster, tmp_path: Path) -> None:
    mark, begun, go = tmp_path / "mark", tmp_path / "begun", tmp_path / "go"
    script = f"echo x >> {begun}; echo $$ > {mark}; while [ ! -e {go} ]; do sleep 0.05; done"
    executor = executor_of(cluster)
    handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", script))
    wait_for(mark)
    cluster.disrupt()
    mark.unlink(missing_ok=True)
    while not mark.exists():
        assert executor.poll(handle) is None
    go.touch()
    assert wait(executor, handle).exit_code == 0
    assert begun.read_text() == "x\nx\n"


def test_a_manifest_is_what_kubernetes_takes_and_a_node_has_one_trial(tmp_path: Path) -> None:
    needs = PodNeeds("i", "python3", {"cpu": "2"}, {"gpu": "h100"}, "runner", "/run/wattmark")
    job = manifest(shipment_of(job_of(tmp_path, "echo", "$(HOME)", timeout_s=5.0), "wm-a-1"), needs)
    assert problem_of(job) is None
    pod = job["spec"]["template"]["spec"]
    assert pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert "$$(HOME)" in pod["containers"][0]["env"][0]["value"]
    assert job["spec"]["activeDeadlineSeconds"] == 610
    assert problem_of({**job, "spec": {**job["spec"], "backoffLimit": "two"}}) is not None


def test_what_the_cluster_refuses_is_told(tmp_path: Path) -> None:
    client = pytest.importorskip("kubernetes.client")
    with fake.cluster({}, lambda _: "pods are forbidden here") as there:
        api = client.ApiClient(client.Configuration(host=there.url))
        executor = KubernetesExecutor(NEEDS, api_client=api)
        with pytest.raises(WattmarkError, match="422") as refusal:
            executor.submit(job_of(tmp_path, "true"))
        assert refusal.value.hint == "pods are forbidden here"


def test_a_trial_too_large_to_travel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WattmarkError, match="bytes"):
        manifest(shipment_of(job_of(tmp_path, "echo", "x" * 140_000), "wm-a-1"), NEEDS)


def test_an_image_must_be_named() -> None:
    with pytest.raises(ConfigError):
        KubernetesExecutor(PodNeeds(""))


def test_no_cluster_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("kubernetes")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for name in [name for name in os.environ if name.startswith("KUBERNETES_")]:
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match="no Kubernetes cluster"):
        KubernetesExecutor(NEEDS)
