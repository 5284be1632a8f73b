"""``wattmark advise recur``: one more run of a job that recurs."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import say, write_json
from wattmark.cli.terminal.signals import end_as_ctrl_c
from wattmark.errors import ConfigError


def recur(
    name: Annotated[str, typer.Argument(help="The job: what is learnt of it is kept by this name.")],
    command: Annotated[
        list[str], typer.Argument(metavar="-- CMD...", help="With {batch} for the batch size.")
    ],
    sizes: Annotated[str, typer.Option(metavar="N,N", help="Batch sizes that it may have.")],
    default: Annotated[int | None, typer.Option(help="The one it has now (default: the first).")] = None,
    eta: Annotated[float, typer.Option(min=0, max=1, help="1: energy; 0: time; between: Zeus's cost.")] = 1.0,
    max_power: Annotated[float | None, typer.Option(min=1, metavar="W", help="That weighs the time.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Also choose and really set a power cap.")] = False,
    device: Annotated[list[str] | None, typer.Option(help="Whose cap: gpu0, cpu, ...")] = None,
    tries: Annotated[
        int, typer.Option(min=1, max=100, help="Runs, at most, until one reaches its target.")
    ] = 5,
    seed: Annotated[int | None, typer.Option(help="Of the draws.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Run a recurring job at a batch size (and cap) that its earlier runs speak for; call it each time that it is due.

    The command ends with 0 where it has reached its target. A run that turns out to be dear is stopped (SIGTERM) and another
    size is tried. Exit code: 0 where the target was reached, else that of the last run (1 if it was stopped).

    \b
    Example: wattmark advise recur nightly --sizes 32,64,128,256 --default 64 -- python train.py --batch {batch}
    """
    from wattmark.advise.recurring.job import recur as run_again

    try:
        allowed = [int(part) for part in sizes.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"--sizes {sizes} is no list of whole numbers", hint="--sizes 32,64,128") from error
    if not allowed:
        raise ConfigError("there is no batch size to choose from", hint="--sizes 32,64,128")
    end_as_ctrl_c()
    turns = run_again(
        name,
        command,
        allowed,
        default=default,
        eta=eta,
        max_power_w=max_power,
        apply=apply,
        devices=device or (),
        tries=tries,
        seed=seed,
        tell=say,
    )
    write_json({"turns": [turn.to_dict() for turn in turns]}, json_path)
    last = turns[-1]
    raise typer.Exit(0 if last.reached else last.exit_code or 1)
