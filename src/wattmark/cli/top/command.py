"""``wattmark top``: the runs that go on, live in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import write_json
from wattmark.errors import ConfigError, MissingExtra, RunNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattmark.cli.top.state import RunState

app = typer.Typer(rich_markup_mode=None)


@app.command()
def top(
    run: Annotated[
        str | None, typer.Argument(help="Only this run: its id, the beginning of one, or its name.")
    ] = None,
    every: Annotated[
        float, typer.Option("--every", metavar="S", min=0.1, max=60.0, help="Seconds between two looks.")
    ] = 0.5,
    json_path: JsonPath = None,
) -> None:
    """Watch the runs that go on here: watts, joules, open spans, samples and tokens so far.

    \b
    Example: wattmark top
    """
    from wattmark.cli.top.watch import Watcher
    from wattmark.paths import journals_dir

    watcher = Watcher(journals_dir())
    states = watcher.look()
    pinned = None if run is None else _meant(states, run)
    if json_path is not None:
        selection = [state.as_dict() for state in states if pinned in (None, state.run_id)]
        write_json(selection, json_path)
        return
    if not sys.stdout.isatty():
        raise ConfigError("this needs a terminal", hint="`wattmark top --json -` tells how things stand once")
    try:
        from wattmark.cli.top.screen import TopApp
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise MissingExtra("textual", "tui") from error
    TopApp(watcher.look, where=watcher.journals, pinned=pinned, every_s=every).run()


def _meant(states: Sequence[RunState], run: str) -> str:
    run_ids = [
        state.run_id for state in states if run and (state.run_id.startswith(run) or state.name == run)
    ]
    if len(run_ids) == 1:
        return run_ids[0]
    if run_ids:
        raise RunNotFound(
            f"{len(run_ids)} runs that go on fit {run!r}", hint=f"their ids: {', '.join(run_ids)}"
        )
    raise RunNotFound(f"no run {run!r} goes on here", hint="wattmark ls --status running")
