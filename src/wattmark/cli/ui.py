"""``wattmark ui``: the dashboard in a browser."""

from __future__ import annotations

import os
import secrets
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from wattmark.errors import ConfigError, MissingExtra

app = typer.Typer(rich_markup_mode=None)
TOKEN_VARIABLE = "WATTMARK_UI_TOKEN"  # noqa: S105 - the variable's name


@app.command()
def ui(
    host: Annotated[
        str, typer.Option(help="Address to listen at; only this machine can reach the default.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")
    ] = 8765,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Nothing can be changed or removed.")
    ] = False,
    token: Annotated[
        bool,
        typer.Option(
            help="Ask for the token of the printed address; without it, any user of this machine gets in."
        ),
    ] = True,
    team: Annotated[
        bool, typer.Option("--team", help="Let tokens of the store in, too (wattmark store token).")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that the page may be asked for by, behind a proxy."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    static: Annotated[Path | None, typer.Option(hidden=True, help="Another build of the page.")] = None,
) -> None:
    """Open the dashboard: runs live and past, comparisons, what-if, studies, serving.

    The printed address holds a token (WATTMARK_UI_TOKEN sets one of your own), so that other users of this machine
    and of the network stay out.

    \b
    Example: wattmark ui
    """
    try:
        from wattmark.dashboard.app import create_app
        from wattmark.dashboard.serve import serve
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in ("fastapi", "uvicorn", "starlette"):
            raise
        raise MissingExtra(name, "ui") from error
    from wattmark.agent.listening import is_loopback, listen
    from wattmark.dashboard.context import STATIC, Options
    from wattmark.workspace.runs import store_here

    loopback = is_loopback(host)
    if team and not token:
        raise ConfigError("--team asks for tokens, --no-token does not", hint="leave one of them out")
    if not token and not loopback:
        raise ConfigError(
            f"at {host} other machines can reach the dashboard, so it needs its token",
            hint="leave out --no-token, or listen at 127.0.0.1",
        )
    secret = (os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)) if token else None
    names = tuple(name.lower() for name in allow_host or ())
    options = Options(secret, names, loopback, read_only, static=static or STATIC, team=team)
    with listen(host, port) as socket, store_here() as store:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{socket.getsockname()[1]}/{f'?token={secret}' if secret else ''}"
        typer.echo(address, err=True)
        if browser:
            webbrowser.open(address)
        serve(create_app(store, options), socket)
