"""Runs one command and writes what it used: ``python child.py OUT FOLDER [--perf] [--with FILE] -- CMD...``. Standard
library only. FILE: JSON, ``{"environ": {...}, "cpus": [...]}``, what the command (and not this process) runs under.

CPU seconds are those of the command and all that it waited for (getrusage), in microseconds; of the machine, all busy
time, so that what others used can be told.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def main(words: list[str]) -> int:
    """The command's exit code, as a shell has it."""
    at = words.index("--")
    out, folder = words[0], words[1]
    command = words[at + 1 :]
    counts = f"{out}.perf"
    if "--perf" in words[:at]:
        command = ["perf", "stat", "-x", ",", "-e", "instructions:u", "-o", counts, "--", *command]
    environ = dict(os.environ)
    if "--with" in words[:at]:
        with open(words[words.index("--with") + 1], encoding="utf-8") as file:
            conditions = json.load(file)
        environ.update(conditions["environ"])
        if conditions["cpus"] is not None:
            os.sched_setaffinity(0, conditions["cpus"])
    os.chdir(folder)
    if shutil.which(command[0]) is None:
        sys.stderr.write(f"{command[0]}: command not found\n")
        return 127
    busy, began = host_busy_s(), time.monotonic()
    pid = os.posix_spawnp(command[0], command, environ)
    _, status, usage = os.wait4(pid, 0)
    lasted = time.monotonic() - began
    cpu_s = usage.ru_utime + usage.ru_stime
    now = host_busy_s()
    others = None
    if busy is not None and now is not None and lasted > 0:
        others = max(0.0, now - busy - cpu_s) / (lasted * (os.cpu_count() or 1))
    code = os.waitstatus_to_exitcode(status)
    with open(out, "w", encoding="utf-8") as file:
        data = {
            "cpu_s": cpu_s,
            "duration_s": lasted,
            "others_busy": others,
            "instructions": _instructions(counts),
        }
        json.dump(data, file)
    return code if code >= 0 else 128 - code


def host_busy_s() -> float | None:
    """Busy CPU seconds of the machine since boot, or None."""
    try:
        with open("/proc/stat", "rb") as file:
            fields = [int(word) for word in file.readline().split()[1:8]]
    except (OSError, ValueError):
        return None
    return (sum(fields) - fields[3] - fields[4]) / _TICKS if len(fields) == 7 else None


def _instructions(path: str) -> float | None:
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                count, _, rest = line.partition(",")
                if "instructions" in rest and count.strip().isdigit():
                    return float(count)
    except OSError:
        pass
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
