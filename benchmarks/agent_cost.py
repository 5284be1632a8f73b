"""Claim: the agent of a node stays under 0.5 % of a core and 40 MB with 500 processes at one look a second.

Run: python benchmarks/agent_cost.py [--processes 500] [--seconds 60]. Starts so many sleeping processes and twenty that wake
up ten times a second, runs the agent over a fake powercap tree with its address for Prometheus open, scrapes it every five
seconds, and reads the agent's CPU time and memory (Pss of /proc/PID/smaps_rollup). Keeps
benchmarks/results/agent_cost.{json,md}. Kepler's, Scaphandre's and Alumet's own costs were not measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
POWERCAP = ROOT / "tests" / "fakes" / "powercap.py"
WAKING = 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    sleeping = [subprocess.Popen(["sleep", "3600"]) for _ in range(given.processes)]
    waking = [
        subprocess.Popen(["sh", "-c", "while :; do sleep 0.1; done"], start_new_session=True)
        for _ in range(WAKING)
    ]
    with tempfile.TemporaryDirectory() as name:
        tree = subprocess.Popen(
            [sys.executable, str(POWERCAP), f"{name}/sys", "--seconds", "3600"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert tree.stdout is not None
        tree.stdout.readline()
        agent = subprocess.Popen(
            [sys.executable, "-c", "import sys; from wattmark.cli import main; main()", "agent",
             "--listen", "127.0.0.1:19464", "--socket", f"{name}/agent.sock"],
            env={**os.environ, "WATTMARK_SYSFS": f"{name}/sys", "PYTHONPATH": str(ROOT / "src")},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not Path(f"{name}/agent.sock").exists():
                time.sleep(0.2)
            time.sleep(8)  # the first looks take everything in
            before_s, begun = cpu_s(agent.pid), time.monotonic()
            scrapes = 0
            while time.monotonic() - begun < given.seconds:
                urllib.request.urlopen("http://127.0.0.1:19464/metrics", timeout=30).read()
                scrapes += 1
                time.sleep(5)
            seconds = time.monotonic() - begun
            spent_s, pss = cpu_s(agent.pid) - before_s, pss_bytes(agent.pid)
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait()
            tree.terminate()
            for one in sleeping:
                one.kill()
            for one in waking:
                os.killpg(one.pid, signal.SIGKILL)
            for one in (*sleeping, *waking, tree):
                one.wait()
    result = {
        "processes": given.processes + WAKING,
        "seconds": round(seconds, 1),
        "scrapes": scrapes,
        "share_of_a_core_pct": round(100 * spent_s / seconds, 3),
        "pss_mb": round(pss / 1e6, 1),
        "load_average": os.getloadavg()[0],
    }
    RESULTS.joinpath("agent_cost.json").write_text(json.dumps(result, indent=1) + "\n")
    text = (
        f"# What the agent costs\n\n{result['processes']} processes of this benchmark and the machine's own, "
        f"{result['seconds']:g} s, {scrapes} scrapes, one look a second, at a load of {result['load_average']:.0f} "
        "(other work; it makes CPU time dearer).\n\n"
        "| share of a core | memory (Pss) |\n|---|---|\n"
        f"| {result['share_of_a_core_pct']:.2f} % | {result['pss_mb']:.1f} MB |\n\n"
        "The bars: 0.5 % and 40 MB.\n"
    )
    RESULTS.joinpath("agent_cost.md").write_text(text)
    print(text)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
