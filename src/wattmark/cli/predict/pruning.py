"""``wattmark predict prune``: narrower networks under an energy budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.predict.layers import shape_of
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.predict.layers.pruning import Pruning


def prune(
    network: Annotated[
        str, typer.Argument(metavar="MODULE:FACTORY", help="What makes the network from a list of widths.")
    ],
    widths: Annotated[str, typer.Option(metavar="W,W,...", help="Of the full network.")],
    shape: Annotated[
        str, typer.Option("--input", metavar="SHAPE", help="Of one sample, without the batch.")
    ] = "3,32,32",
    share: Annotated[float, typer.Option(help="The budget: of the full network's energy.")] = 0.5,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Returns four tensors: inputs and classes to train on, and to test on.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help="Samples in a step.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Of the short training.")] = 3,
    optimizer: Annotated[
        str, typer.Option(help="sgd, adam or adamw: of the step that is measured.")
    ] = "adam",
    json_path: JsonPath = None,
) -> None:
    """Find the widths that take half the energy, train both networks for a while, and measure both.

    \b
    Example: wattmark predict prune mynet:build --widths 64,128,256 --input 1,8,8 --data mynet:load --share 0.5
    """
    from wattmark.predict.layers.question import predict_prune

    if not all(width.strip().isdecimal() for width in widths.split(",")):
        raise ConfigError(f"--widths {widths} are not numbers", hint="for example --widths 64,128,256")
    answer = predict_prune(
        network,
        [int(width) for width in widths.split(",")],
        shape_of(shape),
        share=share,
        data=data,
        batch=batch,
        epochs=epochs,
        optimizer=optimizer,
    )
    if not write_json(answer.as_dict(), json_path):
        _render(answer)


def _render(answer: Pruning) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration, format_energy

    numbers = ("a step, predicted", "measured", "CPU time", "accuracy")
    table = new_table("network", "widths", "a step, predicted", "90 %", *numbers[1:], numbers=numbers)
    for name, variant in (("full", answer.full), ("pruned", answer.pruned)):
        low, high = variant.predicted.interval(0.9)
        measured = variant.measured
        table.add_row(
            name,
            plain(",".join(map(str, variant.widths))),
            format_energy(variant.predicted.value),
            f"{format_energy(low)} to {format_energy(high)}",
            "" if measured is None else format_energy(measured.joules),
            "" if measured is None else format_duration(measured.seconds),
            "" if variant.accuracy is None else f"{100 * variant.accuracy:.1f} %",
        )
    out = console()
    out.print(table)
    measured = "" if answer.measured_share is None else f", {100 * answer.measured_share:.0f} % measured"
    out.print(f"energy of the pruned network: {100 * answer.predicted_share:.0f} % predicted{measured}")
    if answer.accuracy_lost is not None:
        out.print(f"accuracy lost: {100 * answer.accuracy_lost:.1f} points, both trained for as long")
