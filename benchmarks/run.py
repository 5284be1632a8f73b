"""Wattmark beside its peers: ``make bench``, or ``python benchmarks/run.py [--quick] [--only kill] [--tools zeus]``.

Writes results/peers-DATE.json (everything that was measured) and results/peers.md (the table). Needs Linux and root,
because peers read /sys/class/powercap and get a fake one there in a mount namespace of their own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import environments
import table
import trials

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return {
        "cpu": ", ".join(sorted(names)) or platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": load(),
    }


def load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def main() -> int:
    parser = argparse.ArgumentParser(description="Wattmark beside its peers.")
    parser.add_argument("--quick", action="store_true", help="a few minutes; for a look, not for a claim")
    parser.add_argument("--only", help=f"of {','.join(trials.TRIALS)}")
    parser.add_argument("--tools", help="of " + ",".join(tool.environment for tool in environments.TOOLS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if os.geteuid() or not sys.platform.startswith("linux"):
        parser.error("needs root on Linux, to give the peers a fake /sys/class/powercap")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    plan = trials.QUICK if args.quick else trials.FULL
    wanted = args.tools.split(",") if args.tools else None
    tools, states = [], {}
    for tool in environments.TOOLS:
        if wanted and tool.environment not in wanted and tool.driver not in wanted:
            continue
        say(f"{tool.name}: environment")
        error = environments.install(tool)
        state = f"does not install: {error}" if error else "installed, unmodified"
        known = trials.facts(tool)
        states[tool.name] = {
            "version": "" if error else environments.version(tool),
            "state": state,
            "settings": known.get("SETTINGS", ""),
            "samples_as_asked": known.get("SAMPLES", True) and not known.get("SLOW", False),
        }
        if error is None:
            tools.append(tool)

    begin, facts, results = time.monotonic(), machine(), {}
    with tempfile.TemporaryDirectory(prefix="bench-trees-", ignore_cleanup_errors=True) as folder:
        for name, trial in trials.TRIALS.items():
            if args.only and name not in args.only.split(","):
                continue
            began = time.monotonic()
            results[name] = trial(tools, plan, Path(folder))
            say(f"{name}: {time.monotonic() - began:.0f} s")
    facts["load_after"] = load()
    for where, _ in table.errors(results):
        for name in states.keys() & where.split(" / "):
            states[name]["state"] += f", failed in {where}"

    date = datetime.date.today().isoformat()
    args.out.mkdir(parents=True, exist_ok=True)
    file = f"peers-{date}.json"
    report = {
        "date": date,
        "minutes": (time.monotonic() - begin) / 60,
        "quick": args.quick,
        "machine": facts,
        "tools": states,
        "plan": plan._asdict(),
        "targets_met": table.judge(results),
        "results": results,
        "file": file,
    }
    (args.out / file).write_text(json.dumps(report, indent=1) + "\n")
    text = table.render(report)
    (args.out / "peers.md").write_text(text)
    print(text)
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
