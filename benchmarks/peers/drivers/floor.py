"""The floor: the simplest sampler that one would write, a thread in the measured process that reads two counters."""

from __future__ import annotations

import os
import threading
import time

MODULE = "threading"
COUNTERS = ("intel-rapl:0", "intel-rapl:0:1")
SETTINGS = "a daemon thread that preads the counters and appends to a list"


def measure(work, period_s, folder):
    fds = []
    for zone in COUNTERS:
        path = f"/sys/class/powercap/{zone}/energy_uj"
        if os.path.exists(path):
            fds.append(os.open(path, os.O_RDONLY))
    samples = []
    stop = threading.Event()

    def read():
        samples.append([int(os.pread(fd, 32, 0)) for fd in fds])

    def sample():
        due = time.monotonic()
        while not stop.is_set():
            read()
            due += period_s
            stop.wait(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=sample, daemon=True)
    read()
    thread.start()
    work()
    stop.set()
    thread.join()
    read()
    for fd in fds:
        os.close(fd)
    return sum(last - first for first, last in zip(samples[0], samples[-1], strict=True)) / 1e6
