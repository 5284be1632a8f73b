"""For a paper: a sentence and a table with intervals and methods, as Markdown and LaTeX; and all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from wattmark._version import __version__
from wattmark.impact.stages import MAKING_STAGE
from wattmark.quantity import Quantity
from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps, origin_of
from wattmark.text import clean
from wattmark.units import format_duration, format_energy, format_mass, format_number, significant

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "★": r"$\star$", "µ": r"\textmu{}",
}  # fmt: skip


def sentence(footprint: Footprint) -> str:
    """What a paper says: energy and carbon with intervals, how they were got, where."""
    energy, carbon = footprint.energy, footprint.carbon
    runs = _runs(footprint)
    if energy is None:
        return f"No energy is known of {footprint.name} ({runs})."
    told = (
        f"{footprint.name} ({runs}, {format_duration(footprint.duration_s)}) used {_energy(energy)}, "
        f"{origin_of(footprint)}, with Wattmark {__version__}"
    )
    if carbon is None:
        return f"{told}; the place of the power is not stated, so no emissions are."
    pue = f" and a PUE of {significant(footprint.pue.value)}" if footprint.pue.high != 1 else ""
    where = ", ".join(footprint.zone_names) or ", ".join(footprint.zones)
    kind = "" if footprint.signal == "average" else "marginal "
    grid = f"the {kind}intensity of {where} ({footprint.grid}){pue}"
    return f"{told}. At {grid} that is {_mass(carbon)} CO2e. Intervals are of 95 %."


def rows_of(footprint: Footprint) -> list[tuple[str, str, str]]:
    """(what, value with interval, how) of everything that is known."""
    rows: list[tuple[str, str, str]] = []
    if footprint.energy is not None:
        rows.append(("energy", _energy(footprint.energy), origin_of(footprint)))
    for component, part in footprint.energy_by_component.items():
        how = ", ".join(footprint.methods.get(component, ()))
        rows.append((f"energy of {component}", _energy(part), how))
    if footprint.carbon is not None:
        rows.append(("emissions", f"{_mass(footprint.carbon)} CO2e", f"{footprint.grid}, {footprint.signal}"))
    if footprint.embodied is not None:
        rows.append(("share of the making", f"{_mass(footprint.embodied)} CO2e", footprint.embodied.source))
    for stage, amount in footprint.stages.items():
        if stage != MAKING_STAGE:
            rows.append((stage, f"{interval_words(amount)} {amount.unit}", "worked out of the joules"))
    if footprint.energy is not None and footprint.per and footprint.units:
        rows.append(
            (f"energy per {footprint.per}", _energy(footprint.energy / footprint.units), "energy / count")
        )
    rows.append(("time", format_duration(footprint.duration_s), _runs(footprint)))
    return rows


def markdown(footprint: Footprint) -> Disclosure:
    """A sentence and a table."""
    gaps = _gaps(footprint)
    text = "\n".join((sentence(footprint), "", table(("", "value [95 %]", "how"), rows_of(footprint))))
    return Disclosure("md", text, "md", tuple(gaps.found), footprint.notes)


def latex(footprint: Footprint) -> Disclosure:
    """The same for LaTeX (booktabs)."""
    gaps = _gaps(footprint)
    body = [" & ".join(map(escape, row)) + r" \\" for row in rows_of(footprint)]
    text = "\n".join(
        (
            escape(sentence(footprint)),
            "",
            r"\begin{tabular}{lll}",
            r"\toprule",
            r"& value [95\,\%] & how \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        )
    )
    return Disclosure("latex", text, "tex", tuple(gaps.found), ("needs the package booktabs",))


def as_json(footprint: Footprint) -> Disclosure:
    """Everything, with error terms."""
    gaps = _gaps(footprint)
    return Disclosure(
        "json",
        json.dumps(_plain(footprint), indent=2, ensure_ascii=False),
        "json",
        tuple(gaps.found),
        footprint.notes,
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown whose cells stay cells."""
    lines = ["| " + " | ".join(map(cell, heads)) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def cell(text: str) -> str:
    """A text that can leave no cell and is no markup: bars, backslashes, links, angle brackets and line ends."""
    one_line = " ".join(clean(text).split())
    for sign in "\\|`*":
        one_line = one_line.replace(sign, f"\\{sign}")
    one_line = one_line.replace("](", "]\\(")
    return one_line.replace("<", "&lt;").replace(">", "&gt;")


def escape(text: str) -> str:
    """A text that is only text to LaTeX."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(clean(text).split()))


def interval_words(quantity: Quantity) -> str:
    """``12.3 [10.1, 15.0]``."""
    low, high = quantity.interval()
    return f"{format_number(quantity.value)} [{format_number(low)}, {format_number(high)}]"


def hardware_words(footprint: Footprint) -> str:
    """``2 x NVIDIA A100, 1 x AMD EPYC``."""
    return ", ".join(
        f"{part.count} x {part.name}" if part.name else f"{part.count} x {part.kind}"
        for part in footprint.hardware
    )


def _runs(footprint: Footprint) -> str:
    return "one run" if len(footprint.run_ids) == 1 else f"{len(footprint.run_ids)} runs"


def _energy(quantity: Quantity) -> str:
    low, high = quantity.interval()
    like = quantity.value
    return f"{format_energy(like)} [{format_energy(low, like)}, {format_energy(high, like)}]"


def _mass(quantity: Quantity) -> str:
    low, high = quantity.interval()
    return f"{format_mass(quantity.value)} [{format_mass(low)}, {format_mass(high)}]"


def _gaps(footprint: Footprint) -> Gaps:
    gaps = Gaps()
    if footprint.energy is None:
        gaps.add("energy", "no energy was measured")
    if footprint.carbon is None:
        gaps.add("emissions", "--zone, --series or --provider")
    return gaps


def _plain(footprint: Footprint) -> dict[str, object]:
    def of(quantity: Quantity | None) -> object:
        return (
            None
            if quantity is None
            else {**quantity.as_dict(), "unit": quantity.unit, "source": quantity.source}
        )

    return {
        "name": footprint.name,
        "runs": list(footprint.run_ids),
        "started_at": footprint.started_at,
        "ended_at": footprint.ended_at,
        "duration_s": footprint.duration_s,
        "energy_j": of(footprint.energy),
        "measured_j": of(footprint.measured),
        "modelled_j": of(footprint.modelled),
        "energy_by_component_j": {name: of(part) for name, part in footprint.energy_by_component.items()},
        "methods": {name: list(methods) for name, methods in footprint.methods.items()},
        "carbon_g": of(footprint.carbon),
        "g_per_kwh": of(footprint.g_per_kwh),
        "grid": footprint.grid,
        "grid_scope": footprint.grid_scope,
        "signal": footprint.signal,
        "zones": list(footprint.zones),
        "pue": of(footprint.pue),
        "embodied_g": of(footprint.embodied),
        "stages": {name: of(amount) for name, amount in footprint.stages.items()},
        "counts": dict(footprint.counts),
        "hardware": [
            {"kind": part.kind, "name": part.name, "count": part.count, "memory_gb": part.memory_gb}
            for part in footprint.hardware
        ],
        "facts": dict(footprint.facts),
        "notes": list(footprint.notes),
        "groups": [_plain(group) for group in footprint.groups],
    }
