"""``wattmark try``: the standard levers, tried on a command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, say, writable_file, write_json, write_text
from wattmark.cli.terminal.signals import end_as_ctrl_c

if TYPE_CHECKING:
    from wattmark.advise.levers.result import Tried

app = typer.Typer(rich_markup_mode=None)
STYLES = {"saves": "green", "costs": "red", "changes the result": "yellow", "failed": "yellow"}


@app.command("try", context_settings={"ignore_unknown_options": True})
def try_(
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- CMD...", help="What is tried. {repeat}: the number of the round."),
    ],
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What must not become worse: accuracy, loss:min. [default: a known one]"
        ),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(metavar="AMOUNT", help="How much of it may be lost: 0.005, or 0.5% for half a point."),
    ] = "0",
    metric: Annotated[
        str,
        typer.Option(help="auto (joules, CPU time where they are modelled), energy_j, cpu_s, duration_s."),
    ] = "auto",
    rounds: Annotated[int, typer.Option(min=3, max=100, help="Of all levers, at most.")] = 7,
    confirm: Annotated[
        int, typer.Option(min=5, max=100, help="Pairs of the second comparison, at most.")
    ] = 14,
    worth: Annotated[
        str, typer.Option(metavar="PERCENT", help="A saving below this is not worth it.")
    ] = "1%",
    max_time: Annotated[str | None, typer.Option(metavar="TIME", help="Seconds, or 10min, 1h.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="LEVER", help="These levers or groups; again for more.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="LEVER", help="Not these; again for more.")
    ] = None,
    markdown_path: Annotated[
        str | None, typer.Option("--markdown", metavar="FILE", help="For a pull request.")
    ] = None,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="A page with a picture.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Try the standard levers on a command (threads, allocator, compiling, precision ...), and say what each saves.

    Levers take turns with the command as it is; losers go early, winners are put together, and the best is compared once
    more by itself. Nothing is changed for good. wm.levers(batch_size=64) in a script adds levers of its own.

    \b
    Example: wattmark try --quality accuracy -- python train.py --batch-size 64 --seed {repeat}
    Also: wattmark try llm local:10m
    """
    from wattmark.advise.levers.outputs import markdown
    from wattmark.advise.levers.trying import try_levers
    from wattmark.cli.advise.gate import percent, seconds

    for option, path in (("--markdown", markdown_path), ("--html", html)):
        writable_file(option, path)
    if html is not None:
        from wattmark.report.drawing.style import new_figure

        new_figure()  # whether there is a matplotlib is seen before the work
    end_as_ctrl_c()
    tried = try_levers(
        command,
        quality=quality,
        loss=_amount(loss),
        metric=metric,
        rounds=rounds,
        confirm=confirm,
        worth=percent(worth),
        max_seconds=math.inf if max_time is None else seconds(max_time),
        only=only or (),
        without=without or (),
        folder=str(Path.cwd()),
        tell=say,
    )
    if markdown_path is not None:
        write_text(markdown_path, markdown(tried))
    if html is not None:
        from wattmark.report.levers import levers_page

        write_text(html, levers_page(tried))
    if not write_json(tried.to_dict(), json_path):
        _render(tried)
    if tried.interrupted or tried.failed is not None:
        raise typer.Exit(130 if tried.interrupted else 1)


def _amount(text: str) -> float:
    from wattmark.errors import ConfigError

    number = text.strip()
    try:
        return float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError as error:
        raise ConfigError(
            f"--loss {text!r} is no number", hint="--loss 0.005, or --loss 0.5% for half a point"
        ) from error


def _render(tried: Tried) -> None:
    from wattmark.advise.levers import outputs
    from wattmark.cli.terminal.table import new_table

    out = console()
    heads = outputs.heads(tried)
    table = new_table(*heads, spare=(heads[6], heads[3]), prose=heads[4:])
    marks = ([tried.winner] if tried.winner is not None else []) + list(tried.levers)
    begun = [one for one in marks if one.outcome != "not tried"]
    for one, row in zip(begun, outputs.rows_of(tried), strict=True):
        table.add_row(*map(plain, row), style=STYLES.get(one.outcome, ""))
    if begun:
        out.print(table)
    for name, why in outputs.left_out(tried):
        out.print(f"not tried: {plain(name)}: {plain(why)}", style="dim", soft_wrap=True)
    for note in outputs.notes_of(tried):
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
    out.print(plain(tried.words), style="bold", soft_wrap=True)
    if tried.winner is not None:
        for line in tried.winner.lever.permanent.splitlines():
            out.print(f"  {plain(line)}", soft_wrap=True)
    out.print(f"its runs: wattmark ls --tag try={tried.tag}", style="dim", soft_wrap=True)
