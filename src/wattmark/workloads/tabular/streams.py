"""Sensor streams of a machine with labelled anomalies: synthesised, or from a CSV file.

The synthetic plant has the traits that make real streams hard: all sensors follow a common load, each drifts and is
noisy, and one row in twenty belongs to an anomaly. Anomalies are spikes of one sensor, steps that last for a while, and
correlated faults, in which several sensors stop following the load together while each stays within its usual range.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ImportFileError

ANOMALY_SHARE = 0.05
_CYCLE_ROWS = 240
_NOISE = 0.3
_LABELS = ("label", "anomaly", "target", "class", "y")


@dataclass(frozen=True, slots=True)
class Streams:
    """features: (rows, sensors) float64 in the order of time. labels: (rows,) int64, 1 for an anomaly."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    source: str


def synthesise(rows: int = 6_000, sensors: int = 12, seed: int = 0) -> Streams:
    """A plant of ``sensors`` sensors over ``rows`` moments, 5 % of them anomalous; the seed decides everything.

    Raises ValueError for fewer than 200 rows or 3 sensors.
    """
    if rows < 200 or sensors < 3:
        raise ValueError(f"streams need at least 200 rows and 3 sensors, not {rows} and {sensors}")
    rng = np.random.default_rng(seed)
    time = np.arange(rows)
    load = 0.6 * np.sin(2 * np.pi * time / _CYCLE_ROWS) + _walk(rng, rows, 1)[:, 0]
    gains = rng.uniform(0.5, 1.5, sensors) * rng.choice([-1.0, 1.0], sensors)
    drift = _walk(rng, rows, sensors) * 0.4
    noise = rng.normal(0, _NOISE, (rows, sensors))
    features = load[:, None] * gains + drift + noise
    labels = np.zeros(rows, np.int64)
    wanted = round(ANOMALY_SHARE * rows)
    while labels.sum() < wanted:
        left = int(wanted - labels.sum())
        kind = rng.integers(3)
        length = 1 if kind == 0 else int(min(left, rng.integers(5, 40)))
        start = int(rng.integers(0, rows - length))
        span = slice(start, start + length)
        if labels[max(0, start - 1) : start + length + 1].any():
            continue  # anomalies do not touch, so that the share comes out right
        if kind == 0:  # a spike of one sensor
            features[span, rng.integers(sensors)] += rng.choice([-1, 1]) * rng.uniform(1.0, 3.0)
        elif kind == 1:  # a sensor that is off for a while
            features[span, rng.integers(sensors)] += rng.choice([-1, 1]) * rng.uniform(0.6, 1.6)
        else:  # several sensors that stop following the load
            group = rng.choice(sensors, size=max(2, sensors // 4), replace=False)
            features[span.start : span.stop, group] = (
                features[start, group] + rng.normal(0, _NOISE, (length, len(group))) - 0.7 * gains[group]
            )
        labels[span] = 1
    return Streams(features, labels, f"synthetic plant: {sensors} sensors, {rows} rows, seed {seed}")


def read_csv(path: str) -> Streams:
    """Numbers with a header line; the column ``label`` (or anomaly, target, class, y; else the last) is 0 or 1.

    Raises ImportFileError for anything else.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImportFileError(f"{path} cannot be read: {error}") from error
    header = [name.strip().strip('"').casefold() for name in lines[0].split(",")] if lines else []
    column = next((header.index(name) for name in _LABELS if name in header), len(header) - 1)
    try:
        table = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]], np.float64)
    except ValueError as error:
        raise ImportFileError(f"{path}: every cell below the header must be a number: {error}") from error
    if table.ndim != 2 or table.shape[1] < 2 or table.shape[1] != len(header):
        raise ImportFileError(
            f"{path} needs a header, and rows as long as it with at least one sensor and a label"
        )
    if not np.isfinite(table).all():
        raise ImportFileError(f"{path} has cells that are no finite numbers")
    labels = table[:, column]
    if set(np.unique(labels)) != {0.0, 1.0}:
        raise ImportFileError(f"{path}: the column {header[column]!r} must hold 0 and 1, and both of them")
    return Streams(np.delete(table, column, 1), labels.astype(np.int64), path)


def load_streams(data: str, rows: int, seed: int) -> Streams:
    """``synthetic``, or ``csv:PATH`` of which at most ``rows`` rows are taken (0: all)."""
    if data == "synthetic":
        return synthesise(rows, seed=seed)
    kind, _, path = data.partition(":")
    if kind != "csv" or not path:
        raise ImportFileError(f"no data named {data!r}", hint="synthetic, or csv:PATH")
    streams = read_csv(path)
    return Streams(streams.features[: rows or None], streams.labels[: rows or None], streams.source)


def _walk(rng: np.random.Generator, rows: int, sensors: int) -> NDArray[np.float64]:
    """Slow random walks with a standard deviation of about one at their end."""
    return np.cumsum(rng.normal(0, 1 / np.sqrt(rows), (rows, sensors)), axis=0)
