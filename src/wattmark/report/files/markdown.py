"""Runs as tables in Markdown (a README, a pull request) and in LaTeX (booktabs and siunitx)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wattmark.quantity import Quantity
from wattmark.report.files.cells import RunRow
from wattmark.text import clean
from wattmark.units import format_duration, format_energy, format_mass, format_power, significant

_OF_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")
_OF_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "\u00b5": r"\textmu{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def markdown_text(text: object) -> str:
    """Text that Markdown shows as it stands, in one line."""
    return _OF_MARKDOWN.sub(r"\\\1", " ".join(clean(text).split()))


def latex_text(text: object) -> str:
    """Text that LaTeX sets as it stands, in one line."""
    return "".join(_OF_LATEX.get(sign, sign) for sign in " ".join(clean(text).split()))


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
