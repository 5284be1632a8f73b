"""What a study found: one :class:`TrialResult` per trial, plain data that is appended to a file as trials end.

This is the contract between the runner (which writes it), the analysis and the report (which read it).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

from wattmark.quantity import IntervalDict
from wattmark.runs.attribution import Scope, headline_scope

TrialStatus = Literal["completed", "failed", "timeout", "out-of-memory", "interrupted"]

Number = float | int


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage or epoch of a trial: an interval with its energy.

    path: span path such as ``train/epoch``. energy_j: ``{"value", "low", "high"}`` or None. by_component_j: value only.
    counts: ``samples``, ``steps``, ``tokens``. attrs: words and numbers that the workload gave (``epoch``, ``loss``,
    ``accuracy``). series: mean of every side series over the interval (``cpu/utilisation``, ``gpu0/utilisation`` in %).
    tree_j: the process tree's energies, ``total`` and by component.
    """

    name: str
    path: str
    start_s: float
    duration_s: float
    energy_j: IntervalDict | None
    by_component_j: Mapping[str, float] = field(default_factory=dict[str, float])
    counts: Mapping[str, Number] = field(default_factory=dict[str, Number])
    attrs: Mapping[str, object] = field(default_factory=dict[str, object])
    series: Mapping[str, float] = field(default_factory=dict[str, float])
    tree_j: Mapping[str, IntervalDict] | None = None

    def of_tree(self) -> Stage:
        """With the energies of the trial's process tree."""
        energies = dict(self.tree_j or {})
        return replace(
            self,
            energy_j=energies.pop("total", None),
            by_component_j={name: energy["value"] for name, energy in energies.items()},
        )


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial: what was set, what it cost, what it achieved.

    factors: the levels of this trial. metrics: numbers that the workload reported (``accuracy`` 0..1, ``loss``,
    ``parameters``, ``trainable_parameters``, ``macs`` of one sample, ``model_bytes``, anything else).
    energy_j: as in a run's summary: ``total`` and by component, each ``{"value", "low", "high"}``; None if unmeasured.
    methods: component -> ``counter`` / ``integrated`` / ``modelled``. idle_w: baseline by component. series: mean of every
    side series over the trial. power_profile: (t_s, watts) of the whole trial thinned to at most 400 points.
    contention: share of the machine's CPU time used by others during the trial, 0..1, None if unknown.
    tree_j: as energy_j, of the trial's process tree. machine_j: as energy_j, of the machine, where that is the tree's.
    recorder: what measuring took of the machine: ``cpu_s`` of the recorder's process over ``over_s``, ``rss_bytes``.
    """

    trial_id: str
    index: int
    repeat: int
    factors: Mapping[str, Any]
    status: TrialStatus
    run_id: str | None = None
    started_at: str = ""
    duration_s: float = 0.0
    energy_j: Mapping[str, IntervalDict] | None = None
    methods: Mapping[str, str] = field(default_factory=dict[str, str])
    power_w: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    idle_w: Mapping[str, float] | None = None
    coverage: float = 0.0
    metrics: Mapping[str, Number] = field(default_factory=dict[str, Number])
    stages: Sequence[Stage] = ()
    series: Mapping[str, float] = field(default_factory=dict[str, float])
    power_profile: tuple[Sequence[float], Sequence[float]] = ((), ())
    contention: float | None = None
    host: str = ""
    error: str | None = None
    log: str | None = None
    warnings: Sequence[Mapping[str, str]] = ()
    outlier: bool = False
    recorder: Mapping[str, float] = field(default_factory=dict[str, float])
    tree_j: Mapping[str, IntervalDict] | None = None
    machine_j: Mapping[str, IntervalDict] | None = None

    def of_tree(self) -> TrialResult:
        """With the energies of its process tree."""
        stages = tuple(stage.of_tree() for stage in self.stages)
        return replace(self, energy_j=self.tree_j, machine_j=self.machine_j or self.energy_j, stages=stages)

    @property
    def total_j(self) -> float | None:
        """Total energy in joules, or None."""
        total = (self.energy_j or {}).get("total")
        return None if total is None else total["value"]

    def stages_named(self, name: str) -> list[Stage]:
        """The stages of one name, in time."""
        return [stage for stage in self.stages if stage.name == name]

    def to_json(self) -> str:
        """One line of a results file."""
        return json.dumps(asdict(self), separators=(",", ":"), default=str)

    @classmethod
    def from_json(cls, line: str) -> TrialResult:
        """The inverse of :meth:`to_json`; unknown keys of newer versions are ignored."""
        data = json.loads(line)
        known = {item.name for item in fields(cls)}
        stage_keys = {item.name for item in fields(Stage)}
        data["stages"] = tuple(
            Stage(**{key: value for key, value in stage.items() if key in stage_keys})
            for stage in data.get("stages", ())
        )
        times, watts = data.get("power_profile", ((), ()))
        data["power_profile"] = (tuple(times), tuple(watts))
        return cls(**{key: value for key, value in data.items() if key in known})


@dataclass(frozen=True, slots=True)
class StudyResults:
    """A study's design and all its trials so far, in the order in which they ended.

    design: the study as plain data (what its TOML file says). environment: the machine(s), by host. scope: whose joules
    the trials have, the machine's or their process trees'.
    """

    name: str
    title: str
    design: Mapping[str, Any]
    trials: Sequence[TrialResult]
    environment: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    scope: Scope = "machine"

    def in_scope(self) -> StudyResults:
        """Of the process trees, where other work kept the machine busy during any trial and the tree of each is known.
        Else a study would measure its neighbours."""
        measured = [trial for trial in self.trials if trial.energy_j is not None]
        known = bool(measured) and all(trial.tree_j is not None for trial in measured)
        if not any(headline_scope(trial.contention, known) == "tree" for trial in measured):
            return self
        return replace(self, trials=tuple(trial.of_tree() for trial in self.trials), scope="tree")

    @property
    def completed(self) -> list[TrialResult]:
        """The trials that ended well."""
        return [trial for trial in self.trials if trial.status == "completed"]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each trial, as the CSV export has them. Raises MissingExtra without pandas."""
        from wattmark.runs.display.frames import data_frame
        from wattmark.studies.exchange import row_of

        return data_frame(row_of(trial) for trial in self.trials)

    @property
    def factors(self) -> list[str]:
        """The factors that vary, in the design's order."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.factors))
        return [name for name in names if len({str(trial.factors.get(name)) for trial in self.trials}) > 1]


def read_trials(path: Path) -> list[TrialResult]:
    """The trials of a results file (JSON lines); a torn last line is dropped."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    trials: list[TrialResult] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            trials.append(TrialResult.from_json(line))
        except ValueError:
            if number < len(lines) - 1 and any(rest.strip() for rest in lines[number + 1 :]):
                raise
    return trials


def merge_hosts(results: Iterable[StudyResults]) -> StudyResults:
    """Several machines' results of one study as one, with ``host`` as a further factor.

    Raises ValueError when there is none.
    """
    parts = list(results)
    if not parts:
        raise ValueError("no results to merge")
    trials: list[TrialResult] = []
    environment: dict[str, Mapping[str, Any]] = {}
    for part in parts:
        environment.update(part.environment)
        trials += [replace(trial, factors={**trial.factors, "host": trial.host}) for trial in part.trials]
    first = parts[0]
    return StudyResults(first.name, first.title, first.design, trials, environment).in_scope()
