"""``wattmark llm train``: small language models that can do sums, for the local server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, say, write_json
from wattmark.units import format_duration

if TYPE_CHECKING:
    from wattmark.reasoning.training import Plan, TrainingProgress
    from wattmark.serving.server.trained import TrainedModel

SAID_EVERY_S = 10.0


def train(
    task: Annotated[
        str, typer.Option(help="arithmetic, addition, multiplication, parity, sorting or words.")
    ] = "arithmetic",
    size: Annotated[
        list[str] | None, typer.Option(help="Parameters, like 0.1m; give it again for more models.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps; repeatable by seed.  [default: 2000]")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Train so long instead; not repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and problems.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; 1 is best where others work, too.")] = 1,
    test: Annotated[
        int, typer.Option(min=0, max=1000, help="Test problems per level and mode; 0 for no test.")
    ] = 50,
    json_path: JsonPath = None,
) -> None:
    """Train small character-level language models on tasks, from scratch, and write them as GGUF files.

    A model that is there already is not trained again; an interrupted training goes on. Serve one with
    local:PATH. They know compact prompts only: a12+34= asks for the answer, s12+34= for the steps, too.

    \b
    Example: wattmark llm train --task addition --size 0.1m --size 0.5m --seconds 60
    """
    from wattmark.serving.server.trained import ensure_trained

    _needs_torch()
    from wattmark.reasoning.training import Plan

    plans = [Plan(task, model_size, steps, seconds, seed) for model_size in size or ["0.1m", "0.5m", "2m"]]
    models: list[dict[str, Any]] = []
    for plan in plans:
        with _shown(plan) as on_progress:
            model = ensure_trained(plan, threads=threads, on_progress=on_progress)
        entry = {**model.details, "path": str(model.path), "test": tested(plan, model, test, threads)}
        models.append(entry)
    if not write_json({"models": models}, json_path):
        _render(models)


def tested(plan: Plan, model: TrainedModel, count: int, threads: int) -> list[dict[str, Any]]:
    """Accuracy and tokens by task, level and mode, on test problems, in torch (no server, no energy)."""
    if count == 0:
        return []
    from wattmark.reasoning import tasks
    from wattmark.reasoning.modes import Mode
    from wattmark.reasoning.training import evaluate, load
    from wattmark.serving.server.trained import trained_path

    network = load(plan, trained_path(plan).with_name(f"{plan.name}.checkpoint"))
    rows: list[dict[str, Any]] = []
    for name in tasks.group(plan.task):
        family = tasks.named(name)
        for level in range(family.tested[0], family.trained[-1] + 2):
            problems = tasks.problems(name, level, count)
            for mode in ("answer", "budget:16", "steps"):
                score = evaluate(network, problems, Mode.parse(mode), threads=threads)
                assert score.accuracy is not None
                rows.append(
                    {
                        "task": name,
                        "level": level,
                        "seen_in_training": family.seen(level),
                        "mode": mode,
                        "problems": score.asked,
                        "correct": score.correct,
                        "accuracy": score.accuracy.as_dict(),
                        "tokens_mean": score.tokens_mean,
                    }
                )
    return rows


@contextmanager
def _shown(plan: Plan) -> Generator[Callable[[TrainingProgress], None]]:
    """A bar on a terminal, a line now and then elsewhere; on standard error."""
    what = f"{plan.size} on {plan.task}"
    if not sys.stderr.isatty():
        said = -SAID_EVERY_S

        def line(progress: TrainingProgress) -> None:
            nonlocal said
            if progress.seconds - said >= SAID_EVERY_S or progress.share >= 1:
                said = progress.seconds
                say(f"{what}: {progress.share:.0%}, step {progress.step}, loss {progress.loss:.3f}")

        yield line
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console(stderr=True), transient=True) as bar:
        row = bar.add_task(what, total=1.0)
        yield lambda progress: bar.update(
            row, completed=progress.share, description=f"{what}, loss {progress.loss:.3f}"
        )


def _render(models: list[dict[str, Any]]) -> None:
    from wattmark.cli.terminal.table import new_table

    out = console()
    for model in models:
        plan = model["plan"]
        out.print(
            f"{plan['size']} on {plan['task']}: {model['parameters']:,} parameters, {model['steps']} steps in "
            f"{format_duration(model['seconds'])}"
        )
        out.print(f"  local:{model['path']}", soft_wrap=True)
    if not any(model["test"] for model in models):
        return
    table = new_table(
        "", "size", "task", "level", "mode", "accuracy", "tokens", numbers=("level", "accuracy", "tokens")
    )
    for model in models:
        for row in model["test"]:
            share = row["accuracy"]
            table.add_row(
                model["plan"]["size"],
                row["task"],
                f"{row['level']}{'' if row['seen_in_training'] else '*'}",
                row["mode"],
                f"{share['value']:.0%} [{share['low']:.0%}, {share['high']:.0%}]",
                f"{row['tokens_mean']:.1f}",
            )
    out.print(table)
    out.print("* longer than anything in training. Accuracy with Wilson's 95 % interval.")


def _needs_torch() -> None:
    from importlib.util import find_spec

    from wattmark.errors import MissingExtra

    if find_spec("torch") is None:
        raise MissingExtra("torch", "study")
