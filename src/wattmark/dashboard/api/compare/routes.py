"""Runs beside each other: normalised, with intervals and a verdict in words, by the rule of ``wattmark compare``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from wattmark.dashboard.api.compare.configuration import Group, differences
from wattmark.dashboard.api.runs.table import RunId
from wattmark.dashboard.context import Here
from wattmark.errors import ConfigError
from wattmark.quantity import KINDS, Quantity, total
from wattmark.runs.attribution import Scope, attributed
from wattmark.runs.comparison import ACCURACY_POINTS, PER, Entry, Row, compare, denominators, methods_of
from wattmark.runs.differences import Difference, times
from wattmark.runs.view import RunView
from wattmark.text import singular

router = APIRouter(tags=["compare"])
MOST = 60
Refs = Annotated[list[RunId], Query(min_length=1, max_length=MOST, description="Ids of runs.")]
_NOT_CONFIGURATION = frozenset({"repeat", "seed", "rep", "run", "trial", "attempt"})
"""Tags that tell the repeats of one configuration apart."""
_USUAL = ("samples", "tokens", "output_tokens", "epochs", "requests", "correct", ACCURACY_POINTS)


class Gap(BaseModel):
    """``entry - baseline``: value and interval, the same in percent of the baseline, and whether it is more than noise.

    ratio: ``entry / baseline``, None where the baseline may be 0. common: what errs alike in both and cancels, in words.
    rests_on: what would have to be wrong for it to be otherwise, in words.
    """

    value: float
    low: float
    high: float
    percent: tuple[float, float, float] | None
    ratio: Quantity | None
    clear: bool
    common: list[str]
    rests_on: list[str]


class Value(BaseModel):
    """One measure of one entry."""

    amount: Quantity | None
    difference: Gap | None
    verdict: str


class ComponentMethod(BaseModel):
    """A component of the energy and how its joules were got."""

    component: str
    method: str
    energy: Quantity | None


class EntryRun(BaseModel):
    """A run of an entry."""

    id: str
    name: str
    status: str
    started_ms: int


class Compared(BaseModel):
    """An entry: a run, or the repeats of one. key: the id of its (first) run. values: by measure. measured, modelled,
    components: of its first run, of the scope that is compared."""

    key: str
    label: str
    host: str
    runs: list[EntryRun]
    coverage: float
    measured: Quantity | None
    modelled: Quantity | None
    components: list[ComponentMethod]
    values: dict[str, Value]
    refused: str | None
    notes: list[str]
    sentence: str


class Measure(BaseModel):
    """Something to compare by. why: the reason why it is not offered, null if it is."""

    id: str
    label: str
    unit: str
    why: str | None


class Different(BaseModel):
    """A setting, version or fact that is not the same in all; one value for each entry (null: not there)."""

    group: Group
    name: str
    values: list[str | None]


class Comparison(BaseModel):
    """Entries beside the baseline. scope: whose energies these are, the machines' or the process trees'. shared: components
    that all counted; only: those that the energies are cut down to."""

    baseline: str
    scope: Scope
    entries: list[Compared]
    measures: list[Measure]
    differs: list[Different]
    same: int
    shared: list[str]
    components: list[str]
    only: list[str] | None
    repeats: bool
    spans: list[str]
    rule: str


@router.get("/compare")
def compare_runs(
    here: Here,
    run: Refs,
    baseline: Annotated[
        RunId | None, Query(description="The run to compare with; the first by default.")
    ] = None,
    repeats: Annotated[bool, Query(description="Repeats of one configuration are one entry.")] = False,
    only: Annotated[
        list[Annotated[str, Query(max_length=40)]] | None,
        Query(max_length=10, description="Count only these components."),
    ] = None,
) -> Comparison:
    """Compare runs, or groups of repeats, with one of them."""
    views = [here.runs.view(ref) for ref in dict.fromkeys(run)]
    entries = grouped(views) if repeats else [Entry(view.name, (view,)) for view in views]
    at = _place(entries, baseline)
    counted = {component for view in views for component in methods_of(view)}
    strange = sorted(set(only or ()) - counted)
    if strange:
        raise ConfigError(
            f"none of these runs counted {strange[0]!r}", hint=f"they counted {', '.join(sorted(counted))}"
        )
    shared = sorted(counted.intersection(*(methods_of(view) for view in views)))
    rows = compare(entries, at, only or None)
    different, same = differences([entry.views[0] for entry in entries])
    chosen = set(only) if only else None
    return Comparison(
        baseline=entries[at].views[0].id,
        scope=rows[at].scope,
        entries=[_compared(row, rows[at], index == at, chosen) for index, row in enumerate(rows)],
        measures=measures(rows),
        differs=[Different(group=group, name=name, values=values) for group, name, values in different],
        same=same,
        shared=shared,
        components=sorted(counted),
        only=sorted(only) if only else None,
        repeats=repeats,
        spans=sorted({name for view in views for name in view.record.spans.names})[:200],
        rule="Two differ if the 95 % interval of their ratio leaves out 1. What errs alike in both (the scale of one "
        "sensor) cancels; of repeats their scatter counts (Welch), of single runs what one run does not show.",
    )  # fmt: skip


def grouped(views: Sequence[RunView]) -> list[Entry]:
    """Runs of one name, machine and set of tags (those that tell repeats apart left out) are repeats of each other."""
    groups: dict[tuple[object, ...], list[RunView]] = {}
    for view in views:
        tags = sorted(
            (key, value) for key, value in view.record.tags.items() if key not in _NOT_CONFIGURATION
        )
        groups.setdefault((view.name, view.record.host, *tags), []).append(view)
    return [Entry(some[0].name, tuple(some)) for some in groups.values()]


def measures(rows: Sequence[Row]) -> list[Measure]:
    """Joules, watts, seconds, and joules per whatever any of them counted; offered where all of them did."""
    names = {name for row in rows for view in row.entry.views for name in _counted_by(view)}
    ordered = [name for name in _USUAL if name in names] + sorted(names - set(_USUAL))
    absent = [name for name in _USUAL if name not in names]
    choices = [
        Measure(id="energy_j", label="energy", unit="J", why=_why(rows, "energy_j")),
        Measure(id="power_w", label="mean power", unit="W", why=_why(rows, "power_w")),
        Measure(id="duration_s", label="time", unit="s", why=None),
    ]
    for name in (*ordered, *absent):
        why = _why(rows, PER + name) if name in names else _NOBODY.get(name, _NOBODY[""])
        choices.append(Measure(id=PER + name, label=f"energy per {per(name)}", unit="J", why=why))
    return choices


_NOBODY = {
    ACCURACY_POINTS: "no run says what accuracy it reached (an attribute `accuracy` of a span does)",
    "epochs": "no run has spans called epoch",
    "": "no span of these runs counts them (run.span(..., counts) does)",
}


def per(name: str) -> str:
    """The name of one of what a count counts."""
    return "correct answer" if name == "correct" else singular(name).replace("_", " ")


def _counted_by(view: RunView) -> list[str]:
    return list(denominators(view.record))


def _why(rows: Sequence[Row], measure: str) -> str | None:
    without = [row.entry.label for row in rows if measure not in row.values]
    if not without:
        return None
    more = f" and {len(without) - 3} more" if len(without) > 3 else ""
    return f"not known in {', '.join(without[:3])}{more}"


def _place(entries: Sequence[Entry], baseline: str | None) -> int:
    for index, entry in enumerate(entries):
        if baseline is None or any(view.id == baseline for view in entry.views):
            return index
    raise ConfigError(
        f"the baseline {baseline!r} is none of the runs", hint="it must be one of those that are compared"
    )


def _compared(row: Row, base: Row, is_base: bool, only: set[str] | None) -> Compared:
    views = row.entry.views
    first = views[0]
    shown = _components(first, row.scope)
    return Compared(
        key=first.id,
        label=row.entry.label,
        host=first.record.host,
        runs=[
            EntryRun(id=view.id, name=view.name, status=view.record.status, started_ms=view.record.started_wall_ns // 10**6)
            for view in views
        ],
        coverage=min(view.coverage for view in views),
        measured=_part(first, row.scope, only, modelled=False),
        modelled=_part(first, row.scope, only, modelled=True),
        components=shown,
        values={
            name: Value(
                amount=quantity,
                difference=None if is_base else _gap(row.gaps.get(name)),
                verdict="the baseline" if is_base else row.verdict(name),
            )
            for name, quantity in row.values.items()
        },
        refused=None if is_base else row.refused,
        notes=list(row.notes),
        sentence="" if is_base else sentence(row, base),
    )  # fmt: skip


def _components(view: RunView, scope: Scope) -> list[ComponentMethod]:
    """The counted components of one run, each with its energy: the machine's, or the process tree's."""
    share = attributed(view) if scope == "tree" else None
    energies = view.energy_by_component if share is None else share.by_component
    return [
        ComponentMethod(component=component, method=method, energy=energies.get(component))
        for component, method in methods_of(view).items()
    ]


def _part(view: RunView, scope: Scope, only: set[str] | None, *, modelled: bool) -> Quantity | None:
    """The joules of one run that were modelled, or those that were not."""
    if scope == "tree":
        own = [
            component for component in _components(view, scope) if only is None or component.component in only
        ]
        return total(
            [
                component.energy
                for component in own
                if component.energy and (component.method == "modelled") == modelled
            ]
        )
    return total(
        [
            view.energy_by_channel[curve.curve.channel.id]
            for curve in view.counted
            if (curve.curve.channel.method == "modelled") == modelled
            and curve.curve.channel.id in view.energy_by_channel
            and (only is None or curve.curve.channel.component in only)
        ]
    )


def sentence(row: Row, base: Row) -> str:
    """The verdict on the energy as a whole sentence."""
    mine, theirs = row.entry.label, base.entry.label
    if row.refused is not None:
        return f"The energies of {mine} and {theirs} cannot be compared: {row.refused}."
    gap = row.gaps.get("energy_j")
    if gap is None:
        return f"The energy of {mine} or of {theirs} is not known."
    begin = "" if gap.ratio is None else f"{times(gap.ratio)} the energy of {theirs}: "
    if not gap.clear:
        return f"{mine} used {begin or 'energy that is '}not distinguishable."
    more = "more" if gap.value > 0 else "less"
    because = (
        f" It would be otherwise only if this were wrong: {', '.join(gap.rests_on)}." if gap.rests_on else ""
    )
    return f"{mine} used {begin}{more}, clearly.{because}"


def _gap(gap: Difference | None) -> Gap | None:
    return (
        None
        if gap is None
        else Gap(
            value=gap.value,
            low=gap.low,
            high=gap.high,
            percent=gap.percent,
            ratio=gap.ratio,
            clear=gap.clear,
            common=[KINDS.get(kind, (kind, ""))[0] for kind in gap.common],
            rests_on=list(gap.rests_on),
        )
    )
