"""``wm.gate(...)``: is the working tree worse than a baseline?"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from pathlib import Path

from wattmark.advise.gate.baseline import Commit, find_baseline, prepare, save_figures
from wattmark.advise.gate.decision import Gate, Limits, Tell, Verdict
from wattmark.advise.gate.repeat import Bench


def gate(
    command: Sequence[str],
    *,
    baseline: str,
    metric: str = "cpu_s",
    max_regression: float = 0.03,
    max_pairs: int = 40,
    max_seconds: float = math.inf,
    setup: str | None = None,
    any_host: bool = False,
    save: str | None = None,
    folder: str = ".",
    tell: Tell | None = None,
) -> Verdict:
    """Run ``command`` here and at the baseline until it is decided: ``within``, ``over`` or ``undecided``.

    baseline: a commit or branch (measured beside, in a work tree of its own, in alternating order), a file of ``save``,
    ``tag:K=V``, ``run:REF`` or the name of kept runs. metric: ``cpu_s``, ``instructions``, ``duration_s``,
    ``energy_j``, or ``j_per_sample`` and its like, from the counts of the command's spans. setup: a shell command that
    is run once in each tree. Raises ConfigError for a baseline that is not there or of another machine, a metric that
    is not there, joules that are only modelled; CommandFailed.
    """
    bench = Bench(tuple(command), metric, uuid.uuid4().hex[:12])
    limits = Limits(max_regression, max_pairs, max_seconds)
    here = str(Path(folder).resolve())
    held = find_baseline(baseline, metric, here)
    work = Gate(bench, limits, held.label, tell)
    if isinstance(held, Commit):
        with held.tree(setup) as base:
            prepare(here, setup)
            verdict = work.against_commit(here, base)
    else:
        prepare(here, setup)
        verdict = work.against_figures(here, held, any_host)
    if save is not None and verdict.others:
        save_figures(save, verdict.others, verdict.machine)
    return verdict
