"""Runs, or groups of repeated runs, beside one of them: what is compared, what must not be, and the verdict in words.

The rule, for every surface: two things differ if the 95 % interval of their ratio leaves out 1. The interval has what
does not cancel between them (:mod:`wattmark.runs.differences`): of repeats their scatter, of single runs the run-to-run
scatter that one run does not show (:func:`repeat_error`). Where other work kept the machine of one of them busy, the
energies of the process trees are compared, not those of the machines. Energies of runs that counted different components
are not compared at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wattmark.quantity import REPEAT, Quantity, total
from wattmark.runs.attribution import Scope, attributed, contention, headline_scope
from wattmark.runs.differences import (
    Difference,
    counts_of,
    mean_with_scatter,
    of_quantities,
    of_repeats,
    times,
)
from wattmark.runs.metrics import Target, metrics_of
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.text import singular

PER = "energy_j/"
"""Measures whose name begins so are joules per something."""
TO = " to "
"""Measures with this in their name are joules or seconds up to a value of a metric: ``energy_j to accuracy>=0.95``."""
ACCURACY_POINTS = "accuracy points"
_NO_COUNTS = ("_s", "_j", "_w", "_ns")
"""Counts that end so are times, energies or powers, of which nothing is had for joules."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to compare: a run, or the repeats of one."""

    label: str
    views: tuple[RunView, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """An entry beside the reference.

    values: by measure (``energy_j``, ``power_w``, ``duration_s``, ``energy_j/samples`` ...); of repeats the mean with the
    95 % interval of the mean. gaps: ``entry - reference`` where both have the measure. refused: why energies are not
    compared, None if they are. notes: why not to compare without a second thought. scope: whose energies these are.
    """

    entry: Entry
    values: Mapping[str, Quantity]
    gaps: Mapping[str, Difference] = field(default_factory=dict[str, Difference])
    refused: str | None = None
    notes: tuple[str, ...] = ()
    scope: Scope = "machine"

    def verdict(self, measure: str = "energy_j") -> str:
        """In words, about one measure."""
        if self.refused is not None and measure != "duration_s":
            return f"not comparable: {self.refused}"
        return verdict(self.gaps.get(measure), measure)


def verdict(gap: Difference | None, measure: str = "energy_j") -> str:
    """``3.62 times [2.10, 6.24]: more, clearly``, ``... : not distinguishable``, or why nothing can be said."""
    if gap is None:
        return f"not comparable: the {_WORDS.get(measure, 'value')} of one is not known"
    begin = "" if gap.ratio is None else f"{times(gap.ratio)}: "
    if not gap.clear:
        return f"{begin}not distinguishable"
    return f"{begin}{'more' if gap.value > 0 else 'less'}, clearly"


_WORDS = {"energy_j": "energy", "power_w": "power", "duration_s": "time"}


def compare(
    entries: Sequence[Entry],
    reference: int = 0,
    components: Iterable[str] | None = None,
    target: Target | None = None,
) -> list[Row]:
    """Every entry against one of them. components: count only these (those that all have make any runs comparable).
    target: compare also what it took to reach this value of a metric."""
    only = None if components is None else frozenset(components)
    scope = scope_of([view for entry in entries for view in entry.views])
    values = [
        [
            {**values_of(view, only, scope), **({} if target is None else reached(view, target, scope))}
            for view in entry.views
        ]
        for entry in entries
    ]
    base = entries[reference]
    return [
        Row(
            entry,
            {name: mean_with_scatter([row[name] for row in group]) for name in _common(group)},
            _gaps(base, values[reference], entry, group, refusal(base, entry, only), scope),
            refusal(base, entry, only),
            notes_on(base, entry, only, scope),
            scope,
        )
        for entry, group in zip(entries, values, strict=True)
    ]


def parts_of(measure: str) -> tuple[str, str]:
    """A measure's quantity and what it is of, in words: ``("energy_j", "per sample")``, ``(..., "to loss<=0.3")``."""
    if measure.startswith(PER):
        return "energy_j", f"per {singular(measure.removeprefix(PER)).replace('_', ' ')}"
    quantity, to, target = measure.partition(TO)
    return quantity, f"to {target}" if to else ""


def scope_of(views: Iterable[RunView]) -> Scope:
    """``tree`` where other work kept the machine of one of them busy and the process tree of each is known."""
    some = list(views)
    has_tree = all(attributed(view) is not None for view in some)
    scopes = {headline_scope(contention(view.record), has_tree) for view in some}
    return "tree" if "tree" in scopes else "machine"


def values_of(
    view: RunView, components: frozenset[str] | None = None, scope: Scope = "machine"
) -> dict[str, Quantity]:
    """Time, energy, mean power over the covered time, and energy per count, of one run."""
    length_s = view.record.duration_s
    values = {"duration_s": Quantity.exact(length_s, "s")}
    energy = energy_of(view, components, scope)
    if energy is None:
        return values
    values["energy_j"] = energy
    if length_s > 0 and view.coverage > 0:
        values["power_w"] = (energy / (length_s * view.coverage)).with_unit("W")
    for name, count in denominators(view.record).items():
        values[PER + name] = energy / count
    return values


def energy_of(
    view: RunView, components: frozenset[str] | None = None, scope: Scope = "machine"
) -> Quantity | None:
    """The run's counted energy in J (or its process tree's), or the part of it that some components used."""
    if scope == "tree":
        share = attributed(view)
        if share is None:
            return None
        return total(
            [part for name, part in share.by_component.items() if components is None or name in components]
        )
    if components is None:
        return view.energy
    return total(
        [
            view.energy_by_component[name]
            for name in methods_of(view)
            if name in components and name in view.energy_by_component
        ]
    )


def energy_until(view: RunView, moment_s: float, scope: Scope = "machine") -> Quantity | None:
    """Joules from the run's start to a moment, the machine's or the process tree's; None where nothing was covered."""
    if scope == "machine":
        return view.energy_between(0.0, moment_s)
    record = view.record
    end_ns = record.start_ns + round(min(max(0.0, moment_s), record.duration_s) * 1e9)
    share = attributed(view, record.start_ns, end_ns)
    return None if share is None else share.energy


def reached(view: RunView, target: Target, scope: Scope = "machine") -> dict[str, Quantity]:
    """Joules and seconds that it took a run to reach a value of a metric, by measure; empty if it never did."""
    metric = metrics_of(view.record).get(target.metric)
    moment_s = None if metric is None else target.reached_s(metric)
    if moment_s is None:
        return {}
    energy = energy_until(view, moment_s, scope)
    values = {} if energy is None else {f"energy_j{TO}{target}": energy}
    return {**values, f"duration_s{TO}{target}": Quantity.exact(moment_s, "s")}


def repeat_error(view: RunView, *, of_tree: bool) -> float:
    """How far a run may be, as a share at 95 %, from the mean of its repeats, of which there are none.

    of_tree: of the process tree's energy; else of a time, or of what is made of time.

    Figures: benchmarks/repeats.py, repeats of several commands on shared machines: a few percent, a jitter of starting that
    short runs feel, and where others were busy more; the tree's CPU time feels its neighbours (caches, clocks, sibling
    threads), the time far more.
    """
    return run_to_run(view.record.duration_s, contention(view.record), of_tree=of_tree)


def run_to_run(duration_s: float, others: float | None, *, of_tree: bool) -> float:
    """The same of a run of some length, beside which ``others`` used a share of the machine."""
    jitter = _JITTER_S / max(duration_s, _JITTER_S)
    return math.sqrt(_RUN_TO_RUN**2 + jitter**2 + (_NEIGHBOURS[of_tree] * (others or 0.0)) ** 2)


_RUN_TO_RUN, _JITTER_S = 0.06, 0.03
_NEIGHBOURS = {True: 0.25, False: 1.2}


def denominators(record: RunRecord) -> dict[str, float]:
    """What a run's energy can be divided by: its spans' counts, its epochs, and the points of its accuracy in percent."""
    counts = {
        name: value
        for name, value in counts_of(record).items()
        if value > 0 and math.isfinite(value) and not name.endswith(_NO_COUNTS)
    }
    names = record.spans.names
    if "epochs" not in counts and "epoch" in names:
        counts["epochs"] = float((record.spans.name_ids == names.index("epoch")).sum())
    accuracy = accuracy_of(record)
    if accuracy:
        counts[ACCURACY_POINTS] = accuracy * 100
    return {name: value for name, value in counts.items() if value > 0}


def accuracy_of(record: RunRecord) -> float | None:
    """The accuracy (0..1) that a run reached: its ``extra.metrics``, else the last span that has an ``accuracy``."""
    metrics = record.extra.get("metrics")
    reading = metrics.get("accuracy") if isinstance(metrics, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(reading, Mapping):  # a series
        reading = metrics_of(record)["accuracy"].last
    if reading is None:
        said = [
            (int(record.spans.end_ns[row]), value)
            for row, detail in record.spans.details.items()
            for value in (detail.get("attrs", {}).get("accuracy"),)
            if isinstance(value, int | float)
        ]
        reading = max(said)[1] if said else None
    return float(reading) if isinstance(reading, int | float) and 0 < reading <= 1 else None


def methods_of(view: RunView) -> dict[str, str]:
    """The counted components with the method of each: ``{"cpu": "counter", "dram": "modelled"}``."""
    by_component: dict[str, dict[str, None]] = {}
    for curve in view.counted:
        by_component.setdefault(curve.curve.channel.component, {})[curve.curve.channel.method] = None
    return {component: " and ".join(sorted(methods)) for component, methods in by_component.items()}


def refusal(reference: Entry, entry: Entry, components: frozenset[str] | None = None) -> str | None:
    """Why the energies of two entries must not be compared, or None."""
    theirs, mine = _counted(reference, components), _counted(entry, components)
    parts = [
        f"{' and '.join(sorted(more))} counted only in {where}"
        for more, where in ((theirs - mine, "the reference"), (mine - theirs, "this"))
        if more and theirs and mine
    ]
    return "; ".join(parts) or None


def notes_on(
    reference: Entry, entry: Entry, components: frozenset[str] | None = None, scope: Scope = "machine"
) -> tuple[str, ...]:
    """Why the two should not be compared without a second thought."""
    notes: list[str] = []
    if scope == "tree":
        notes.append("other work kept a machine busy: the energies are those of the process trees")
    mine, theirs = (methods_of(side.views[0]) for side in (entry, reference))
    for component in sorted(mine.keys() | theirs.keys()):
        ours, other = mine.get(component, "not counted"), theirs.get(component, "not counted")
        if ours != other and (components is None or component in components):
            notes.append(f"{component} is {ours} here and {other} in the reference")
    hosts, there = ({view.record.host for view in side.views} for side in (entry, reference))
    if hosts != there:
        names = (" and ".join(sorted(host or "an unknown host" for host in some)) for some in (hosts, there))
        notes.append("it ran on {}, not {}".format(*names))
    covered = min(view.coverage for view in entry.views)
    if covered < 0.99:
        notes.append(f"only {covered * 100:.0f} % of its time is covered")
    return tuple(notes)


def _counted(entry: Entry, components: frozenset[str] | None) -> set[str]:
    """Components that every run of the entry counted."""
    shared = set(methods_of(entry.views[0]))
    for view in entry.views[1:]:
        shared &= set(methods_of(view))
    return shared if components is None else shared & components


def _common(rows: Sequence[Mapping[str, Quantity]]) -> list[str]:
    return [name for name in rows[0] if all(name in row for row in rows)]


def _gaps(
    base: Entry,
    reference: Sequence[Mapping[str, Quantity]],
    entry: Entry,
    values: Sequence[Mapping[str, Quantity]],
    refused: str | None,
    scope: Scope,
) -> dict[str, Difference]:
    names = [name for name in _common(values) if name in _common(reference)]
    if refused is not None:
        names = [name for name in names if name == "duration_s"]
    if len(reference) > 1 or len(values) > 1:
        return {
            name: of_repeats([run[name] for run in reference], [run[name] for run in values])
            for name in names
        }
    first, second = base.views[0], entry.views[0]
    if first is second:
        return {name: of_quantities(reference[0][name], values[0][name]) for name in names}
    gaps: dict[str, Difference] = {}
    for name in names:
        of_tree = scope == "tree" and name.startswith("energy_j")
        pair = [
            run[name].with_error(
                f"{REPEAT}/{view.id}", abs(run[name].value) * repeat_error(view, of_tree=of_tree)
            )
            for run, view in ((reference[0], first), (values[0], second))
        ]
        gaps[name] = of_quantities(*pair)
    return gaps
