"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.completion import complete_run, complete_study, complete_zone
from wattmark.cli.terminal.output import writable_json

RunRef = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="An id, its beginning, a name, last or @-1.", autocompletion=complete_run
    ),
]
StudyName = Annotated[str, typer.Argument(help="The study.", autocompletion=complete_study)]
Zone = Annotated[
    str | None,
    typer.Option(help="Where the power came from, for carbon: FR.", autocompletion=complete_zone),
]

JsonPath = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="PATH",
        help="Write the results as JSON to PATH; - is standard output.",
        callback=writable_json,
    ),
]


def number_or_words(text: str | None) -> float | str | None:
    """A number where it is one; words (a range, a name) stay as they are, for who reads them."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
