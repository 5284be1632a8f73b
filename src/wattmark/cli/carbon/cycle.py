"""``wattmark cycle``: the energy of models over their whole life, and which is the cheapest for how much use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.lifecycle.cycle import Cycle
    from wattmark.lifecycle.cycle.question import Model, Origins
    from wattmark.quantity import Quantity

app = typer.Typer(rich_markup_mode=None)


@app.command()
def cycle(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="TOML: a table for each model, its stages as below."),
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL.STAGE=WHAT",
            help="Of data, search, experiments, training, compression, storage, inference. WHAT: run:REF, tag:K=V, "
            "study:NAME, or an energy: 12 kWh, 10-12 kWh, '11 kWh +-10%', '2 W x 30 d'. Of inference for one use: "
            "run:REF/samples, 0.3 J, '1.2 Wh/1000'. May be repeated; several of one stage add up.",
        ),
    ] = None,
    base: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="MODEL=BASE", help="Made from another one: it has that one's stages too."
        ),
    ] = None,
    quality: Annotated[
        list[str] | None, typer.Option(metavar="MODEL=X", help="Its accuracy, 0 to 1, shown beside.")
    ] = None,
    uses: Annotated[
        list[str] | None,
        typer.Option(metavar="N[:WEIGHT]", help="Expected use: 1e6; several with weights for the score."),
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw energy over use.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Add up the stages of models' lives, and find which takes the least energy for how much use.

    Without FILE and --stage: from kept runs with the tags model and stage (--tag model=small --tag stage=training).

    \b
    Example: wattmark cycle --stage big.training=run:big --stage big.inference=2J
             --stage small.training='3 kWh' --stage small.inference=0.5J --uses 1e6
    """
    from wattmark.lifecycle.cycle.question import cycle as ask
    from wattmark.lifecycle.cycle.question import models_of

    if not stage and (base or quality):
        raise ConfigError("--from and --quality belong to models of --stage")
    models = models_of(stage, base or (), quality or ()) if stage else None
    if file is not None:
        told, expected = _read(file)
        models, uses = {**told, **(models or {})}, uses or expected
    answer = ask(models, uses=uses or ())
    if svg is not None:
        from wattmark.report.cycle import picture

        _put(svg, picture(answer))
    if not write_json(answer.as_dict(), json_path):
        _render(answer)


def _read(file: Path) -> tuple[dict[str, Model], list[str]]:
    """Models and usage of a TOML file. Raises ConfigError."""
    from wattmark.documents import is_mapping, items, number, text
    from wattmark.workspace.configuration import read_toml

    if not file.is_file():
        raise ConfigError(f"there is no file {file}")
    table = dict(read_toml(str(file)))
    uses = table.pop("uses", [])
    models: dict[str, Model] = {}
    for name, model in table.items():
        if not is_mapping(model):
            raise ConfigError(
                f"{file}: {name} is no model", hint=f'[{name}]  training = "12 kWh"  inference = "0.3 J"'
            )
        stages: dict[str, Origins | float] = {}
        for key, value in model.items():
            words = [one for item in items(value) if (one := text(item)) is not None]
            told = text(value) or number(value) or words
            if not told and told != 0.0:
                raise ConfigError(
                    f"{file}: {name}.{key} is {value!r}", hint='words: "12 kWh", or a list of such'
                )
            stages[key] = told
        models[name] = stages
    return models, [str(one) for one in (items(uses) or [uses])]


def _put(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def _render(answer: Cycle) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_energy

    out = console()
    last = [(uses, {one.name: energy for one, energy in answer.at(uses)}) for uses, _ in answer.usage]
    heads = [f"{count(uses)} uses" for uses, _ in last]
    scored = len(answer.usage) > 1 and len(answer.candidates) > 1
    names = ["model", "before use", "per use", *heads, *(["score"] if scored else [])]
    rated = any(one.quality is not None for one in answer.candidates)
    table = new_table(*names, *(["quality"] if rated else []), numbers=names[1:])
    for one in answer.candidates:
        cells = [plain(one.name), format_energy(one.fixed.value), format_energy(one.per_use.value)]
        cells += [format_energy(energies[one.name].value) for _, energies in last]
        cells += [f"{answer.score(one.name):.2f}"] if scored else []
        table.add_row(*cells, "" if one.quality is None else f"{one.quality:g}")
    out.print(table)
    if len(answer.candidates) > 1:
        for regime in answer.regimes:
            span = f"from {count(regime.start)}" if regime.start else "from the first use"
            until = "on" if regime.end is None else f"to {count(regime.end)} uses"
            words = "" if regime.clear is None else f" (clearly: {_clear(regime.clear)})"
            sure = " (never clearly)" if regime.clear is None else words
            out.print(f"{span} {until}: {plain(regime.name)} takes the least{sure}", soft_wrap=True)
        for one in answer.crossings:
            high = "no upper end" if one.high is None else count(one.high)
            out.print(
                f"{plain(one.after)} is below {plain(one.before)} from {count(one.uses)} uses on "
                f"[{count(one.low)}, {high}]",
                soft_wrap=True,
            )
    for made in answer.break_evens:
        paid = (
            "never pays" if made.paid is None and made.saved_per_use.value <= 0
            else "pays from the first use on" if made.paid is None
            else f"has paid after {count(made.paid.uses)} uses"
        )  # fmt: skip
        out.print(
            f"making {plain(made.name)} from {plain(made.base)} costs {_energy(made.cost)}, saves "
            f"{_energy(made.saved_per_use)} a use: {paid}",
            soft_wrap=True,
        )
    for uses, _ in answer.usage:
        _splits(answer, uses)
    for note in answer.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)


def _splits(answer: Cycle, uses: float) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.lifecycle.cycle.comparison import LITERATURE

    table = new_table(
        f"at {count(uses)} uses", "data", "experiments, training", "inference",
        numbers=("data", "experiments, training", "inference"),
    )  # fmt: skip
    for one in answer.candidates:
        part = answer.split(one.name, uses)
        if part is not None:
            table.add_row(
                plain(one.name), f"{part.data:.0%}", f"{part.training:.0%}", f"{part.inference:.0%}"
            )
    (of, shares, _), (of_power, power, _) = LITERATURE
    table.add_row(f"beside: {of}", *(f"{share:.0%}" for share in shares), style="dim")
    table.add_row(
        f"beside: {of_power}", "", f"{power[0]:.0%} + {power[1]:.0%}", f"{power[2]:.0%}", style="dim"
    )
    console().print(table)


def _clear(ends: tuple[float, float | None]) -> str:
    low, high = ends
    if high is None:
        return f"from {count(low)} on" if low else "all along"
    return f"{count(low)} to {count(high)}" if low else f"to {count(high)}"


def _energy(energy: Quantity) -> str:
    from wattmark.units import format_energy

    low, high = energy.interval()
    return f"{format_energy(energy.value)} [{format_energy(low, energy.value)}, {format_energy(high, energy.value)}]"


def count(number: float) -> str:
    """``1234567.0`` -> ``1.23 million``; a number of uses that people can say."""
    from wattmark.units import significant

    for size, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if abs(number) >= size:
            return f"{significant(number / size)}{word}"
    return significant(number)
