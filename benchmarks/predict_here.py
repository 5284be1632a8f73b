"""Ten trainings on this machine, predicted while they go on, beside what was measured.

    python benchmarks/predict_here.py [--seconds 40] [--output benchmarks/results/predict_here.json]

As a new user has it: `wattmark run --predict -- python train.py`, ten times, in an empty store. The trainings differ in
their network (perceptron, convolutions, a transformer), in batch and length, and in how they tell their progress: spans
and run.expect, `Epoch 3/12`, a bar of tqdm, an epoch with a bar inside, epochs that get slower (an evaluation in the second
half). Each trains on random data in one thread. Afterwards the scores, as `wattmark predict score` has them. Writes the
table as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BOOT = "import sys; from wattmark.cli import main; main()"
TRAIN = r"""
import sys, time
import torch
from torch import nn

kind, batch, tell, seconds, epochs = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), int(sys.argv[5])
torch.manual_seed(0)
torch.set_num_threads(1)
if kind == "mlp":
    network = nn.Sequential(
        nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
    )
    sample = (512,)
elif kind == "cnn":
    network = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 10),
    )
    sample = (3, 32, 32)
else:
    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
    network, sample = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(32 * 128, 10)), (32, 128)
loss_of, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(network.parameters())

def step():
    x, y = torch.randn(batch, *sample), torch.randint(0, 10, (batch,))
    optimizer.zero_grad()
    loss = loss_of(network(x), y)
    loss.backward()
    optimizer.step()
    return float(loss)

step()
begin = time.perf_counter()
for _ in range(5):
    step()
each = (time.perf_counter() - begin) / 5
steps = max(2, int(seconds / epochs / each))  # of one epoch

def evaluate(epoch):
    if tell == "slower" and epoch >= epochs // 2:
        with torch.no_grad():
            for _ in range(steps // 2):
                network(torch.randn(batch, *sample))

if tell == "spans":
    import wattmark as wm

    with wm.measure("train") as run:
        run.expect(epochs=epochs)
        for epoch in range(epochs):
            with run.span("epoch", samples=steps * batch):
                for _ in range(steps):
                    step()
elif tell == "bar":
    from tqdm import tqdm

    for _ in tqdm(range(steps * epochs), mininterval=0.5):
        step()
elif tell == "bars":
    from tqdm import tqdm

    for epoch in range(epochs):
        print(f"Epoch {epoch + 1}/{epochs}", flush=True)
        for _ in tqdm(range(steps), mininterval=0.5):
            step()
else:
    for epoch in range(epochs):
        loss = [step() for _ in range(steps)][-1]
        evaluate(epoch)
        print(f"Epoch {epoch + 1}/{epochs} loss={loss:.3f}", flush=True)
"""
TRAININGS = [
    ("mlp", 64, "lines", 1.0, 12),
    ("mlp", 512, "spans", 0.7, 10),
    ("cnn", 32, "bars", 1.0, 8),
    ("cnn", 128, "bar", 0.8, 10),
    ("transformer", 16, "lines", 1.2, 15),
    ("transformer", 64, "spans", 1.0, 20),
    ("mlp", 128, "slower", 1.0, 16),
    ("cnn", 64, "lines", 0.6, 30),
    ("transformer", 32, "bars", 0.9, 6),
    ("cnn", 16, "spans", 1.5, 25),
]
SHOWN = (0.05, 0.10, 0.15, 0.25, 0.50)


def wattmark(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BOOT, *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "predict_here.json")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "WATTMARK_DATA_DIR": folder, "PYTHONPATH": str(ROOT / "src")}
        script = Path(folder, "train.py")
        script.write_text(TRAIN, encoding="utf-8")
        for kind, batch, tell, longer, epochs in TRAININGS:
            name = f"{kind}, batch {batch}, {tell}"
            words = [kind, str(batch), tell, str(options.seconds * longer), str(epochs)]
            done = wattmark(
                environ,
                "run",
                "--name",
                name,
                "--predict",
                "--json",
                "-",
                "--",
                sys.executable,
                str(script),
                *words,
            )
            if done.returncode:
                sys.exit(done.stderr)
            run = json.loads(done.stdout)
            shown = wattmark(environ, "predict", "score", "--json", "-")
            stages = {
                miss["share"]: miss
                for score in json.loads(shown.stdout)["scores"]
                for miss in score["worst"]
                if miss["run_id"] == run["run_id"]
            }
            export = Path(folder, "run.json")
            wattmark(environ, "export", run["run_id"], "-o", str(export))
            said = json.loads(export.read_text())["runs"][0]["extra"].get("predictions", [])
            measured = run["energy_j"]["total"]["value"]
            row: dict[str, Any] = {
                "training": name,
                "measured_j": measured,
                "duration_s": run["duration_s"],
                "modelled": all(
                    one["method"] == "modelled" for one in run["channels"] if one["counted_in_total"]
                ),
                "scored": len(stages),
                "predicted": {},
            }
            for share in SHOWN:
                one = next(
                    (one for one in said if one["share"] >= share and one["share"] < 1.6 * share), None
                )
                if one is not None:
                    energy = one["energy_j"]
                    row["predicted"][f"{share:.0%}"] = {
                        **energy,
                        "share": one["share"],
                        "error": energy["value"] / measured - 1,
                        "held": energy["low"] <= measured <= energy["high"],
                    }
            rows.append(row)
            told = ", ".join(
                f"{share} {one['value']:.0f} ({one['low']:.0f} to {one['high']:.0f}){'' if one['held'] else ' !'}"
                for share, one in row["predicted"].items()
            )
            print(f"{name:28} measured {measured:7.0f} J in {run['duration_s']:.0f} s: {told}", flush=True)
        scores = json.loads(wattmark(environ, "predict", "score", "--json", "-").stdout)["scores"]
        print(wattmark(environ, "predict", "score").stdout)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, shared with other work",
        "runs": rows,
        "scores": [
            {key: score[key] for key in ("predictor", "stage", "number", "runs", "mape", "bias", "coverage")}
            for score in scores
        ],
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
