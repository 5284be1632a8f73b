"""This machine as a device: PyTorch on its CPU, seconds of CPU time, joules from the recorder.

A layer is warmed up, repeated until the standard error of its mean is small or its time is over, and followed by a rest.
CPU time is what is timed, since it is exact in a process (nanoseconds) and other work on the machine is not in it. The
joules of a layer are its CPU seconds times the watts per busy core of its kind: the recorder's joules of the process tree
over all repeats of the kind, divided by the CPU time spent in them. One layer takes less than a sensor can tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wattmark.errors import ConfigError
from wattmark.predict.layers.calls import OPTIMIZERS, Call, Cost, Sample, Training, WholeSample
from wattmark.predict.layers.device import Network
from wattmark.predict.layers.tracing import loss_of
from wattmark.predict.layers.variants import Layer, build, frame
from wattmark.tracker.measure import measure
from wattmark.tracker.run import Run

PRECISE = 0.015
"""The relative standard error at which a shape has been repeated enough."""
LEAST_S, MOST_S, FEWEST = 0.01, 0.12, 4
"""Time (CPU) for the repeats of one shape, and how many there are at least."""
REST = 0.05
"""Rest after a shape, as a share of the time that it took; at most :data:`MOST_REST_S`."""
MOST_REST_S = 0.02
TRIMMED = 0.1
"""This share of the repeats, the slowest, is left out: an interrupt is not the layer's."""
_TENSORS = 8
_LOOKS_S = 5.0


@dataclass(slots=True)
class _Window:
    """A piece of the run in which one kind was repeated: from and to (monotonic ns), CPU seconds."""

    kind: str
    start_ns: int
    end_ns: int
    cpu_s: float


@dataclass(slots=True)
class Machine:
    """The CPU of this machine. Open it with ``with``; threads: of PyTorch, by default what it is set to.

    name: ``cpu`` with its threads. run: the measured run that the joules come from.
    """

    threads: int = 0
    name: str = ""
    run: Run | None = None
    _windows: list[_Window] = field(default_factory=list[_Window])
    _frame: tuple[float, float] = (0.0, 0.0)
    _before: int = 0
    _began_s: float = 0.0
    _looked_s: float = 0.0
    _joules: float = 0.0

    def __enter__(self) -> Machine:
        self._before = torch.get_num_threads()
        if self.threads:
            torch.set_num_threads(self.threads)
        self.threads = torch.get_num_threads()
        self.name = f"cpu, {self.threads} thread{'s' if self.threads > 1 else ''}"
        run: Run = measure("layers", tags={"wattmark": "predict layers"})
        self.run = run.start()
        self._began_s = time.process_time()
        costs, _ = self._repeated("frame", _stepper(frame()), most_s=1.0)
        self._frame = float(costs[0]), float(costs[1])
        return self

    def __exit__(self, *_: object) -> None:
        if self.run is not None and not self.run.end_ns:
            self.run.stop()
        torch.set_num_threads(self._before)

    def spent(self) -> Cost:
        """CPU seconds since it was opened; joules as of some seconds ago."""
        assert self.run is not None
        seconds = time.process_time() - self._began_s
        if seconds - self._looked_s > _LOOKS_S:
            energy = self.run.energy
            self._joules, self._looked_s = 0.0 if energy is None else energy.value, seconds
        return Cost(self._joules, seconds)

    def layer(self, call: Call) -> Sample:
        """See :class:`~wattmark.predict.layers.device.Device`."""
        if call.kind in OPTIMIZERS:
            return self._optimizer(call)
        if call.kind.endswith("_step"):
            return self._step(call)
        layer = build(call)
        costs, error = self._repeated(call.kind, _stepper(layer))
        return Sample(call, self._less_frame(costs), error)

    def chain(self, calls: Sequence[Call]) -> Sample:
        """See :class:`~wattmark.predict.layers.device.Device`."""
        layers = [build(call) for call in calls]

        def run(x: Tensor) -> Tensor:
            for layer in layers:
                x = layer.run(x.view(layer.input.shape))
            return x

        others = [leaf for layer in layers for leaf in layer.others]
        costs, error = self._repeated("chain", _stepper(Layer(layers[0].input, run, others)))
        return Sample(calls[0], self._less_frame(costs), error)

    def whole(self, network: Network, training: Training) -> WholeSample:
        """See :class:`~wattmark.predict.layers.device.Device`."""
        seconds, error = self._repeated(network.name, training_step(network, training.optimizer), most_s=0.8)
        return WholeSample(training, Cost(0.0, float(seconds.sum())), error)

    def finished(
        self, layers: Sequence[Sample], wholes: Sequence[WholeSample]
    ) -> tuple[list[Sample], list[WholeSample]]:
        """See :class:`~wattmark.predict.layers.device.Device`. Raises ConfigError where nothing measures joules."""
        assert self.run is not None
        if not self.run.end_ns:
            self.run.stop()
        watts = self._watts()
        everywhere = watts.get("", 0.0)
        if not everywhere > 0:
            raise ConfigError("nothing here measures or models joules", hint="wattmark sources says why")
        done = [
            replace(one, costs={phase: _at(cost, watts.get(one.call.kind, everywhere)) for phase, cost in one.costs.items()})
            for one in layers
        ]  # fmt: skip
        trained = [
            replace(one, cost=_at(one.cost, watts.get(one.training.trace.name, everywhere))) for one in wholes
        ]
        return done, trained

    def _watts(self) -> dict[str, float]:
        """Joules of the process tree for each of its CPU seconds, by kind; "" is all together."""
        from wattmark.runs.attribution import attributed

        assert self.run is not None
        view = self.run.view
        joules: dict[str, float] = {}
        seconds: dict[str, float] = {}
        for window in self._windows:
            share = attributed(view, window.start_ns, window.end_ns)
            if share is not None:
                for name in (window.kind, ""):
                    joules[name] = joules.get(name, 0.0) + share.energy.value
                    seconds[name] = seconds.get(name, 0.0) + window.cpu_s
        return {name: joules[name] / seconds[name] for name in joules if seconds[name] > 0.5 or not name}

    def _optimizer(self, call: Call) -> Sample:
        """From one to many tensors of these elements: what a tensor more costs."""
        n = max(1, round(call.sizes[0]))
        few, many = self._steps(call.kind, n, 1), self._steps(call.kind, n, 1 + _TENSORS)
        seconds = max((many[0] - few[0]) / _TENSORS, 1e-9)
        error = (many[1] * many[0] + few[1] * few[0]) / _TENSORS / seconds
        return Sample(call, {"optimizer": Cost(0.0, seconds)}, error)

    def _step(self, call: Call) -> Sample:
        """What a step costs however large the network: the start of the backward pass, and of the optimizer."""
        name = call.kind.removesuffix("_step")
        few, many = self._steps(name, 16, 1), self._steps(name, 16, 1 + _TENSORS)
        once = max(few[0] - (many[0] - few[0]) / _TENSORS, 1e-9)
        costs = {"backward": Cost(0.0, self._frame[1]), "optimizer": Cost(0.0, once)}
        return Sample(call, costs, few[1])

    def _steps(self, optimizer: str, elements: int, tensors: int) -> tuple[float, float]:
        leaves = [torch.nn.Parameter(torch.randn(elements)) for _ in range(tensors)]
        updates = make_optimizer(optimizer, leaves)
        gradients = [torch.randn(elements) for _ in leaves]

        def step() -> tuple[int, ...]:
            for leaf, gradient in zip(leaves, gradients, strict=True):
                leaf.grad = gradient
            t0 = time.process_time_ns()
            updates.step()
            updates.zero_grad(set_to_none=True)
            return (time.process_time_ns() - t0,)

        costs, error = self._repeated(optimizer, step)
        return float(costs[0]), error

    def _less_frame(self, costs: np.ndarray[Any, Any]) -> dict[str, Cost]:
        forward, backward = float(costs[0]), float(costs[1])
        return {
            "forward": Cost(0.0, max(forward - self._frame[0], 1e-9)),
            "backward": Cost(0.0, max(backward - self._frame[1], 0.0)),
        }

    def _repeated(
        self, kind: str, step: Callable[[], tuple[int, ...]], most_s: float = MOST_S
    ) -> tuple[np.ndarray[Any, Any], float]:
        """Mean CPU seconds of each phase (k,), and the relative standard error of their sum."""
        assert self.run is not None
        began = time.process_time_ns()
        for _ in range(3):  # caches, and kernels that are made for a shape when it is first met
            step()
            if time.process_time_ns() - began > most_s * 1e9:
                break
        with self._window(kind):
            rows: list[tuple[int, ...]] = []
            began = time.process_time_ns()
            while True:
                rows.append(step())
                count, spent_s = len(rows), (time.process_time_ns() - began) / 1e9
                if (
                    count >= FEWEST
                    and spent_s >= LEAST_S
                    and (count & (count - 1)) == 0
                    and _error(rows) < PRECISE
                ):
                    break  # looked at when the count has doubled
                if count >= FEWEST and spent_s > most_s:
                    break
        time.sleep(min(MOST_REST_S, REST * spent_s))
        return _trimmed(rows) / 1e9, _error(rows)

    @contextmanager
    def _window(self, kind: str) -> Generator[None]:
        assert self.run is not None
        with self.run.span(kind):
            start_ns, cpu = time.monotonic_ns(), time.process_time_ns()
            yield
            window = _Window(kind, start_ns, time.monotonic_ns(), (time.process_time_ns() - cpu) / 1e9)
        self._windows.append(window)


def make_optimizer(name: str, parameters: Sequence[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """An optimizer that hardly moves the parameters, so that numbers stay ordinary however many steps are made."""
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=1e-7, momentum=0.9)
    return (torch.optim.Adam if name == "adam" else torch.optim.AdamW)(parameters, lr=1e-7)


def training_step(network: Network, optimizer: str) -> Callable[[], tuple[int, ...]]:
    """One step of the network on random data, made to be timed: CPU ns of forward (the loss in it), backward, optimizer."""
    torch.default_generator.manual_seed(0)
    model = network.build().train()
    kind = getattr(torch, network.dtype) if network.dtype else None
    if kind is not None and not kind.is_floating_point:
        tables = [m.num_embeddings for m in model.modules() if isinstance(m, torch.nn.Embedding)]
        x = torch.randint(0, min(tables, default=2), (network.batch, *network.shape), dtype=kind)
    else:
        x = torch.randn((network.batch, *network.shape))
    updates = make_optimizer(optimizer, [p for p in model.parameters() if p.requires_grad])

    def step() -> tuple[int, ...]:
        t0 = time.process_time_ns()
        loss = loss_of(model(x))
        t1 = time.process_time_ns()
        torch.autograd.backward(loss)
        t2 = time.process_time_ns()
        updates.step()
        updates.zero_grad(set_to_none=True)
        return t1 - t0, t2 - t1, time.process_time_ns() - t2

    return step


def _stepper(layer: Layer) -> Callable[[], tuple[int, ...]]:
    """Forward and backward of a layer. Where nothing needs a gradient there is no backward."""
    with torch.enable_grad():
        first = layer.run(layer.input)
    backward = first.requires_grad
    seed = torch.ones_like(first) if first.is_floating_point() else None
    del first

    def step() -> tuple[int, ...]:
        t0 = time.process_time_ns()
        output = layer.run(layer.input)
        t1 = time.process_time_ns()
        if backward:
            torch.autograd.backward(output, seed)
        t2 = time.process_time_ns()
        del output
        layer.clear()
        return t1 - t0, t2 - t1 if backward else 0

    return step


def _trimmed(rows: Sequence[tuple[int, ...]]) -> np.ndarray[Any, Any]:
    table = np.array(rows, np.float64)
    total = table.sum(axis=1)
    kept = np.argsort(total, kind="stable")[: max(1, round(len(rows) * (1 - TRIMMED)))]
    return table[kept].mean(axis=0)


def _error(rows: Sequence[tuple[int, ...]]) -> float:
    total = np.sort(np.array(rows, np.float64).sum(axis=1))
    kept = total[: max(2, round(len(total) * (1 - TRIMMED)))]
    return (
        float(kept.std(ddof=1) / kept.mean() / len(kept) ** 0.5) if len(kept) > 1 and kept.mean() > 0 else 1.0
    )


def _at(cost: Cost, watts: float) -> Cost:
    return Cost(cost.seconds * watts, cost.seconds)
