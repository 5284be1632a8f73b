"""``wattmark import``: history from elsewhere."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import plain, report_error, say, write_json
from wattmark.errors import ConfigError, ImportFileError

if TYPE_CHECKING:
    from wattmark.store.importing import Reading

app = typer.Typer(rich_markup_mode=None)

MOST_PROBLEMS = 20
"""Lines of one file that are named on the terminal; ``--json`` names all."""


@app.command("import")
def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...")],
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Of stamps that do not say theirs: Europe/Paris (here: local)."),
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Import Wattmark's JSON exports, and what other tools wrote: CodeCarbon, nvidia-smi and others.

    What can be read is imported; files and lines that cannot be are named, and the exit code is then 1.

    \b
    Example: wattmark import emissions.csv --timezone Europe/Paris
    """
    from wattmark.store.importing import read_file, take_in
    from wattmark.workspace.runs import store_here

    zone = _zone(timezone)
    added: list[str] = []
    already_stored: list[str] = []
    reports: list[dict[str, Any]] = []
    with store_here() as store:
        for file in files:
            try:
                reading = read_file(file, zone)
            except ImportFileError as error:
                report_error(error)
                reports.append(
                    {
                        "file": file,
                        "format": None,
                        "runs": [],
                        "problems": [{"line": None, "reason": str(error)}],
                    }
                )
                continue
            intake = take_in(store, reading)
            added += intake.added
            already_stored += intake.grown + intake.repeated
            reports.append(_told(file, reading, intake.added + intake.grown + intake.repeated))
            _say(file, reading)
    if not write_json({"imported": added, "known_before": already_stored, "files": reports}, json_path):
        for run_id in added:
            typer.echo(plain(run_id))
        typer.echo(
            f"{len(added)} imported" + (f", {len(already_stored)} known before" if already_stored else "")
        )
    if any(file["problems"] for file in reports):
        raise typer.Exit(1)


def _told(file: str, reading: Reading, run_ids: list[str]) -> dict[str, Any]:
    """What ``--json`` says of a file."""
    return {
        "file": file,
        "format": reading.format,
        "runs": run_ids,
        "problems": [problem._asdict() for problem in reading.problems],
    }


def _say(file: str, reading: Reading) -> None:
    for problem in reading.problems[:MOST_PROBLEMS]:
        say(f"{file}, {problem}")
    count = len(reading.problems)
    left_out = f", {count} {'thing' if count == 1 else 'things'} left out" if count else ""
    if count > MOST_PROBLEMS:
        left_out += f" ({count - MOST_PROBLEMS} more than are named here; --json names all)"
    say(f"{file} ({reading.format}): {len(reading)} run{'' if len(reading) == 1 else 's'}{left_out}")


def _zone(name: str | None) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from wattmark.store.importing.stamps import local_zone

    if name is None:
        return local_zone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"there is no time zone {name!r}", hint="such as UTC or Europe/Paris") from error
