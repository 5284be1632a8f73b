"""A run's epochs as a series for charts: joules each and in all, with intervals, also beyond what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.predict.answers import product
from wattmark.predict.extrapolate import Epoch, future, settled_epochs
from wattmark.predict.outcome import EpochRow
from wattmark.predict.state import Step
from wattmark.quantity import Quantity, total

MOST_ROWS = 2_000


def rows(
    epochs: Sequence[Epoch], factors: Sequence[Step], run_s: Quantity | None, measured: int
) -> tuple[EpochRow, ...]:
    """The series under the factors of a scenario (but for its number of epochs).

    run_s: None where the run's times are not known. measured: how many epochs ran. Of more than 2,000 epochs some
    are left out evenly; ``epoch`` tells which are there.
    """
    energy, time = Quantity.exact(1.0), Quantity.exact(1.0)
    for step in factors:
        energy, time = product(energy, step.energy, ""), product(time, step.duration, "")
    every = max(1, -(-len(epochs) // MOST_ROWS))
    shown = [place for place in range(len(epochs)) if (place + 1) % every == 0 or place == len(epochs) - 1]
    ran = [epoch for epoch in epochs if epoch.measured]
    settled = settled_epochs(ran) if ran else ()
    each = [_joules(epoch) for epoch in epochs]
    sums_j, sums_s = _running(each[: len(ran)], "J"), _running([epoch.duration_s for epoch in ran], "s")
    found: list[EpochRow] = []
    for place in shown:
        epoch = epochs[place]
        if place < len(ran):
            joules, seconds = sums_j[place], sums_s[place]
        else:
            more = place + 1 - len(ran)
            joules = sums_j[-1] + future([_joules(one) for one in settled], more, "J", "")
            seconds = sums_s[-1] + future([one.duration_s for one in settled], more, "s", "")
        found.append(
            EpochRow(
                epoch.number,
                product(each[place], energy, "J"),
                product(joules, energy, "J"),
                None if run_s is None else product(epoch.duration_s, time, "s"),
                None if run_s is None else product(seconds, time, "s"),
                measured=epoch.measured and not factors,
                extrapolated=epoch.number > measured,
            )
        )
    return tuple(found)


def _joules(epoch: Epoch) -> Quantity:
    return total(list(epoch.by_component.values())) or Quantity.exact(0.0)


def _running(parts: Sequence[Quantity], unit: str) -> list[Quantity]:
    found: list[Quantity] = []
    so_far = Quantity.exact(0.0, unit, parts[0].source if parts else "")
    for part in parts:
        so_far = so_far + part
        found.append(so_far)
    return found
