"""Changes of inputs: at random, or where and how an energy finds them likely."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

INTERESTING = (b"\0", b"\xff", b"\n", b"\r\n", b",", b'"', b"-1", b"nan", b"1e308", b"[" * 40, b"9" * 40)


class Mutator(Protocol):
    """Makes inputs of inputs."""

    def mutate(self, data: bytes, rng: random.Random) -> bytes:
        """Another input, at least a byte long."""
        ...


class RandomMutator:
    """One to four changes: a byte, a run of bytes left out, doubled, moved, or something interesting put in."""

    def mutate(self, data: bytes, rng: random.Random) -> bytes:
        """At random."""
        changed = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(changed) + 1)
            until = min(len(changed), at + rng.randint(1, 8))
            kind = rng.randrange(5)
            if kind == 0 and at < len(changed):
                changed[at] = rng.randrange(256)
            elif kind == 1 and len(changed) > 8:
                del changed[at:until]
            elif kind == 2:
                changed[at:at] = changed[at:until]
            elif kind == 3:
                to = rng.randrange(len(changed) + 1)
                changed[to:to] = changed[at:until]
            else:
                changed[at:at] = rng.choice(INTERESTING)
        return bytes(changed[:4_096]) or b"\0"


def mutator_of(name: str, seeds: Sequence[bytes], seed: int) -> Mutator:
    """``random`` or ``energy``, the latter learnt from the seeds (which takes some seconds, and torch)."""
    if name == "random":
        return RandomMutator()
    from wattmark.workloads.ebm.fuzz.windows import EnergyMutator

    return EnergyMutator(seeds, seed)
