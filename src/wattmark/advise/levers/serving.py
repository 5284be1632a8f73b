"""The levers of a model server: slots, threads, context, number format, for llama.cpp through the local server.

The command is a benchmark of a fixed load; server and load client are its processes, so that what they use is what it uses.
A server that runs already cannot be set from outside: it is told to be benchmarked setting by setting instead.
"""

from __future__ import annotations

import sys

from wattmark.advise.gate.repeat import WATTMARK
from wattmark.advise.levers.catalogue import levers_for
from wattmark.advise.levers.lever import Lever
from wattmark.advise.levers.subject import Computer, Subject
from wattmark.errors import ConfigError
from wattmark.serving.server.local import LOCAL, default_threads

REQUESTS, AT_A_TIME, SLOTS, CONTEXT = 32, 4, 4, 2_048
_PROCESS_LEVERS = ("keeping", "arenas", "pages", "allocator", "affinity")


def benchmark_of(where: str) -> list[str]:
    """The benchmark of a local server as a command. Raises ConfigError for any other server."""
    if not where.startswith(LOCAL):
        raise ConfigError(
            f"the levers of {where} are set where it is started, not from outside",
            hint="wattmark try llm local:MODEL.gguf; or benchmark it with each setting: "
            "wattmark llm bench URL --tag slots=8",
        )
    threads = default_threads()
    options = {
        "--requests": REQUESTS, "--concurrency": AT_A_TIME, "--input": 64, "--output": 32, "--baseline": 0,
        "--slots": SLOTS, "--threads": threads, "--context": CONTEXT, "--number-format": "f16",
    }  # fmt: skip
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-c", WATTMARK, "llm", "bench", where, "--quiet", *words]


def server_levers(subject: Subject, computer: Computer) -> list[Lever]:
    """Other slots, threads, context and number format; and those of the process."""
    command = subject.command
    where = command[command.index("bench") + 1]
    threads = int(command[command.index("--threads") + 1])
    random = not where.removeprefix(LOCAL).endswith(".gguf") and "/" not in where

    def option(name: str, group: str, what: str, flag: str, value: object, off: str | None = None) -> Lever:
        place = command.index(flag) + 1
        kept = f"wattmark llm serve {where} {flag} {value}"
        return Lever(
            name, group, what, kept, words={place: str(value)}, may_change=flag == "--number-format", off=off
        )

    found = [
        option(f"{slots} slots", "slots", f"{slots} requests at once", "--slots", slots)
        for slots in (1, 2, 8)
    ]
    found += [
        option(f"{count} threads", "threads", f"llama.cpp works with {count} threads", "--threads", count)
        for count in sorted({1, max(1, len(computer.cpus) // 2), len(computer.cpus)} - {threads})
    ]
    found.append(option("short context", "context", "512 tokens a slot", "--context", 512))
    fixed = None if random else "the file of the model says its format: take another file"
    found.append(option("8-bit weights", "weights", "weights in q8_0", "--number-format", "q8_0", fixed))
    return [*found, *(lever for lever in levers_for(subject, computer) if lever.group in _PROCESS_LEVERS)]
