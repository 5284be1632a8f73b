"""Cells of tables as people and their programs write them: numbers with a decimal point or a comma, units in titles, times
by day or by month first.

What can be read in two ways that differ a thousandfold is refused, not guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from wattmark.errors import ConfigError

EARLIEST_S = 1e8
"""Numbers below are no times: 1973 in Unix seconds, and an hour of the day, a year or a spreadsheet's day is smaller."""
_GRAMS: Mapping[str, float] = {
    "mg": 1e-3, "g": 1.0, "gram": 1.0, "grams": 1.0, "kg": 1e3, "t": 1e6, "tonne": 1e6, "tonnes": 1e6, "ton": 1e6,
    "tons": 1e6, "lb": 453.59237, "lbs": 453.59237, "pound": 453.59237, "pounds": 453.59237,
}  # fmt: skip
"""The international pound is 453.59237 g exactly; a ton is taken for a metric one."""
_KWH: Mapping[str, float] = {"wh": 1e-3, "kwh": 1.0, "mwh": 1e3, "gwh": 1e6, "mj": 1 / 3.6, "gj": 1e3 / 3.6}
_UNIT = re.compile(
    r"(?<![a-z])(mg|kg|kilograms?|lbs?|pounds?|g|grams?|t|tonnes?|tons?)[\s_]*(?:of[\s_]+)?(?:co2)?[\s_-]*"
    r"(?:equivalents?|eq|e)?[\s_.]*(?:/|_?per_?|_)\s*([kmg]?wh|[mg]j)(?![a-z])"
)
_PER = re.compile(r"(?:/|(?<![a-z])per[\s_]*|_)\s*([kmg]?wh|[mg]j)(?![a-z])")


def intensity_unit(title: str) -> float | None:
    """g/kWh of one of the unit in a title such as ``gCO2eq/kWh``, ``kg per MWh``, ``lbs_co2_per_mwh``; None without one."""
    match = _UNIT.search(title.lower().replace("₂", "2"))
    if match is None:
        return None
    mass = re.sub("^kilograms?$", "kg", match[1])
    return round(_GRAMS[mass] / _KWH[match[2]], 12)


def per_kwh(title: str) -> float | None:
    """What a price per the unit in a title (``EUR/MWh``) is per kWh, as a factor; None without one."""
    match = _PER.search(title.lower())
    return None if match is None else 1 / _KWH[match[1]]


def decimal_comma(cells: Iterable[str], *, commas_between: bool) -> bool:
    """Whether a table's numbers have a decimal comma, by all of its cells. commas_between: cells are separated by commas.

    Raises ConfigError where each number could be meant either way (``1.000`` in a file with semicolons).
    """
    doubtful = ""
    for cell in cells:
        word = cell.strip().lstrip("+-~≈<>=")
        if re.fullmatch(r"\d+(,\d{3})*\.\d+", word) and not re.fullmatch(r"[1-9]\d{0,2}(\.\d{3})+", word):
            return False
        if re.fullmatch(r"\d+(\.\d{3})*,\d+", word) and not re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", word):
            return True
        if re.fullmatch(r"[1-9]\d{0,2}([.,]\d{3})+", word):
            doubtful = doubtful or word
    if doubtful and not commas_between:
        raise ConfigError(
            f"{doubtful} may be a thousand or a fraction: the file's numbers say nowhere which sign is decimal",
            hint="write the thousands without a sign (1000), or separate the cells by commas",
        )
    return False


def read_number(text: str, *, comma: bool = False) -> float | None:
    """A cell as a number: ``1,234.5``, ``1 234``, ``~3``, ``85 %``; comma: ``1.234,5``. None for what is none."""
    words = re.sub(r"[\s\u00a0\u202f_']|^[~≈<>=]+|%$", "", text)
    if comma and re.fullmatch(r"[+-]?\d+(\.\d{3})*(,\d+)?", words):
        words = words.replace(".", "").replace(",", ".")
    elif not comma and re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", words):
        words = words.replace(",", "")
    try:
        value = float(words)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def time_of(value: object, form: str | None = None) -> float | None:
    """Unix seconds of an ISO 8601 time (UTC where it names no zone) or of a number (s, or ms if it is that large). form: of
    strptime, for others."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        text = str(value).strip()
        try:
            number = float(text)
        except ValueError:
            return _moment(text, form)
    if not math.isfinite(number) or abs(number) < EARLIEST_S:
        return None
    return number / 1e3 if abs(number) > 1e11 else number


def time_form(cells: Sequence[str]) -> str | None:
    """The form of strptime that reads the most of these times that are not ISO 8601; None where all of them are, or none
    can be read. Of day and month first the one counts by which they are all dates; the day, if both do."""
    other = [cell for cell in (one.strip() for one in cells) if "/" in cell or re.match(r"\d{1,2}\.\d", cell)]
    best: tuple[int, str] | None = None
    for order in ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y"):
        for clock in (" %H:%M", " %H:%M:%S", ""):
            form = order + clock
            read = sum(_moment(cell, form) is not None for cell in other)
            if read and (best is None or read > best[0]):
                best = read, form
    return None if best is None else best[1]


def has_zone(text: str) -> bool:
    """Whether a time names its zone, or is a number of seconds."""
    return re.search(r"(?i)(z|utc|gmt|[+-]\d\d:?\d\d)$|^\d+(\.\d+)?$", text.strip()) is not None


def _moment(text: str, form: str | None) -> float | None:
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    try:
        moment = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
    except ValueError:
        return None if form is None else _moment(text, None)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (OverflowError, ValueError):
        return None


def length_of(duration: object, unit_s: float = 60.0) -> float | None:
    """Seconds of ``hh:mm:ss`` (or ``d.hh:mm:ss``), or of a number of ``unit_s``; None for what is none, or over a year."""
    seconds: float | None = None
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        seconds = duration * unit_s
    elif isinstance(duration, str):
        match = re.fullmatch(r"(?:(\d{1,3})\.)?(\d{1,2}):(\d\d):(\d\d)(?:\.\d+)?", duration.strip(), re.ASCII)
        if match is not None:
            days, hours, minutes, rest = (int(part or 0) for part in match.groups())
            seconds = float(days * 86_400 + hours * 3600 + minutes * 60 + rest)
    return seconds if seconds is not None and 0 < seconds <= 366 * 86_400 else None
