"""The dashboard on large stores: open a run of 10 million samples, pan in it, list 10,000 runs; and the page's size.

``python benchmarks/dashboard.py`` writes results/dashboard.json and results/dashboard.md. Every figure is the median of
the repeats with the lowest and the highest; a run is opened by a server that was just started and never saw it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
RESULTS = Path(__file__).parent / "results"
BOOT = [sys.executable, "-c", "import sys; from wattmark.cli import main; main()"]


def make_store(path: str, samples: int, runs: int) -> None:
    from fakes.records import rapl_record
    from wattmark.runs.summary import summarise
    from wattmark.runs.view import RunView
    from wattmark.store import open_store

    with open_store(path) as store:
        long = replace(rapl_record(samples), run_id="long", name="long")
        store.add(long, summarise(RunView(long)))
        small = rapl_record(100)
        told = summarise(RunView(small))
        for number in range(runs):
            started = 10**18 + number * 10**10
            record = replace(
                small, run_id=f"r{number:06}", name=f"run {number % 97}", started_wall_ns=started
            )
            record = replace(record, tags={"project": f"p{number % 7}"})
            store.add(record, told)


class Server:
    """``wattmark ui`` in a process of its own."""

    def __init__(self, store: str, folder: str) -> None:
        env = {
            **os.environ,
            "WATTMARK_STORE": store,
            "WATTMARK_DATA_DIR": folder,
            "PYTHONPATH": str(ROOT / "src"),
        }
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [*BOOT, "ui", "--no-browser", "--no-token", "--port", "0"],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.base = re.match(r"(http://\S+/)", self.process.stderr.readline())[1]  # type: ignore[index]
        self.get("api/v1/meta")
        self.start_s = time.perf_counter() - started

    def get(self, path: str) -> tuple[float, int]:
        """Seconds and bytes of an answer."""
        begun = time.perf_counter()
        with urllib.request.urlopen(self.base + path) as answer:
            size = len(answer.read())
        return time.perf_counter() - begun, size

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


def spread(values: list[float]) -> dict[str, float]:
    return {"median_s": statistics.median(values), "lowest_s": min(values), "highest_s": max(values)}


def measure(store: str, folder: str, repeats: int, samples: int) -> dict[str, object]:
    length_s = samples * 0.1
    opened: list[float] = []
    panned: list[float] = []
    zoomed: list[float] = []
    brushed: list[float] = []
    listed: list[float] = []
    started: list[float] = []
    bytes_listed = bytes_window = 0
    for _ in range(repeats):
        server = Server(store, folder)
        started.append(server.start_s)
        opened.append(
            sum(server.get(path)[0] for path in ("api/v1/runs/long", "api/v1/runs/long/power?width=1200"))
        )
        for step in range(20):
            a = length_s * (0.1 + 0.03 * step)
            seconds, bytes_window = server.get(
                f"api/v1/runs/long/power?width=1200&from_s={a}&to_s={a + length_s / 5}"
            )
            panned.append(seconds)
            seconds, _ = server.get(f"api/v1/runs/long/power?width=1200&from_s={a}&to_s={a + 3000}")
            zoomed.append(seconds)
            brushed.append(server.get(f"api/v1/runs/long/energy?from_s={a}&to_s={a + length_s / 7}")[0])
        seconds, bytes_listed = server.get("api/v1/runs")
        listed.append(seconds)
        server.stop()
    return {
        "server_start": spread(started),
        "open_cold_run": spread(opened),
        "pan_a_fifth": spread(panned),
        "pan_3000_s": spread(zoomed),
        "brush": spread(brushed),
        "list_runs": spread(listed),
        "bytes_of_a_window": bytes_window,
        "bytes_of_the_list": bytes_listed,
    }


def bundle() -> dict[str, int]:
    """Compressed bytes of the page: what the first load asks for, and all of it."""
    static = ROOT / "src/wattmark/dashboard/static"
    sizes = {
        path: len(gzip.compress(path.read_bytes(), 9, mtime=0))
        for path in static.rglob("*")
        if path.is_file()
    }
    index = (static / "index.html").read_text(encoding="utf-8")
    first = [
        static / "index.html",
        *(static / name for name in re.findall(r'(?:src|href)="\./([^"]+)"', index)),
    ]
    return {
        "first_load_gzip_bytes": sum(sizes[path] for path in first),
        "all_gzip_bytes": sum(sizes.values()),
    }


def write(result: dict[str, object]) -> None:
    RESULTS.joinpath("dashboard.json").write_text(json.dumps(result, indent=1) + "\n")
    rows = [
        ("start the server", "server_start"),
        (f"open the run ({result['samples']:,} samples) in a server that never saw it", "open_cold_run"),
        ("pan: a fifth of the run, 1,200 columns", "pan_a_fifth"),
        ("pan: 3,000 s of it (30,000 samples)", "pan_3000_s"),
        ("read the energy of a brushed part", "brush"),
        (f"list {result['runs']:,} runs", "list_runs"),
    ]
    lines = [
        "# The dashboard on large stores",
        "",
        "| what | median | lowest | highest |",
        "|---|---:|---:|---:|",
    ]
    for text, key in rows:
        got = result[key]
        assert isinstance(got, dict)
        lines.append(
            f"| {text} | {got['median_s']:.3f} s | {got['lowest_s']:.3f} s | {got['highest_s']:.3f} s |"
        )
    lines += [
        "",
        f"The page: {result['first_load_gzip_bytes'] / 1024:.0f} KB gzipped on the first load, "
        f"{result['all_gzip_bytes'] / 1024:.0f} KB with every view.",
        "",
        f"Measured {result['when']} with {result['repeats']} repeats on {result['cpus']} cores of a shared machine "
        f"whose load was {result['load']:.1f} at the end; `python benchmarks/dashboard.py` measures again.",
    ]
    RESULTS.joinpath("dashboard.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--store", help="a store that an earlier call made; it is made there if it is not there"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = args.store or f"{folder}/store.db"
        if not Path(store).exists():
            make_store(store, args.samples, args.runs)
        result = {
            "when": datetime.now(timezone.utc).date().isoformat(),
            "samples": args.samples, "runs": args.runs, "repeats": args.repeats, "cpus": os.cpu_count(),
            **measure(store, folder, args.repeats, args.samples),
            **bundle(),
            "load": os.getloadavg()[0],
        }  # fmt: skip
    write(result)
    print(RESULTS.joinpath("dashboard.md").read_text())


if __name__ == "__main__":
    main()
