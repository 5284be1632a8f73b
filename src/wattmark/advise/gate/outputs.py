"""A verdict for a pull request, for a runner's log, and for a history that lasts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wattmark.advise.gate.decision import Verdict
from wattmark.errors import ConfigError

_SIGNS = {"within": "✅", "over": "❌", "undecided": "❔"}
_LEVELS = {"within": "notice", "over": "error", "undecided": "warning"}


def markdown(verdict: Verdict) -> str:
    """For a comment in a pull request."""
    lines = [
        f"### {_SIGNS[verdict.outcome]} Energy gate: {verdict.outcome}",
        "",
        "| metric | change | 95 % | allowed | repeats | spread |",
        "|---|---|---|---|---|---|",
    ]
    change = "?" if verdict.ratio is None else f"{(verdict.ratio - 1) * 100:+.1f} %"
    ends = (
        "?"
        if verdict.low is None or verdict.high is None
        else f"{(verdict.low - 1) * 100:+.1f} to {(verdict.high - 1) * 100:+.1f} %"
    )
    spread = "?" if verdict.spread is None else f"{verdict.spread * 100:.1f} %"
    name = cell(verdict.metric)
    lines += [
        f"| `{name}` | {change} | {ends} | {verdict.limit * 100:g} % | {verdict.pairs} | {spread} |",
        "",
    ]
    lines += [f"Beside {cell(verdict.baseline)}, command `{cell(' '.join(verdict.command))}`.", ""]
    lines += [f"- {cell(note)}" for note in (*verdict.plan, *verdict.notes)]
    return "\n".join(lines) + "\n"


def annotation(verdict: Verdict) -> str:
    """A workflow command of GitHub Actions (docs.github.com, "Workflow commands"): it shows beside the checks."""
    text = "; ".join((verdict.words, *verdict.notes))
    return f"::{_LEVELS[verdict.outcome]} title=Energy gate::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def cell(text: str) -> str:
    """Text that no table of Markdown takes for anything else."""
    return text.replace("|", "\\|").replace("`", "'").replace("\n", " ").replace("<", "&lt;")


@dataclass(frozen=True, slots=True)
class Entry:
    """One gate of a history. at: ISO 8601, UTC; value: the head's mean of the metric; commit: empty where it is not
    known."""

    at: str
    commit: str
    metric: str
    outcome: str
    value: float | None
    ratio: float | None
    low: float | None
    high: float | None
    limit: float


def entry_of(verdict: Verdict, commit: str = "") -> Entry:
    """What is kept of a verdict."""
    value = sum(verdict.head) / len(verdict.head) if verdict.head else None
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Entry(
        now,
        commit,
        verdict.metric,
        verdict.outcome,
        value,
        verdict.ratio,
        verdict.low,
        verdict.high,
        verdict.limit,
    )


def append_history(path: str, entry: Entry) -> list[Entry]:
    """Add a line to a file of JSON lines, and read it whole. Raises ConfigError."""
    text = json.dumps({name: getattr(entry, name) for name in Entry.__dataclass_fields__})
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    return read_history(path)


def read_history(path: str) -> list[Entry]:
    """The gates of a file; lines that are none (a process was killed while it wrote) are left out. Raises ConfigError for
    a file that cannot be read or has lines and no gate: it is something else."""
    try:
        lines: Sequence[str] = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    entries: list[Entry] = []
    for line in lines:
        try:
            data: dict[str, Any] = json.loads(line)
            entries.append(Entry(**{name: data[name] for name in Entry.__dataclass_fields__}))
        except (ValueError, TypeError, KeyError):
            continue
    if lines and not entries:
        raise ConfigError(f"{path} is no history of gates", hint="--history gates.jsonl makes a new one")
    return entries
