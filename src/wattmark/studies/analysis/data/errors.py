"""What the numbers of a trial may be wrong by, as named errors: what two cells have in common cancels between them."""

from __future__ import annotations

import math

from wattmark.quantity import EDGES, SCALE, Quantity, Shift, spread
from wattmark.studies.results import TrialResult


def energy_of(trial: TrialResult, component: str = "total", *, of_machine: bool = False) -> Quantity | None:
    """The trial's energy in J, or that of one component; the machine's, also where the study is one of process trees, for
    what a workload makes of all that was measured. Records of old versions have no terms: all that they may be wrong by is
    then taken to be the scale of the host's sensor."""
    energies = trial.machine_j if of_machine and trial.machine_j is not None else trial.energy_j
    part = (energies or {}).get(component)
    if part is None:
        return None
    host = trial.host or f"?{trial.trial_id}"
    return Quantity.from_dict(part, error=f"{SCALE}/{host}/{component}").bounded(0.0)


def with_errors_of(
    energy: Quantity,
    value: float,
    unit: str,
    *,
    ends: tuple[float, float] | None = None,
    own: str = EDGES,
) -> Quantity:
    """A number that is made of a part of the energy: it shares, relatively, the energy's errors, except its edges.

    ends: of its own 95 % interval, where that is known. What the shared errors do not account for in it is one more
    error, named ``own``; where they would make it wider, they are made smaller alike.
    """
    exact = Quantity.exact(value, unit)
    if energy.value <= 0 or value <= 0:
        return exact
    terms = (energy.without(EDGES) * (value / energy.value)).terms
    if ends is None or not all(map(math.isfinite, ends)):
        return Quantity(value, unit=unit, terms=terms, at_least=0.0)
    room = max(0.0, value - ends[0]), max(0.0, ends[1] - value)
    reach = spread(terms.values())
    fit = tuple(min(1.0, most / far) if far > 0 else 1.0 for most, far in zip(room, reach, strict=True))

    def fitted(shift: float) -> float:
        return shift * (fit[0] if shift < 0 else fit[1])

    shared: dict[str, Shift] = {name: (fitted(down), fitted(up)) for name, (down, up) in terms.items()}
    rest = [
        math.sqrt(max(0.0, most**2 - far**2)) for most, far in zip(room, spread(shared.values()), strict=True)
    ]
    whole = Quantity(value, unit=unit, terms=shared, at_least=0.0)
    return whole.with_error(own, *rest) if max(rest) > 1e-9 * value else whole
