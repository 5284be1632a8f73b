"""What layers are measured on: a protocol, so that a machine, an accelerator or a simulation can stand behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wattmark.predict.layers.calls import Call, Cost, Sample, Training, WholeSample

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Network:
    """A network that can be trained for some steps. shape, dtype: of one sample of its input."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch: int
    dtype: str | None = None
    optimizer: str = "sgd"

    def training(self) -> Training:
        """One step of it. Raises ConfigError for what cannot be traced."""
        from wattmark.predict.layers.tracing import trace

        found = trace(self.build(), self.shape, self.batch, name=self.name, dtype=self.dtype)
        return Training(found, 1, self.optimizer)


class Device(Protocol):
    """Measures one layer, or one step of a network. The samples of a device are complete when it is closed: joules of
    sensors that are read later are known then."""

    name: str

    def spent(self) -> Cost:
        """What measuring has taken so far."""
        ...

    def layer(self, call: Call) -> Sample:
        """One layer of this kind and shape, what is around it subtracted."""
        ...

    def chain(self, calls: Sequence[Call]) -> Sample:
        """Layers one after another (each takes what the one before gives): to check that costs add up."""
        ...

    def whole(self, network: Network, training: Training) -> WholeSample:
        """One step of the network."""
        ...

    def finished(
        self, layers: Sequence[Sample], wholes: Sequence[WholeSample]
    ) -> tuple[list[Sample], list[WholeSample]]:
        """The samples with their joules. The device is closed after that."""
        ...
