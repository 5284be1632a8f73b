"""One token per printable ASCII character: the vocabulary of the models that are trained here."""

from __future__ import annotations

from wattmark.errors import ConfigError

UNKNOWN, BEGIN, END = 0, 1, 2
PRINTABLE = "".join(chr(code) for code in range(32, 127))
FIRST = 3
"""Token of the space; the other printable characters follow in ASCII order."""
SIZE = 128
"""Tokens in all; those after the characters are unused (a round number suits the kernels)."""


def encode(text: str) -> list[int]:
    """Tokens of a text, without begin and end. Raises ConfigError for other than printable ASCII characters."""
    tokens = [ord(character) - 32 + FIRST for character in text]
    if any(not FIRST <= token < FIRST + len(PRINTABLE) for token in tokens):
        raise ConfigError("the small models know printable ASCII characters only")
    return tokens


def decode(tokens: list[int]) -> str:
    """The text of tokens; begin, end and unused ones are left out."""
    return "".join(PRINTABLE[token - FIRST] for token in tokens if FIRST <= token < FIRST + len(PRINTABLE))
