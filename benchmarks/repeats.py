"""False alarms and power of ``compare`` on real repeats of real commands on this machine.

    python benchmarks/repeats.py [--repeats 40]

The same command is measured 40 times, in alternation with the same command that does 10 % more work; then

- single runs of the same command are paired at random: how often are they said to differ (aim: at most 5 %)?
- five against five of the same command: the same (aim: at most 5 %);
- five against five of which one group does 10 % more: how often is it found (aim: at least 90 %)?

What the runs scattered by is kept too: it is where :func:`wattmark.runs.comparison.repeat_error` has its figures from.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.runs.attribution import contention  # noqa: E402
from wattmark.runs.comparison import Entry, compare, energy_of, scope_of  # noqa: E402
from wattmark.runs.view import RunView  # noqa: E402
from wattmark.store import open_store  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "repeats.json"
BOOT = "import sys; from wattmark.cli import main; sys.exit(main())"
COMMANDS = {
    "pure Python, 0.4 s": "s = 0\nfor i in range({n}): s += i * i",
    "numpy, 1 s": "import numpy as np\na = np.ones((256, 256))\nfor i in range({n}): b = a @ a",
    "sort, 1 s": "import random\nr = random.Random(1)\nfor i in range({n}): sorted(r.random() for _ in range(20000))",
}
WORK = {"pure Python, 0.4 s": 6_000_000, "numpy, 1 s": 1_500, "sort, 1 s": 80}
GROUPS = 1_000


def measure(folder: str, name: str, code: str) -> None:
    environment = {
        **os.environ,
        "WATTMARK_DATA_DIR": folder,
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", BOOT, "run", "--quiet", "--name", name, "--", sys.executable, "-c", code]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def views(folder: str, name: str) -> list[RunView]:
    with open_store(f"{folder}/store.db") as store:
        return [RunView(store.get(run.run_id)) for run in store.summaries(name=name, order="oldest")]


def judge(base: list[RunView], more: list[RunView], seed: int = 1) -> dict[str, float]:
    rng = np.random.default_rng(seed)

    def differs(first: list[RunView], second: list[RunView]) -> bool:
        return compare([Entry("a", tuple(first)), Entry("b", tuple(second))])[1].gaps["energy_j"].clear

    def some(group: list[RunView], count: int) -> list[RunView]:
        return [group[i] for i in rng.choice(len(group), count, replace=False)]

    pairs = [some(base, 2) for _ in range(GROUPS)]
    tens = [some(base, 10) for _ in range(GROUPS)]
    scope = scope_of([*base, *more])
    energies = [energy.value for view in base if (energy := energy_of(view, scope=scope)) is not None]
    return {
        "scope": scope,
        "others_busy": round(statistics.fmean(contention(view.record) or 0.0 for view in [*base, *more]), 3),
        "seconds": round(statistics.fmean(view.record.duration_s for view in base), 3),
        "spread_of_seconds": spread([view.record.duration_s for view in base]),
        "spread_of_joules": spread(energies),
        "false_alarms_of_pairs": share(differs([a], [b]) for a, b in pairs),
        "false_alarms_of_five": share(differs(ten[:5], ten[5:]) for ten in tens),
        "ten_percent_found_by_five": share(differs(some(base, 5), some(more, 5)) for _ in range(GROUPS)),
    }


def spread(values: list[float]) -> float:
    return round(statistics.stdev(values) / statistics.fmean(values), 4)


def share(hits: object) -> float:
    return round(float(np.mean(list(hits))), 4)  # type: ignore[call-overload]


def main() -> None:
    parser = argparse.ArgumentParser(description="False alarms and power of compare on real repeats.")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    result: dict[str, dict[str, float]] = {}
    for name, code in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(options.repeats):
                measure(folder, "base", code.format(n=WORK[name]))
                measure(folder, "more", code.format(n=round(WORK[name] * 1.1)))
            result[name] = judge(views(folder, "base"), views(folder, "more"))
        print(name, json.dumps(result[name]), flush=True)
    machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
    options.output.write_text(
        json.dumps({**machine, "repeats": options.repeats, "commands": result}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
