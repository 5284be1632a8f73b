"""An energy over windows of eight bytes, learnt from valid inputs, that proposes bytes.

p(window) ~ exp f(window), learnt by noise-contrastive ranking against windows of which some bytes were replaced, half by
bytes of the same inputs and half by any (Ma and Collins, arXiv 1809.01812). A mutation draws bytes of one window from their
conditionals under exp(f / 2): flatter than the data, so that it stays near what is valid and yet leaves it. Every other
mutation is at random, since an energy of valid inputs would never leave them far enough.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from wattmark.workloads.ebm.fuzz.mutators import RandomMutator
from wattmark.workloads.ebm.methods.base import Trainer
from wattmark.workloads.ebm.networks import dense, run

WINDOW = 8
_STEPS, _BATCH, _NOISES = 300, 32, 7
_FLATTER = 0.5


class WindowEnergy(nn.Module):
    """f of windows (n, WINDOW) of byte values: (n,)."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = nn.Embedding(256, 8)
        self.layers = dense((8 * WINDOW, 64, 1))

    def forward(self, windows: Tensor) -> Tensor:
        """f."""
        return run(self.layers, self.bytes(windows).flatten(1))[:, 0]


class EnergyMutator:
    """Every other change as the energy proposes, the others at random."""

    def __init__(self, seeds: Sequence[bytes], seed: int) -> None:
        self._random = RandomMutator()
        self._chance = torch.Generator().manual_seed(seed)
        torch.default_generator.manual_seed(seed)
        self.energy = WindowEnergy()
        self._learn([bytes(one) + b"\0" * max(0, WINDOW - len(one)) for one in seeds])

    def _learn(self, seeds: Sequence[bytes]) -> None:
        rows = [one[at : at + WINDOW] for one in seeds for at in range(len(one) - WINDOW + 1)]
        known = torch.tensor(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, WINDOW), dtype=torch.int64)
        pool = known.flatten()
        trainer = Trainer(self.energy, rate=5e-3)
        for _ in range(_STEPS):
            good = known[torch.randint(0, len(known), (_BATCH,), generator=self._chance)]
            shape = (_BATCH, _NOISES, WINDOW)
            of_inputs = pool[torch.randint(0, len(pool), shape, generator=self._chance)]
            any_byte = torch.randint(0, 256, shape, generator=self._chance)
            seen = torch.rand(shape, generator=self._chance) < 0.5
            other = torch.where(seen, of_inputs, any_byte)
            replaced = torch.rand(shape, generator=self._chance) < 0.35
            noise = torch.where(replaced, other, good[:, None])
            all_of = torch.cat((good[:, None], noise), 1).flatten(0, 1)
            scores = self.energy(all_of).view(_BATCH, _NOISES + 1)
            trainer.descend(-torch.log_softmax(scores, 1)[:, 0].mean())

    @torch.no_grad()
    def conditional(self, window: bytes, place: int) -> Tensor:
        """The chances (256,) of a byte in a window, given the others, under exp(f / 2)."""
        windows = torch.tensor(list(window)).repeat(256, 1)
        windows[:, place] = torch.arange(256)
        return torch.softmax(self.energy(windows) * _FLATTER, 0)

    def mutate(self, data: bytes, rng: random.Random) -> bytes:
        """Bytes of one window drawn anew, or a change at random."""
        if len(data) < WINDOW or rng.random() < 0.5:
            return self._random.mutate(data, rng)
        changed = bytearray(data)
        at = rng.randrange(len(changed) - WINDOW + 1)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(WINDOW)
            chances = self.conditional(bytes(changed[at : at + WINDOW]), place)
            changed[at + place] = int(torch.multinomial(chances, 1, generator=self._chance))
        return bytes(changed)
