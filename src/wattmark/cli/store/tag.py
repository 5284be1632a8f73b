"""``wattmark tag``: words and pairs to find runs by."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath, RunRef
from wattmark.cli.terminal.output import plain, write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command(context_settings={"ignore_unknown_options": True})
def tag(
    ref: RunRef,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="+a -b k=v", help="What to set and remove.")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Set and remove tags of a run, and show those it has.

    \b
    Example: wattmark tag last +paper model=resnet18 -draft
    """
    from wattmark.workspace.runs import find_ended, store_here

    add, remove = parse_changes(changes or [])
    with store_here() as store:
        (run_id,) = find_ended(store, [ref])
        tags = store.tag(run_id, add, remove)
    if not write_json(tags, json_path):
        for key, value in tags.items():
            typer.echo(plain(f"{key}={value}" if value else key))


def parse_changes(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """``["+a", "-b", "k=v"]`` -> what to set and what to remove. Raises ConfigError for a tag without a key."""
    add: dict[str, str] = {}
    remove: list[str] = []
    for word in words:
        if word.startswith("-"):
            remove.append(word[1:])
        else:
            key, _, value = word.removeprefix("+").partition("=")
            add[key] = value
    if "" in add or "" in remove:
        raise ConfigError("a tag needs a key", hint="+word or key=value sets one, -word removes one")
    return add, remove
