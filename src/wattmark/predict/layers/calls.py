"""What a network does in one step of training, as data: calls of known kinds with their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wattmark.errors import ConfigError

PHASES = ("forward", "backward", "optimizer")
OPTIMIZERS = ("sgd", "adam", "adamw")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function in the forward pass.

    kind: of :data:`wattmark.predict.layers.kinds.KINDS`. sizes: what that kind calls its sizes. layer: dotted path of the
    module that called. function: what was called. gradient: whether its input needs a gradient, which the input of a
    network does not. treated: empty where the kind is this function's own; else what it was taken for, in words.
    """

    kind: str
    sizes: tuple[float, ...]
    layer: str = ""
    function: str = ""
    gradient: bool = True
    treated: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """The calls of one step, the loss among them. modules: how many modules were called. parameters: (layer, elements) of
    each tensor that is trained. batch: samples in the step. dtype: of the parameters."""

    name: str
    calls: tuple[Call, ...]
    parameters: tuple[tuple[str, int], ...] = ()
    modules: int = 0
    batch: int = 1
    dtype: str = "float32"

    @property
    def unknown(self) -> tuple[str, ...]:
        """The functions without a kind of their own, and how each is treated."""
        return tuple(dict.fromkeys(f"{call.function}: {call.treated}" for call in self.calls if call.treated))


@dataclass(frozen=True, slots=True)
class Training:
    """What is to be predicted: ``steps`` steps of a network with this optimizer."""

    trace: Trace
    steps: int = 1
    optimizer: str = "sgd"

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(
                f"the optimizer {self.optimizer!r} is not profiled", hint=f"one of {', '.join(OPTIMIZERS)}"
            )
        if self.steps < 1:
            raise ConfigError(f"a training has one step at least, not {self.steps}")

    def __str__(self) -> str:
        return f"{self.trace.name}, {self.steps} steps of {self.trace.batch}, {self.optimizer}"

    def calls(self) -> list[Call]:
        """Everything that a step costs: its calls, the modules around them, the optimizer's work on each parameter."""
        trace = self.trace
        parts = list(trace.calls)
        parts += [Call("module", (1.0,), function="module calls")] * trace.modules
        parts.append(Call(f"{self.optimizer}_step", (1.0,), function="step"))
        parts += [Call(self.optimizer, (float(n),), layer, self.optimizer) for layer, n in trace.parameters]
        return parts

    def longer(self, steps: int) -> Training:
        """The same for another number of steps."""
        return replace(self, steps=steps)


@dataclass(frozen=True, slots=True)
class Cost:
    """Joules and seconds."""

    joules: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.joules + other.joules, self.seconds + other.seconds)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a layer cost: of one step, by phase, with the relative standard error of its measurement."""

    call: Call
    costs: Mapping[str, Cost]
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class WholeSample:
    """What one step of a whole network cost: it says how far off a sum of layers is."""

    training: Training
    cost: Cost
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class LayerCost:
    """A row of the table: a layer, and what its phases cost."""

    layer: str
    functions: tuple[str, ...]
    phases: Mapping[str, Cost] = field(default_factory=dict[str, Cost])

    @property
    def total(self) -> Cost:
        """All phases."""
        return sum(self.phases.values(), Cost())
