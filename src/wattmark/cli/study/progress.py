"""How a running study shows itself: a bar on a terminal, a line per trial elsewhere. On standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wattmark.cli.terminal.output import console, plain, say
from wattmark.studies.execution.trial import label
from wattmark.units import format_duration, format_energy

if TYPE_CHECKING:
    from wattmark.studies.designs.design import Design
    from wattmark.studies.execution.runner import StudyProgress

SAID_EVERY_S = 10.0
"""Without a terminal, what is made before the first trial is told of this often."""


@contextmanager
def shown(design: Design) -> Generator[Callable[[StudyProgress], None]]:
    """What to call with every progress."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(design.name)

        def draw(progress: StudyProgress) -> None:
            if progress.preparing:
                bar.update(task, total=None, description=plain(progress.preparing))
                return
            trial = progress.begun
            words = [design.name if trial is None else plain(label(trial.factors))[:60], *_so_far(progress)]
            bar.update(task, total=progress.total, completed=progress.done, description=" · ".join(words))
            if progress.ended is not None and progress.ended.status != "completed":
                bar.console.print(_ended(progress))

        yield draw


def _lines() -> Callable[[StudyProgress], None]:
    said_at = -SAID_EVERY_S

    def line(progress: StudyProgress) -> None:
        nonlocal said_at
        if progress.preparing and time.monotonic() - said_at >= SAID_EVERY_S:
            said_at = time.monotonic()
            say(progress.preparing)
        if progress.ended is not None:
            say(f"{progress.done}/{progress.total} {_ended(progress)} · {' · '.join(_so_far(progress))}")

    return line


def _ended(progress: StudyProgress) -> str:
    trial = progress.ended
    assert trial is not None
    energy = "not measured" if trial.total_j is None else format_energy(trial.total_j)
    what = f"{energy} in {format_duration(trial.duration_s)}" if trial.status == "completed" else trial.status
    error = f" ({plain(trial.error)})" if trial.error else ""
    return f"{plain(label(trial.factors))} repeat={trial.repeat}: {what}{error}"


def _so_far(progress: StudyProgress) -> list[str]:
    words = [f"{format_energy(progress.energy_j)} so far"]
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if progress.left_s:  # nothing is left after the last
        words.append(f"{format_duration(progress.left_s)} left")
    return words
