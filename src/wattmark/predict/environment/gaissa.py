"""The 369 trainings of the data of arXiv 2307.05520 (GAISSA-UPC/seaa2023_ect, data CC BY 4.0) as observations.

Images of 128 pixels follow from the operations in the table (VGG16 and Xception at that size). Its own figures leave the
depthwise convolutions of MobileNetV2 out, so that MACs are those of the networks' papers, here.
"""

from __future__ import annotations

import csv
from pathlib import Path

from wattmark.errors import ConfigError
from wattmark.predict.environment.subject import Environment, TrainingRun, find_network
from wattmark.predict.hardware.accelerators import of_device

IMAGE = 128
SHIPPED = Path(__file__).parent / "data" / "trainings.csv"
"""The columns that are used of their table, with the attribution at its top."""


def trainings(path: Path = SHIPPED) -> list[TrainingRun]:
    """All rows. path: the shipped table, or the published CSV. Raises ConfigError for another file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    try:
        return [_run(place, row) for place, row in enumerate(rows)]
    except KeyError as error:
        raise ConfigError(f"{path} has no column {error}") from None


def _run(place: int, row: dict[str, str]) -> TrainingRun:
    gpu = of_device(row["gpu model"])
    if gpu is None:
        raise ConfigError(f"{row['gpu model']} is in no table")
    epochs = int(float(row["trained epochs"]))
    subject = Environment(
        find_network(row["architecture"]).at(IMAGE),
        gpu,
        int(row["batch size"]),
        int(row["training size"]),
        int(row["validation size"]),
        epochs,
        row["training environment"],
    )
    return TrainingRun(
        subject,
        float(row["average power draw (W)"]),
        1e6 * float(row["energy (MJ)"]) / epochs,
        3600 * float(row["training duration (h)"]) / epochs,
        float(row["accuracy"]),
        place,
    )
