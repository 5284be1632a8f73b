"""``wattmark sources``: what is here to measure with."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wattmark import settings
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.sources.base import Host

app = typer.Typer(rich_markup_mode=None)


@app.command()
def sources(
    fix: Annotated[
        bool, typer.Option("--fix", help="Print the script that lets you read RAPL; it is not run.")
    ] = False,
    names: Annotated[
        str | None, typer.Option("--sources", metavar="A,B", help="Judge as `run --sources` would.")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Show what can be measured here, how well, and why something cannot.

    \b
    Example: wattmark sources --fix > rapl.sh
    """
    from wattmark.workspace.configuration import usable_sources

    if fix:
        from wattmark.sources.rapl.access import fix_script

        options = settings.recorder_settings({}).get("options")
        typer.echo(fix_script(Host.here(options=options)))
        return
    report = usable_sources([part.strip() for part in names.split(",")] if names else None).to_dict()
    if not write_json(report, json_path):
        _render(report)


def _render(report: dict[str, Any]) -> None:
    from rich.text import Text

    from wattmark.cli.store.show import accuracy_words
    from wattmark.cli.terminal.render import render_warnings
    from wattmark.cli.terminal.table import new_table
    from wattmark.sources.base import Accuracy
    from wattmark.units import format_duration, format_energy

    out = console()
    table = new_table(
        "channel",
        "how",
        "resolution",
        "every",
        "accuracy",
        "counted",
        numbers=("resolution", "every"),
        spare=("resolution", "every", "accuracy"),
    )
    citations: dict[str, int] = {}
    reasons: list[tuple[str, str]] = []
    doubts: list[str] = []
    for row in report["sources"]:
        if row["channel"] is None or not row["chosen"]:
            continue
        number = citations.setdefault(row["accuracy"]["citation"], len(citations) + 1)
        table.add_row(
            plain(row["channel"]),
            f"{row['method']} ({plain(row['source'])})",
            format_energy(row["resolution_uj"] / 1e6),
            format_duration(row["update_period_s"]),
            f"{accuracy_words(Accuracy(**row['accuracy']))} ({number})",
            Text("yes", "green") if row["counted"] else "no",
        )
        reasons.append((row["channel"], row["why"] or ""))
        if row["doubt"]:
            doubts.append(row["doubt"])
    if citations:
        out.print(table)
        for citation, number in citations.items():
            out.print(f"({number}) {plain(citation)}", style="dim", soft_wrap=True)
    else:
        out.print("Nothing here can be measured or modelled.")
    for channel, why in reasons:
        out.print(Text.assemble((plain(channel), "bold"), f": {plain(why)}"), soft_wrap=True)
    for doubt in doubts:
        out.print(Text(f"! doubted: {plain(doubt)}", "yellow"), soft_wrap=True)
    if doubts:
        out.print(
            "What is doubted is not believed in a run either: something else stands in for it, or its energy is missing.",
            soft_wrap=True,
        )
    printed_lines: set[str] = set()
    for row in report["sources"]:
        why = row["problem"] or row["why"]
        line = f"{row['source']}: {why}"
        if row["chosen"] or not why or line in printed_lines:
            continue
        printed_lines.add(line)
        out.print(Text.assemble((plain(row["source"]), "bold"), f": {plain(why)}"), soft_wrap=True)
        if row["fix"]:
            out.print(f"  fix: {plain(row['fix'])}", soft_wrap=True)
    render_warnings(out, [warning["message"] for warning in report["warnings"]])
