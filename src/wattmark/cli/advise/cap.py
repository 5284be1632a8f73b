"""``wattmark advise``: what to change. Here: which power cap to set, and the caps that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.advise.changes import AdviseGroup, changes
from wattmark.cli.advise.recur import recur
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, say, write_json
from wattmark.cli.terminal.picture import picture_kind, write_picture
from wattmark.cli.terminal.signals import end_as_ctrl_c
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.advise.cap.advice import CapAdvice
    from wattmark.advise.cap.choice import Goal

app = typer.Typer(cls=AdviseGroup, rich_markup_mode=None, no_args_is_help=True, add_completion=False)
app.command()(changes)
app.command(context_settings={"ignore_unknown_options": True})(recur)
OBJECTIVES = {"energy": 0.0, "edp": 1.0, "ed2p": 2.0}


@app.callback()
def advise() -> None:
    """What to change: by what was measured (a study, a run beside its like), or tried on your own work (power caps).

    \b
    Example: wattmark advise my-study
    Also: wattmark advise cap --slowdown 10% --apply -- python train.py
    """


@app.command(context_settings={"ignore_unknown_options": True})
def cap(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD...", help="What is run under several caps.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Really set caps; the old ones come back.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="With --apply: leave the best cap in force.")] = False,
    slowdown: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Time may grow by so much, e.g. 10%.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="energy, edp (E x D), ed2p (E x D^2), or zeus=ETA.")
    ] = "energy",
    energy_budget: Annotated[
        str | None,
        typer.Option(metavar="ENERGY", help="Instead: least time within so much for a unit of work."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="gpu0, cpu, ...; may be repeated (default: all cards, else CPUs)."),
    ] = None,
    caps: Annotated[
        str | None, typer.Option(metavar="W,W", help="Caps to choose from (default: 13 from 30 % on).")
    ] = None,
    method: Annotated[str, typer.Option(help="wattmark or frost.")] = "wattmark",
    windows: Annotated[int, typer.Option(min=2, max=50, help="Caps that are tried.")] = 4,
    prove: Annotated[
        int, typer.Option(min=0, max=50, help="Pairs of the best cap and none, after the search.")
    ] = 2,
    settle: Annotated[float, typer.Option(min=0, metavar="S", help="Seconds after a new cap.")] = 2.0,
    live: Annotated[bool, typer.Option("--live", help="Run it once and try caps as it goes on.")] = False,
    pid: Annotated[int | None, typer.Option(min=1, help="A process that runs, instead of a command.")] = None,
    log: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where that process writes its progress.")
    ] = None,
    window: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="Least seconds of a live window.")
    ] = 10.0,
    seed: Annotated[int | None, typer.Option(help="Of the order of the windows.")] = None,
    picture: Annotated[str | None, typer.Option(metavar="FILE", help="Draw it: .svg, .png or .pdf.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Find the power cap of least energy for your work, in a few short windows; with --apply it is really set.

    Without --apply nothing is set. Exit codes: 0 (with --live the command's own), 1 the command failed, 2 it cannot be
    used so (only modelled joules, a cap out of range), 3 nothing to cap here, 4 no permission or held by another, 130
    Ctrl-C. Whatever happens, the old cap comes back; if all was killed, with the next wattmark command.

    \b
    Example: wattmark advise cap --slowdown 10% --apply -- python train.py --epochs 1
    """
    from wattmark.advise.cap.question import advise_cap
    from wattmark.advise.cap.trial import METHODS

    kind = picture_kind(picture)
    if method not in METHODS:
        raise ConfigError(f"there is no method {method!r}", hint=f"--method {' or '.join(METHODS)}")
    end_as_ctrl_c()
    advice = advise_cap(
        command or (),
        goal=_goal(objective, slowdown, energy_budget),
        apply=apply,
        keep=keep,
        devices=device or (),
        caps_w=_numbers(caps),
        method=method,
        windows=windows,
        prove=prove,
        settle_s=settle,
        live=live,
        pid=pid,
        log=log,
        window_s=window,
        seed=seed,
        tell=say,
    )
    if picture is not None:
        _draw(advice, picture, kind)
    if not write_json(advice.to_dict(), json_path):
        _render(advice)
    raise typer.Exit(130 if advice.interrupted else advice.exit_code)


@app.command()
def caps(
    restore: Annotated[
        bool, typer.Option("--restore", help="Put back what was left over, and kept caps.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Drop what is written down, and set nothing.")
    ] = False,
    permit: Annotated[
        bool, typer.Option("--permit", help="Print the script that lets a group set caps; it is not run.")
    ] = False,
    json_path: JsonPath = None,
) -> None:
    """Show what can be capped here, what is in force, and who may change it.

    \b
    Example: wattmark advise caps --permit > caps.sh
    """
    from wattmark.limits.permission import permit_script
    from wattmark.limits.restoring import forget as forgotten
    from wattmark.limits.restoring import put_back
    from wattmark.sources.base import Host

    if permit:
        typer.echo(permit_script(Host.here()))
        return
    lines = forgotten() if forget else put_back(kept=True) if restore else []
    if restore or forget:
        if not write_json({"lines": lines}, json_path):
            typer.echo("\n".join(map(plain, lines)) or "nothing is left over")
        if any("not put back" in line or "later" in line for line in lines):
            raise typer.Exit(1)
        return
    _show_limits(json_path)


def _show_limits(json_path: str | None) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.limits.base import watts
    from wattmark.limits.discovery import choose_limits, find_limits
    from wattmark.limits.restoring import kept_caps
    from wattmark.settings import recorder_settings
    from wattmark.sources.base import Host

    findings = find_limits(Host.here(options=recorder_settings({}).get("options")))
    limits = [one.limit for one in findings if one.limit is not None]
    kept = kept_caps(limits)
    rows = [
        {
            "id": limit.id,
            "label": limit.label,
            "component": limit.component,
            "cap_w": watts(limit.read()),
            "least_w": limit.least_w,
            "most_w": limit.most_w,
            "may_set": limit.may_set(),
            "kept": limit.key in kept,
        }
        for limit in limits
    ]
    problems = [
        {"what": one.what, "problem": one.problem, "fix": one.fix} for one in findings if one.limit is None
    ]
    if write_json({"limits": rows, "problems": problems}, json_path):
        return
    if not limits:
        choose_limits(findings)  # says what is needed
    table = new_table(
        "device", "what", "in force", "range", "may you?", numbers=("in force",), spare=("what",)
    )
    for row, limit in zip(rows, limits, strict=True):
        now = watts(limit.read())
        table.add_row(
            limit.id,
            plain(limit.label),
            "no limit" if now is None else f"{now:g} W" + (" (kept)" if row["kept"] else ""),
            f"{limit.least_w:g} to {limit.most_w:g} W",
            "yes" if row["may_set"] else "no: --permit",
        )
    out = console()
    out.print(table)
    for problem in problems:
        out.print(f"{plain(problem['what'])}: {plain(problem['problem'])}", soft_wrap=True)


def _render(advice: CapAdvice) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration, format_energy, format_power

    out = console()
    if advice.windows:
        table = new_table(
            "cap", "time", "energy", "power", "time/none", "energy/none", "",
            numbers=("cap", "time", "energy", "power", "time/none", "energy/none"), spare=("power",),
        )  # fmt: skip
        top = [one for one in advice.windows if one.cap_w == advice.caps_w[-1]]
        for one in sorted(advice.windows, key=lambda one: -one.cap_w):
            window = one.window
            shares = ("", "")
            if top:
                whole = [other.window for other in top]
                seconds, joules = (
                    sum(x) / len(whole) for x in zip(*((w.seconds, w.joules) for w in whole), strict=True)
                )
                shares = (f"{window.seconds / seconds:.3f}", f"{window.joules / joules:.3f}")
            table.add_row(
                f"{one.cap_w:g} W",
                format_duration(window.seconds),
                format_energy(window.joules),
                format_power(window.watts),
                *shares,
                "best" if one.cap_w == advice.cap_w else "none" if one.cap_w == advice.caps_w[-1] else "",
            )
        out.print(table)
    out.print(plain(advice.words), style="green" if advice.cap_w is not None else "yellow", soft_wrap=True)
    if advice.basis != "measured":
        tried = ", ".join(f"{one:g}" for one in advice.caps_w)
        out.print(f"would be tried on {', '.join(advice.devices)}: caps of {tried} W", soft_wrap=True)
    for note in advice.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
    if advice.methods:
        told = ", ".join(f"{name} ({how})" for name, how in sorted(advice.methods.items()))
        state = (
            "the cap is kept"
            if advice.kept
            else "the old cap is back"
            if advice.applied
            else "nothing was set"
        )
        out.print(f"energy of {told}; {state}", style="dim", soft_wrap=True)


def _draw(advice: CapAdvice, path: str, kind: str) -> None:
    from wattmark.report.figures.caps import cap_curve

    drawing = cap_curve(advice)
    if drawing is None:
        say("no picture: fewer than two caps were tried")
        return
    write_picture(drawing.figure, path, kind)


def _goal(objective: str, slowdown: str | None, budget: str | None) -> Goal:
    from wattmark.advise.cap.choice import Goal
    from wattmark.cli.advise.gate import percent
    from wattmark.predict.live.budget import budget as energy_of

    name, _, value = objective.partition("=")
    factor = None if slowdown is None else 1 + percent(slowdown, "--slowdown 10%")
    joules = None if budget is None else energy_of(budget).joules
    if name == "zeus":
        try:
            return Goal(eta=float(value or 0.5), slowdown=factor, energy_j=joules)
        except ValueError as error:
            raise ConfigError(
                f"--objective zeus={value} has no number", hint="--objective zeus=0.5"
            ) from error
    if objective not in OBJECTIVES:
        raise ConfigError(f"there is no objective {objective!r}", hint=f"{', '.join(OBJECTIVES)}, zeus=0.5")
    return Goal(delay=OBJECTIVES[objective], slowdown=factor, energy_j=joules)


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(
            float(part.strip().removesuffix("W")) for part in (text or "").split(",") if part.strip()
        )
    except ValueError as error:
        raise ConfigError(f"--caps {text} is no list of watts", hint="--caps 100,150,200") from error
