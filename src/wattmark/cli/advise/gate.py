"""``wattmark gate``: is this commit worse than the one before?"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, say, writable_file, write_json, write_text
from wattmark.cli.terminal.signals import end_as_ctrl_c
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.advise.gate.decision import Verdict

app = typer.Typer(rich_markup_mode=None)
EXIT_CODES = {"within": 0, "over": 3, "undecided": 4}
_STYLES = {"within": "green", "over": "red", "undecided": "yellow"}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h)?")


@app.command(context_settings={"ignore_unknown_options": True})
def gate(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD...", help="What is run at base and head.")
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(
            help="A commit or branch (measured beside), a file of --save, tag:K=V, run:REF, or a name of runs."
        ),
    ] = "main",
    metric: Annotated[
        str, typer.Option(help="cpu_s, instructions, duration_s, energy_j, j_per_sample, j_per_token ...")
    ] = "cpu_s",
    max_regression: Annotated[str, typer.Option(metavar="PERCENT", help="What is allowed.")] = "3%",
    max_repeats: Annotated[int, typer.Option(min=5, max=200, help="Pairs of base and head, at most.")] = 40,
    max_time: Annotated[str | None, typer.Option(metavar="TIME", help="Seconds, or 10min, 1h.")] = None,
    setup: Annotated[str | None, typer.Option(metavar="CMD", help="Run once in each tree before.")] = None,
    any_host: Annotated[
        bool, typer.Option("--any-host", help="A kept baseline may be of another host of the same parts.")
    ] = False,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the head's figures, to be a baseline later.")
    ] = None,
    exit_codes: Annotated[str, typer.Option(metavar="W,O,U", help="For within, over, undecided.")] = "0,3,4",
    markdown_path: Annotated[
        str | None, typer.Option("--markdown", metavar="FILE", help="For a pull request.")
    ] = None,
    badge: Annotated[str | None, typer.Option(metavar="FILE", help="An SVG for a README.")] = None,
    history: Annotated[
        str | None, typer.Option(metavar="FILE", help="Add this gate to a file of JSON lines.")
    ] = None,
    trend: Annotated[str | None, typer.Option(metavar="FILE", help="An HTML page of that history.")] = None,
    budgets: Annotated[
        bool,
        typer.Option(
            "--budgets",
            help="Judge the budgets of pyproject.toml that have a command, all or those named.",
        ),
    ] = False,
    json_path: JsonPath = None,
) -> None:
    """Hold the working tree against a baseline: pairs of base and head in alternating order until a test has decided.

    Exit codes: 0 within, 3 over, 4 undecided; 1 where the command failed, 2 where it cannot be judged. Before it begins
    it says what it can do at the spread that it sees.

    \b
    Example: wattmark gate --baseline main --metric j_per_sample --max-regression 3% -- python bench.py
    """
    from wattmark.advise.gate.question import gate as decide

    codes = _codes(exit_codes)
    files = {
        "--save": save,
        "--markdown": markdown_path,
        "--badge": badge,
        "--history": history,
        "--trend": trend,
    }
    for option, path in files.items():
        writable_file(option, path)  # seen before the work, not after it
    if history is not None and Path(history).exists():
        from wattmark.advise.gate.outputs import read_history

        read_history(history)
    if budgets and any(files.values()):
        raise ConfigError(
            f"{' and '.join(name for name, path in files.items() if path)}: of a gate, not of --budgets",
            hint="wattmark gate --budgets --json budgets.json",
        )
    end_as_ctrl_c()
    if budgets:
        _judge_budgets(command or [], max_repeats, codes, json_path)
    if trend is not None and history is None:
        raise ConfigError("--trend draws a history", hint="name its file too: --history gates.jsonl")
    verdict = decide(
        command or [],
        baseline=baseline,
        metric=metric,
        max_regression=percent(max_regression),
        max_pairs=max_repeats,
        max_seconds=math.inf if max_time is None else seconds(max_time),
        setup=setup,
        any_host=any_host,
        save=save,
        tell=say,
    )
    _write(verdict, markdown_path, badge, history, trend)
    if not write_json(verdict.to_dict(), json_path):
        _render(verdict)
    raise typer.Exit(130 if verdict.interrupted else codes[verdict.outcome])


def _judge_budgets(names: list[str], max_repeats: int, codes: dict[str, int], json_path: str | None) -> None:
    """Ends with the worst outcome's exit code."""
    from wattmark.advise.gate.budgets import judge_budgets

    judged = judge_budgets(max_repeats=max_repeats, only=names, tell=say)
    if not write_json({"budgets": [one.to_dict() for one in judged]}, json_path):
        for one in judged:
            console().print(plain(one.words), style=_STYLES[one.outcome], soft_wrap=True)
    outcomes = {one.outcome for one in judged}
    raise typer.Exit(
        next((codes[name] for name in ("over", "undecided") if name in outcomes), codes["within"])
    )


def _write(
    verdict: Verdict, markdown_path: str | None, badge: str | None, history: str | None, trend: str | None
) -> None:
    from wattmark.advise.gate import outputs

    text = outputs.markdown(verdict)
    if markdown_path is not None:
        write_text(markdown_path, text)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        say_to_runner(outputs.annotation(verdict))
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(text)
    if badge is not None:
        from wattmark.report.gates import badge_svg

        change = "" if verdict.ratio is None else f" {(verdict.ratio - 1) * 100:+.1f} %"
        write_text(badge, badge_svg(verdict.outcome, f"{verdict.outcome}{change}"))
    if history is not None:
        entries = outputs.append_history(history, outputs.entry_of(verdict, os.environ.get("GITHUB_SHA", "")))
        if trend is not None:
            from wattmark.report.gates import trend_page

            write_text(trend, trend_page(entries))


def say_to_runner(line: str) -> None:
    """A line that the runner of GitHub Actions reads from standard error."""
    import sys

    sys.stderr.write(line + "\n")


def _render(verdict: Verdict) -> None:
    out = console()
    out.print(plain(verdict.words), style=_STYLES[verdict.outcome], soft_wrap=True)
    for note in verdict.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
    spread = "" if verdict.spread is None else f", runs spread by {verdict.spread * 100:.1f} %"
    out.print(
        f"{verdict.pairs} repeats of the head in {verdict.seconds:.0f} s{spread}", style="dim", soft_wrap=True
    )


def percent(text: str, example: str = "--max-regression 3%") -> float:
    """``3%``, ``3 %`` or ``3`` as 0.03. Raises ConfigError."""
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError as error:
        raise ConfigError(f"{text!r} is no percentage", hint=example) from error


def seconds(text: str) -> float:
    """``600``, ``10min`` or ``1h``. Raises ConfigError."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no time", hint="--max-time 600, 10min or 1h")
    return float(match[1]) * {"s": 1, "min": 60, "h": 3600, None: 1}[match[2]]


def _codes(text: str) -> dict[str, int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise ConfigError(f"--exit-codes takes three numbers, not {text!r}", hint="--exit-codes 0,1,0")
    return dict(zip(EXIT_CODES, map(int, parts), strict=True))
