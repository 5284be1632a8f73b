"""A study arranged for its report: completed trials as columns, grouped by cell and by the thing under study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from wattmark.quantity import EDGES, OWN, REPEAT, SCATTER, Quantity
from wattmark.runs.comparison import run_to_run, verdict
from wattmark.runs.differences import Difference, mean_with_scatter, of_quantities, of_repeats
from wattmark.sources.base import COMPONENTS
from wattmark.statistics import Float64, Int64, Pooled
from wattmark.studies.analysis.data.cells import codes
from wattmark.studies.analysis.data.columns import Columns, Frame
from wattmark.studies.analysis.data.columns import frame as read_frame
from wattmark.studies.analysis.data.errors import energy_of, with_errors_of
from wattmark.studies.analysis.data.metrics import METRICS, metric_columns
from wattmark.studies.analysis.data.plain import plain_list, plain_mapping
from wattmark.studies.analysis.data.quality import UNIT_SHARES, Quality, quality_of
from wattmark.studies.results import StudyResults, TrialResult
from wattmark.text import clean

SUBJECTS = ("model", "architecture", "network", "estimator", "algorithm", "method", "tool")
LONGEST_LABEL = 34
DURATION = "total_duration_s"
"""Seconds of the whole trial."""
ENERGY = "total_energy"
"""Joules of the whole trial."""
CHEAPEST = "the cheapest"
"""The verdict on the cell beside which the others are told."""


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that belong together: those of one cell, or of one level of a factor. rows: places among the completed."""

    label: str
    levels: Mapping[str, Any]
    rows: Int64

    @property
    def count(self) -> int:
        """Number of trials."""
        return len(self.rows)


class StudyData:
    """Everything that the figures and tables of a study read. frame: its columns, if they have been read already."""

    def __init__(self, results: StudyResults, frame: Frame | None = None) -> None:
        self.results = results
        self.trials: list[TrialResult] = results.completed
        known = read_frame(self.trials) if frame is None else frame
        self.epochs, self.owner, raw = known.epochs, known.owner, known.columns
        self.columns: Columns = {**raw, **metric_columns(raw)}
        # The side series of the recorder; the analysis knows the older name only.
        used = np.array([trial.series.get("memory/used", math.nan) for trial in self.trials])
        self.columns["memory_used"] = np.where(np.isnan(used), raw["host_memory_used"], used)
        self.factors = [
            name for name in results.factors if len({str(t.factors.get(name)) for t in self.trials}) > 1
        ]
        self.subject = self._subject()
        self._reported_columns: dict[str, Float64] = {}
        self._known_ends: dict[str, tuple[Float64, Float64] | None] = {}
        self._means: dict[tuple[bytes, str], Quantity | None] = {}
        self._scatters: dict[str, Pooled | None] = {}

    @cached_property
    def cells(self) -> list[Group]:
        """One group per combination of levels, in the order of the design."""
        groups = self._groups(self.factors)
        return sorted(groups, key=lambda group: self.place(group.levels))

    def place(self, levels: Mapping[str, Any]) -> list[tuple[int, float, str]]:
        """What sorts cells by the order in which the design has their levels; those that it does not have come last, numbers
        by size."""
        for row, listed in enumerate(plain_list(self.results.design.get("trial"))):
            if all(plain_mapping(listed).get(name) == level for name, level in levels.items()):
                return [(0, row, "")]
        given = plain_mapping(self.results.design.get("factors"))
        return [_place(plain_list(given.get(name)), level) for name, level in levels.items()]

    @cached_property
    def models(self) -> list[Group]:
        """One group per level of the subject (the model, as a rule); cheapest first where energy is known."""
        groups = self._groups([self.subject] if self.subject else [])
        energy = {group.label: self.mean(group, "total_energy") for group in groups}
        return sorted(groups, key=lambda group: _value(energy[group.label]))

    @cached_property
    def cheapest(self) -> Group | None:
        """The cell whose trials use the fewest joules; None where fewer than two are known."""
        means = [(mean.value, cell) for cell in self.cells if (mean := self.mean(cell, ENERGY)) is not None]
        return min(means, key=lambda pair: pair[0])[1] if len(means) > 1 else None

    def beside_cheapest(self, group: Group) -> tuple[Difference | None, str]:
        """How the energy of a cell differs from that of the cheapest one, and the same in words; nothing of a cell without
        trials, or where fewer than two cells are known."""
        if self.cheapest is None or not group.count:
            return None, ""
        if self.cheapest.rows.tolist() == group.rows.tolist():
            return None, CHEAPEST
        found = self.difference(self.cheapest, group, ENERGY)
        return found, verdict(found)

    def by_factor(self, factor: str) -> list[Group]:
        """One group per level of a factor."""
        return self._groups([factor])

    @cached_property
    def components(self) -> list[str]:
        """Components that were measured or modelled in some trial, in the usual order."""
        found = {name for trial in self.trials for name in (trial.energy_j or {}) if name != "total"}
        return [*(name for name in COMPONENTS if name in found), *sorted(found.difference(COMPONENTS))]

    @cached_property
    def outcome(self) -> Quality | None:
        """What says how good a trial's outcome was, or None."""
        return quality_of(self.results.design, self.values)

    @property
    def quality(self) -> str | None:
        """Its name."""
        return None if self.outcome is None else self.outcome.name

    @cached_property
    def planned(self) -> int | None:
        """How many trials the design asks for, all machines together; None where the design does not say."""
        design = self.results.design
        factors, repeats = design.get("factors"), design.get("repeats")
        listed = design.get("trial")
        if not isinstance(repeats, int) or not (isinstance(factors, Mapping) or isinstance(listed, list)):
            return None
        sizes = [len(plain_list(levels)) for levels in plain_mapping(factors).values()]
        cells = len(plain_list(listed)) if design.get("combinations") == "listed" else math.prod(sizes)
        hosts = {trial.host for trial in self.results.trials if trial.host}
        return cells * repeats * max(1, len(hosts))

    def values(self, name: str) -> Float64:
        """One number per completed trial: a metric of the analysis, else one that the workload reported, else a column of
        what was read; NaN if missing."""
        if name in METRICS or name == DURATION or (name in self.columns and name not in self.reported):
            return self.columns[name]
        if name not in self._reported_columns:
            given = (trial.metrics.get(name) for trial in self.trials)
            self._reported_columns[name] = np.array(
                [math.nan if value is None else float(value) for value in given], np.float64
            )
        return self._reported_columns[name]

    @cached_property
    def reported(self) -> frozenset[str]:
        """The metrics that the workload gave some completed trial."""
        return frozenset(name for trial in self.trials for name in trial.metrics)

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """All metrics that some completed trial has a number for: the analysis' own, then the workload's."""
        ends = {name for name in self.reported if name.endswith(("_low", "_high"))}
        names = (*METRICS, DURATION, *sorted(self.reported - ends - METRICS.keys() - {DURATION}))
        return tuple(name for name in names if np.isfinite(self.values(name)).any())

    def component_j(self, component: str) -> tuple[Float64, Float64, Float64]:
        """Energy of one component (or ``total``) over the whole of each trial: value, low, high; NaN if missing."""
        parts = [(trial.energy_j or {}).get(component) for trial in self.trials]
        missing = {"value": math.nan, "low": math.nan, "high": math.nan}
        table = np.array([[(part or missing)[key] for key in ("value", "low", "high")] for part in parts])
        value, low, high = table.reshape(-1, 3).T
        return value, low, high

    def quantities(self, group: Group, name: str) -> list[Quantity]:
        """A metric of each of the group's trials that knows it. What is made of joules shares the errors of the trial's
        energy under their names, so that they cancel between cells."""
        values = self.values(name)
        unit = METRICS[name].unit if name in METRICS else unit_of(name)
        ends = self._ends(name)
        made_of = (
            _POWERS.get(name, "total") if name in _JOULES or name in _POWERS or of_joules(name) else None
        )
        share = name in UNIT_SHARES or (
            self.outcome is not None and self.outcome.share and name == self.outcome.name
        )
        told = made_of is not None and not (name in _JOULES or name in _POWERS)
        found: list[Quantity] = []
        rows: list[int] = group.rows.tolist()
        for row in rows:
            value = float(values[row])
            if not math.isfinite(value):
                continue
            own = None if ends is None else (float(ends[0][row]), float(ends[1][row]))
            energy = None if made_of is None else energy_of(self.trials[row], made_of, of_machine=told)
            if name in _JOULES or name in _POWERS:
                error = f"{EDGES}/{self.trials[row].trial_id}/{name}"
            else:  # beside the sensor: of the load and of its idle, which repeats may have in common
                error = f"{OWN}/{self._key(group)}/{name}"
            if energy is not None:
                one = with_errors_of(energy, value, unit, ends=own, own=error)
            elif own is not None and own[0] <= value <= own[1]:
                one = Quantity(value, *own, unit, error=error)
            else:
                one = Quantity.exact(value, unit)
            if share:
                one = one.bounded(0.0, 1.0)
            elif name.endswith("utilisation"):
                one = one.bounded(0.0, 100.0)
            elif value >= 0:
                one = one.bounded(0.0)
            found.append(one)
        return found

    def measured(self, name: str) -> list[Quantity | None]:
        """A metric that is made of joules, by completed trial with its errors; None where it is not known, and throughout
        where it is made of something else."""
        if not (name in _JOULES or name in _POWERS or of_joules(name)):
            return [None] * len(self.trials)
        rows = [Group("", {}, np.array([row], np.int64)) for row in range(len(self.trials))]
        return [next(iter(self.quantities(row, name)), None) for row in rows]

    def mean(self, group: Group, name: str) -> Quantity | None:
        """Mean of a metric over the group's trials: scatter of the repeats (Student), and what they share."""
        key = (group.rows.tobytes(), name)
        if key not in self._means:
            repeats = self.quantities(group, name)
            error = f"{SCATTER}/{self._key(group)}/{name}"
            self._means[key] = mean_with_scatter(repeats, error) if repeats else None
        return self._means[key]

    def expected(self, group: Group, name: str) -> Quantity | None:
        """What another mean over as many trials may be: of a single one with the scatter that it does not show."""
        mean = self.mean(group, name)
        return self._once(mean, group, name) if mean is not None and group.count == 1 else mean

    def difference(self, reference: Group, other: Group, name: str) -> Difference | None:
        """How two cells differ in a metric, by the rule of all comparisons (:mod:`wattmark.runs.comparison`); None where one
        does not know it."""
        groups = [self.quantities(group, name) for group in (reference, other)]
        if not all(groups):
            return None
        if max(map(len, groups)) > 1:
            return of_repeats(groups[0], groups[1], self._pooled(name))
        if reference.rows.tolist() == other.rows.tolist():
            return of_quantities(groups[0][0], groups[1][0])
        single = [
            self._once(part, group, name) for (part,), group in zip(groups, (reference, other), strict=True)
        ]
        return of_quantities(*single)

    def _pooled(self, name: str) -> Pooled | None:
        """How far repeats of a cell scatter, over all cells, on logarithms; None where some value has none."""
        if name not in self._scatters:
            values = [[part.value for part in self.quantities(cell, name)] for cell in self.cells]
            known = all(value > 0 for group in values for value in group)
            logs = [[math.log(value) for value in group] for group in values] if known else []
            self._scatters[name] = Pooled.of(logs)
        return self._scatters[name]

    def _once(self, quantity: Quantity, group: Group, name: str) -> Quantity:
        """With the scatter that one run does not show."""
        rows: list[int] = group.rows.tolist()
        row = next(row for row in rows if math.isfinite(float(self.values(name)[row])))
        trial = self.trials[row]
        share = run_to_run(trial.duration_s, trial.contention, of_tree=self.results.scope == "tree")
        return quantity.with_error(f"{REPEAT}/{trial.trial_id}", abs(quantity.value) * share)

    def _key(self, group: Group) -> str:
        """A name of the group that is not cut as its label is."""
        levels = ", ".join(f"{name}={level}" for name, level in group.levels.items())
        return levels or f"{len(group.rows)} from {self.trials[int(group.rows[0])].trial_id}"

    def _ends(self, name: str) -> tuple[Float64, Float64] | None:
        """The ends of a metric's own interval per trial: where it is made of joules as wide, relatively, as that of these;
        else what the workload reported as its ``_low`` and ``_high``."""
        if name not in self._known_ends:
            self._known_ends[name] = self._ends_of(name)
        return self._known_ends[name]

    def _ends_of(self, name: str) -> tuple[Float64, Float64] | None:
        if name in _JOULES:
            base, low, high = (self.columns[column] for column in _JOULES[name])
        elif name in _POWERS:
            base, low, high = self.component_j(_POWERS[name])
        elif f"{name}_low" in self.reported and f"{name}_high" in self.reported:
            return self.values(f"{name}_low"), self.values(f"{name}_high")
        else:
            return None
        values = self.values(name)
        with np.errstate(divide="ignore", invalid="ignore"):
            return values * low / base, values * high / base

    def mean_component(self, group: Group, component: str) -> Quantity | None:
        """Mean energy of a component over the group's trials."""
        rows: list[int] = group.rows.tolist()
        repeats = [energy for row in rows if (energy := energy_of(self.trials[row], component)) is not None]
        error = f"{SCATTER}/{self._key(group)}/{component}" if repeats else None
        return mean_with_scatter(repeats, error) if repeats else None

    def modelled_share(self, component: str, group: Group | None = None) -> float | None:
        """Share (0..1) of a component's joules, or of the ``total``, that come from a model; None where none are known."""
        rows = np.arange(len(self.trials)) if group is None else group.rows
        modelled, known = (
            (column[rows].sum() for column in self._origins[component])
            if component in self._origins
            else (0, 0)
        )
        return float(modelled / known) if known > 0 else None

    def method_words(self, component: str, group: Group | None = None) -> str:
        """The same in words: ``measured``, ``modelled``, ``12 % modelled`` or ``of unknown method``."""
        share = self.modelled_share(component, group)
        if share is None:
            return "of unknown method"
        return (
            "measured"
            if share == 0
            else "modelled"
            if share == 1
            else f"{max(share, 0.01):.0%} modelled".replace("%", " %")
        )

    @cached_property
    def _origins(self) -> dict[str, tuple[Float64, Float64]]:
        """component -> (modelled, known) joules per trial."""
        found: dict[str, tuple[Float64, Float64]] = {}
        whole = (np.zeros(len(self.trials)), np.zeros(len(self.trials)))
        for component in self.components:
            joules = np.nan_to_num(self.component_j(component)[0])
            methods = [trial.methods.get(component) for trial in self.trials]
            modelled = np.where([method == "modelled" for method in methods], joules, 0.0)
            known = np.where([method is not None for method in methods], joules, 0.0)
            found[component] = (modelled, known)
            whole = (whole[0] + modelled, whole[1] + known)
        return {**found, "total": whole}

    def _subject(self) -> str | None:
        for name in SUBJECTS:
            if name in self.factors:
                return name
        words = [
            name
            for name in self.factors
            if not all(_is_number(trial.factors.get(name)) for trial in self.trials)
        ]
        return words[0] if words else self.factors[0] if self.factors else None

    def _groups(self, names: Sequence[str]) -> list[Group]:
        keys = [tuple(trial.factors.get(name) for name in names) for trial in self.trials]
        if not keys:
            return []
        words = ["\x1f".join(str(level) for level in key) for key in keys]
        _, place = codes(words)
        groups: list[Group] = []
        for number in range(int(place.max()) + 1):
            rows: list[int] = np.flatnonzero(place == number).tolist()
            groups.append(self.group(dict(zip(names, keys[rows[0]], strict=True)), rows))
        return groups

    def group(self, levels: Mapping[str, Any], rows: Sequence[int]) -> Group:
        """The completed trials at ``rows`` under the name of these levels."""
        return Group(self.label(levels), levels, np.array(rows, np.int64))

    def label(self, levels: Mapping[str, Any]) -> str:
        """How a combination of levels is named: the subject by its level alone, the others with their factor."""
        words = [
            show_level(level) if name == self.subject else f"{name} {show_level(level)}"
            for name, level in levels.items()
        ]
        return shorten(", ".join(words) or self.results.name)


_TRAINING = ("energy_j", "energy_low_j", "energy_high_j")
_INFERENCE = ("inference_j", "inference_low_j", "inference_high_j")
_JOULES = {
    "total_energy": ("total_j", "total_low_j", "total_high_j"), "training_energy_j": _TRAINING, "epoch_energy": _TRAINING,
    "energy_per_sample": _TRAINING, "energy_per_step": _TRAINING, "power": _TRAINING, "inference_energy_j": _INFERENCE,
    "inference_energy_per_sample": _INFERENCE,
}  # fmt: skip
"""Metric -> the joules that it is made of, with their bounds."""
_POWERS = {"cpu_power": "cpu", "gpu_power": "gpu", "dram_power": "dram"}

OF_ENERGY = (*_JOULES, *_POWERS)
"""The analysis' own metrics that are made of joules, and of a time or a count."""


def of_joules(metric: str) -> bool:
    """Whether a metric that a workload reports is made of joules, by its name: ``j_per_token``, ``request_j_p95``,
    ``serving_w``."""
    return not {"j", "w"}.isdisjoint(metric.split("_"))


def unit_of(metric: str) -> str:
    """The unit that a workload's metric has by its name."""
    if metric == DURATION or (metric.endswith("_s") and not metric.endswith("per_s")):
        return "s"
    if metric.startswith(("j_per", "request_j")) or metric.endswith("_j"):
        return "J"
    return "W" if metric.endswith("_w") else ""


def show_level(level: object) -> str:
    """A level as people write it."""
    if isinstance(level, bool):
        return "yes" if level else "no"
    return f"{level:g}" if isinstance(level, float) else clean(level)


def shorten(text: str, most: int = LONGEST_LABEL) -> str:
    """The text in one line, cut in the middle where it is too long, so that both ends stay."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most * 2 // 3 - 1]}…{line[-(most // 3) :]}"


def _place(order: Sequence[object], level: object) -> tuple[int, float, str]:
    if level in order:
        return 0, order.index(level), ""
    return (1, float(str(level)), "") if _is_number(level) else (2, 0.0, str(level))


def _is_number(level: object) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool)


def _value(quantity: Quantity | None) -> float:
    return math.inf if quantity is None else quantity.value
