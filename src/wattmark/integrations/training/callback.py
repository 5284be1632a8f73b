"""What the callbacks of all frameworks take and have."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from wattmark.integrations.training.session import Training

if TYPE_CHECKING:
    from wattmark.integrations.trackers.base import Tracker
    from wattmark.predict.base import Prediction
    from wattmark.quantity import Quantity
    from wattmark.tracker.run import Run


class EnergyHooks:
    """Options and answers of an energy callback.

    name: of the run (default: the script's). tags: words or pairs to find it by. steps: whether each step is a span.
    training: a name by which runs belong together where the framework keeps no state of callbacks over a restart.
    trackers: who is told of joules; by default those that the framework or this process has open. budget: such as
    ``"50kJ"``. stop_over_budget: end the training where the budget will not hold. Raises ConfigError for a budget that
    is no energy.
    """

    training: Training
    stop_over_budget: bool

    def __init_subclass__(cls, **options: Any) -> None:
        """Hooks of the callbacks here never raise; those that a user writes in a class of his own are his."""
        super().__init_subclass__(**options)
        if cls.__module__.startswith("wattmark."):
            for name, method in list(vars(cls).items()):
                if isfunction(method) and (name.startswith("on_") or name == "teardown"):
                    setattr(cls, name, unbreaking(method))

    def set_up(
        self,
        name: str | None = None,
        *,
        tags: Mapping[str, object] | None = None,
        steps: bool = True,
        training: str | None = None,
        trackers: Sequence[Tracker] | None = None,
        budget: str | None = None,
        stop_over_budget: bool = False,
    ) -> None:
        """Take the options."""
        self.stop_over_budget = stop_over_budget
        self.training = Training(
            name, tags=tags, steps=steps, training=training, trackers=trackers, budget=budget
        )

    @property
    def run(self) -> Run | None:
        """The run of the training that goes on or went last; None before the first."""
        return self.training.run

    @property
    def energy(self) -> Quantity | None:
        """Joules so far, those of before a resumed checkpoint included; None where nothing is measured."""
        return self.training.energy

    @property
    def prediction(self) -> Prediction | None:
        """What the training will have cost, as of the last look; None while nothing can be said."""
        return self.training.prediction

    @property
    def must_stop(self) -> bool:
        """Whether the budget will not hold and the training should end for it."""
        return self.stop_over_budget and bool(self.training.over_budget)


def local_ranks() -> int:
    """How many ranks of the job this host has, as launchers say it; 1 where none does."""
    given = os.environ.get("LOCAL_WORLD_SIZE", "")
    return int(given) if given.isdigit() and int(given) > 0 else 1


def samples_in(batch: Any) -> int | None:
    """The length of the first tensor in a batch, however it is nested; None where there is none, or where a batch does not
    say it in the usual way."""
    try:
        return _samples_in(batch)
    except Exception:  # noqa: BLE001 - a batch is of any kind, and its count is no reason to end a training
        return None


def _samples_in(batch: Any) -> int | None:
    shape = getattr(batch, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    if isinstance(batch, Mapping):
        batch = list(batch.values())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(batch, list | tuple):
        sizes = (_samples_in(item) for item in batch)  # pyright: ignore[reportUnknownVariableType]
        return next((size for size in sizes if size is not None), None)
    return None


def unbreaking(method: Callable[..., Any]) -> Callable[..., Any]:
    """A framework's hook that never raises: after the first failure nothing is measured any more, with a warning."""

    @wraps(method)
    def hook(self: EnergyHooks, *args: Any, **kwargs: Any) -> Any:
        if self.training.failed:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - measuring never breaks the training
            self.training.give_up(error)
            return None

    return hook
