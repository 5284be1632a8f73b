"""Words for people: what may stand in a page, a table or a picture, and that it gets there whole."""

from __future__ import annotations

import io
import re
import sys

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def clean(text: object) -> str:
    """Plain text without the control characters, lone surrogates and non-characters that HTML and XML refuse."""
    return _CONTROL.sub("\ufffd", str(text))


def inert(cell: object) -> object:
    """A cell of a CSV file that no spreadsheet takes for a formula: text that begins like one gets an apostrophe.

    Numbers stay numbers, and so do texts that are one (OWASP, "CSV Injection").
    """
    if isinstance(cell, str) and cell[:1] in _FORMULA and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def singular(name: str) -> str:
    """The name of one of what a count counts: ``output_token`` of ``output_tokens``, ``batch`` of ``batches``."""
    if name.endswith(("ches", "shes", "sses", "xes")):
        return name[:-2]
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    return name if name.endswith(("ss", "us")) else name.removesuffix("s")


def keep_output_whole() -> None:
    """Put a buffer under standard output where there is none, so that nothing of a long text is lost.

    With ``PYTHONUNBUFFERED`` or ``-u``, as container images have it, Python hands a text to one ``write(2)`` and
    forgets what that did not take: a pipe takes 64 KiB, and no more if a signal comes in between (pipe(7), signal(7)).
    """
    stream = sys.stdout
    if stream is not sys.__stdout__:
        return  # the caller's own stream, to keep and to close
    raw = getattr(stream, "buffer", None)
    if isinstance(stream, io.TextIOWrapper) and isinstance(raw, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True
        )
