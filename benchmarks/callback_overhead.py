"""Claim: an energy callback costs less than 1 % of a step of 10 ms.

Run: python benchmarks/callback_overhead.py [--pairs 2] [--steps 3000]. The same steps (a fixed amount of arithmetic, set
once to about 10 ms) in a loop of one's own with and without ``Loop``, and where Lightning is installed in its trainer with
and without ``EnergyCallback``, alternating. Every step is a span, every tenth is logged to a tracker that keeps what it is
told, and joules are looked at as in any training, after ten seconds for the first time. Kept: the time inside the hooks per
step (wall, and this thread's CPU time, so that what else the machine does hardly counts), and the ratio of the two ways. The
recorder is a process of its own and is not in it (benchmarks/results/peers-quiet.md has it). Results:
benchmarks/results/callback_overhead.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wattmark.integrations.training.session import Training
from wattmark.testing.training.contract import Recording

RESULTS = Path(__file__).parent / "results/callback_overhead.json"
STEP_S, LOG_EVERY, EPOCHS = 0.010, 10, 4
HOOKS = ("begin_step", "end_step", "log", "begin_epoch", "end_epoch", "begin_part", "end_part")


def arithmetic(count: int) -> int:
    return sum(place * place for place in range(count))


def calibrated() -> int:
    """How much arithmetic takes 10 ms of CPU time."""
    count = 100_000
    times: list[float] = []
    for _ in range(30):
        began = time.thread_time()
        arithmetic(count)
        times.append(time.thread_time() - began)
    return round(count * STEP_S / statistics.median(times))


class Clock:
    """Time inside the hooks, by wrapping them."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0
        self._inside = False

    def around(self, hook: Callable[..., None]) -> Callable[..., None]:
        def timed(*args: Any, **kwargs: Any) -> None:
            if self._inside:
                return hook(*args, **kwargs)
            self._inside = True
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return hook(*args, **kwargs)
            finally:
                self.wall_s += time.perf_counter() - wall
                self.cpu_s += time.thread_time() - cpu
                self._inside = False

        return timed


def loop(steps: int, count: int, *, measured: bool) -> None:
    """Epochs and steps of one's own."""
    if not measured:
        for _ in range(EPOCHS):
            for _ in range(steps // EPOCHS):
                arithmetic(count)
        return
    from wattmark.integrations.training.loop import Loop

    energy = Loop("overhead", trackers=[Recording()])
    with energy:
        for _ in energy.epochs(range(EPOCHS)):
            for step in energy.steps(range(steps // EPOCHS)):
                arithmetic(count)
                if step % LOG_EVERY == 0:
                    energy.log({"loss": 1.0})


def lightning(steps: int, count: int, *, measured: bool) -> None:
    """Lightning's trainer with a model whose step is the same arithmetic."""
    import lightning.pytorch as L  # pyright: ignore[reportMissingImports]
    import torch

    from wattmark.integrations.training.lightning import EnergyCallback

    class Net(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            arithmetic(count)
            loss = self.layer(batch[0]).square().mean()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    callbacks = []
    if measured:
        energy = EnergyCallback("overhead", trackers=[Recording()])
        callbacks.append(energy)
    rows = torch.utils.data.TensorDataset(torch.zeros(8 * (steps // EPOCHS), 2))
    trainer = L.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, log_every_n_steps=LOG_EVERY, callbacks=callbacks,
    )  # fmt: skip
    trainer.fit(Net(), torch.utils.data.DataLoader(rows, batch_size=8))


def compared(way: Callable[..., None], steps: int, pairs: int, count: int) -> dict[str, Any]:
    """One way of training, with and without, alternating; the hooks timed in the measured ones."""
    clock = Clock()
    plain = {name: getattr(Training, name) for name in HOOKS}
    bare_s: list[float] = []
    with_s: list[float] = []
    way(40, count, measured=True)  # imports
    for _ in range(pairs):
        for measured, times in ((False, bare_s), (True, with_s)):
            for name, hook in plain.items():
                setattr(Training, name, clock.around(hook) if measured else hook)
            began = time.thread_time()
            way(steps, count, measured=measured)
            times.append(time.thread_time() - began)
    for name, hook in plain.items():
        setattr(Training, name, hook)
    done = pairs * steps
    ratios = sorted(one / other for one, other in zip(with_s, bare_s, strict=True))
    return {
        "steps": done,
        "bare_step_ms": 1e3 * sum(bare_s) / done,
        "hooks_wall_us_a_step": 1e6 * clock.wall_s / done,
        "hooks_cpu_us_a_step": 1e6 * clock.cpu_s / done,
        "hooks_share_of_10_ms": clock.wall_s / done / STEP_S,
        "cpu_ratio_of_pairs": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3000)
    given = parser.parse_args()
    before = os.getloadavg()
    count = calibrated()
    ways = {"loop": loop}
    if importlib.util.find_spec("lightning"):
        ways["lightning"] = lightning
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WATTMARK_DATA_DIR"] = folder
        rows = {name: compared(way, given.steps, given.pairs, count) for name, way in ways.items()}
    found = {
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "load_average": {"before": before, "after": os.getloadavg()},
        "pairs": given.pairs,
        "budget_share": 0.01,
        "ways": rows,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
