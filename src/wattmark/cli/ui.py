"""``wattmark ui``: the dashboard in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def ui(
    host: Annotated[
        str, typer.Option(help="Address to listen at; loopback unless told otherwise.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")
    ] = 8765,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nothing can be changed or removed.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    static: Annotated[Path | None, typer.Option(hidden=True, help="Another build of the page.")] = None,
) -> None:
    """Open the dashboard: runs live and past, comparisons, what-if, studies, serving.

    \b
    Example: wattmark ui
    """
    import uvicorn

    from wattmark.dashboard.app import create_app
    from wattmark.dashboard.context import STATIC, Options
    from wattmark.impact.access import store_here

    with store_here() as store:
        application = create_app(store, Options(read_only=read_only, static=static or STATIC))
        typer.echo(f"http://{host}:{port}/", err=True)
        if browser:
            webbrowser.open(f"http://{host}:{port}/")
        uvicorn.run(application, host=host, port=port, log_level="warning")
