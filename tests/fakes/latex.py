"""A reader of LaTeX that knows its grammar only: what is opened is closed, tables have as many cells as columns."""

from __future__ import annotations

import re


def balanced(latex: str) -> None:
    """Braces and environments close in order, and rows of a tabular have its columns."""
    depth = 0
    for number, sign in enumerate(latex):
        if sign in "{}" and (number == 0 or latex[number - 1] != "\\"):
            depth += 1 if sign == "{" else -1
            assert depth >= 0
    assert depth == 0
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", latex):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    for table in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", latex, re.DOTALL):
        widths = {len(re.findall(r"(?<!\\)&", line)) for line in table.splitlines() if line.endswith("\\\\")}
        assert len(widths) == 1
