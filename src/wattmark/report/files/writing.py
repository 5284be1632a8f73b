"""``wm.export``: runs as files, each kind by the end of its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from wattmark.errors import ConfigError, StoreError
from wattmark.report.files.card import badge_of, receipt_svg
from wattmark.report.files.cells import COLUMNS, rows_of
from wattmark.report.files.citation import bibtex, sources_of
from wattmark.report.files.markdown import latex_table, markdown_table
from wattmark.report.files.run_page import run_page
from wattmark.report.files.workbook import Cell, write_workbook
from wattmark.report.html.pdf import write_pdf, write_png
from wattmark.runs.result import RunResult
from wattmark.runs.view import RunView
from wattmark.tracker.run import Run
from wattmark.workspace import library
from wattmark.workspace.library import RunLike, view_of
from wattmark.workspace.runs import result

Format = Literal["json", "csv", "parquet", "html", "pdf", "xlsx", "tex", "md", "receipt", "badge"]
_OF_ENDINGS: dict[str, Format] = {
    ".html": "html", ".htm": "html", ".pdf": "pdf", ".xlsx": "xlsx", ".tex": "tex", ".md": "md",
    ".svg": "receipt", ".png": "receipt",
}  # fmt: skip


def export(runs: RunLike | Iterable[RunLike], path: str | Path, format: Format | None = None) -> list[str]:
    """Write runs to one JSON file that can be imported again, a folder of CSV or Parquet tables, a workbook (.xlsx), a table
    for LaTeX (.tex) or Markdown (.md); one run also as a page (.html, .pdf), a receipt (.svg, .png) or, with
    ``format="badge"``, a badge. The files' paths.

    format: by the end of the name if it is not given. Raises RunNotFound; ConfigError or StoreError for
    what cannot be written.
    """
    if format is not None and format not in get_args(Format):
        raise ConfigError(f"{format!r} is no export format", hint=", ".join(get_args(Format)))
    target = Path(path)
    kind = format or _OF_ENDINGS.get(target.suffix.lower())
    chosen: list[RunLike] = [runs] if isinstance(runs, Run | RunView | str) else list(runs)
    if kind is None or kind in ("json", "csv", "parquet"):
        return library.export(chosen, path, kind)
    views = list({view.id: view for view in map(view_of, chosen)}.values())
    try:
        if kind in ("xlsx", "tex", "md"):
            _TABLES[kind](target, [result(view) for view in views])
        elif len(views) != 1:
            raise ConfigError(
                f"a {kind} is of one run, not of {len(views)}", hint=".xlsx, .tex, .md or .json hold many"
            )
        else:
            _write_one(target, kind, views[0])
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}", hint="give another path") from error
    return [str(target)]


def cite(*runs: RunLike) -> str:
    """Wattmark's BibTeX entry; below it, as comments, what these runs' joules and grams rest on. Raises RunNotFound."""
    sources = sources_of(result(view_of(run)) for run in runs)
    return bibtex() + "".join(f"% {source}\n" for source in sources)


def _write_one(target: Path, kind: str, view: RunView) -> None:
    run = result(view)
    if kind == "html":
        target.write_text(run_page(view, run), encoding="utf-8")
    elif kind == "pdf":
        write_pdf(run_page(view, run), target)
    else:
        picture = receipt_svg(run) if kind == "receipt" else badge_of(run)
        if target.suffix.lower() == ".png":
            write_png(picture, target)
        else:
            target.write_text(picture + "\n", encoding="utf-8")


def _workbook(target: Path, runs: Sequence[RunResult]) -> None:
    spans: list[Sequence[Cell]] = [("run", "span", "times", "time_s", "energy_j", "low_j", "high_j")]
    metrics: list[Sequence[Cell]] = [("run", "metric", "t_s", "step", "value")]
    for run in runs:
        for group in run.span_groups:
            energy = group.energy
            ends = (None, None, None) if energy is None else (energy.value, energy.low, energy.high)
            spans.append((run.run_id, group.path, group.times, group.duration_s, *ends))
        for metric in run.metrics.values():
            rows = zip(metric.t_s, metric.step, metric.value, strict=True)
            metrics += [(run.run_id, metric.name, *row) for row in rows]
    table: list[Sequence[Cell]] = [COLUMNS, *(row.cells() for row in rows_of(runs))]
    write_workbook(target, {"runs": table, "spans": spans, "metrics": metrics})


def _tex(target: Path, runs: Sequence[RunResult]) -> None:
    target.write_text(latex_table(rows_of(runs)), encoding="utf-8")


def _md(target: Path, runs: Sequence[RunResult]) -> None:
    target.write_text(markdown_table(rows_of(runs)), encoding="utf-8")


_TABLES: dict[str, Callable[[Path, Sequence[RunResult]], None]] = {"xlsx": _workbook, "tex": _tex, "md": _md}
