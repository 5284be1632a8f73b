"""What is said when a predicted run has ended, and what is learnt from it."""

from __future__ import annotations

from wattmark.cli.run.early.watch import Watch
from wattmark.cli.terminal.output import console
from wattmark.errors import WattmarkError
from wattmark.units import format_energy

SHOWN = (0.05, 0.10, 0.25, 0.50)


def closing(watch: Watch) -> None:
    """One line of what was predicted when; then a fit, if enough runs have come. Nothing is measured any more."""
    parts: list[str] = []
    for stage in SHOWN:
        at = next(((share, one) for share, one in watch.milestones if share >= stage), None)
        if at is not None and at[0] < 2 * stage:
            share, prediction = at
            value = prediction.energy.value
            low, high = (format_energy(end, value) for end in prediction.energy.interval(0.9))
            parts.append(f"at {share:.0%} {format_energy(value)} ({low} to {high})")
    out = console(stderr=True)
    if parts:
        out.print(f"Predicted: {'; '.join(parts)}", soft_wrap=True)
    elif watch.waiting:
        out.print(f"Not predicted: {watch.waiting}", style="dim", soft_wrap=True)
    _learn()


def _learn() -> None:
    from wattmark.predict.scores.learning import is_due, learn
    from wattmark.workspace.runs import store_here

    try:
        with store_here(ingest=False) as store:
            if is_due(store):
                learned = learn(store)
                console(stderr=True).print(
                    f"Learnt from {learned.model.basis}: wattmark predict score", style="dim"
                )
    except WattmarkError:
        return  # too few that can be used, or no store: the next run asks again
