"""Words for people: what may stand in a page, a table or a picture."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def clean(text: object) -> str:
    """Plain text without the control characters, lone surrogates and non-characters that HTML and XML refuse."""
    return _CONTROL.sub("\ufffd", str(text))
