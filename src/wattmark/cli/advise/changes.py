"""``wattmark advise STUDY``: what to change, from what was measured; and how the group finds its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json

if TYPE_CHECKING:
    from wattmark.advise.changes.question import Changes


class AdviseGroup(TyperGroup):
    """``wattmark advise last``: what is no command of the group is a study or run, and belongs to ``changes``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words with the command that they mean."""
        named = not args or args[0] in self.commands or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if named else ["changes", *args])


def changes(
    source: Annotated[
        str | None, typer.Argument(metavar="[STUDY|RUN]", help="A study, or a run beside those of its name.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="K[=V]", help="Of the completed runs with this tag; again for more."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the completed runs of this name.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Say what to change, from a study or from runs: each with its saving, what it rests on, and its guard rail.

    What the data do not carry is not said. Of runs the tags that differ are what is compared.

    \b
    Example: wattmark advise changes my-study
    Also: wattmark advise changes --tag project=recommender
    """
    from wattmark.advise.changes.question import advise

    found = advise(source, tag=tag or None, name=name)
    if not write_json(found.to_dict(), json_path):
        _render(found)


def _render(found: Changes) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import significant

    out = console()
    out.print(
        f"{plain(found.source)}: {found.trials} trials, {plain(', '.join(found.factors)) or 'one setting'}"
    )
    for place, one in enumerate(found.advice, 1):
        saving = f"  saves {one.saving_words}" if one.saving is not None else ""
        out.print(f"{place}. {plain(one.do)}{saving}", style="bold", soft_wrap=True)
        out.print(f"   {plain(one.why)}", soft_wrap=True)
        limits = f" ({plain('; '.join(one.limits))})" if one.limits else ""
        out.print(
            f"   evidence: {one.strength}{limits}; rests on {plain(one.rests_on)}",
            style="dim",
            soft_wrap=True,
        )
        for word, text in (("price", one.price), ("guard rail", one.guard), ("see it again", one.command)):
            if text:
                out.print(f"   {word}: {plain(text)}", style="dim", soft_wrap=True)
    if not found.advice:
        out.print(
            "The data carry no advice: no difference is larger than its noise and its measuring error.",
            soft_wrap=True,
        )
    if found.levels:
        heads = ("factor", "level", "trials", "times the cheapest", "95 %", "")
        table = new_table(*heads, numbers=heads[2:4])
        for row in found.levels:
            ends = (
                ""
                if row.low is None or row.high is None
                else f"{significant(row.low)} to {significant(row.high)}"
            )
            word = (
                "the cheapest"
                if row.ratio == row.low == row.high == 1
                else "more, clearly"
                if row.clear
                else "may be as cheap"
            )
            cells = (row.factor, row.level, str(row.trials), significant(row.ratio), ends, word)
            table.add_row(*map(plain, cells))
        out.print(table)
    for note in found.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
