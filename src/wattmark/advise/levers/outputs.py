"""What was tried, as rows of text for the terminal, a pull request and a page."""

from __future__ import annotations

from wattmark.advise.gate.outputs import cell
from wattmark.advise.levers.race import Share
from wattmark.advise.levers.result import COLUMNS, METRIC_WORDS, LeverResult, Tried
from wattmark.studies.analysis.data.quality import Quality
from wattmark.units import format_energy, significant


def row_of(tried: Tried, one: LeverResult) -> tuple[str, ...]:
    """One lever under the heads of :data:`~wattmark.advise.levers.result.COLUMNS`."""
    return (
        one.lever.name,
        _joules(one),
        _left(one.used),
        _left(one.time),
        _quality(one, tried.quality),
        one.confidence,
        one.lever.permanent.replace("\n", "; ") if one.used is not None else "",
    )


def heads(tried: Tried) -> tuple[str, ...]:
    """:data:`~wattmark.advise.levers.result.COLUMNS` with what they are here."""
    return tuple(
        {
            "joules saved": "joules saved (modelled)" if tried.modelled else "joules saved",
            "used": used_word(tried),
        }.get(name, name)
        for name in COLUMNS
    )


def used_word(tried: Tried) -> str:
    """What is judged, in words."""
    return METRIC_WORDS.get(tried.metric, tried.metric)


def rows_of(tried: Tried) -> list[tuple[str, ...]]:
    """The winner first, then every lever that was begun."""
    first = [] if tried.winner is None else [row_of(tried, tried.winner)]
    return first + [row_of(tried, one) for one in tried.levers if one.outcome != "not tried"]


def left_out(tried: Tried) -> list[tuple[str, str]]:
    """Levers that were not tried, with the reason."""
    return [(one.lever.name, one.reason or "") for one in tried.levers if one.outcome == "not tried"]


def notes_of(tried: Tried) -> list[str]:
    """What must be known with the table."""
    notes = list(tried.notes)
    if tried.modelled:
        notes.append(
            "the joules are modelled (CPU time times a curve of this CPU): levers are judged by CPU time, which is measured"
        )
    if tried.quality is None:
        notes.append("no quality was watched: see for yourself that the result is as good (--quality NAME)")
    tested = sum(one.used is not None for one in tried.levers)
    if tested and tried.winner is None and not tried.interrupted:
        notes.append(
            f"of {tested} levers that do nothing one in twenty may look like a saver: only what is confirmed is meant"
        )
    return notes


def markdown(tried: Tried) -> str:
    """For a pull request."""
    lines = ["### Levers tried", "", cell(f"{tried.words[:1].upper()}{tried.words[1:]}") + ".", ""]
    lines += [f"| {' | '.join(heads(tried))} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cell(text) for text in row)} |" for row in rows_of(tried)]
    lines += [
        "",
        f"Command `{cell(' '.join(tried.command))}`; its runs: `wattmark ls --tag try={tried.tag}`.",
        "",
    ]
    if tried.winner is not None:
        lines += [
            "To keep it:",
            "",
            "```",
            *tried.winner.lever.permanent.replace("```", "").splitlines(),
            "```",
            "",
        ]
    lines += [f"- {cell(note)}" for note in notes_of(tried)]
    out = left_out(tried)
    if out:
        lines += ["", "Not tried: " + "; ".join(f"{cell(name)} ({cell(why)})" for name, why in out) + "."]
    return "\n".join(lines) + "\n"


def _joules(one: LeverResult) -> str:
    if one.saved is None:
        return "" if one.used is None else "?"
    value, low, high = (
        format_energy(end, one.saved.value) for end in (one.saved.value, *one.saved.interval())
    )
    return f"{value} [{low.rpartition(' ')[0]}, {high.rpartition(' ')[0]}]"


def _left(share: Share | None) -> str:
    if share is None:
        return ""
    change = f"{100 * (share.value - 1):+.1f} %"
    if share.low is None or share.high is None:
        return change
    return f"{change} [{100 * (share.low - 1):+.1f}, {100 * (share.high - 1):+.1f}]"


def _quality(one: LeverResult, quality: Quality | None) -> str:
    change = one.quality
    if quality is None or change is None:
        return "" if one.used is None else "not watched"
    if change.value == change.low == change.high == 0:
        return f"{quality.name} the same"
    unit = " points" if quality.share else ""
    value, low, high = (_signed(end / quality.step) for end in (change.value, change.low, change.high))
    ends = "" if change.low == change.high else f" [{low}, {high}]"
    return f"{quality.name} {value}{ends}{unit}{': worse' if change.worse else ''}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{significant(value, 2)}"
