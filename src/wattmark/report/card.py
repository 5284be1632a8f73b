"""The section of a model card that says what the training used, and the metadata that Hugging Face reads from its head.

Keys of ``co2_eq_emissions``: huggingface.co/docs/hub/model-cards-co2. The section stands between two comments, so that it
can be written again without touching what people wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wattmark.quantity import Quantity
from wattmark.runs.result import RunResult
from wattmark.text import clean
from wattmark.units import format_duration, format_energy, format_mass

BEGIN, END = "<!-- wattmark:begin -->", "<!-- wattmark:end -->"
KEY = "co2_eq_emissions"
_HEAD = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(rf"^{KEY}:.*\n(?:[ \t]+.*\n|[ \t]*\n(?=[ \t]))*", re.MULTILINE)
_SECTION = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#!~$])")


@dataclass(frozen=True, slots=True)
class Problem:
    """What a card lacks or says wrongly, and what to do about it."""

    what: str
    fix: str


def section_of(result: RunResult, total: Quantity | None = None, earlier: int = 0) -> str:
    """The section as Markdown. total: J of the training with its earlier pieces, where there are any."""
    energy = result.headline if not earlier or total is None else total
    lines = [BEGIN, "## Energy", ""]
    if energy is None:
        lines += ["The energy of this work was not measured: no sensor could be read.", "", END]
        return "\n".join(lines) + "\n"
    whose = "this process tree" if result.scope == "tree" and not earlier else "the machine"
    rows = [("Energy", f"{_range(energy, format_energy)}, of {whose}")]
    if earlier:
        rows.append(("Pieces", f"{earlier + 1}, the last of which is run {result.run_id}"))
    if result.carbon is not None:
        carbon = result.carbon
        where = f"in {_plain(carbon.zone)} at {carbon.intensity_g_per_kwh:g} g/kWh"
        own = _range(carbon.grams, format_mass)
        rows.append(
            ("CO2e of this run", f"{own}, {where} ({_plain(carbon.source)}, {carbon.year or 'no year'})")
        )
    rows.append(("Time", format_duration(result.duration_s)))
    methods = (f"{name} {' and '.join(sorted(kinds))}" for name, kinds in sorted(result.methods.items()))
    rows.append(("How", _plain(", ".join(methods)) or "not known"))
    rows.append(("Covered", f"{result.coverage:.1%} of the time"))
    devices = _devices(result)
    if devices:
        rows.append(("Hardware", devices))
    rows.append(("Run", result.run_id))
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["Intervals hold the truth nineteen times in twenty. Measured with Wattmark.", END]
    return "\n".join(lines) + "\n"


def metadata_of(result: RunResult, training_type: str | None = None) -> dict[str, str | float]:
    """``co2_eq_emissions`` of a card's head: grams, and what they rest on; empty where the carbon is not known."""
    carbon = result.carbon
    if carbon is None:
        return {}
    entry: dict[str, str | float] = {
        "emissions": float(f"{carbon.grams.value:.4g}"),
        "source": f"Wattmark, run {result.run_id}",
    }
    if training_type:
        entry["training_type"] = training_type
    entry["geographical_location"] = carbon.zone
    devices = _devices(result)
    if devices:
        entry["hardware_used"] = devices
    return entry


def with_section(card: str, section: str, metadata: Mapping[str, str | float]) -> str:
    """A card with the section in its place (at the end, if it has none yet) and the metadata in its head."""
    if _SECTION.search(card):
        body = _SECTION.sub(lambda _: section.rstrip("\n"), card, count=1)
    else:
        body = f"{card.rstrip()}\n\n{section}" if card.strip() else section
    if not metadata:
        return body
    entry = f"{KEY}:\n" + "".join(f"  {key}: {_yaml(value)}\n" for key, value in metadata.items())
    head = _HEAD.match(body)
    if head is None:
        return f"---\n{entry}---\n\n{body}"
    inner = head[1]
    inner = _ENTRY.sub(lambda _: entry, inner, count=1) if _ENTRY.search(inner) else inner + entry
    return f"---\n{inner}---\n{body[head.end() :]}"


def problems_of(card: str) -> list[Problem]:
    """What keeps a card from saying what the model used: no figures, figures without a source, a section cut off."""
    problems: list[Problem] = []
    fix = "wattmark card RUN -o README.md"
    head = _HEAD.match(card)
    entry = _ENTRY.search(head[1]) if head else None
    if (BEGIN in card) != (END in card):
        problems.append(Problem("the energy section has no end, or no beginning", fix))
    section = _SECTION.search(card)
    if section is None and entry is None:
        problems.append(Problem("it says nothing of the energy that the model used", fix))
    if section is not None and "not measured" in section[0]:
        problems.append(Problem("its energy was not measured", "wattmark sources says why"))
    if entry is not None:
        grams = re.search(rf"^{KEY}:[ \t]*(\S.*)$|^[ \t]+emissions:[ \t]*(.*)$", entry[0], re.MULTILINE)
        words = (grams[1] or grams[2] or "").strip() if grams else ""
        if not re.fullmatch(r"\+?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", words):
            problems.append(Problem(f"{KEY} has no number of grams", fix))
        if not re.search(r"^[ \t]+source:[ \t]*\S", entry[0], re.MULTILINE):
            problems.append(Problem(f"{KEY} does not say where its number comes from", "add source:"))
    return problems


def run_named_in(card: str) -> str | None:
    """The run whose figures a card has; None where it names none."""
    section = _SECTION.search(card)
    match = re.search(r"^\| Run \| ([\w-]+) \|$", section[0], re.MULTILINE) if section else None
    return match[1] if match else None


def _range(quantity: Quantity, words: Callable[[float], str]) -> str:
    return f"{words(quantity.value)} [{words(quantity.low)}, {words(quantity.high)}]"


def _devices(result: RunResult) -> str:
    labels = [channel.label for channel in result.channels if channel.counted and channel.label]
    return _plain(", ".join(dict.fromkeys(labels)))


def _plain(words: str) -> str:
    """Text that Markdown takes as text, on one line of a table."""
    return _SPECIAL.sub(r"\\\1", " ".join(clean(words).split()))


def _yaml(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)  # a JSON string is one of YAML (YAML 1.2, 1.3)
