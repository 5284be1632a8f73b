"""The energies of a finished run from a process of its own: for sub-interpreters, where numpy must not be loaded."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from wattmark.errors import RecorderError
from wattmark.quantity import Quantity
from wattmark.recorder.launch import interpreter

_CODE = """
import json, sys
sys.path[:0] = json.loads(sys.argv[2])
import wattmark as wm
run = wm.load(sys.argv[1])
parts = {name: quantity.as_dict() for name, quantity in run.energy_by_component.items()}
told = {"energy": run.energy and run.energy.as_dict(), "parts": parts, "warnings": run.warnings}
print("\\n" + json.dumps(told))
"""


def energies(run_id: str) -> tuple[Quantity | None, dict[str, Quantity], list[str]]:
    """Energy in joules, the same by component, and the warnings. Raises RecorderError where the process fails."""
    command = [interpreter(), "-c", _CODE, run_id, json.dumps([path for path in sys.path if path])]
    try:
        told: dict[str, Any] = json.loads(_output(command).strip().splitlines()[-1])
        energy = told["energy"]
        parts = {name: Quantity.from_dict(part) for name, part in told["parts"].items()}
    except (OSError, ValueError, LookupError) as error:
        raise RecorderError(f"the energies of run {run_id} could not be worked out: {error}") from error
    return None if energy is None else Quantity.from_dict(energy), parts, list(told["warnings"])


def _output(command: Sequence[str]) -> str:
    """What a command prints. posix_spawn, since subprocess is refused in isolated sub-interpreters."""
    reading, writing = os.pipe()
    try:
        actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_CLOSE, reading)]
        child = os.posix_spawn(command[0], list(command), os.environ, file_actions=actions)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as output:
        text = output.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise ValueError(f"the process that was to do it ended with {code}")
    return text
