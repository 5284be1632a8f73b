"""The same training under different measuring tools, each peer in a virtual environment of its own.

``python -m wattmark.workloads.tools install`` makes the environments, ``run TOOL`` trains under a tool and prints
``{"accuracy", "tool_energy_j", "training_s", "tool_s"}`` as one line of JSON: what the
tool says it took, the length of the training
itself, and the time that the tool added around it. Peers are called with the calls of their own documentation, offline.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_J_PER_KWH = 3_600_000.0

PEERS = {"codecarbon": "codecarbon", "carbontracker": "carbontracker", "eco2ai": "eco2ai"}
"""Tool -> what pip calls it."""
OWN = ("none", "wattmark")
_TRAINING = ("scikit-learn", "setuptools<81")  # some peers import pkg_resources and do not ask for it


def environment_of(tool: str) -> Path:
    """The folder of a peer's virtual environment."""
    from wattmark.paths import data_dir

    return Path(data_dir()) / "tools" / tool


def install(tools: list[str]) -> None:
    """Make the environments; what is there is brought up to date. Raises CalledProcessError if pip fails."""
    for tool in tools:
        folder = environment_of(tool)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, PEERS[tool], *_TRAINING], check=True)


def run(tool: str, epochs: int) -> int:
    """Train under a tool; its own environment's Python does it for a peer. The exit code."""
    if tool in OWN:
        sys.stdout.write(json.dumps(trained(tool, epochs)) + "\n")
        return 0
    python = environment_of(tool) / "bin" / "python"
    if not python.exists():
        sys.stderr.write(f"{tool} is not installed; python -m wattmark.workloads.tools install {tool}\n")
        return 2
    return subprocess.run(
        [str(python), "-I", __file__, "run", tool, "--epochs", str(epochs), "--here"]
    ).returncode


def trained(tool: str, epochs: int) -> dict[str, Any]:
    """Train here, under the tool."""
    fit = make_training(epochs)
    begun = time.perf_counter()
    accuracy, seconds, energy_j = TOOLS[tool](fit)
    added = time.perf_counter() - begun - seconds
    result = {"accuracy": accuracy, "training_s": seconds, "tool_s": added, "tool_energy_j": energy_j}
    return {name: value for name, value in result.items() if value is not None}


def make_training(epochs: int) -> Callable[[], tuple[float, float]]:
    """A training of a small network on scikit-learn's digits, ready to run; it returns accuracy and seconds."""
    data: Any = import_module("sklearn.datasets").load_digits()
    kind: Any = import_module("sklearn.neural_network").MLPClassifier
    features, labels = data.data / 16.0, data.target
    kind(hidden_layer_sizes=(8,)).partial_fit(features[:64], labels[:64], classes=list(range(10)))  # warm

    def fit() -> tuple[float, float]:
        begun = time.perf_counter()
        model = kind(hidden_layer_sizes=(256, 128), random_state=0)
        for _ in range(epochs):
            model.partial_fit(features[:1400], labels[:1400], classes=list(range(10)))
        seconds = time.perf_counter() - begun
        return float(model.score(features[1400:], labels[1400:])), seconds

    return fit


Measured = tuple[float, float, "float | None"]
Training = Callable[[], tuple[float, float]]


def _none(fit: Training) -> Measured:
    return (*fit(), None)


def _wattmark(fit: Training) -> Measured:
    from wattmark import measure

    with measure("training") as run:
        accuracy, seconds = fit()
    return accuracy, seconds, None if run.energy is None else run.energy.value


def _codecarbon(fit: Training) -> Measured:
    kind: Any = import_module("codecarbon").OfflineEmissionsTracker
    tracker: Any = kind(country_iso_code="FRA", save_to_file=False, log_level="error")
    tracker.start()
    accuracy, seconds = fit()
    tracker.stop()
    return accuracy, seconds, float(tracker.final_emissions_data.energy_consumed) * _J_PER_KWH


def _carbontracker(fit: Training) -> Measured:
    import tempfile

    kind: Any = import_module("carbontracker.tracker").CarbonTracker
    parser: Any = import_module("carbontracker.parser")
    with tempfile.TemporaryDirectory() as folder:
        tracker: Any = kind(epochs=1, log_dir=folder, verbose=0, monitor_epochs=1, epochs_before_pred=0)
        tracker.epoch_start()
        accuracy, seconds = fit()
        tracker.epoch_end()
        tracker.stop()
        logs: list[Any] = parser.parse_all_logs(log_dir=folder)
    used: Any = logs[0]["actual"] if logs else None
    return accuracy, seconds, None if not used else float(used["energy (kWh)"]) * _J_PER_KWH


def _eco2ai(fit: Training) -> Measured:
    import tempfile

    kind: Any = import_module("eco2ai").Tracker
    with tempfile.TemporaryDirectory() as folder:
        tracker: Any = kind(
            project_name="study", experiment_description="digits", file_name=os.path.join(folder, "e.csv"),  # noqa: PTH118
            alpha_2_code="FR",
        )  # fmt: skip
        tracker.start()
        accuracy, seconds = fit()
        tracker.stop()
        return accuracy, seconds, float(tracker.consumption()) * _J_PER_KWH


TOOLS: dict[str, Callable[[Training], Measured]] = {
    "none": _none,
    "wattmark": _wattmark,
    "codecarbon": _codecarbon,
    "carbontracker": _carbontracker,
    "eco2ai": _eco2ai,
}


def main() -> int:
    """The two commands."""
    parser = argparse.ArgumentParser(prog="python -m wattmark.workloads.tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    installing = commands.add_parser("install", help="make the environments of the peers")
    installing.add_argument("tools", nargs="*", metavar="TOOL", help=f"of {', '.join(PEERS)}; default: all")
    running = commands.add_parser("run", help="train under a tool")
    running.add_argument("tool", choices=list(TOOLS))
    running.add_argument("--epochs", type=int, default=60)
    running.add_argument("--here", action="store_true", help="with this Python, whatever the tool")
    arguments = parser.parse_args()
    if arguments.command == "install":
        unknown = set(arguments.tools) - set(PEERS)
        if unknown:
            parser.error(f"no tool named {min(unknown)}")
        install(arguments.tools or list(PEERS))
        return 0
    if arguments.here:
        sys.stdout.write(json.dumps(trained(arguments.tool, arguments.epochs)) + "\n")
        return 0
    return run(arguments.tool, arguments.epochs)


if __name__ == "__main__":
    sys.exit(main())
