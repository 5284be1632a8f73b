"""Work on the fake board 0, whose speed follows the power limit in force: ``gpu_work.py SECONDS [DEMAND_W IDLE_W]``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def limit_w(default: float) -> float:
    log = Path(os.environ["FAKE_NVML_STATE"] + ".caps")
    rows = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    caps = [float(row[1]) / 1e3 for row in rows if row[0] == "0"]
    return caps[-1] if caps else default


def main(seconds: float, demand_w: float = 350.0, idle_w: float = 120.0) -> None:
    done, last = 0.0, time.monotonic()
    while done < seconds:
        time.sleep(0.005)
        now = time.monotonic()
        watts = min(demand_w, limit_w(demand_w))
        done += ((watts - idle_w) / (demand_w - idle_w)) ** (1 / 3) * (now - last)
        last = now


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
