"""Tables that fit the terminal: one line a row, whatever the width.

Where a table is too wide it gives up the columns that its maker called spare, then texts are cut with an ellipsis. Into a
pipe or a file nothing is cut (the console is as wide as need be, see :func:`wattmark.cli.terminal.output.console`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

WHOLE = ("run", "channel", "status", "started")
"""Columns to be copied or compared: cut only where nothing else is left to cut."""
_LEAST = 12
"""A text is cut to no fewer signs than this as long as a spare column can go instead."""


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str | Text, ...]
    style: str


class Table:
    """A table in the house style, made by :func:`new_table`."""

    def __init__(
        self,
        columns: Sequence[str],
        *,
        numbers: Sequence[str],
        spare: Sequence[str],
        prose: Sequence[str],
        title: str | None,
        show_header: bool,
    ) -> None:
        self._columns = list(columns)
        self._numbers, self._spare, self._prose = frozenset(numbers), list(spare), frozenset(prose)
        self._title = title
        self._show_header = show_header
        self._rows: list[_Row] = []

    @property
    def row_count(self) -> int:
        """How many rows it has."""
        return len(self._rows)

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        """One more row; missing cells at its end are empty."""
        self._rows.append(_Row(cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        gone: list[str] = []
        while self._least_width(console, options, gone) > options.max_width and len(gone) < len(self._spare):
            gone.append(self._spare[len(gone)])
        yield self._drawn(gone, least=False)
        if gone:
            yield Text(f"not shown at this width: {', '.join(gone)}", "dim")

    def _least_width(self, console: Console, options: ConsoleOptions, gone: Sequence[str]) -> int:
        """The width of the table when its texts are cut as far as they may be."""
        table = self._drawn(gone, least=True)
        return Measurement.get(console, options.update(max_width=10**6), table).maximum

    def _drawn(self, gone: Sequence[str], *, least: bool) -> RichTable:
        table = RichTable(
            box=box.SIMPLE_HEAD,
            title=self._title,
            title_justify="left",
            title_style="bold",
            pad_edge=False,
            padding=(0, 1, 0, 0),
            show_header=self._show_header,
        )
        places = [place for place, name in enumerate(self._columns) if name not in gone]
        for place in places:
            name = self._columns[place]
            prose = name in self._prose
            table.add_column(
                name,
                justify="right" if name in self._numbers else "left",
                no_wrap=name in self._numbers or name in WHOLE,
                overflow="fold" if prose else "ellipsis",
                max_width=_LEAST if least and not self._is_whole(name) else None,
            )
        for row in self._rows:
            cells = [row.cells[place] if place < len(row.cells) else "" for place in places]
            lines = [
                _line(cell, wrap=self._columns[place] in self._prose)
                for place, cell in zip(places, cells, strict=True)
            ]
            table.add_row(*lines, style=row.style)
        return table

    def _is_whole(self, name: str) -> bool:
        return name in self._numbers or name in WHOLE


def _line(cell: str | Text, *, wrap: bool) -> Text:
    """The cell as one line that is cut where there is no room (or, if it may wrap, as it stands)."""
    text = Text(cell) if isinstance(cell, str) else cell.copy()
    if not wrap:
        text.no_wrap, text.overflow = True, "ellipsis"
    return text


def new_table(
    *columns: str,
    numbers: Sequence[str] = (),
    spare: Sequence[str] = (),
    prose: Sequence[str] = (),
    title: str | None = None,
    show_header: bool = True,
) -> Table:
    """A table in the house style.

    numbers: columns aligned to the right and never cut before texts are. spare: columns that may go where there is no room,
    the first one first. prose: columns of sentences, which wrap.
    """
    return Table(columns, numbers=numbers, spare=spare, prose=prose, title=title, show_header=show_header)
