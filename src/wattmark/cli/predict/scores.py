"""``wattmark predict score`` and ``fit``: how good the predictors are here, and what they learn from this machine's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json

if TYPE_CHECKING:
    from wattmark.predict.scores.score import Miss, Score

MISSES_SHOWN = 8


def score(
    predictor: Annotated[str | None, typer.Option(help="Only of this one: early, llm ...")] = None,
    host: Annotated[str | None, typer.Option(help="Only those made on this machine.")] = None,
    json_path: JsonPath = None,
) -> None:
    """How good predictions were, by predictor and machine: errors, bias, how often the interval held, the worst misses.

    \b
    Example: wattmark predict score
    """
    from wattmark.predict.scores.question import score_predictions

    found = score_predictions(predictor=predictor, host=host)
    if write_json({"scores": [one.as_dict() for one in found]}, json_path):
        return
    out = console()
    if not found:
        out.print("No prediction was kept yet: `wattmark run --predict -- CMD` makes the first.")
        return
    _render(found)


def fit(json_path: JsonPath = None) -> None:
    """Let the predictor of runs that go on learn from this machine's own runs.

    It happens by itself when enough new runs have come. Example: wattmark predict fit
    """
    from wattmark.predict.scores.question import fit_predictors

    learned = fit_predictors()
    if not write_json({"fitted": [one.as_dict() for one in learned]}, json_path):
        for one in learned:
            console().print(f"early: learnt from {one.model.basis}; kept in {one.saved}", soft_wrap=True)
            for stage, factor in one.widths.items():
                console().print(
                    f"  from {stage:.0%} of a run on its intervals are multiplied by {factor:.2g}"
                )


def _render(found: list[Score]) -> None:
    from wattmark.cli.terminal.table import new_table

    table = new_table(
        "predictor", "seen", "machine", "scored", "runs", "error", "bias", "90 % held", "between", "drift",
        numbers=("seen", "scored", "runs", "error", "bias", "90 % held", "drift"),
    )  # fmt: skip
    for one in found:
        held = one.coverage
        table.add_row(
            plain(one.predictor),
            "before" if one.stage is None else f"{one.stage:.0%}",
            plain(one.host),
            str(one.number),
            str(one.runs),
            _percent(one.mape),
            _percent(one.bias, signed=True),
            "?" if held is None else f"{held.value:.0%}",
            "" if held is None else f"{held.low:.0%} to {held.high:.0%}",
            "?" if one.drift is None else _percent(one.drift.value, signed=True),
        )
    out = console()
    out.print(table)
    waiting = sum(one.waiting for one in found)
    otherwise = sum(one.otherwise for one in found)
    if waiting:
        out.print(f"{waiting} wait for their run: wattmark run --tag prediction=ID", style="dim")
    if otherwise:
        out.print(f"{otherwise} are of runs that did not complete, and are not scored", style="dim")
    _render_misses(found)


def _render_misses(found: list[Score]) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_energy

    misses: dict[str, tuple[str, Miss]] = {}
    ranked = sorted(
        ((one.predictor, miss) for one in found for miss in one.worst), key=lambda pair: -abs(pair[1].error)
    )
    for predictor, miss in ranked:  # of a run that was missed at every stage, the worst
        misses.setdefault(f"{predictor}/{miss.run_id or miss.prediction_id}", (predictor, miss))
    if not misses:
        return
    table = new_table(
        "worst", "run", "seen", "predicted", "between", "came", "error",
        numbers=("seen", "predicted", "came", "error"),
    )  # fmt: skip
    for predictor, miss in list(misses.values())[:MISSES_SHOWN]:
        low, high = (format_energy(end, miss.predicted_j) for end in (miss.low_j, miss.high_j))
        table.add_row(
            plain(f"{predictor}: {miss.subject}"),
            miss.run_id or "",
            "" if miss.share is None else f"{miss.share:.0%}",
            format_energy(miss.predicted_j),
            f"{low} to {high}",
            format_energy(miss.actual_j),
            _percent(miss.error, signed=True) + ("" if miss.held else " !"),
        )
    out = console()
    out.print(table)
    out.print("! outside of the interval. More: wattmark show RUN", style="dim")


def _percent(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "?"
    return f"{100 * value:+.1f} %" if signed else f"{100 * value:.1f} %"
