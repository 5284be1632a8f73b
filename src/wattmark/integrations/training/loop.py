"""A training loop of one's own: ``epochs`` and ``steps`` around its iterables say what hooks say elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from wattmark import documents
from wattmark.integrations.training.callback import EnergyHooks, local_ranks, samples_in

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")


class Loop(EnergyHooks):
    """``with Loop() as energy: for epoch in energy.epochs(range(3)): for batch in energy.steps(loader): ...``

    Options: :class:`EnergyHooks`. It can be registered where checkpoints are made: it has ``state_dict`` and
    ``load_state_dict``. main: whether this rank tells trackers; asked when the training begins.
    """

    def __init__(
        self, name: str | None = None, *, main: Callable[[], bool] = lambda: True, **options: Any
    ) -> None:
        self.set_up(name, **options)
        self._main = main
        self.global_step = 0

    def __enter__(self) -> Self:
        self.training.begin(main=self._main(), details={"stage": "training"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.training.end(error)

    def epochs(self, numbers: Iterable[_T]) -> Iterator[_T]:
        """Each round is an epoch."""
        if isinstance(numbers, Sized):
            self.training.expect(epochs=len(numbers))
        for place, number in enumerate(numbers):
            self.training.begin_epoch(number if isinstance(number, int) else place)
            yield number
            self.training.end_epoch(self.global_step)
            if self.must_stop:
                return

    def steps(self, batches: Iterable[_T]) -> Iterator[_T]:
        """Each round is a step; fetching its batch is the epoch's, as in the hooks of frameworks."""
        for batch in batches:
            self.training.begin_step()
            yield batch
            self.global_step += 1
            samples = samples_in(batch)
            self.training.end_step(None if samples is None else samples * local_ranks())
            if self.must_stop:
                return

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """``with energy.part("evaluate"): ...``: what is beside the steps."""
        self.training.begin_part(name)
        try:
            yield
        finally:
            self.training.end_part(name)

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Keep numbers with the run, and tell trackers the joules of this moment."""
        self.training.log(values, step=self.global_step if step is None else step)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"global_step": self.global_step, **self.training.state()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """From a checkpoint, before the training begins."""
        step = documents.number(state_dict.get("global_step"))
        self.global_step = 0 if step is None else int(step)
        self.training.restore(state_dict)
