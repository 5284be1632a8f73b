"""The same training under different measuring tools, each peer in a virtual environment of its own.

``python -m wattmark.workloads.tools install`` makes the environments, ``run TOOL`` trains under a tool and prints one
line of JSON: ``accuracy``; ``training_s``, the length of the training itself; ``tool_s``, what the tool added around it
(importing, starting, stopping); ``whole_s`` and ``cpu_s``, wall and processor time of the whole process, interpreter
and helpers included; ``tool_energy_j``, what the tool says the training took. Peers are called with the calls of
their own documentation, all with a period of 1 s (CarbonTracker's default), and without a network. Their joules are
what they report: CarbonTracker's hold its PUE of 1.58 (its ``constants.py``), Eco2AI's only this process's share of the CPU.
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
_PERIOD_S = 1
"""Eco2AI reads utilisation once a period, of 10 s by default: most of a short training would not be seen."""

PEERS = {
    "codecarbon": ("codecarbon",),
    "carbontracker": ("carbontracker",),
    # Eco2AI 0.3.12 writes words into columns of numbers, which pandas 3 refuses, and imports pkg_resources.
    "eco2ai": ("eco2ai", "pandas<3", "setuptools<81"),
}
"""Tool -> what pip is asked for."""
OWN = ("none", "wattmark")
_SAME = ("scikit-learn", "numpy", "scipy")
"""What trains has the version that it has here, in every environment: only the tool may differ."""


def environment_of(tool: str) -> Path:
    """The folder of a peer's virtual environment."""
    from wattmark.paths import data_dir

    return Path(data_dir()) / "tools" / tool


def install(tools: list[str]) -> None:
    """Make the environments, or bring to these versions what is there. Raises CalledProcessError if pip fails."""
    from importlib.metadata import version

    training = [f"{package}=={version(package)}" for package in _SAME]
    for tool in tools:
        folder = environment_of(tool)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PEERS[tool], *training], check=True)


def run(tool: str, epochs: int) -> int:
    """Train under a tool in a process of its own; a peer's environment's Python does it for a peer. The exit code."""
    import resource

    from wattmark.recorder.launch import SESSION_ENV

    command = [sys.executable, "-m", "wattmark.workloads.tools"]
    if tool not in OWN:
        python = environment_of(tool) / "bin" / "python"
        if not python.exists():
            sys.stderr.write(f"{tool} is not installed; python -m wattmark.workloads.tools install {tool}\n")
            return 2
        command = [str(python), "-I", __file__]
    # A session that is measured from outside must not save Wattmark the start of its own recorder.
    environ = {key: value for key, value in os.environ.items() if key != SESSION_ENV}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    child = subprocess.run(
        [*command, "run", tool, "--epochs", str(epochs), "--here"], stdout=subprocess.PIPE, env=environ
    )
    whole_s = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    *said, last = child.stdout.splitlines() or [b""]
    if child.returncode:
        sys.stderr.buffer.write(child.stdout)
        return child.returncode
    sys.stderr.buffer.write(b"".join(line + b"\n" for line in said))
    sys.stdout.write(json.dumps({**json.loads(last), "whole_s": whole_s, "cpu_s": cpu_s}) + "\n")
    return 0


def trained(tool: str, epochs: int) -> dict[str, Any]:
    """Train here, under the tool."""
    if tool not in OWN:
        _go_offline()
    fit = make_training(epochs)
    begun = time.perf_counter()
    accuracy, seconds, energy_j = TOOLS[tool](fit)
    added = time.perf_counter() - begun - seconds
    result = {"accuracy": accuracy, "training_s": seconds, "tool_s": added, "tool_energy_j": energy_j}
    return {name: value for name, value in result.items() if value is not None}


def _go_offline() -> None:
    """Refuse this process every look-up of a host: CarbonTracker asks a web service where it is, whatever it is told."""

    def refuse(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            raise OSError("tools are compared without a network")

    sys.addaudithook(refuse)


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

    with measure("training under Wattmark") as run:
        accuracy, seconds = fit()
    return accuracy, seconds, None if run.energy is None else run.energy.value


def _codecarbon(fit: Training) -> Measured:
    kind: Any = import_module("codecarbon").OfflineEmissionsTracker
    tracker: Any = kind(
        country_iso_code="FRA", save_to_file=False, log_level="error", measure_power_secs=_PERIOD_S
    )
    tracker.start()
    accuracy, seconds = fit()
    tracker.stop()
    return accuracy, seconds, float(tracker.final_emissions_data.energy_consumed) * _J_PER_KWH


def _carbontracker(fit: Training) -> Measured:
    import tempfile

    kind: Any = import_module("carbontracker.tracker").CarbonTracker
    parser: Any = import_module("carbontracker.parser")
    with tempfile.TemporaryDirectory() as folder:
        tracker: Any = kind(
            epochs=1,
            update_interval=_PERIOD_S,
            log_dir=folder,
            verbose=0,
            monitor_epochs=1,
            epochs_before_pred=0,
        )
        tracker.epoch_start()
        accuracy, seconds = fit()
        tracker.epoch_end()
        tracker.stop()
        logs: list[Any] = parser.parse_all_logs(log_dir=folder)
    used: Any = logs[0]["actual"] if logs else None
    return accuracy, seconds, None if not used else float(used["energy (kWh)"]) * _J_PER_KWH


def _eco2ai(fit: Training) -> Measured:
    import csv
    import tempfile

    kind: Any = import_module("eco2ai").Tracker
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "emission.csv"
        tracker: Any = kind(
            project_name="study",
            experiment_description="digits",
            file_name=str(path),
            alpha_2_code="FR",
            measure_period=_PERIOD_S,
            ignore_warnings=True,
        )
        tracker.start()
        accuracy, seconds = fit()
        tracker.stop()
        # Its consumption() is 0 again once it has stopped; the file keeps what it was.
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    return accuracy, seconds, float(rows[-1]["power_consumption(kWh)"]) * _J_PER_KWH if rows else None


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
    running.add_argument("--epochs", type=int, default=80)
    running.add_argument("--here", action="store_true", help="in this process, whatever the tool")
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
