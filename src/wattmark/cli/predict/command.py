"""``wattmark predict``: joules before they are spent."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from wattmark.cli.predict import layers, pruning, scores, training
from wattmark.cli.predict.kept import say_kept
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.command()(scores.score)
app.command()(scores.fit)
app.command()(layers.model)
app.command()(training.training)
app.command()(pruning.prune)
app.add_typer(layers.app, name="layers")


@app.callback()
def predict() -> None:
    """Joules before they are spent: of a network, a model server, calls to hosted models; with intervals of 90 %.

    \b
    Example: wattmark predict llm llama-3.1-8b --gpu h100-sxm --concurrency 64 --input 500 --output 200
    """


@app.command()
def llm(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Of the table, or a config.json.")],
    gpu: Annotated[list[str] | None, typer.Option(help="Of the accelerator table; may be repeated.")] = None,
    gpus: Annotated[
        int | None, typer.Option(min=1, help="For one copy (default: the fewest that hold it).")
    ] = None,
    concurrency: Annotated[
        float | None, typer.Option(help="Requests in flight, on the mean (default: 32).")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", help="Requests a second, instead; how many are in flight follows."),
    ] = None,
    prompt: Annotated[float, typer.Option("--input", help="Tokens of a prompt.")] = 500,
    output: Annotated[float, typer.Option(help="Tokens of an answer.")] = 200,
    precision: Annotated[str, typer.Option(help="bf16, fp16, fp8, int8 or int4.")] = "bf16",
    engine: Annotated[str, typer.Option(help="vllm-v1 or vllm-0.5.")] = "vllm-v1",
    latency: Annotated[float | None, typer.Option(metavar="MS", help="Most for a token.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Energy, power and speed of serving language models, side by side.

    \b
    Example: wattmark predict llm qwen3-8b --gpu h100-sxm --gpu b200 --latency 20
    """
    from wattmark.errors import ConfigError
    from wattmark.predict.llm.question import cheapest, predict_llm
    from wattmark.predict.scores.keeping import keep
    from wattmark.units import format_duration, format_energy, format_power, significant

    if rate is not None and concurrency is not None:
        raise ConfigError("--rate and --concurrency say the same; give one of them")
    answers = predict_llm(
        models,
        gpu=gpu or ["h100-sxm"],
        concurrency=32 if concurrency is None else concurrency,
        rate=rate,
        input_tokens=prompt,
        output_tokens=output,
        gpus=gpus,
        precision=precision,
        engine=engine,
    )
    ids = [
        keep(one.request, "llm", subject={"server": str(one.subject)}, per="requests", component="gpu")
        for one in answers
    ]
    best = cheapest(answers, math.inf if latency is None else latency / 1000)
    data = {
        "predictions": [
            {**one.as_dict(), "prediction_id": kept} for one, kept in zip(answers, ids, strict=True)
        ],
        "cheapest": None
        if best is None
        else {"model": best.subject.model.name, "gpu": best.subject.hardware.id},
    }
    if write_json(data, json_path):
        return
    from wattmark.cli.terminal.table import new_table

    table = new_table(
        "model", "on", "in flight", "J/token", "90 %", "J/request", "power", "tokens/s", "per token", "mostly",
        numbers=("in flight", "J/token", "J/request", "power", "tokens/s", "per token"), spare=("in flight",),
    )  # fmt: skip
    for one in answers:
        low, high = one.token_j.interval(0.9)
        table.add_row(
            plain(one.subject.model.name),
            f"{one.subject.accelerators} x {one.subject.hardware.id}",
            significant(one.subject.concurrency * one.busy, 2),
            significant(one.token_j.value),
            f"{significant(low)} to {significant(high)}",
            format_energy(one.request.energy.value),
            format_power(one.request.power.value),
            significant(one.tokens_per_s.value),
            format_duration(one.token_s.value),
            one.dominant,
        )
    out = console()
    out.print(table)
    notes = [f"{one.subject}: {note}" for one in answers for note in one.notes]
    for note in notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
    if latency is not None or len(answers) > 1:
        name = "none" if best is None else plain(best.subject)
        limit = "" if latency is None else f" within {latency:g} ms a token"
        out.print(f"fewest joules{limit}: {name}")
    out.print("GPU only; modelled, not measured", style="dim")
    say_kept(ids)


@app.command()
def api(
    usage: Annotated[str, typer.Option(help="A log of calls, one JSON object a line.")],
    json_path: JsonPath = None,
) -> None:
    """Energy of calls to hosted models from their token counts.

    \b
    Example: wattmark predict api --usage usage.jsonl
    """
    from wattmark.predict.llm.usage import predict_api
    from wattmark.units import format_energy

    rows = predict_api(usage)
    if write_json({"models": [row.as_dict() for row in rows]}, json_path):
        return
    from wattmark.cli.terminal.table import new_table

    table = new_table("model", "calls", "energy", "90 %", "taken for", numbers=("calls", "energy"))
    for row in rows:
        low, high = row.energy.interval(0.9)
        spread = f"{format_energy(low)} to {format_energy(high)}"
        table.add_row(plain(row.model), str(row.calls), format_energy(row.energy.value), spread, row.assumed)
    out = console()
    out.print(table)
    out.print("GPU only; what a provider runs is not public, so the interval is wide", style="dim")
