"""``wattmark predict training``: a network on a GPU, nothing measured."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.predict.kept import say_kept
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json


def training(
    network: Annotated[str, typer.Option(help="Of the table, as resnet50; any other with its size.")],
    gpu: Annotated[str, typer.Option(help="Of the accelerator table.")],
    batch: Annotated[int, typer.Option(min=1, help="Images in a step.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    samples: Annotated[int, typer.Option(min=1, help="Images to train on in an epoch.")] = 50_000,
    validation: Annotated[int, typer.Option(min=0, help="Images to validate on in an epoch.")] = 0,
    image: Annotated[int, typer.Option(min=1, help="Pixels of a side of an image.")] = 224,
    parameters: Annotated[
        float | None, typer.Option(help="Of a network that is not in the table, as 25.6e6.")
    ] = None,
    macs: Annotated[
        float | None, typer.Option(help="Multiply-accumulates of one image (wattmark anatomy).")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="Layers of such a network, activations and norms counted.")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Energy, time and power of training an image classifier on a GPU that need not be here.

    \b
    Example: wattmark predict training --gpu rtx-3090 --network resnet50 --batch 32 --epochs 90
    """
    from wattmark.predict.environment.question import predict_training
    from wattmark.predict.scores.keeping import keep
    from wattmark.units import format_duration, format_energy, format_power

    answer = predict_training(
        network,
        gpu=gpu,
        batch=batch,
        samples=samples,
        validation=validation,
        epochs=epochs,
        image=image,
        parameters=parameters,
        macs=macs,
        depth=depth,
    )
    kept = keep(answer, "environment", subject={"network": network, "gpu": gpu}, component="gpu")
    if write_json(answer.as_dict(), json_path):
        return
    out = console()
    out.print(plain(answer.subject), soft_wrap=True)
    for name, quantity, shown in (
        ("energy", answer.energy, format_energy),
        ("time", answer.time, format_duration),
        ("power", answer.power, format_power),
    ):
        low, high = quantity.interval(0.9)
        out.print(f"{name:<7} {shown(quantity.value)}  (90 %: {shown(low)} to {shown(high)})")
    for note in answer.outside:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
    say_kept([kept])
    out.print(f"GPU only; predicted from {plain(answer.basis)}", style="dim", soft_wrap=True)
