"""``wattmark stage``: a stage of a pipeline as a run, with its figures as metrics of the pipeline."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wattmark.documents import mapping, number
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the pipeline calls it.")],
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="What it runs.")],
    pipeline: Annotated[
        str | None, typer.Option(help="What the pipeline is called (default: this folder).")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="data, search, experiments, training, compression, inference (default: by NAME).",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model it is for: a tag, for wattmark cycle.")] = None,
    attempt: Annotated[int, typer.Option(min=1, help="Which try it is.")] = 1,
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write joules as JSON, for `dvc metrics diff`.")
    ] = None,
) -> None:
    """Run a stage of a pipeline (DVC, Snakemake, Nextflow, Make) and measure it; its exit code is passed through.

    \b
    Example: wattmark stage train --metrics energy/train.json -- python train.py
    """
    from wattmark.cli.run.command import run
    from wattmark.integrations.pipelines.stages import KINDS, tags_of

    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind cannot be {kind!r}", hint=f"one of {', '.join(sorted(KINDS))}")
    if metrics is not None and not metrics.parent.is_dir():
        raise ConfigError(f"--metrics: there is no folder {metrics.parent}", hint="make it first")
    tags = tags_of(pipeline or Path.cwd().name, name, kind=kind, attempt=attempt)
    if model is not None:
        tags["model"] = model
    words = ["--name", name, *(word for key, value in tags.items() for word in ("--tag", f"{key}={value}"))]
    with tempfile.TemporaryDirectory(prefix="wattmark-") as folder:
        told = Path(folder, "run.json")
        code = run([*words, "--json", str(told), "--", *command])
        if metrics is not None and told.is_file():
            figures = figures_of(json.loads(told.read_text(encoding="utf-8")))
            metrics.write_text(json.dumps({name: figures}, indent=1) + "\n", encoding="utf-8")
    raise typer.Exit(code)


def figures_of(result: object) -> dict[str, float]:
    """The numbers of a run (an object of ``show --json``) that a pipeline compares; what is not known is not there."""
    run = mapping(result)
    energy, carbon = mapping(mapping(run.get("energy_j")).get("total")), mapping(run.get("carbon_g"))
    rows = {
        "energy_j": energy.get("value"),
        "energy_low_j": energy.get("low"),
        "energy_high_j": energy.get("high"),
        "carbon_g": carbon.get("value"),
        "duration_s": run.get("duration_s"),
    }
    return {
        name: float(f"{value:.6g}") for name, given in rows.items() if (value := number(given)) is not None
    }
