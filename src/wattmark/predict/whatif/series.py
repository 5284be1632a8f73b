"""A run's epochs as a series for charts: joules each and in all, with intervals, also beyond what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.predict.extrapolate import Epoch, future, settled_epochs
from wattmark.predict.whatif.outcome import EpochRow
from wattmark.predict.whatif.state import Step, product
from wattmark.quantity import Quantity

MOST_ROWS = 2_000


def rows(
    epochs: Sequence[Epoch], count: int, factors: Sequence[Step], run_s: Quantity | None
) -> tuple[EpochRow, ...]:
    """The series of ``count`` epochs under the factors of a scenario (but for its number of epochs).

    epochs: those that were measured. run_s: None where the run's times are not known. Of more than 2,000 epochs some
    are left out evenly; ``epoch`` tells which are there. Empty where there is nothing to tell later epochs from.
    """
    settled = settled_epochs(epochs)
    if not epochs or (count > len(epochs) and len(settled) < 2):
        return ()
    energy, time = Quantity.exact(1.0), Quantity.exact(1.0)
    for step in factors:
        energy, time = product(energy, step.energy, ""), product(time, step.duration, "")
    joules, seconds = [one.energy_j for one in settled], [one.duration_s for one in settled]
    sums_j = _running([one.energy_j for one in epochs], "J")
    sums_s = _running([one.duration_s for one in epochs], "s")
    next_j, next_s = (
        (future(joules, 1, "J", "extrapolated"), future(seconds, 1, "s", "extrapolated"))
        if count > len(epochs)
        else (joules[0], seconds[0])
    )
    every = max(1, -(-count // MOST_ROWS))
    found: list[EpochRow] = []
    for number in sorted({*range(every, count + 1, every), count}):
        more = number - len(epochs)
        if more <= 0:
            each_j, each_s = epochs[number - 1].energy_j, epochs[number - 1].duration_s
            until_j, until_s = sums_j[number - 1], sums_s[number - 1]
        else:
            each_j, each_s = next_j, next_s
            until_j = sums_j[-1] + future(joules, more, "J", "extrapolated")
            until_s = sums_s[-1] + future(seconds, more, "s", "extrapolated")
        ends_s = until_s + Quantity.exact(epochs[0].start_s, "s")
        found.append(
            EpochRow(
                number,
                product(each_j, energy, "J"),
                product(until_j, energy, "J"),
                None if run_s is None else product(each_s, time, "s"),
                None if run_s is None else product(ends_s, time, "s"),
                measured=more <= 0 and not factors,
                extrapolated=more > 0,
            )
        )
    return tuple(found)


def _running(parts: Sequence[Quantity], unit: str) -> list[Quantity]:
    found: list[Quantity] = []
    so_far = Quantity.exact(0.0, unit, parts[0].source if parts else "")
    for part in parts:
        so_far = so_far + part
        found.append(so_far)
    return found
