"""``wattmark predict layers`` and ``model``: what layers cost on this machine, and what a network will."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.predict.kept import say_kept
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.cli.terminal.picture import picture_kind, write_picture
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.predict.layers.profiler import Profile
    from wattmark.predict.layers.question import ModelPrediction

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
_MOST_ROWS = 60


@app.callback()
def layers() -> None:
    """What the layers of networks cost on this machine: measured once, added up for any network.

    \b
    Example: wattmark predict layers fit --budget 5min
    """


@app.command()
def fit(
    budget: Annotated[
        str, typer.Option(help="Seconds of CPU time or joules: 5min, 90s, 20kJ, or both with a comma.")
    ] = "5min",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of PyTorch (default: as it is set here).")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Measure layers of many shapes here, and keep what they cost.

    \b
    Example: wattmark predict layers fit --budget 5min --threads 1
    """
    from wattmark.predict.layers.question import predict_layers
    from wattmark.predict.layers.storage import path_of

    with console(stderr=True).status("starting") as status:
        done = predict_layers(
            budget,
            threads=threads,
            progress=lambda what, share: status.update(f"{min(share, 1):.0%} of the budget: {plain(what)}"),
        )
    if not write_json(_fit_data(done), json_path):
        _render_fit(done, str(path_of(done.device)))


def _fit_data(done: Profile) -> dict[str, object]:
    return {
        "device": done.device,
        "layers": len(done.layers),
        "networks": len(done.wholes),
        "seconds": done.seconds,
        "unsure": done.unsure,
        "additivity": done.additivity,
        "chains": [
            {"kinds": list(chain.kinds), "together_s": chain.together_s, "sum_s": chain.sum_s}
            for chain in done.chains
        ],
    }


def _render_fit(done: Profile, path: str) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration

    counts: dict[str, int] = {}
    for sample in done.layers:
        counts[sample.call.kind] = counts.get(sample.call.kind, 0) + 1
    table = new_table("kind", "shapes", "least known", numbers=("shapes", "least known"))
    for kind, count in counts.items():
        unsure = done.unsure.get(kind)
        table.add_row(kind, str(count), "" if unsure is None else f"{100 * unsure:.0f} %")
    out = console()
    out.print(table)
    out.print(
        f"{done.device}: {len(done.layers)} layers and {len(done.wholes)} networks in "
        f"{format_duration(done.seconds)} of CPU time; kept in {plain(path)}",
        soft_wrap=True,
    )
    if done.additivity is not None:
        out.print(
            f"two layers together cost {100 * done.additivity:.0f} % more or less than each alone, on the mean"
        )


def model(
    network: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="package.module:factory of a function or class that makes it; or a network of ours (ResNet18), "
            "timm:NAME, hf:NAME.",
        ),
    ],
    shape: Annotated[
        str, typer.Option("--input", metavar="SHAPE", help="Of one sample, without the batch.")
    ] = "3,32,32",
    batch: Annotated[int, typer.Option(min=1, help="Samples in a step.")] = 64,
    samples: Annotated[int | None, typer.Option(min=1, help="In an epoch (default: one batch).")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    optimizer: Annotated[str, typer.Option(help="sgd (with momentum), adam or adamw.")] = "sgd",
    dtype: Annotated[str | None, typer.Option(help="Of the input, as int64 for token ids.")] = None,
    picture: Annotated[str | None, typer.Option(metavar="FILE", help="Draw it: .svg, .png or .pdf.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Energy and time of training a network on this machine, layer by layer, before it runs.

    \b
    Example: wattmark predict model ResNet18 --input 3,32,32 --batch 64 --samples 50000 --epochs 20
    """
    from wattmark.predict.layers.question import predict_model
    from wattmark.predict.scores.keeping import keep

    kind = picture_kind(picture)
    answer = predict_model(
        network,
        shape_of(shape),
        batch=batch,
        samples=samples,
        epochs=epochs,
        optimizer=optimizer,
        dtype=dtype,
    )
    if picture is not None:
        _draw(answer, picture, kind)
    kept = keep(
        answer.prediction, "layers", subject={"network": network, "device": answer.device}, component="tree"
    )
    if not write_json(answer.as_dict(), json_path):
        _render(answer, picture)
        say_kept([kept])


def shape_of(text: str) -> tuple[int, ...]:
    """``3,32,32``. Raises ConfigError for a size that is no number: one energy is of one shape."""
    sizes = [size.strip() for size in text.replace("x", ",").split(",")]
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise ConfigError(
            f"--input {text} is not a shape of numbers above zero",
            hint="for example --input 3,32,32; where a length varies, predict each length that matters",
        )
    return tuple(int(size) for size in sizes)


def _draw(answer: ModelPrediction, path: str, kind: str) -> None:
    from wattmark.report.figures.layers import layer_costs

    write_picture(layer_costs(answer.layers, answer.training.steps).figure, path, kind)


def _render(answer: ModelPrediction, picture: str | None) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.predict.layers.calls import PHASES, Cost
    from wattmark.units import format_duration, format_energy, format_power

    steps, prediction = answer.training.steps, answer.prediction
    table = new_table(
        "layer", "functions", *PHASES, "energy", "share",
        numbers=(*PHASES, "energy", "share"), spare=("functions",),
    )  # fmt: skip
    rows = [row for row in answer.layers if row.phases]
    whole = sum((row.total.joules for row in rows), 0.0)
    shown = sorted(rows, key=lambda row: -row.total.joules)[:_MOST_ROWS]
    for row in (row for row in rows if row in shown):
        costs = [row.phases.get(phase, Cost()).joules * steps for phase in PHASES]
        table.add_row(
            plain(row.layer or "(whole network)"),
            plain(", ".join(row.functions)),
            *(format_energy(joules) if joules else "" for joules in costs),
            format_energy(row.total.joules * steps),
            f"{100 * row.total.joules / whole:.1f} %",
        )
    out = console()
    out.print(table)
    if len(rows) > len(shown):
        out.print(f"and {len(rows) - len(shown)} that cost less; all of them: --json -", style="dim")
    phases = [
        (phase, sum(row.phases.get(phase, Cost()).joules for row in rows) / max(whole, 1e-300))
        for phase in PHASES
    ]
    low, high = prediction.energy.interval(0.9)
    out.print(f"{plain(prediction.subject)}, on {plain(answer.device)}", soft_wrap=True)
    out.print(
        f"energy    {format_energy(prediction.energy.value)}  (90 %: {format_energy(low)} to {format_energy(high)})"
    )
    low, high = prediction.time.interval(0.9)
    out.print(
        f"CPU time  {format_duration(prediction.time.value)}  (90 %: {format_duration(low)} to {format_duration(high)})"
    )
    out.print(f"power     {format_power(prediction.power.value)} while it computes")
    out.print("          " + ", ".join(f"{phase} {100 * share:.0f} %" for phase, share in phases))
    for note in prediction.outside:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
    if picture is not None:
        out.print(f"drawn: {plain(picture)}", soft_wrap=True)
    out.print("predicted, not measured; loading of data is not in it", style="dim")
