"""Is a network that was pruned to half the energy by predictions one of half the energy when it is measured?

    OMP_NUM_THREADS=1 python benchmarks/predict_prune.py --profile PROFILE.json [--epochs 20]

A convolutional network on scikit-learn's digits (1,797 images of 8 x 8, enlarged to 16 x 16; every fourth one is for the
test). The profile is that of predict_layers.py. Writes benchmarks/results/predict_prune.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from wattmark.predict.layers import storage
from wattmark.predict.layers.machine import Machine
from wattmark.predict.layers.pruning import Data, Family, Widths, prune
from wattmark.predict.layers.question import fitted

ROOT = Path(__file__).resolve().parent.parent


def build(widths: Widths) -> nn.Module:
    layers: list[nn.Module] = []
    before = 1
    for place, width in enumerate(widths):
        layers += [nn.Conv2d(before, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if place % 2 else []
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def digits() -> Data:
    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    x = nn.functional.interpolate(x, size=16)
    y = torch.tensor(classes)
    test = torch.arange(len(x)) % 4 == 0
    return x[~test], y[~test], x[test], y[test]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    kept = storage.read(options.profile)
    family = Family("digits", build, (48, 64, 96, 128), (1, 16, 16), 64)
    with Machine() as machine:
        pruning = prune(family, fitted(kept), machine, share=0.5, data=digits(), epochs=options.epochs)
    result = {"device": kept.device, "epochs": options.epochs, **pruning.as_dict()}
    text = json.dumps(result, indent=1) + "\n"
    (ROOT / "benchmarks/results/predict_prune.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
