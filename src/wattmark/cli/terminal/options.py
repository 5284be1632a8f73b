"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.output import writable_json

JsonPath = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="PATH",
        help="Write the results as JSON to PATH; - is standard output.",
        callback=writable_json,
    ),
]
