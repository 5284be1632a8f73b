"""Make the pictures of MLflow's page and TensorBoard with joules beside the loss: ``python docs/make_tracker_pictures.py``.

A small training is measured and told to both, in the environments that ``make test-integrations`` leaves
(``.venv-integrations``); the pictures are of their own pages. Needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".venv-integrations"
DESK = {"width": 1280, "height": 800}
TRAINING = """
import math
import sys

import torch

from wattmark.integrations.training.loop import Loop

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
x = torch.randn(4096, 64)
y = (x[:, 0] * x[:, 1] > 0).long()


def train(trackers, tell):
    with Loop("squares", trackers=trackers) as energy:
        for epoch in energy.epochs(range(8)):
            for rows in energy.steps(torch.arange(4096).split(64)):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                if energy.global_step % 16 == 0:
                    tell(loss.item(), energy.global_step)
                    energy.log({"train/loss": loss.item()})
"""
TENSORBOARD = """
from torch.utils.tensorboard import SummaryWriter

from wattmark.integrations.trackers.tensorboard import TensorBoardTracker

writer = SummaryWriter("runs/squares")
train([TensorBoardTracker(writer)], lambda loss, step: writer.add_scalar("train/loss", loss, step))
writer.close()
"""
MLFLOW = """
import mlflow

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("squares")
with mlflow.start_run(run_name="squares") as run:
    train(None, lambda loss, step: mlflow.log_metric("train/loss", loss, step=step))
    print(run.info.experiment_id, run.info.run_id)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--output", type=Path, default=HERE / "_static")
    parser.add_argument("names", nargs="*", default=["tensorboard", "mlflow"])
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=given.chromium)
        page = browser.new_page(viewport=DESK)
        for name in given.names:
            {"tensorboard": tensorboard, "mlflow": mlflow}[name](page, folder, given.output)
        browser.close()


def tensorboard(page: Any, folder: str, output: Path) -> None:
    trained("tensorboard", TENSORBOARD, folder)
    with served("tensorboard", ["tensorboard.main", "--logdir", "runs"], folder) as base:
        page.goto(f"{base}/#scalars&tagFilter=loss%7Ctotal_j%7Cepoch_j", timeout=120_000)
        page.wait_for_selector("text=train/loss", timeout=120_000)
        page.wait_for_timeout(8_000)  # its charts are drawn one after the other
        page.screenshot(path=str(output / "tensorboard.png"))


def mlflow(page: Any, folder: str, output: Path) -> None:
    experiment, run = trained("mlflow", MLFLOW, folder).split()[-2:]
    words = ["mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    with served("mlflow", words, folder) as base:
        page.goto(f"{base}/#/experiments/{experiment}/runs/{run}/model-metrics", timeout=240_000)
        page.wait_for_selector("text=epoch_j", timeout=120_000)
        page.set_viewport_size({"width": 1280, "height": 3400})  # the loss is below twenty charts of energy
        page.wait_for_timeout(8_000)
        page.screenshot(path=str(output / "mlflow.png"))


def trained(name: str, tail: str, folder: str) -> str:
    env = {**os.environ, "WATTMARK_DATA_DIR": f"{folder}/wattmark", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [str(ENVIRONMENTS / name / "bin/python"), "-c", TRAINING + tail]
    return subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


@contextmanager
def served(name: str, module: list[str], folder: str) -> Generator[str]:
    """The tool's own server on a free port, until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(ENVIRONMENTS / name / "bin/python"),
        "-m",
        *module,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with open(f"{folder}/{name}.log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        base = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(base, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None:
                    raise SystemExit(Path(folder, f"{name}.log").read_text()[-2000:]) from None
                time.sleep(0.5)
        yield base
    finally:
        os.killpg(server.pid, 15)
        server.wait()


if __name__ == "__main__":
    main()
