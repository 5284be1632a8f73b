r"""A study as a folder for a paper: figures (PDF), tables (booktabs, siunitx), methods, data, design, README, citation.

``main.tex`` puts all of it together and compiles as it stands (``latexmk -pdf main``); each part can be taken by itself with
``\input``. Everything that comes from the study is escaped on its way into LaTeX.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

from wattmark._version import __version__
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.report.files.citation import bibtex
from wattmark.report.files.markdown import latex_number, latex_text, markdown_text, plain_number
from wattmark.report.sections.methods import methods_section
from wattmark.report.study import study_figures, write_figures, write_tables
from wattmark.studies.analysis import Analysis, analyse
from wattmark.studies.analysis.data.study_data import StudyData, show_level
from wattmark.studies.analysis.data.summaries import CellSummary, cell_summaries
from wattmark.studies.exchange import write_results
from wattmark.studies.results import StudyResults

_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{graphicx}
\usepackage{booktabs}
\usepackage{siunitx}
\usepackage[margin=25mm]{geometry}
"""


def write_paper(
    results: StudyResults, folder: str | os.PathLike[str], analysis: Analysis | None = None
) -> list[Path]:
    """The folder; the paths of its files. One that has other files in it already is refused.

    Raises ConfigError for a study without trials or such a folder, MissingExtra without matplotlib or scipy.
    """
    target = Path(folder)
    if not results.trials:
        raise ConfigError(
            f"the study {results.name} has no trials yet", hint=f"wattmark study run {results.name}"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is there already and not empty", hint="give the folder another name")
    findings = analyse(results) if analysis is None else analysis
    data = StudyData(results, findings.frame)
    target.mkdir(parents=True, exist_ok=True)
    figures = write_figures(results, target / "figures", ("pdf",), findings)
    tables = write_tables(results, target / "data", ("csv",), findings)
    texts = {
        "cells.tex": cells_table(cell_summaries(results, data), results),
        "methods.tex": latex_of(str(methods_section(data))),
        "figures.tex": _figures(data, findings, {path.stem for path in figures}),
        "main.tex": _main(results),
        "references.bib": bibtex(),
        "environment.json": json.dumps(dict(results.environment), indent=1, sort_keys=True, default=str)
        + "\n",
        "design.json": json.dumps(dict(results.design), indent=1, default=str) + "\n",
        "README.md": _readme(results),
    }
    written = [*figures, *tables]
    for name, text in texts.items():
        path = target / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    written.append(target / "data" / "study.json")
    write_results(results, written[-1])
    return written


def cells_table(cells: tuple[CellSummary, ...], results: StudyResults) -> str:
    """Every combination of levels with its energy, time and what it achieved; intervals are 95 %."""
    factors = list(results.factors)
    reported = sorted({name for cell in cells for name in cell.reported})[:4]
    head = [latex_text(name) for name in factors] or ["trial"]
    head += [r"{Energy (\si{\joule})}", r"{95\,\% (\si{\joule})}", r"{Time (\si{\second})}"]
    head += [f"{{{latex_text(name)}}}" for name in reported]
    numbers = [
        [
            _number(cell.energy_j), _interval(cell.energy_j), _number(cell.duration_s),
            *(_number(cell.means.get(name)) for name in reported),
        ]
        for cell in cells
    ]  # fmt: skip
    formats = [_column(column) for column in zip(*numbers, strict=True)]
    columns = " ".join(["l" * max(1, len(factors)), formats[0], "c", *formats[2:]])
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{Energy by cell of the study {latex_text(results.name)}: means over repeats, 95\,\% intervals.}}",
        r"  \label{tab:cells}",
        # A table that is wider than the page is made to fit, any other is left as it is.
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {' & '.join(head)} \\\\",
        r"    \midrule",
    ]
    for cell, values in zip(cells, numbers, strict=True):
        levels = [latex_text(show_level(level)) for level in cell.levels.values()] or [
            latex_text(results.name)
        ]
        lines.append(f"    {' & '.join([*levels, *values])} \\\\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}}", r"\end{table}", ""])


def _column(values: Sequence[str]) -> str:
    """The ``S`` column of siunitx with the room that these numbers need."""
    known = [value.lstrip("-").partition(".") for value in values if not value.startswith("{")]
    whole = max((len(left) for left, _, _ in known), default=1)
    sign = "-" if any(value.startswith("-") for value in values) else ""
    return f"S[table-format={sign}{whole}.{max((len(right) for _, _, right in known), default=0)}]"


def _number(mean: Quantity | None) -> str:
    return latex_number(None if mean is None else mean.value)


def _interval(mean: Quantity | None) -> str:
    return "{--}" if mean is None else rf"\numrange{{{plain_number(mean.low)}}}{{{plain_number(mean.high)}}}"


def _figures(data: StudyData, findings: Analysis, drawn: set[str]) -> str:
    parts: list[str] = []
    for figure in study_figures(data, findings):
        for panel in figure.panels:
            if panel.key in drawn:
                parts += [
                    r"\begin{figure}",
                    r"  \centering",
                    rf"  \includegraphics[width=\linewidth]{{figures/{panel.key}.pdf}}",
                    rf"  \caption{{{latex_text(panel.title)}. {latex_text(panel.alt)}}}",
                    rf"  \label{{fig:{panel.key}}}",
                    r"\end{figure}",
                    r"\clearpage",
                    "",
                ]
    return "\n".join(parts)


def _main(results: StudyResults) -> str:
    return (
        _PREAMBLE
        + rf"""\title{{{latex_text(results.name)}}}
\author{{}}
\begin{{document}}
\maketitle
\section{{Methods}}
\input{{methods}}
Energy was measured with Wattmark~{latex_text(__version__)}~\cite{{wattmark}}.
\section{{Results}}
\input{{cells}}
\input{{figures}}
\bibliographystyle{{plain}}
\bibliography{{references}}
\end{{document}}
"""
    )


def _readme(results: StudyResults) -> str:
    name = markdown_text(results.name)
    return f"""# {name}

Written by Wattmark {__version__} from {len(results.trials)} trials ({len(results.completed)} completed).

| file | what it is |
|---|---|
| `main.tex` | puts everything together: `latexmk -pdf main` |
| `cells.tex`, `methods.tex`, `figures.tex` | its parts, for `\\input` (booktabs, siunitx, graphicx) |
| `figures/` | each figure as PDF |
| `data/*.csv` | trials, metrics, epochs, cells, effects ... one table each |
| `data/study.json` | everything, to be read again: `wattmark study merge --name again data/study.json` |
| `design.json` | factors, levels, repeats |
| `environment.json` | the machines, and the versions of what ran on them |
| `references.bib` | how to cite Wattmark |

To measure it again: put the design into a TOML file (`wattmark study new` writes one to begin with), then
`wattmark study run FILE`.
"""


class _Latex(HTMLParser):
    """Sentences of a report's section as LaTeX: headings, paragraphs, lists; rows of tables as sentences."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """What begins."""
        if tag in ("td", "th"):
            self.parts.append(", " if self._cells else "")
            self._cells += 1
        elif tag == "tr":
            self._cells = 0
        else:
            self.parts.append(
                {"h3": r"\subsection*{", "ul": "\\begin{itemize}\n", "li": r"  \item "}.get(tag, "")
            )

    def handle_endtag(self, tag: str) -> None:
        """What ends."""
        ends = {"h3": "}\n", "p": "\n\n", "ul": "\\end{itemize}\n", "li": "\n", "tr": ".\n\n"}
        self.parts.append(ends.get(tag, ""))

    def handle_data(self, data: str) -> None:
        """Text, escaped."""
        lead = " " if data[:1].isspace() else ""
        trail = " " if data[-1:].isspace() and data.strip() else ""
        self.parts.append(lead + latex_text(data) + trail)


def latex_of(html: str) -> str:
    """The sentences of a report's section as LaTeX."""
    parser = _Latex()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)
