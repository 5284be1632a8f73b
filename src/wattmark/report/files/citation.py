"""How Wattmark, and the numbers that a run rests on, are cited."""

from __future__ import annotations

from collections.abc import Iterable

from wattmark._version import __version__
from wattmark.report.files.markdown import latex_text
from wattmark.runs.result import RunResult
from wattmark.text import clean

TITLE = "Wattmark: measure, benchmark, predict and reduce the energy and carbon of AI"
AUTHORS = "{The Wattmark authors}"
URL = "https://wattmark.readthedocs.io"


def bibtex() -> str:
    """The entry for this version."""
    return (
        "@software{wattmark,\n"
        f"  author  = {{{AUTHORS}}},\n"
        f"  title   = {{{{{TITLE}}}}},\n"
        f"  version = {{{__version__}}},\n"
        f"  url     = {{{URL}}},\n"
        "  note    = {Software, Apache-2.0}\n"
        "}\n"
    )


def sources_of(runs: Iterable[RunResult]) -> list[str]:
    """What else these runs' joules and grams rest on, each once: accuracies of sensors, models, the grid's intensity."""
    named: dict[str, None] = {}
    for run in runs:
        for channel in run.channels:
            if channel.counted and channel.accuracy.citation:
                named[f"{channel.source}: {clean(channel.accuracy.citation)}"] = None
        if run.carbon is not None:
            year = "" if run.carbon.year is None else f" ({run.carbon.year})"
            named[f"carbon intensity of {run.carbon.zone}: {clean(run.carbon.source)}{year}"] = None
    return list(named)


def as_latex_list(sources: Iterable[str]) -> str:
    """The sources as an ``itemize`` environment; empty for none."""
    items = [f"  \\item {latex_text(source)}" for source in sources]
    return "\n".join([r"\begin{itemize}", *items, r"\end{itemize}", ""]) if items else ""
