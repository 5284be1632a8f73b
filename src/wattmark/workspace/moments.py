"""Moments and lengths of time as people write them: ``7d``, ``90m``, ``2026-03-01``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from wattmark.errors import ConfigError

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_age(text: str) -> timedelta:
    """``"90m"``, ``"7d"``, ``"1.5h"``. Raises ConfigError for anything else."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no length of time", hint="a number and s, m, h, d or w: 90m, 7d")
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError as error:
        raise ConfigError(f"{text!r} is too long a time") from error


def parse_since(text: str) -> datetime:
    """A moment: ISO 8601 (local time if it does not say) or an age. Raises ConfigError."""
    if _AGE.fullmatch(text.strip()):
        try:
            return datetime.now().astimezone() - parse_age(text)
        except OverflowError as error:
            raise ConfigError(f"{text!r} is too long a time") from error
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{text!r} is no date and no age", hint="such as 2026-03-01, 2026-03-01T12:30 or 7d"
        ) from error
