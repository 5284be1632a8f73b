"""Claim: analysis and report of 1,000 trials with 200 epochs each take under 30 s and 1 GiB.

Run: python benchmarks/report_scale.py [TRIALS [EPOCHS]]. Keeps benchmarks/results/report_scale.json. Processor
time is kept beside wall time, as it does not depend on what else the machine does.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))


def main() -> None:
    words = [int(word) for word in sys.argv[1:]]
    count, epochs = (words + [1000, 200][len(words) :])[:2]
    from fakes.vision_study import NETWORKS, vision_study

    batches = [2**power for power in range(2, 10)]
    repeats = -(-count // (len(NETWORKS) * len(batches)))
    results = vision_study(batches=batches, repeats=repeats, epochs=epochs)
    results = type(results)(
        results.name, results.title, results.design, results.trials[:count], results.environment
    )
    before = peak_mib()

    from wattmark.report.study import write_report
    from wattmark.studies.analysis import analyse

    analysis, first = timed(lambda: analyse(results))
    with tempfile.TemporaryDirectory() as folder:
        path, second = timed(lambda: write_report(results, Path(folder) / "report.html", analysis))
        size = path.stat().st_size
    found = {
        "trials": len(results.trials), "epochs": epochs, "analysis": first, "report": second,
        "wall_s": round(first["wall_s"] + second["wall_s"], 2), "cpu_s": round(first["cpu_s"] + second["cpu_s"], 2),
        "peak_mib": round(peak_mib()), "peak_of_results_alone_mib": round(before), "html_mib": round(size / 2**20, 2),
        "cpus": os.cpu_count(), "load_average": os.getloadavg()[0], "target": {"wall_s": 30, "peak_mib": 1024},
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    (HERE / "results" / "report_scale.json").write_text(json.dumps(found, indent=1) + "\n")


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, {
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
    }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
