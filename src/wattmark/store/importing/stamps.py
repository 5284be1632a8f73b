"""Time stamps of logs: local time as tools write it, in the order of the file across the end of summer time."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wattmark.store.importing.reading import UnreadableCell, shortened

_STAMP = re.compile(
    r"(\d{4})(?:[-/.](\d{1,2})[-/.](\d{1,2})|(\d\d)(\d\d))[ T]\s*(\d{1,2}):(\d{2}):(\d{2})"
    r"(?:[.,](\d+))?\s*(Z|UTC|[+-]\d{2}:?\d{2})?"
)
_SINCE_EPOCH = re.compile(r"(\d{9,19})(?:\.(\d+))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_YEARS = range(1970, 2200)
_SECOND = 1_000_000_000


class Moment(NamedTuple):
    """A stamp in nanoseconds since the Unix epoch.

    ``again_ns`` differs from ``ns`` for a local time that comes twice, when summer time ends: it is the second one.
    """

    ns: int
    again_ns: int


def moment(text: str, zone: tzinfo) -> Moment:
    """A stamp such as ``2022/12/06 03:12:27.123``, ``20221206 03:12:27``, ISO 8601, or seconds since the epoch.

    ``zone`` is that of a stamp that does not say its own. Raises UnreadableCell for other text and for years outside
    1970 to 2199.
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        return _since_epoch(text)
    date, (fraction, offset) = match.groups()[:8], match.groups()[8:]
    year, month, day, hour, minute, second = (int(part) for part in date if part)
    if year not in _YEARS or second > 59:
        raise UnreadableCell(f"{shortened(text)} is no date and time that a log can have")
    try:
        first, again = _minute(year, month, day, hour, minute, _zone(offset) or zone)
    except (ValueError, OverflowError) as error:
        raise UnreadableCell(f"{shortened(text)} is no date and time") from error
    within = second * _SECOND + int((fraction or "0")[:9].ljust(9, "0"))
    return Moment(first + within, again + within)


def in_order(moments: Sequence[Moment]) -> list[int]:
    """The stamps of a log, one after the other as in the file, in nanoseconds since the Unix epoch.

    In the hour that comes twice the reading is taken that lies nearest to one usual step after the line before. Where a
    log begins within that hour, the line after it decides.
    """
    stamps = [moment.ns for moment in moments]
    double = [index for index, moment in enumerate(moments) if moment.again_ns != moment.ns]
    if not double:
        return stamps
    steps = np.diff(np.array(stamps, np.int64))
    usual = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0

    def surprise(stamp: int, before: int) -> int:
        return abs(stamp - before - usual)

    for index in double:
        if index and surprise(moments[index].again_ns, stamps[index - 1]) < surprise(
            stamps[index], stamps[index - 1]
        ):
            stamps[index] = moments[index].again_ns
    lead = next((index for index, moment in enumerate(moments) if moment.again_ns == moment.ns), len(moments))
    if 0 < lead < len(moments) and stamps[lead - 1] == moments[lead - 1].ns:
        late = moments[lead - 1].again_ns
        if late <= stamps[lead] and surprise(stamps[lead], late) < surprise(stamps[lead], stamps[lead - 1]):
            stamps[:lead] = [moment.again_ns for moment in moments[:lead]]
    return stamps


def local_zone() -> tzinfo:
    """The time zone of this machine with its summer times; a fixed offset where no file describes it."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name and not name.startswith("/"):
            return ZoneInfo(name)
        with Path(name or "/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key=name or None)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        local = datetime.now().astimezone().tzinfo
        return local or timezone.utc


@lru_cache(maxsize=4_096)
def _minute(year: int, month: int, day: int, hour: int, minute: int, zone: tzinfo) -> tuple[int, int]:
    first = datetime(year, month, day, hour, minute, tzinfo=zone)
    ns = (first - _EPOCH) // timedelta(seconds=1) * _SECOND
    again = (first.replace(fold=1) - _EPOCH) // timedelta(seconds=1) * _SECOND
    return ns, max(ns, again)  # a time that summer time skips has its second reading before the first


def _since_epoch(text: str) -> Moment:
    match = _SINCE_EPOCH.fullmatch(text)
    if match is None:
        raise UnreadableCell(f"{shortened(text)} is no date and time")
    # Seconds, or with three, six or nine digits more their thousandths, millionths, billionths.
    whole = float(text)
    for scale in (_SECOND, 1_000_000, 1_000, 1):
        if 9.4e17 < whole * scale < 7.3e18:  # the years 2000 to 2200
            if scale == _SECOND:
                ns = int(match[1]) * _SECOND + int((match[2] or "0")[:9].ljust(9, "0"))
            else:
                ns = round(whole * scale)
            return Moment(ns, ns)
    raise UnreadableCell(f"{shortened(text)} is no date and time that a log can have")


def _zone(offset: str | None) -> tzinfo | None:
    if not offset:
        return None
    if offset in ("Z", "UTC"):
        return timezone.utc
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:])))
