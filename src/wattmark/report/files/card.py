"""A run's energy receipt, as one picture (SVG), and its badge for a README. Both fetch nothing."""

from __future__ import annotations

from wattmark.report.files.cells import how_of
from wattmark.report.gates import badge_svg
from wattmark.report.html.markup import Html, tag
from wattmark.runs.result import RunResult
from wattmark.text import clean
from wattmark.units import format_duration, format_energy, format_mass, format_power

_WIDTH, _LINE = 420, 22
_INK, _MUTED, _BAR, _BAND = "#1b1e22", "#565d66", "#0072b2", "#9ecae1"
_FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
_MOST_SIGNS = 34


def receipt_svg(run: RunResult) -> str:
    """The receipt: what was bought (components), the sum with its interval as a bar, carbon, and how it was got."""
    energy = run.headline
    items: list[tuple[str, str]] = [
        (name, format_energy(part.value)) for name, part in run.energy_by_component.items()
    ]
    if run.scope == "tree":
        items = [("of a busy machine, its process tree", "")]
    lines: list[Html] = [
        _text("ENERGY RECEIPT", 44, middle=True, size=17, weight="bold"),
        _text(_short(run.name), 44 + _LINE, middle=True),
        _text(run.started_at[:16].replace("T", " ") + " UTC", 44 + 2 * _LINE, middle=True, colour=_MUTED),
        _rule(44 + 2.6 * _LINE),
    ]
    y = 44 + 3.6 * _LINE
    for name, amount in items:
        lines += [_text(_short(name), y), _text(amount, y, end=True)]
        y += _LINE
    lines += [
        _text("time", y, colour=_MUTED),
        _text(format_duration(run.duration_s), y, end=True, colour=_MUTED),
    ]
    y += _LINE
    if run.headline_power_w is not None:
        power = format_power(run.headline_power_w)
        lines += [_text("mean power", y, colour=_MUTED), _text(power, y, end=True, colour=_MUTED)]
        y += _LINE
    lines.append(_rule(y - 0.4 * _LINE))
    y += 0.9 * _LINE
    total = "not measured" if energy is None else format_energy(energy.value)
    lines += [
        _text("TOTAL", y, size=19, weight="bold"), _text(total, y, end=True, size=19, weight="bold"),
    ]  # fmt: skip
    if energy is not None:
        y += 0.7 * _LINE
        scale = (_WIDTH - 48) / max(energy.high, 1e-12)
        low, value, high = (24 + end * scale for end in (energy.low, energy.value, energy.high))
        lines += [
            tag("rect", x="24", y=f"{y:.0f}", width=str(_WIDTH - 48), height="10", fill="#eceef0"),
            tag("rect", x=f"{low:.1f}", y=f"{y:.0f}", width=f"{high - low:.1f}", height="10", fill=_BAND),
            tag("rect", x=f"{value - 1.5:.1f}", y=f"{y - 2:.0f}", width="3", height="14", fill=_BAR),
        ]
        y += 1.3 * _LINE
        ends = (
            f"{format_energy(energy.low, energy.value)} to {format_energy(energy.high, energy.value)}, 95 %"
        )
        lines.append(_text(ends, y, end=True, colour=_MUTED))
    y += 1.1 * _LINE
    if run.carbon is not None:
        grams = f"{format_mass(run.carbon.grams.value)} CO2e"
        lines += [_text(f"carbon ({clean(run.carbon.zone)})", y), _text(grams, y, end=True)]
        y += _LINE
    lines.append(_text(how_of(run), y, colour=_MUTED))
    y += 0.8 * _LINE
    lines.append(_rule(y))
    y += _LINE
    lines.append(_text("Wattmark", y, middle=True, weight="bold", colour=_BAR))
    height = y + 20
    label = f"Energy receipt of {run.name}: {total}"
    back = tag("rect", width=str(_WIDTH), height=f"{height:.0f}", rx="10", fill="#ffffff", stroke="#d8dadd")
    return str(
        tag(
            "svg", tag("title", clean(label)), back, *lines,
            xmlns="http://www.w3.org/2000/svg", width=str(_WIDTH), height=f"{height:.0f}",
            viewBox=f"0 0 {_WIDTH} {height:.0f}", role="img", aria_label=clean(label),
        )
    )  # fmt: skip


def badge_of(run: RunResult) -> str:
    """``energy | 12.3 kJ``, and ``~`` before what is mostly modelled: for a README."""
    energy = run.headline
    if energy is None:
        return badge_svg("undecided", "not measured")
    modelled = "modelled" in how_of(run)
    return badge_svg(
        "undecided" if modelled else "within", ("~" if modelled else "") + format_energy(energy.value)
    )


def _text(
    words: str, y: float, *, middle: bool = False, end: bool = False, size: int = 13, weight: str = "normal",
    colour: str = _INK,
) -> Html:  # fmt: skip
    x = _WIDTH / 2 if middle else _WIDTH - 24 if end else 24
    anchor = "middle" if middle else "end" if end else "start"
    return tag(
        "text", clean(words), x=f"{x:.0f}", y=f"{y:.0f}", fill=colour, font_family=_FONT, font_size=str(size),
        font_weight=weight, text_anchor=anchor,
    )  # fmt: skip


def _rule(y: float) -> Html:
    return tag(
        "line",
        x1="24",
        x2=str(_WIDTH - 24),
        y1=f"{y:.0f}",
        y2=f"{y:.0f}",
        stroke=_MUTED,
        stroke_dasharray="3 3",
    )


def _short(text: str) -> str:
    words = " ".join(clean(text).split())
    return words if len(words) <= _MOST_SIGNS else f"{words[: _MOST_SIGNS - 1]}…"
