"""``wattmark prune``: let old runs go."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import plain, write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


@app.command()
def prune(
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Runs that began longer ago: 30d.")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=0, metavar="N", help="The newest N always stay.")] = None,
    max_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The oldest go until the rest needs no more: 1GB.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json_path: JsonPath = None,
) -> None:
    """Remove old runs. With --keep alone all but the newest N go.

    \b
    Example: wattmark prune --older-than 90d --keep 20 --dry-run
    """
    from wattmark.workspace.moments import parse_age
    from wattmark.workspace.runs import store_here

    if older_than is None and keep is None and max_size is None:
        raise ConfigError(
            "prune needs to know what may go", hint="--older-than 30d, --keep 100 or --max-size 1GB"
        )
    age = None if older_than is None else parse_age(older_than)
    size = None if max_size is None else parse_size(max_size)
    with store_here() as store:
        gone = store.prune(older_than=age, keep=keep, max_bytes=size, dry_run=dry_run)
    rows = [run.as_dict() for run in gone]
    if not write_json({"dry_run": dry_run, "removed": rows}, json_path):
        for run in gone:
            typer.echo(plain(f"{run.run_id}  {run.started_at.date()}  {run.name}"))
        freed = sum(run.stored_bytes for run in gone) / 1e6
        typer.echo(f"{'would remove' if dry_run else 'removed'} {len(gone)} runs, {freed:.1f} MB")


def parse_size(text: str) -> int:
    """Bytes of ``"1GB"`` or ``"500 MiB"``. Raises ConfigError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no size", hint="a number and kB, MB, GB or TB: 500MB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2].upper()])
