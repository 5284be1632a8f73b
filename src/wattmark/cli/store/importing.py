"""``wattmark import``: history from elsewhere."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import plain, report_error, write_json
from wattmark.errors import ConfigError, ImportFileError

app = typer.Typer(rich_markup_mode=None)


@app.command("import")
def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...")],
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Of stamps that do not say theirs: Europe/Paris (here: local)."),
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Import Wattmark's JSON exports, CodeCarbon's emissions.csv, CSV logs of nvidia-smi, profiles of EnergyVis.

    A file that cannot be read is named, the others are imported; the exit code is then 1.

    \b
    Example: wattmark import emissions.csv --timezone Europe/Paris
    """
    from wattmark.store import import_file
    from wattmark.workspace.runs import keep, store_here

    zone = _zone(timezone)
    added: list[str] = []
    known: list[str] = []
    failed = False
    with store_here() as store:
        for file in files:
            try:
                records = import_file(file, zone)
            except ImportFileError as error:
                report_error(error)
                failed = True
                continue
            for record in records:
                (added if keep(store, record) else known).append(record.run_id)
    if not write_json({"imported": added, "known_before": known}, json_path):
        for run_id in added:
            typer.echo(plain(run_id))
        typer.echo(f"{len(added)} imported" + (f", {len(known)} known before" if known else ""))
    if failed:
        raise typer.Exit(1)


def _zone(name: str | None) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name is None:
        local = datetime.now().astimezone().tzinfo
        assert local is not None
        return local
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"there is no time zone {name!r}", hint="such as UTC or Europe/Paris") from error
