"""``wattmark anatomy``: what a model is made of."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, say, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.anatomy import EstimatorAnatomy, ModelAnatomy

app = typer.Typer(rich_markup_mode=None)
_IMAGE = (3, 32, 32)


@app.command()
def anatomy(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="package.module:factory of a function that returns a model; or a network of ours (ResNet18, "
            "CNN:width=0.5), timm:NAME, hf:NAME.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="Shape of one sample, without the batch: 3,32,32. Several arguments: say it again; NAME=SHAPE for "
            "a named one. Networks of ours take 3,32,32 by default.",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE", help="Type of the input, as int64 for token ids; default: the model's own."
        ),
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show every layer.")] = False,
    zoo: Annotated[
        bool, typer.Option("--zoo", help="Count the fourteen networks beside what is published of them.")
    ] = False,
    json_path: JsonPath = None,
) -> None:
    """Show what a model is made of: parameters, multiply-accumulates (MACs), activations, bytes.

    \b
    Example: wattmark anatomy package.module:factory --input 3,32,32 --layers
    """
    if zoo and model is None:
        networks = _networks()
        if not write_json({"networks": networks}, json_path):
            _render_networks(networks)
        return
    if zoo or model is None:
        raise ConfigError(
            "say one of MODEL and --zoo", hint="wattmark anatomy ResNet18, or wattmark anatomy --zoo"
        )
    model_anatomy = _described(model, _shapes(inputs or []), dtype)
    for warning in getattr(model_anatomy, "warnings", ()):
        say(f"warning: {warning}")
    if not write_json(_data(model, model_anatomy), json_path):
        _render(model, model_anatomy, layers)


def _described(
    spec: str, shapes: dict[str, tuple[int, ...]] | list[tuple[int, ...]], dtype: str | None
) -> ModelAnatomy | EstimatorAnatomy:
    from wattmark.anatomy import call_factory, describe, load_factory
    from wattmark.workloads.vision.zoo import build, names, scalable_names

    head, colon, _ = spec.partition(":")
    ours = {name.casefold() for name in (*names(), *scalable_names(), "timm", "hf")}
    if colon and head.strip().casefold() not in ours:
        factory = load_factory(spec)
        missing = [
            name
            for name, parameter in _parameters(factory).items()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        if missing:
            raise ConfigError(
                f"{spec} cannot be called without {', '.join(missing)}",
                hint="name a function that needs no arguments and returns the model",
            )
        return describe(call_factory(spec, factory), shapes or None, dtype=dtype)
    shapes = shapes or [_IMAGE]
    (first, *_) = shapes.values() if isinstance(shapes, dict) else shapes
    if len(first) != 3:
        raise ConfigError(
            f"--input {','.join(map(str, first))}: {spec} takes images", hint="for example --input 3,32,32"
        )
    return describe(build(spec, in_channels=first[0], input_size=max(first[1:])), shapes, dtype=dtype)


def _parameters(factory: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(factory).parameters)
    except ValueError:  # some functions written in C do not tell
        return {}


def _shapes(words: list[str]) -> dict[str, tuple[int, ...]] | list[tuple[int, ...]]:
    """The shapes of ``--input``, named or in order."""
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for word in words:
        name, equals, text = word.rpartition("=")
        sizes = re.split(r"[,x]", text.replace(" ", "")) if text else []
        if (
            not sizes
            or not all(size.isdecimal() and int(size) > 0 for size in sizes)
            or (equals and not name)
        ):
            raise ConfigError(f"--input {word} is not a shape", hint="for example --input 3,32,32")
        shapes.append((name, tuple(int(size) for size in sizes)))
    named = {name: shape for name, shape in shapes if name}
    if named and len(named) < len(shapes):
        raise ConfigError("--input: some have a name", hint="name all of the inputs, or none of them")
    return named or [shape for _, shape in shapes]


def _data(spec: str, model_anatomy: ModelAnatomy | EstimatorAnatomy) -> dict[str, Any]:
    from wattmark.anatomy import ModelAnatomy

    data = {"model": spec, **asdict(model_anatomy)}
    if isinstance(model_anatomy, ModelAnatomy):
        data["macs_per_parameter"] = model_anatomy.macs_per_parameter
    return data


def _render(spec: str, model_anatomy: ModelAnatomy | EstimatorAnatomy, layers: bool) -> None:
    from wattmark.anatomy import ModelAnatomy, rows
    from wattmark.cli.terminal.table import new_table

    out = console()
    out.print(f"{plain(spec)} ({plain(model_anatomy.kind)})", style="bold")
    table_rows = rows(model_anatomy)
    if isinstance(model_anatomy, ModelAnatomy) and layers:
        columns = [name for name in table_rows[0] if name != "trainable_parameters"]
        table = new_table(*columns, numbers=("parameters", "macs", "activations"))
        for row in table_rows:
            table.add_row(*("" if row[name] is None else _number(row[name]) for name in columns))
        out.print(table)
    facts = asdict(model_anatomy)
    if isinstance(model_anatomy, ModelAnatomy):
        facts["macs_per_parameter"] = model_anatomy.macs_per_parameter
    texts = {
        name: _number(value)
        for name, value in facts.items()
        if value is not None and name not in ("kind", "layers", "warnings")
    }
    width = max((len(text) for text in texts.values()), default=0)
    for name, text in texts.items():
        out.print(f"  {_WORDS.get(name, name.replace('_', ' ')):<22} {text:>{width}}")


def _networks() -> list[dict[str, Any]]:
    from wattmark.anatomy import ModelAnatomy, describe
    from wattmark.workloads.vision.zoo import build
    from wattmark.workloads.vision.zoo.published import PUBLISHED

    build("LeNet")  # says what is missing where torch is
    import torch

    rows: list[dict[str, Any]] = []
    with (
        console(stderr=True).status("counting") as status,
        torch.device("meta"),
    ):  # shapes only: no weights to draw
        for name, (parameters, macs) in PUBLISHED.items():
            status.update(f"counting {name}")
            network = describe(build(name), _IMAGE)
            assert isinstance(network, ModelAnatomy)
            rows.append(
                {
                    "network": name,
                    "parameters": network.parameters,
                    "published_parameters": parameters,
                    "macs": network.macs,
                    "published_macs": macs,
                    "activations": network.activations,
                }
            )
    return rows


def _render_networks(networks: list[dict[str, Any]]) -> None:
    from wattmark.cli.terminal.table import new_table

    numbers = ("parameters", "published", "MACs", "published MACs")
    table = new_table("network", *numbers, numbers=numbers)
    apart: list[str] = []
    for row in networks:
        cells: list[str] = []
        for count in ("parameters", "macs"):
            counted, published = row[count], row[f"published_{count}"]
            cells += [_number(counted), _number(published)]
            if counted != published:
                apart.append(f"{row['network']}: {count} {100 * (counted / published - 1):+.3f} %")
        table.add_row(row["network"], *cells)
    out = console()
    out.print(table)
    out.print("One 3x32x32 image, ten classes; published: the networks of arXiv 2503.23934.")
    out.print("; ".join(apart) if apart else "All counts are the published ones.")


_WORDS = {"macs": "MACs", "macs_per_parameter": "MACs per parameter"}


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else plain(value)
