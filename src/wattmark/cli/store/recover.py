"""``wattmark recover``: what could not be read into the store, once more."""

from __future__ import annotations

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import plain, write_json

app = typer.Typer(rich_markup_mode=None)


@app.command()
def recover(json_path: JsonPath = None) -> None:
    """Read what lies in journals/damaged into the store, past what is damaged in it.

    Folders of which everything could be read go; the others stay, and what is wrong with them is said (exit code 1).

    \b
    Example: wattmark recover
    """
    from wattmark.paths import journals_dir
    from wattmark.store.ingest import recover as recovered
    from wattmark.workspace.runs import store_here

    with store_here() as store:
        folders = recovered(store, journals_dir())
    rows = [
        {
            "folder": recovery.folder,
            "runs": [run.run_id for run in recovery.runs],
            "problems": recovery.problems,
        }
        for recovery in folders
    ]
    if not write_json({"folders": rows}, json_path):
        for recovery in folders:
            for run in recovery.runs:
                typer.echo(plain(f"recovered {run.run_id}  {run.name}"))
            for problem in recovery.problems:
                typer.echo(plain(f"{recovery.folder}: {problem}"))
        count = sum(len(recovery.runs) for recovery in folders)
        typer.echo(
            f"{count} runs recovered from {len(folders)} folders"
            if folders
            else "nothing lies in journals/damaged"
        )
    if any(recovery.problems for recovery in folders):
        raise typer.Exit(1)
