"""Runs as tables in Markdown (a README, a pull request) and in LaTeX (booktabs and siunitx)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from wattmark.quantity import Quantity
from wattmark.report.files.cells import RunRow
from wattmark.text import clean
from wattmark.units import format_duration, format_energy, format_mass, format_power, significant

_OF_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")
_OF_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "\u00b5": r"\textmu{}", "\u03bc": r"\textmu{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "\u2212": r"\ensuremath{-}", "\u2264": r"\ensuremath{\leq}", "\u2265": r"\ensuremath{\geq}",
    "\u2248": r"\ensuremath{\approx}", "\u221e": r"\ensuremath{\infty}", "\u0394": r"\ensuremath{\Delta}",
    "\u2082": r"\textsubscript{2}", "\u00b2": r"\textsuperscript{2}",
}  # fmt: skip
_KNOWN_TO_LATEX = re.compile(
    "[ -~\u00a1-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e"
    "\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u20ac\u2192]"
)
"""Signs that pdfLaTeX sets with ``inputenc`` utf8, T1 and ``textcomp`` (found by compiling each)."""


def markdown_text(text: object) -> str:
    """Text that Markdown shows as it stands, in one line."""
    return _OF_MARKDOWN.sub(r"\\\1", " ".join(clean(text).split()))


def latex_text(text: object) -> str:
    """Text that LaTeX sets, in one line; a sign that pdfLaTeX has no letter for is told by its number, as ``[U+6F22]``."""
    line = unicodedata.normalize("NFC", " ".join(clean(text).split()))
    return "".join(
        _OF_LATEX.get(sign) or (sign if _KNOWN_TO_LATEX.match(sign) else f"[U+{ord(sign):04X}]")
        for sign in line
    )


def markdown_table(rows: Sequence[RunRow]) -> str:
    """One line for each run; intervals are 95 %."""
    lines = [
        "| run | time | energy (95 %) | mean power | carbon | how |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        cells = (
            markdown_text(row.name),
            format_duration(row.duration_s),
            "not measured"
            if row.energy is None
            else f"{format_energy(row.energy.value)} ({_ends(row.energy)})",
            "" if row.power_w is None else format_power(row.power_w),
            "" if row.carbon_g is None else f"{format_mass(row.carbon_g.value)} CO2e",
            markdown_text(row.how),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Measured with [Wattmark](https://wattmark.readthedocs.io).", ""])


def latex_table(rows: Sequence[RunRow]) -> str:
    r"""A ``table`` environment; the preamble needs ``\usepackage{booktabs,siunitx}``. Energies in J with 95 % intervals."""
    lines = [
        r"% \usepackage{booktabs,siunitx}",
        r"\begin{table}",
        r"  \centering",
        r"  \caption{Energy of the runs with 95\,\% intervals.}",
        r"  \begin{tabular}{l S[table-format=7.4] S[table-format=7.4] c S[table-format=5.4] l}",
        r"    \toprule",
        r"    {Run} & {Time (\si{\second})} & {Energy (\si{\joule})} & {Interval (\si{\joule})} "
        r"& {Power (\si{\watt})} & {How} \\",
        r"    \midrule",
    ]
    for row in rows:
        energy = row.energy
        cells = (
            latex_text(row.name),
            latex_number(row.duration_s),
            latex_number(None if energy is None else energy.value),
            "{--}"
            if energy is None
            else rf"\numrange{{{plain_number(energy.low)}}}{{{plain_number(energy.high)}}}",
            latex_number(row.power_w),
            latex_text(row.how),
        )
        lines.append(f"    {' & '.join(cells)} \\\\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def latex_number(value: float | None) -> str:
    """A cell of an ``S`` column; a dash in braces where nothing is known."""
    return "{--}" if value is None else plain_number(value)


def plain_number(value: float) -> str:
    """Four significant digits without commas or exponents."""
    return significant(value, 4).replace(",", "")


def _ends(energy: Quantity) -> str:
    return f"{format_energy(energy.low, energy.value)} to {format_energy(energy.high, energy.value)}"
