"""Training a small Llama from scratch on tasks, so that it can be repeated, interrupted and gone on with.

The batch of a step depends on the seed and the step's number only. A checkpoint is written every few seconds; what was
killed goes on from the last one and, trained by steps, ends with the same weights as if it had not been. Needs torch.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from wattmark.errors import ConfigError
from wattmark.reasoning import characters, modes, scoring, tasks
from wattmark.reasoning.modes import ANSWER, BUDGETS, STEPS, Mode
from wattmark.reasoning.network import Network, generate, parse_size, shape_for

VERSION = 1
"""Part of every file's name; raise it whenever the same plan would give other weights."""
DEFAULT_STEPS = 2_000
_CHECKPOINT_S = 10.0
_WARM_UP = 0.05
_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train. The length is ``steps``, or ``seconds`` of training on this machine; only steps can be repeated.

    task: of :data:`~wattmark.reasoning.tasks.TASKS` or ``GROUPS``. size: like ``0.5m``. batch: problems a step.
    """

    task: str = "arithmetic"
    size: str = "0.5m"
    steps: int | None = None
    seconds: float | None = None
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        tasks.group(self.task)
        parse_size(self.size)
        if self.steps is not None and self.seconds is not None:
            raise ConfigError("a training is so many steps or so many seconds long, not both")
        if (
            self.steps == 0
            or self.seconds == 0
            or min(self.steps or 1, self.seconds or 1) < 0
            or self.batch < 2
        ):
            raise ConfigError("a training needs at least one step or some seconds, and two problems a step")

    @property
    def length(self) -> str:
        """``2000-steps`` or ``60-seconds``."""
        return (
            f"{self.seconds:g}-seconds"
            if self.seconds is not None
            else f"{self.steps or DEFAULT_STEPS}-steps"
        )

    @property
    def name(self) -> str:
        """What files of this training are called; equal for equal plans only."""
        size = f"{parse_size(self.size) / 1e6:g}m"
        return f"trained-llama-{self.task}-{size}-{self.length}-batch{self.batch}-seed{self.seed}-v{VERSION}"


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """share: of the whole training, 0..1. loss: of this step, in nats per token. seconds: of training, earlier parts too."""

    step: int
    share: float
    loss: float
    seconds: float


@dataclass(slots=True)
class Trained:
    """The network and how it came about. losses: (step, loss), some fifty of them."""

    plan: Plan
    network: Network
    steps: int
    seconds: float
    losses: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def as_dict(self) -> dict[str, Any]:
        """What is kept beside the weights."""
        return {
            "plan": asdict(self.plan),
            "shape": asdict(self.network.shape),
            "parameters": self.network.shape.parameters,
            "steps": self.steps,
            "seconds": self.seconds,
            "losses": self.losses,
        }


def train(
    plan: Plan,
    checkpoint: Path | None = None,
    *,
    threads: int = 1,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> Trained:
    """Train as planned, going on from ``checkpoint`` if it is there; it is left in place at the end.

    Raises:
        ConfigError: the checkpoint cannot be read or written, or is of another plan.
    """
    state = _State.of(plan)
    if checkpoint is not None and checkpoint.exists():
        state.load(checkpoint)
    with _threads(threads):
        saved = begun = time.monotonic()
        before = state.trained.seconds
        while (share := _share(plan, state.trained)) < 1:
            loss = state.step(share)
            now = time.monotonic()
            state.trained.seconds = before + now - begun
            done = _share(plan, state.trained)
            if int(done * 50) > int(share * 50):
                state.trained.losses.append((state.trained.steps, loss))
            if checkpoint is not None and now - saved > _CHECKPOINT_S:
                state.save(checkpoint)
                saved = now
            if on_progress is not None:
                on_progress(
                    TrainingProgress(state.trained.steps, min(1.0, done), loss, state.trained.seconds)
                )
    if checkpoint is not None:
        state.save(checkpoint)
    return state.trained


def batch_of(plan: Plan, step: int) -> list[tuple[list[int], int]]:
    """The examples of a step: tokens, and how many of them are the prompt (begin included)."""
    rng = random.Random(f"{plan.seed} {step}")
    problems = islice(tasks.training_problems(tasks.group(plan.task), rng), plan.batch)
    return [example(problem, _mode(rng)) for problem in problems]


def example(problem: tasks.Problem, mode: Mode) -> tuple[list[int], int]:
    """A problem as tokens with the answer to be learned, and the length of its prompt."""
    asked = prompt_tokens(problem, mode)
    return [*asked, *characters.encode(modes.completion(problem, mode)), characters.END], len(asked)


def prompt_tokens(problem: tasks.Problem, mode: Mode) -> list[int]:
    """The compact prompt, with the begin token."""
    return [characters.BEGIN, *characters.encode(modes.prompt(problem, mode, "compact"))]


def load(plan: Plan, checkpoint: Path) -> Network:
    """The network of a checkpoint. Raises ConfigError if it cannot be read or is of another plan."""
    state = _State.of(plan)
    state.load(checkpoint)
    return state.trained.network


def evaluate(
    network: Network, problems: list[tasks.Problem], mode: Mode, *, threads: int = 1
) -> scoring.Score:
    """Accuracy and tokens of the network on problems, in torch and without a server."""
    asked = [prompt_tokens(problem, mode) for problem in problems]
    with _threads(threads):
        most = mode.max_tokens("compact")
        answers = generate(network, asked, most)
    replies = [
        scoring.Reply(
            problem, characters.decode(answer), min(len(answer) + 1, most)
        )  # the end is a token, too
        for problem, answer in zip(problems, answers, strict=True)
    ]
    return scoring.score(replies, "compact")


def _mode(rng: random.Random) -> Mode:
    return rng.choice((ANSWER, ANSWER, STEPS, STEPS, Mode("budget", rng.choice(BUDGETS))))


def _share(plan: Plan, trained: Trained) -> float:
    if plan.seconds is not None:
        return trained.seconds / plan.seconds
    return trained.steps / (plan.steps or DEFAULT_STEPS)


class _State:
    """All that goes on from step to step."""

    def __init__(self, trained: Trained, optimizer: torch.optim.AdamW) -> None:
        self.trained = trained
        self.optimizer = optimizer
        self._peak = 3e-3 * math.sqrt(64 / trained.network.shape.width)

    @classmethod
    def of(cls, plan: Plan) -> _State:
        network = Network(shape_for(parse_size(plan.size)), plan.seed)
        optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        return cls(Trained(plan, network, 0, 0.0), optimizer)

    def step(self, share: float) -> float:
        """One step; its loss in nats per token."""
        trained = self.trained
        rate = (
            self._peak
            * min(1.0, (share + 1e-3) / _WARM_UP)
            * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        examples = sorted(batch_of(trained.plan, trained.steps), key=lambda pair: len(pair[0]))
        counted = sum(len(tokens) - asked for tokens, asked in examples)
        self.optimizer.zero_grad()
        total = 0.0
        # Short and long examples apart, so that less of the work is padding.
        for part in (examples[: len(examples) // 2], examples[len(examples) // 2 :]):
            tokens, wanted = _padded(part)
            logits = trained.network(tokens)
            loss = (
                cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=_IGNORED, reduction="sum")
                / counted
            )
            torch.autograd.backward(loss)
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(trained.network.parameters(), 1.0)
        self.optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        trained.steps += 1
        return total

    def save(self, path: Path) -> None:
        trained = self.trained
        data = {
            "name": trained.plan.name,
            "network": trained.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": trained.steps,
            "seconds": trained.seconds,
            "losses": trained.losses,
        }
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(data, part)
            part.replace(path)
        except (OSError, RuntimeError) as error:  # torch says RuntimeError for a full disk
            part.unlink(missing_ok=True)
            raise ConfigError(f"the checkpoint cannot be written: {path}: {error}") from error

    def load(self, path: Path) -> None:
        try:
            data: dict[str, Any] = torch.load(path, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            raise ConfigError(
                f"the checkpoint cannot be read: {path}", hint="remove it to begin anew"
            ) from error
        if data["name"] != self.trained.plan.name:
            raise ConfigError(f"the checkpoint {path} is of another training: {data['name']}")
        self.trained.network.load_state_dict(data["network"])
        self.optimizer.load_state_dict(data["optimizer"])
        self.trained.steps, self.trained.seconds = data["steps"], data["seconds"]
        self.trained.losses = [(int(step), float(loss)) for step, loss in data["losses"]]


def _padded(examples: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    """Tokens (batch, length) and the wanted next tokens, ignored where they are prompt or padding."""
    length = max(len(tokens) for tokens, _ in examples) - 1
    given, wanted = list[list[int]](), list[list[int]]()
    for tokens, asked in examples:
        spare = length - len(tokens) + 1
        given.append(tokens[:-1] + [characters.END] * spare)
        wanted.append([_IGNORED] * (asked - 1) + tokens[asked:] + [_IGNORED] * spare)
    return torch.tensor(given), torch.tensor(wanted)


@contextmanager
def _threads(count: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
