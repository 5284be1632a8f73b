"""``wattmark study``: designed experiments."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath, StudyName
from wattmark.cli.terminal.output import console, plain, say, write_json
from wattmark.cli.terminal.signals import end_as_ctrl_c
from wattmark.errors import ConfigError
from wattmark.units import format_duration, format_energy

if TYPE_CHECKING:
    from wattmark.quantity import Quantity
    from wattmark.studies.analysis.choice import Choice
    from wattmark.studies.designs.design import Design
    from wattmark.studies.results import StudyResults

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="K=V", help="Change the design: epochs=1, batch_size=16,64, quiet.baseline_s=0."
    ),
]
OnOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="WHERE",
        help="Run trials elsewhere: ssh://HOST,HOST, slurm://PARTITION, ray:auto, kubernetes://NAMESPACE?image=IMAGE.",
    ),
]
ReportOption = Annotated[bool, typer.Option("--report", help="Write the report at the end.")]


@app.callback()
def study() -> None:
    """Designed experiments: factors x levels x repeats, each trial measured on a quiet machine.

    \b
    Example: wattmark study run vision-quick --report
    """


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What the study is called; NAME.toml is written here.")],
    source: Annotated[
        str, typer.Option("--from", metavar="BUILTIN", help="The study to begin with.")
    ] = "vision-quick",
) -> None:
    """Write the file of a new study, to be edited and run.

    \b
    Example: wattmark study new my-batches --from batch-size
    """
    import re

    from wattmark.studies.designs.builtin import builtin_text
    from wattmark.studies.designs.design import parse_design

    path = Path(f"{name}.toml")
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', builtin_text(source), count=1)
    parse_design(text, str(path))
    if path.exists():
        raise ConfigError(f"{path} is there already", hint="give the study another name")
    path.write_text(text, encoding="utf-8")
    typer.echo(f"{path} is written; edit it, then: wattmark study run {path}")


@app.command()
def run(
    study: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A built-in study, or a TOML file.")],
    change: SetOption = None,
    name: Annotated[str | None, typer.Option(help="Keep it under another name.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what is there of it.")] = False,
    on: OnOption = None,
    report: ReportOption = False,
    json_path: JsonPath = None,
) -> None:
    """Run a study; one that was begun before goes on where it stood.

    \b
    Example: wattmark study run vision --set samples=2000 --set epochs=1 --report
    """
    from wattmark.studies.designs.builtin import find_design

    changes = [*(change or []), *([f"name={name}"] if name else [])]
    _run(find_design(study, changes), fresh=fresh, on=on, report=report, json_path=json_path)


@app.command()
def resume(
    name: StudyName,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")] = False,
    on: OnOption = None,
    report: ReportOption = False,
    json_path: JsonPath = None,
) -> None:
    """Go on with a study that was interrupted.

    \b
    Example: wattmark study resume vision --retry-failed
    """
    from wattmark.studies.execution.state import StudyFolder

    design = StudyFolder.open(name).design()
    _run(design, retry_failed=retry_failed, on=on, report=report, json_path=json_path)


@app.command()
def status(
    name: StudyName,
    json_path: JsonPath = None,
) -> None:
    """How a study stands.

    \b
    Example: wattmark study status vision
    """
    data = _status(name)
    if write_json(data, json_path):
        return
    out = console()
    state = "runs now" if data["running"] else "done" if not data["left"] else "stands still"
    out.print(f"{plain(data['name'])}: {data['done']} of {data['trials']} trials, {state}")
    out.print(
        f"  {data['completed']} completed, {data['failed']} failed, {format_energy(data['energy_j'])} so far"
    )
    for failure in data["failures"]:
        out.print(f"  {failure['status']}: {plain(failure['trial'])}: {plain(failure['error'])}")
    if data["left"] and not data["running"]:
        out.print(f"  wattmark study resume {plain(data['name'])}")


@app.command()
def show(
    name: StudyName,
    cost: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC", help="Name the cheapest cell by this: j_per_request, total_energy ..."
        ),
    ] = None,
    within: Annotated[
        str,
        typer.Option(metavar="LIMITS", help="Of the cells that keep within: 'ttft_p95_s<0.5;accuracy>0.9'."),
    ] = "",
    json_path: JsonPath = None,
) -> None:
    """What each cell of a study cost and achieved, every mean with its 95 % interval.

    \b
    Example: wattmark study show my-server --cost j_per_request --within 'e2e_p95_s<2'
    """
    from wattmark.studies.analysis.choice import cheapest_cell, parse_limits
    from wattmark.studies.analysis.data.study_data import ENERGY, StudyData
    from wattmark.studies.execution.state import load_results

    results = load_results(name)
    asked = cost is not None or bool(within)
    limits = parse_limits(within)
    choice = cheapest_cell(StudyData(results), cost or ENERGY, limits) if asked else None
    data = _summary(results)
    if write_json({**data, "cheapest": choice and choice.to_dict()} if asked else data, json_path):
        return
    _render(results)
    if asked:
        _render_choice(choice)


@app.command()
def ls(json_path: JsonPath = None) -> None:
    """The studies that are kept, and the built-in ones.

    \b
    Example: wattmark study ls
    """
    from wattmark.studies.designs.builtin import builtin_names
    from wattmark.studies.execution.state import study_names

    rows = [_status(name) for name in study_names()]
    data = {"studies": rows, "builtin": builtin_names()}
    if write_json(data, json_path):
        return
    from wattmark.cli.terminal.table import new_table

    out = console()
    if rows:
        table = new_table("study", "trials", "failed", "energy", "state")
        for row in rows:
            state = "running" if row["running"] else "done" if not row["left"] else "interrupted"
            cells = (
                f"{row['done']}/{row['trials']}",
                str(row["failed"]),
                format_energy(row["energy_j"]),
                state,
            )
            table.add_row(plain(row["name"]), *cells)
        out.print(table)
    out.print(f"built-in: {', '.join(builtin_names())}")


@app.command()
def report(
    name: StudyName,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Ends in .html or .pdf (default: NAME.html)."),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write each figure (SVG, PNG) and each table (CSV, Parquet) here too."
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Where the power comes from, for the carbon of tasks: FR, US-CAL-CISO.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="Of a kilowatt-hour, for the money of tasks: 0.30, or 0.25-0.35.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Of the price: EUR.")] = None,
) -> None:
    """Write the report of a study: one HTML file that opens anywhere, or a PDF (printed by Chromium).

    \b
    Example: wattmark study report vision -o vision.html --files vision-figures
    """
    from wattmark.studies.execution.state import load_results

    _write_report(load_results(name), output, files, zone, price, currency)


@app.command()
def export(
    name: StudyName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Ends in .json or .csv.")
    ] = None,
    paper: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder for a paper: figures (PDF), LaTeX tables, methods, data, citation.",
        ),
    ] = None,
) -> None:
    """Write the results: .json has everything (and can be merged), .csv one row per trial; --paper a whole folder.

    \b
    Example: wattmark study export vision --paper vision-paper
    """
    if (output is None) == (paper is None):
        raise ConfigError("one of --output and --paper says what is written", hint="-o results.json")
    if paper is not None:
        _write_paper(name, paper)
        return
    assert output is not None
    from wattmark.studies.exchange import write_csv, write_results
    from wattmark.studies.execution.state import load_results

    writers: dict[str, Any] = {".json": write_results, ".csv": write_csv}
    writer = writers.get(output.suffix)
    if writer is None:
        raise ConfigError(f"--output {output}: the name must end in .json or .csv")
    writer(load_results(name), output)
    typer.echo(f"{output} is written")


def _write_paper(name: str, folder: Path) -> None:
    from wattmark.studies.execution.state import load_results

    writer = importlib.import_module("wattmark.report.files.paper")
    files = writer.write_paper(load_results(name), folder)
    typer.echo(f"{folder}: {len(files)} files, {folder / 'README.md'} says which")


@app.command()
def merge(
    parts: Annotated[
        list[str], typer.Argument(metavar="STUDY|FILE...", help="Studies here, or exported .json.")
    ],
    name: Annotated[str, typer.Option(help="What the merged study is called.")],
) -> None:
    """Join the same study from several machines; the host becomes a factor.

    \b
    Example: wattmark study merge --name hardware-all laptop.json server.json
    """
    from wattmark.studies.exchange import merge_into, read_results
    from wattmark.studies.execution.state import load_results

    results = [read_results(Path(part)) if part.endswith(".json") else load_results(part) for part in parts]
    merged = merge_into(name, results)
    typer.echo(f"{name}: {len(merged.trials)} trials from {len(merged.environment)} machines")


def _run(
    design: Design,
    *,
    report: bool,
    json_path: str | None,
    on: str | None,
    fresh: bool = False,
    retry_failed: bool = False,
) -> None:
    from wattmark.cli.study.progress import shown
    from wattmark.studies.execution.remote.addresses import executor_of
    from wattmark.studies.execution.runner import run_study

    executor = None if on is None else executor_of(on)
    end_as_ctrl_c()  # ends the trial, leaves a resumable study
    try:
        with shown(design) as progress:
            results = run_study(
                design, executor=executor, on_progress=progress, fresh=fresh, retry_failed=retry_failed
            )
    except KeyboardInterrupt:
        say(f"interrupted; go on with: wattmark study resume {design.name}")
        sys.exit(130)
    if not write_json(_summary(results), json_path):
        _render(results)
    if report:
        _write_report(results, None)


def _render(results: StudyResults) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.studies.analysis.data.study_data import StudyData
    from wattmark.studies.analysis.data.summaries import cell_summaries

    data = StudyData(results)
    cells = cell_summaries(results, data)
    quality = data.quality if any(data.quality in cell.means for cell in cells) else None
    numbers = ("runs", "energy", "± 95 %", "time", *([quality] if quality else []))
    beside = ["beside the cheapest"] if any(cell.verdict for cell in cells) else []
    table = new_table(
        " ".join(results.factors) or "trial",
        *numbers,
        *beside,
        numbers=numbers,
        spare=("time", "± 95 %"),
        prose=beside,
    )
    for cell in cells:
        energy, time = cell.energy_j, cell.duration_s
        row = [
            " ".join(str(level) for level in cell.levels.values()) or results.name,
            f"{len(cell.trials)}/{cell.runs}",
            "-" if energy is None else format_energy(energy.value),
            "-" if energy is None else _half_widths(energy),
            "-" if time is None else format_duration(time.value),
        ]
        if quality:
            row.append(f"{cell.means[quality].value:.3f}" if quality in cell.means else "-")
        row += [cell.verdict] if beside else []
        table.add_row(*map(plain, row))
    out = console()
    out.print(table)
    modelled = sorted(
        {name for trial in results.trials for name, method in trial.methods.items() if method == "modelled"}
    )
    if modelled:
        out.print(f"{' and '.join(modelled)} modelled here, not measured")
    failed = len(results.trials) - len(results.completed)
    if failed:
        out.print(f"{failed} trials failed: wattmark study status {results.name}")
    out.print(f"report: wattmark study report {results.name}")


def _render_choice(choice: Choice | None) -> None:
    from wattmark.units import significant

    out = console()
    if choice is None:
        out.print("No cell is within these limits. Loosen one of them.", style="yellow")
        return
    low, high = choice.cost.interval()
    unit = choice.cost.unit
    out.print(
        f"Cheapest by {choice.metric}: {plain(choice.label)}, {significant(choice.cost.value)} "
        f"[{significant(low)}, {significant(high)}]{f' {unit}' if unit else ''}. {plain(choice.sentence)}",
        soft_wrap=True,
    )
    if choice.outside:
        out.print(f"{choice.outside} cells are not within the limits.", style="dim")


def _half_widths(mean: Quantity) -> str:
    """The ends of an interval as percentages of the mean: ``1.5 %``, or ``-4.3 +6.2 %`` where they differ."""
    if not mean.value:
        return "-"
    down, up = (f"{100 * abs(end - mean.value) / abs(mean.value):.1f}" for end in (mean.low, mean.high))
    return f"{up} %" if down == up else f"-{down} +{up} %"


def _summary(results: StudyResults) -> dict[str, Any]:
    from wattmark.studies.analysis.data.summaries import cell_summaries

    cells = [cell.to_dict() for cell in cell_summaries(results)]
    return {"name": results.name, "cells": cells, **_status(results.name)}


def _status(name: str) -> dict[str, Any]:
    from wattmark.studies.designs.plan import further_trials, plan
    from wattmark.studies.execution.state import StudyFolder
    from wattmark.studies.execution.trial import label

    folder = StudyFolder.open(name)
    trials = folder.trials()
    trial_ids = {trial.trial_id for trial in trials}
    design = folder.design()
    left = 0
    if not folder.is_merged():
        left = sum(trial.id not in trial_ids for trial in plan(design)) or len(further_trials(design, trials))
    failed = [trial for trial in trials if trial.status != "completed"]
    return {
        "name": name,
        "title": design.title,
        "trials": len(trials) + left,
        "done": len(trials),
        "left": left,
        "completed": len(trials) - len(failed),
        "failed": len(failed),
        "energy_j": sum(trial.total_j or 0.0 for trial in trials),
        "running": folder.is_locked(),
        "folder": str(folder.path),
        "failures": [
            {
                "trial": f"{label(trial.factors)} repeat={trial.repeat}",
                "status": trial.status,
                "error": trial.error,
                "log": str(folder.path / "logs" / f"{trial.trial_id}.log"),
            }
            for trial in failed
        ],
    }


def _write_report(
    results: StudyResults,
    output: Path | None,
    files: Path | None = None,
    zone: str | None = None,
    price: str | None = None,
    currency: str | None = None,
) -> None:
    from wattmark import settings
    from wattmark.predict.whatif.rates import rates_at

    configured = settings.load()
    rates = rates_at(zone or configured.get("zone"), None, configured.get("pue"), price, currency)
    try:
        writer = importlib.import_module("wattmark.report.study")
    except ModuleNotFoundError as error:
        raise ConfigError(f"reports cannot be written here: {error}") from error
    path = writer.write_report(results, output or Path(f"{results.name}.html"), rates=rates)
    typer.echo(f"report: {Path(path).resolve()}")
    if files is not None:
        written = [*writer.write_figures(results, files), *writer.write_tables(results, files)]
        typer.echo(f"figures and tables: {len(written)} files in {files.resolve()}")
