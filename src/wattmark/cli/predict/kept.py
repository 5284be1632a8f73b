"""Where a command says that its predictions are kept."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.cli.terminal.output import console


def say_kept(ids: Sequence[str | None]) -> None:
    """How a run becomes the one that these predictions are scored by."""
    kept = [prediction_id for prediction_id in ids if prediction_id is not None]
    if kept:
        words = "" if len(kept) == 1 else f" ({len(kept)} predictions)"
        console().print(
            f"kept{words}; scored by a run that is tagged so: --tag prediction={','.join(kept)}",
            style="dim",
            soft_wrap=True,
        )
