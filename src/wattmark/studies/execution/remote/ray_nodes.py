"""Ray: one trial at a time on each node, which it has to itself. A node that dies loses its trial, which is run again on
another one, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wattmark.errors import WattmarkError
from wattmark.extras import module_of
from wattmark.studies.execution.executors import Handle
from wattmark.studies.execution.remote.base import Lost, RemoteExecutor
from wattmark.studies.execution.remote.shipment import Parcel, Shipment, cancel_shipment, nothing, work

_CANCEL_S = 60.0


@dataclass(frozen=True, slots=True)
class Remote:
    """A trial on a node. ref: Ray's reference to its parcel."""

    node_id: str
    host: str
    ref: Any


class RayExecutor(RemoteExecutor[Remote]):
    """Runs trials on the nodes of a Ray cluster that have Wattmark."""

    def __init__(self, address: str = "auto", *, home: str = "") -> None:
        """address: as ``ray.init`` takes it. Raises MissingExtra, or WattmarkError where no cluster answers."""
        super().__init__(home)
        self._ray = module_of("ray", "ray")
        if not self._ray.is_initialized():
            try:
                self._ray.init(address=address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, ValueError) as error:
                raise WattmarkError(
                    f"no Ray cluster answers at {address}: {error}",
                    hint="ray start --head, or ray://HOST:10001",
                ) from error
        self._busy: set[str] = set()
        self._lost: set[str] = set()

    @property
    def slots(self) -> int:
        """The nodes that are there; at least one."""
        return max(1, len(self._nodes()))

    def send(self, shipment: Shipment, avoid: Sequence[str]) -> Remote:
        """Start a trial on a free node with all of its CPUs and GPUs."""
        nodes = self._nodes()
        if not nodes:
            raise WattmarkError("the Ray cluster has no nodes with CPUs", hint="ray status")

        def _badness(node: str) -> tuple[bool, bool, bool]:
            return node in avoid, node in self._lost, node in self._busy

        chosen = min(nodes, key=lambda node: _badness(str(node["NodeID"])))
        node_id, resources = str(chosen["NodeID"]), chosen["Resources"]
        self._busy.add(node_id)
        run = self._ray.remote(work).options(
            name=shipment["key"],
            num_cpus=resources.get("CPU", 0),
            num_gpus=resources.get("GPU", 0),
            max_retries=0,
            scheduling_strategy=self._at(node_id),
        )
        return Remote(node_id, str(chosen.get("NodeManagerHostname", node_id)), run.remote(shipment))

    def arrival(self, task: Remote) -> Parcel | Lost | None:
        """What the node sent back."""
        ready, _ = self._ray.wait([task.ref], timeout=0)
        if not ready:
            return None
        self._busy.discard(task.node_id)
        errors = self._ray.exceptions
        try:
            parcel: Parcel = self._ray.get(task.ref)
        except errors.TaskCancelledError:
            return nothing("the trial was cancelled", host=task.host)
        except errors.RayTaskError as error:
            return nothing(str(error), host=task.host, exit_code=1)
        except errors.RayError as error:
            self._lost.add(task.node_id)  # Ray lists it for a while yet
            return Lost(task.node_id, f"{type(error).__name__} ({task.host})")
        return parcel

    def call_off(self, handle: Handle) -> None:
        """End the trial on whatever node has it."""
        key, home = str(handle["key"]), str(handle["home"])
        end = self._ray.remote(cancel_shipment)
        calls = [
            end.options(num_cpus=0, max_retries=0, scheduling_strategy=self._at(node["NodeID"])).remote(
                key, home
            )
            for node in self._nodes()
        ]
        late: list[Any] = []
        if calls:
            _, late = self._ray.wait(calls, num_returns=len(calls), timeout=_CANCEL_S)
        if late:
            raise WattmarkError(f"{len(late)} of {len(calls)} Ray nodes did not answer", hint="ray status")
        trip = self._trips.get(key)
        if trip is not None:
            self._busy.discard(trip.task.node_id)

    def description(self, task: Remote) -> dict[str, object]:
        """The node."""
        return {"node": task.node_id, "host": task.host}

    def _nodes(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self._ray.nodes()
        return [node for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) > 0]

    def _at(self, node_id: str) -> Any:
        strategies = module_of("ray", "ray.util.scheduling_strategies")
        return strategies.NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)
