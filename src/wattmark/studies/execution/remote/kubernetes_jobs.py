"""Kubernetes: each trial is a Job of one pod, alone among trials on its node; through the official client.

The shipment goes in an environment variable, the parcel comes back in the pod's log. A pod that is disrupted (its node
fails, is drained or preempted) is replaced once; one that fails by itself is not (podFailurePolicy, Kubernetes 1.26).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattmark.documents import mapping
from wattmark.errors import ConfigError, WattmarkError
from wattmark.extras import module_of
from wattmark.studies.execution.executors import Handle
from wattmark.studies.execution.remote.base import Lost, RemoteExecutor
from wattmark.studies.execution.remote.shipment import (
    TRIES,
    VARIABLE,
    Parcel,
    Shipment,
    nothing,
    of_text,
)

MODULE = "wattmark.studies.execution.remote.shipment"
NAME = "wattmark-trial"
KEY_LABEL = "wattmark.io/trial"
_LOOK_S = 0.5
_GONE_S = 120.0
_SLACK_S = 600
_LONGEST_ENV_BYTES = 128 * 1024
"""MAX_ARG_STRLEN of Linux: no variable of a process is longer."""


@dataclass(frozen=True, slots=True)
class PodNeeds:
    """What a trial's pod is to be. resources: limits by Kubernetes' names (``nvidia.com/gpu``: ``1``). agent: the folder
    of the node agent's socket, mounted where it is, so that trials measure without rights of their own; empty for none."""

    image: str
    python: str = "python3"
    resources: Mapping[str, str] = field(default_factory=dict[str, str])
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    service_account: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A Job by its name."""

    key: str


class KubernetesExecutor(RemoteExecutor[Submitted]):
    """Runs trials as Jobs of a cluster that the kubeconfig, or the pod that this runs in, names."""

    def __init__(
        self, needs: PodNeeds, *, namespace: str = "", at_once: int = 4, api_client: Any = None
    ) -> None:
        """namespace: that of the kubeconfig by default. api_client: a client of one's own.

        Raises MissingExtra, and ConfigError without an image or a cluster.
        """
        super().__init__("/tmp/wattmark-trials")  # noqa: S108 - of the pod, gone with it
        if not needs.image:
            raise ConfigError(
                "no image is named for trials", hint="kubernetes://NAMESPACE?image=REGISTRY/NAME:TAG"
            )
        self._client = module_of("kubernetes", "kubernetes.client")
        config = module_of("kubernetes", "kubernetes.config")
        if api_client is None:
            try:
                config.load_config()
            except config.ConfigException as error:
                raise ConfigError(
                    f"no Kubernetes cluster is configured: {error}", hint="set KUBECONFIG"
                ) from error
            namespace = namespace or _current_namespace(config)
        self._needs = needs
        self._namespace: str = namespace or "default"
        self._at_once = at_once
        self._batch = self._client.BatchV1Api(api_client)
        self._core = self._client.CoreV1Api(api_client)
        self._jobs: dict[str, Mapping[str, Any]] = {}
        self._looked: float | None = None

    @property
    def slots(self) -> int:
        """How many Jobs there are at once; those without a free node wait."""
        return self._at_once

    def send(self, shipment: Shipment, avoid: Sequence[str]) -> Submitted:
        """Create the Job. Raises WattmarkError if the cluster refuses it."""
        key = shipment["key"] if not avoid else f"{shipment['key']}-again"
        body = manifest(shipment, self._needs, key)
        self._ask(self._batch.create_namespaced_job, self._namespace, body)
        self._looked = None
        return Submitted(key)

    def arrival(self, task: Submitted) -> Parcel | Lost | None:
        """The parcel in the log of the pod that ran to its end. Lost pods are the cluster's to replace."""
        job = self._job(task.key)
        if job is None:
            return nothing(f"the Job {task.key} was deleted")
        ended = {
            condition["type"]: condition
            for condition in job.get("status", {}).get("conditions") or ()
            if condition.get("status") == "True"
        }
        if not ended.keys() & {"Complete", "Failed"}:
            return None
        selector = f"job-name={task.key}"
        pods = self._ask(self._core.list_namespaced_pod, self._namespace, label_selector=selector).items
        said = ""
        for pod in sorted(pods, key=lambda pod: str(pod.metadata.creation_timestamp or ""), reverse=True):
            said = self._log(pod.metadata.name) or said
            parcel = of_text(said)
            if parcel is not None:
                self._delete(task.key)
                return parcel
        failed = ended.get("Failed", {})
        reason = str(failed.get("reason", "its log has no whole parcel"))
        return nothing(
            f"the Job {task.key}: {reason} {failed.get('message', '')}\n{said}".strip(),
            exit_code=1,
            timed_out=reason == "DeadlineExceeded",
        )

    def call_off(self, handle: Handle) -> None:
        """Delete the Job with its pods, and wait until they are gone."""
        key = str(handle["key"])
        selector = f"{KEY_LABEL}={key}"
        for job in self._ask(self._batch.list_namespaced_job, self._namespace, label_selector=selector).items:
            self._delete(job.metadata.name)
        deadline = time.monotonic() + _GONE_S
        while self._ask(self._core.list_namespaced_pod, self._namespace, label_selector=selector).items:
            if time.monotonic() > deadline:
                raise WattmarkError(f"the pods of {key} do not end", hint=f"kubectl get pods -l {selector}")
            time.sleep(0.05)

    def _job(self, name: str) -> Mapping[str, Any] | None:
        """The Job as it stood at the last look; all Jobs are asked for at once."""
        now = time.monotonic()
        if self._looked is None or now - self._looked > _LOOK_S:
            listed = self._ask(
                self._batch.list_namespaced_job,
                self._namespace,
                label_selector=f"app.kubernetes.io/name={NAME}",
            )
            plain = self._batch.api_client.sanitize_for_serialization(listed)
            self._jobs = {job["metadata"]["name"]: job for job in plain["items"]}
            self._looked = now
        return self._jobs.get(name)

    def _log(self, pod: str) -> str:
        try:
            text: str = self._core.read_namespaced_pod_log(pod, self._namespace)
        except self._client.ApiException:
            return ""  # the pod never began, or its node is gone
        return text

    def _delete(self, name: str) -> None:
        try:
            self._batch.delete_namespaced_job(name, self._namespace, propagation_policy="Foreground")
        except self._client.ApiException as error:
            if error.status != 404:
                raise WattmarkError(f"the Job {name} could not be deleted: {error.reason}") from error

    def _ask(self, call: Any, *words: Any, **named: Any) -> Any:
        try:
            return call(*words, **named)
        except self._client.ApiException as error:
            raise WattmarkError(
                f"the cluster refused: {error.status} {error.reason}", hint=_message(error.body)
            ) from error
        except Exception as error:
            if type(error).__module__.startswith("urllib3"):
                raise WattmarkError(
                    f"the cluster does not answer: {error}", hint="kubectl cluster-info"
                ) from error
            raise


def manifest(shipment: Shipment, needs: PodNeeds, name: str | None = None) -> dict[str, Any]:
    """The Job of a trial, as YAML or JSON for ``kubectl apply``. Raises WattmarkError for a trial too large to travel."""
    text = json.dumps(shipment)
    if len(text.encode()) >= _LONGEST_ENV_BYTES - len(VARIABLE) - 2:
        raise WattmarkError(
            f"the trial's levels take {len(text)} bytes", hint="pass large settings in files of the image"
        )
    labels = {"app.kubernetes.io/name": NAME, KEY_LABEL: shipment["key"]}
    container: dict[str, Any] = {
        "name": "trial",
        "image": needs.image,
        "command": [needs.python, "-m", MODULE, "run"],
        "env": [{"name": VARIABLE, "value": text.replace("$(", "$$(")}],  # $(NAME) would be a reference
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if needs.resources:
        container["resources"] = {"requests": dict(needs.resources), "limits": dict(needs.resources)}
    alone = {
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
        "topologyKey": "kubernetes.io/hostname",
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": [container],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [alone]}},
    }
    if needs.node_selector:
        pod["nodeSelector"] = dict(needs.node_selector)
    if needs.service_account:
        pod["serviceAccountName"] = needs.service_account
    else:
        pod["automountServiceAccountToken"] = False
    if needs.agent:
        container["volumeMounts"] = [{"name": "agent", "mountPath": needs.agent}]
        pod["volumes"] = [{"name": "agent", "hostPath": {"path": needs.agent, "type": "Directory"}}]
    rules = [
        {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}},
    ]
    spec: dict[str, Any] = {
        "backoffLimit": TRIES - 1,
        "podFailurePolicy": {"rules": rules},
        "ttlSecondsAfterFinished": 86_400,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if shipment["timeout_s"] is not None:
        spec["activeDeadlineSeconds"] = TRIES * int(shipment["timeout_s"]) + _SLACK_S
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name or shipment["key"], "labels": labels},
        "spec": spec,
    }


def _current_namespace(config: Any) -> str:
    """The one of the kubeconfig's context; empty where there is none, as inside of a pod."""
    try:
        _, current = config.list_kube_config_contexts()
    except config.ConfigException:
        return ""
    return str(mapping(mapping(current).get("context")).get("namespace", ""))


def _message(body: object) -> str | None:
    """What the API server said."""
    match = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', str(body))
    return match[1] if match else None
