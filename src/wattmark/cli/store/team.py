"""``wattmark store``: a team's store: the way there, users, tokens of projects, retention."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
PASSWORD_VARIABLE = "WATTMARK_USER_PASSWORD"  # noqa: S105 - the variable's name


@app.callback()
def store() -> None:
    """A team's store: copy runs there, let users and tokens in, say how long what is kept.

    \b
    Example: wattmark store copy postgresql://ann@db.example/energy
    """


@app.command()
def copy(
    to: Annotated[str, typer.Argument(metavar="STORE", help="A PostgreSQL URL, or a file.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="STORE", help="By default the store that the settings name."),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Put runs that have no project into this one.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Copy all runs into another store; what is there already stays. Nothing is removed here.

    \b
    Example: wattmark store copy postgresql://ann@db.example/energy --project vision
    """
    from rich.progress import Progress

    from wattmark.store import open_store
    from wattmark.store.team.copying import copy_store

    with (
        open_store(source) as old,
        open_store(to) as new,
        Progress(console=console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("runs", total=None)
        done = copy_store(
            old,
            new,
            project=project,
            on_progress=lambda at, total: bar.update(task, completed=at, total=total),
        )
    data = {"copied": done.runs, "present": done.present, "from": old.location, "to": new.location}
    if not write_json(data, json_path):
        console().print(
            plain(f"{done.runs} runs copied to {new.location}, {done.present} were there already")
        )


@app.command()
def user(
    name: Annotated[str, typer.Argument(help="The user of the database.")],
    role: Annotated[
        str, typer.Option(help="reader, or writer (adds, tags and removes runs, too).")
    ] = "reader",
    remove: Annotated[bool, typer.Option("--remove", help="Let this user in no more.")] = False,
) -> None:
    """Make a user of a PostgreSQL store; run it as the owner of the database.

    The password is asked for, or taken from WATTMARK_USER_PASSWORD; a user that is there gets it anew.

    \b
    Example: wattmark store user ann --role writer
    """
    from wattmark.store import open_store
    from wattmark.store.team.roles import add_user, remove_user

    with open_store() as here:
        if remove:
            remove_user(here, name)
            typer.echo(f"{name} is no user any more")
            return
        password = os.environ.get(PASSWORD_VARIABLE) or typer.prompt(
            "Password", hide_input=True, confirmation_prompt=True
        )
        add_user(here, name, role, password)
    typer.echo(f"{name} is a {role}")


@app.command()
def users(json_path: JsonPath = None) -> None:
    """The users of a PostgreSQL store, with their roles.

    \b
    Example: wattmark store users
    """
    from wattmark.store import open_store
    from wattmark.store.team.roles import users as all_users

    with open_store() as here:
        rows = [{"name": name, "role": role} for name, role in all_users(here)]
    if not write_json(rows, json_path):
        _table(("user", "role"), [(row["name"], row["role"]) for row in rows])


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    project: Annotated[str | None, typer.Option(help="Runs of this project only.")] = None,
    every: Annotated[bool, typer.Option("--all-projects", help="Runs of all projects.")] = False,
    rights: Annotated[str, typer.Option(help="read, or write (tag, note, remove).")] = "read",
    lasts: Annotated[str | None, typer.Option(metavar="AGE", help="Until when, from now: 90d.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Make it void.")] = False,
) -> None:
    """Make a token for the dashboard (wattmark ui --team). It is shown this once.

    \b
    Example: wattmark store token ann --project vision --rights write --lasts 90d
    """
    from wattmark.store import open_store
    from wattmark.store.team.tokens import make_token, remove_token
    from wattmark.workspace.moments import parse_age

    with open_store() as here:
        if remove:
            remove_token(here, name)
            typer.echo(f"{name} is void")
            return
        if (project is None) != every:
            raise ConfigError("one of --project and --all-projects says what the token is for")
        made = make_token(
            here, name, project=project, rights=rights, lasts=None if lasts is None else parse_age(lasts)
        )
    typer.echo(made)


@app.command()
def tokens(json_path: JsonPath = None) -> None:
    """The tokens that were made: what they allow, not what they are.

    \b
    Example: wattmark store tokens
    """
    from wattmark.store import open_store
    from wattmark.store.team.tokens import tokens as all_tokens

    with open_store() as here:
        rows = [
            {
                "name": one.name,
                "project": one.project,
                "rights": one.rights,
                "made": one.made.isoformat(),
                "ends": one.ends and one.ends.isoformat(),
            }
            for one in all_tokens(here)
        ]
    if not write_json(rows, json_path):
        shown = [(r["name"], r["project"] or "all", r["rights"], (r["ends"] or "never")[:10]) for r in rows]
        _table(("token", "project", "rights", "ends"), shown)


@app.command()
def retention(
    project: Annotated[
        str | None,
        typer.Argument(metavar="[PROJECT]", help="Without it, all that have no rule of their own."),
    ] = None,
    runs: Annotated[
        str | None, typer.Option(metavar="AGE", help="Remove runs older than this: 730d.")
    ] = None,
    curves: Annotated[
        str | None, typer.Option(metavar="AGE", help="Thin curves older than this: 30d.")
    ] = None,
    period: Annotated[
        float | None, typer.Option(metavar="S", help="To one point in so many seconds.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the rule away.")] = False,
    json_path: JsonPath = None,
) -> None:
    """Say how long runs and their curves are kept, or show it; wattmark store tidy does it.

    Joules stay what they are: a thinned curve has the same energy for the run and each of its spans.

    \b
    Example: wattmark store retention vision --runs 730d --curves 30d --period 60
    """
    from wattmark.store import open_store
    from wattmark.store.team.retention import Retention, retentions, set_retention
    from wattmark.workspace.moments import parse_age

    changes = none or any(word is not None for word in (runs, curves, period))
    with open_store() as here:
        if changes:
            ages = [None if word is None or none else parse_age(word) for word in (runs, curves)]
            set_retention(here, Retention(project or "", ages[0], ages[1], None if none else period))
        rows = [
            {
                "project": rule.project,
                "runs_s": rule.runs and rule.runs.total_seconds(),
                "curves_s": rule.curves and rule.curves.total_seconds(),
                "period_s": rule.period_s,
            }
            for rule in retentions(here)
        ]
    if not write_json(rows, json_path):
        from wattmark.units import format_duration

        def age(seconds: object) -> str:
            return format_duration(seconds) if isinstance(seconds, float) else "for ever"

        shown = [
            (str(r["project"] or "(others)"), age(r["runs_s"]), age(r["curves_s"]), f"{r['period_s'] or '-'}")
            for r in rows
        ]
        _table(("project", "runs kept", "curves whole", "then a point every s"), shown)


@app.command()
def tidy(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    json_path: JsonPath = None,
) -> None:
    """Do what the rules of retention say; for a timer that runs once a day.

    \b
    Example: wattmark store tidy --dry-run
    """
    from wattmark.store import open_store
    from wattmark.store.team.retention import apply_retention

    with open_store() as here:
        done = apply_retention(here, dry_run=dry_run)
        here.purge()
    if not write_json({"removed": done.removed, "thinned": done.thinned}, json_path):
        would = "would be " if dry_run else ""
        typer.echo(f"{len(done.removed)} runs {would}removed, curves of {len(done.thinned)} {would}thinned")


def _table(names: tuple[str, ...], rows: Sequence[tuple[str | None, ...]]) -> None:
    from wattmark.cli.terminal.table import new_table

    table = new_table(*names)
    for row in rows:
        table.add_row(*(plain(cell or "") for cell in row))
    console().print(table)
