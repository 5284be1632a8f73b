"""A million spans: how long their energies with all error terms take, and the energy of the run that has them.

    python benchmarks/million_spans.py [--spans 1000000]

A measured process records the spans (one name, with and without a count each); then ``run.energy`` reads the session's
journals and gives the run's energy, and ``run.view.span_energies()`` those of all spans, by the curves of this machine.
CPU seconds of this process (others use the machine too), the shortest of five. Beside it the same on a record in memory
with two channels of an hour's samples, whose terms are those of a counter and of a model.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.runs.record import Curve, RunRecord, Spans  # noqa: E402
from wattmark.runs.view import RunView  # noqa: E402
from wattmark.sources.base import Accuracy, Channel  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "million_spans.json"
S = 1_000_000_000


def cpu_s(work: Callable[[], object], times: int = 5) -> float:
    """The shortest CPU time of some tries."""
    spent: list[float] = []
    for _ in range(times):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return round(min(spent), 3)


def in_memory(count: int) -> RunRecord:
    rng = np.random.default_rng(1)
    t = np.arange(0, 3_600 * S, S // 10, dtype=np.int64)
    accuracies = {
        "cpu0/package": Accuracy(0.05, 0.05, 1.5, "a counter", 0.015, 0.015, 0.03, 0.03),
        "dram/model": Accuracy(0.81, 1.80, 0.0, "a model", 0.23, 0.80, 0.60, 0.60),
    }
    curves = []
    for name, accuracy in accuracies.items():
        channel = Channel(
            name, "cpu" if "cpu" in name else "dram", "x", "counter", "package", "counter", accuracy
        )
        curves.append(
            Curve(channel, t, np.cumsum(rng.integers(1_000_000, 4_000_000, len(t))).astype(np.int64))
        )
    start = np.sort(rng.integers(0, 3_590 * S, count))
    zero = np.zeros(count, np.int64)
    spans = Spans(
        ("step",), zero.astype(np.int32), start, start + 3_000_000, (zero - 1).astype(np.int32), zero, zero,
        np.zeros(count, np.bool_), {},
    )  # fmt: skip
    return RunRecord("r", "r", "completed", 0, 0, 0, int(t[-1]), curves=tuple(curves), spans=spans)


def measured(count: int, counts: bool) -> dict[str, float]:
    """Spans recorded by this process, then what its questions cost."""
    import wattmark as wm

    with wm.measure("million") as run:
        began = time.process_time()
        for _ in range(count):
            if counts:
                with run.span("step", samples=1):
                    pass
            else:
                with run.span("step"):
                    pass
        recorded = time.process_time() - began
    began = time.process_time()
    energy = run.energy
    first = time.process_time() - began
    view = run.view
    assert energy is not None, "nothing is measured here"
    assert len(view.record.spans) == count
    return {
        "record_s": round(recorded, 3),
        "run_energy_s": round(first, 3),
        "span_energies_s": cpu_s(lambda: view.span_energies().low_j),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spans", type=int, default=1_000_000)
    options = parser.parse_args()
    view = RunView(in_memory(options.spans))
    result: dict[str, object] = {
        "spans": options.spans,
        "machine": platform.machine(),
        "in_memory": {"span_energies_with_terms_s": cpu_s(lambda: view.span_energies().low_j)},
    }
    for counts in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["WATTMARK_DATA_DIR"] = folder
            result["with counts" if counts else "bare"] = measured(options.spans, counts)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
