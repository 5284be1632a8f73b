"""``wattmark rm``: remove runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import plain, write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def rm(
    refs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Ids, their beginnings, names, last or @-1.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_path: JsonPath = None,
) -> None:
    """Remove runs for good.

    \b
    Example: wattmark rm 20260301T120000-1f --yes
    """
    from wattmark.workspace.runs import find_ended, store_here

    with store_here() as store:
        run_ids = find_ended(store, refs)
        if not yes:
            if not sys.stdin.isatty():
                raise ConfigError(
                    "nothing was removed: there is no terminal to ask on", hint="--yes removes at once"
                )
            for run_id in run_ids:
                typer.echo(plain(f"{run_id}  {store.get(run_id).name}"), err=True)
            typer.confirm(
                f"Remove {len(run_ids)} run{'s' if len(run_ids) > 1 else ''}?", abort=True, err=True
            )
        removed = store.remove(run_ids)
    if not write_json({"removed": removed}, json_path):
        for run_id in removed:
            typer.echo(f"removed {run_id}")
