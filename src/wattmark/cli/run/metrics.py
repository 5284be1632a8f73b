"""Numbers that a measured command prints, kept as its metrics: lines that are a JSON object, or a Python dict of numbers.

``{"loss": 0.31, "step": 7}``, or ``{'loss': 0.31, 'epoch': 1.0}`` as the Trainer of Hugging Face prints it. What is no
number is left out; ``step`` (else ``global_step``, ``iteration``, ``epoch``) is the step of the others.
"""

from __future__ import annotations

import ast
import json
import math
from time import monotonic_ns

from wattmark.documents import is_mapping
from wattmark.recorder import journal
from wattmark.tracker.window import Window

MOST_BYTES = 16_384
"""A longer line is no report of metrics."""
STEPS = ("step", "global_step", "iteration", "epoch")


class MetricLines:
    """Is fed what the command writes, in pieces of any size."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Keep the numbers of each line that has ended."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        for number, line in enumerate(lines):
            if not (number == 0 and self._skipping):
                self._line(line)
        if lines:
            self._skipping = False
        self._skipping = self._skipping or len(rest) > MOST_BYTES
        self._rest = b"" if self._skipping else rest

    def end(self) -> None:
        """The command has ended: so has its last line."""
        self.feed(b"\n")

    def _line(self, line: bytes) -> None:
        numbers = numbers_in(line)
        log = self._window.process.log
        if not numbers or log is None:
            return
        name = next((name for name in STEPS if name in numbers), None)
        step = None if name is None else numbers[name]
        if name != "epoch":
            numbers = {key: value for key, value in numbers.items() if key != name}
        if numbers:
            report = {"run_id": self._window.run_id, "t_ns": monotonic_ns(), "step": step, "values": numbers}
            log.write_json(journal.METRICS, report)


def numbers_in(line: bytes) -> dict[str, float]:
    """The numbers of a line that is an object; nested ones with their path (``eval/loss``). Empty for any other line."""
    text = line.strip()
    if not (text.startswith(b"{") and text.endswith(b"}")) or len(text) > MOST_BYTES:
        return {}
    try:
        words = text.decode()
    except UnicodeDecodeError:
        return {}
    for read in (json.loads, ast.literal_eval):
        try:
            data: object = read(words)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        return dict(_flat("", data)) if is_mapping(data) else {}
    return {}


def _flat(path: str, data: object) -> list[tuple[str, float]]:
    if is_mapping(data):
        return [
            pair
            for key, value in data.items()
            for pair in _flat(f"{path}/{key}" if path else str(key), value)
        ]
    if isinstance(data, int | float) and not isinstance(data, bool) and math.isfinite(data):
        return [(path, data)]
    return []
