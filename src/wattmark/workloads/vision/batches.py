"""Arrays to batches of normalised tensors, in an order that a seed fixes, with or without worker
processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wattmark.workloads.vision.data.images import Float32, Images

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class _ByRows(Dataset[Batch]):
    """Whole batches by their rows, so that a worker prepares a batch at once; pixels are normalised here."""

    images: Images
    mean: Float32
    std: Float32

    def __getitem__(self, rows: Any) -> Batch:
        taken = self.images.take(rows)
        pixels = (taken.pixels - self.mean) / self.std
        return torch.as_tensor(pixels), torch.as_tensor(taken.labels)


class _Order(Iterable[list[int]]):
    """Rows of each batch; shuffled anew in every epoch by seed and epoch, shared out among ``processes``."""

    def __init__(self, length: int, batch_size: int, seed: int | None, rank: int, processes: int) -> None:
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.processes = rank, processes
        self.epoch = 0

    def __iter__(self) -> Iterator[list[int]]:
        if self.seed is None:
            order: list[int] = list(range(self.length))
        else:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = cast("Any", torch.randperm(self.length, generator=generator)).tolist()
        for start in range(0, self.length, self.batch_size):
            rows = order[start : start + self.batch_size]
            if len(rows) >= self.processes:  # every process must step as often as the others
                yield rows[self.rank :: self.processes]

    def __len__(self) -> int:
        whole, rest = divmod(self.length, self.batch_size)
        return whole + (rest >= self.processes)


class Batches:
    """Iterate over it once per epoch: (pixels (b, c, h, w) float32, labels (b,) int64) on the CPU.

    seed: None keeps the order of the images. Each of ``processes`` gets its share of every batch.
    """

    def __init__(
        self,
        images: Images,
        normalisation: tuple[Float32, Float32],
        batch_size: int,
        *,
        seed: int | None = None,
        workers: int = 0,
        pin: bool = False,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        rest = len(images) % batch_size
        self.samples = len(images) - (rest if rest < processes else 0)
        self._order = _Order(len(images), batch_size, seed, rank, processes)
        self._loader: DataLoader[Batch] = DataLoader(
            _ByRows(images, *normalisation),
            sampler=cast("Sequence[Any]", self._order),
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin,
        )

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of epoch ``number``."""
        self._order.epoch = number
        yield from self._loader

    def __len__(self) -> int:
        return len(self._order)
