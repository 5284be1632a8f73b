"""How small the store keeps what was measured, and how fast it reads it back.

    python benchmarks/store_compression.py [--traces FOLDER]

Curves: published one-second GPU power traces (120 runs of three machines, arXiv 2307.05520, CC BY 4.0; half of them hold
power), integrated on import, and a made 10 Hz trace of one and of four RAPL packages with 100 µs of jitter and the
hardware's 61 µJ. Bytes count time stamps and energies of the curves. Then a million spans, and a list of ten thousand runs.
Writes benchmarks/results/store_compression.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "src")]

from fakes.records import example_record, example_summary, rapl_record, spans_record  # noqa: E402
from wattmark.runs.record import RunRecord  # noqa: E402
from wattmark.store import import_file, open_store, pack  # noqa: E402


def seconds(function, repeats: int = 5) -> float:
    """The median of a few timings."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def curve_bytes(record: RunRecord) -> tuple[int, int]:
    """(bytes of the curves' columns, samples of all curves)."""
    packed = pack.pack(record)
    used = {curve[key] for curve in packed.header["curves"] for key in ("t", "e")}
    size = sum(len(block) for name in used for block in packed.columns[name])
    return size, sum(len(curve.t_ns) for curve in record.curves)


def published(folder: Path) -> dict:
    files = sorted(folder.glob("**/gpu-power-*.csv.gz"))
    sizes = [curve_bytes(record) for path in files for record in import_file(path)]
    size, samples = (sum(column) for column in zip(*sizes, strict=True))
    ratios = [one / count for one, count in sizes]
    return {
        "traces": len(files),
        "samples": samples,
        "bytes_per_sample": round(size / samples, 3),
        "bytes_per_sample_worst_trace": round(max(ratios), 3),
        "bytes_per_sample_of_int64_pairs": 16,
    }


def made(channels: int, samples: int = 1_000_000) -> dict:
    record = rapl_record(samples, channels)
    packed = pack.pack(record)
    size, count = curve_bytes(record)
    restored = pack.unpack(packed.header, packed.columns, {})
    for before, after in zip(record.curves, restored.curves, strict=True):
        assert np.array_equal(before.energy_uj, after.energy_uj)
    return {
        "channels": channels,
        "samples": count,
        "bytes_per_sample": round(size / count, 3),
        "pack_s_per_million": round(seconds(lambda: pack.pack(record), 3) / count * 1e6, 3),
        "unpack_s_per_million": round(
            seconds(lambda: pack.unpack(packed.header, packed.columns, {})) / count * 1e6, 4
        ),
    }


def spans(details: bool, rows: int = 1_000_000) -> dict:
    record = spans_record(rows, details)
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/store.db") as store:
        begin = time.perf_counter()
        store.add(record)
        added = time.perf_counter()
        store.get("last")
        read = time.perf_counter()
        size = store.summaries()[0].stored_bytes
    return {
        "spans": rows,
        "with_counts_and_attrs": details,
        "add_s": round(added - begin, 2),
        "get_s": round(read - added, 2),
        "bytes_per_span": round(size / rows, 2),
    }


def lists(runs: int = 10_000) -> dict:
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/store.db") as store:
        begin = time.perf_counter()
        for index in range(runs):
            record = example_record(f"r{index}", name=f"train/{index % 10}")
            store.add(replace(record, started_wall_ns=record.started_wall_ns + index), example_summary(index))
        added = time.perf_counter() - begin
        return {
            "runs": runs,
            "add_ms_per_run": round(added / runs * 1e3, 2),
            "list_all_s": round(seconds(store.summaries), 3),
            "list_newest_20_s": round(seconds(lambda: store.summaries(limit=20)), 4),
            "list_by_name_and_tag_s": round(
                seconds(lambda: store.summaries(name="train/3", tag="model=small")), 4
            ),
            "open_s": round(seconds(lambda: open_store(f"{folder}/store.db").close()), 4),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--traces", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "gaissa" / "raw"
    )
    options = parser.parse_args()
    results = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}",
        "target_bytes_per_sample": 4,
        "published_gpu_traces": published(options.traces) if options.traces.is_dir() else None,
        "made_rapl_traces": [made(1), made(4, 250_000)],
        "spans": [spans(False), spans(True)],
        "lists": lists(),
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "store_compression.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
