"""Results on their way to other machines and programs: one JSON file, a CSV, several machines as one study."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, ImportFileError
from wattmark.studies.designs.design import Design
from wattmark.studies.designs.plan import trial_id
from wattmark.studies.execution.state import StudyFolder
from wattmark.studies.results import StudyResults, TrialResult, merge_hosts
from wattmark.text import inert

FORMAT = "wattmark-study-1"


def write_results(results: StudyResults, path: Path) -> None:
    """Everything as one JSON file that :func:`read_results` reads. Raises ConfigError if it cannot be written."""
    data = {
        "format": FORMAT,
        "design": results.design,
        "environment": results.environment,
        "scope": results.scope,
        "trials": [json.loads(trial.to_json()) for trial in results.trials],
    }
    _write(path, json.dumps(data, default=str))


def read_results(path: Path) -> StudyResults:
    """The inverse of :func:`write_results`. Raises ImportFileError for a file that is not one of those."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ImportFileError(f"{path} is of another format: {data['format']}")
        trials = [TrialResult.from_json(json.dumps(trial)) for trial in data["trials"]]
        design: dict[str, Any] = data["design"]
        scope = data.get("scope", "machine")
        return StudyResults(
            design["name"], design.get("title", ""), design, trials, data["environment"], scope
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImportFileError(f"{path} is no exported study: {error}") from error


def write_csv(results: StudyResults, path: Path) -> None:
    """One row per trial: what was set, what it cost, what it achieved. Raises ConfigError if it cannot be written."""
    rows = [row_of(trial) for trial in results.trials]
    names = list(dict.fromkeys(name for row in rows for name in row))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(map(inert, names))
            writer.writerows([inert(row.get(name, "")) for name in names] for row in rows)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def merge_into(name: str, parts: Sequence[StudyResults]) -> StudyResults:
    """Keep several machines' results as a study of their own, with ``host`` as a further factor.

    Raises ConfigError if there is a study of that name, or if two parts are of one host.
    """
    hosts = [host for part in parts for host in sorted({trial.host for trial in part.trials})]
    if len(set(hosts)) < len(hosts):
        raise ConfigError(f"a host is there twice: {', '.join(hosts)}")
    merged = merge_hosts(parts)
    design = Design.model_validate({**merged.design, "name": name})
    folder = StudyFolder.create(design)
    if folder.trials():
        raise ConfigError(f"there is a study {name!r} already", hint="give the merged one another name")
    with folder.lock():
        folder.mark_merged()
        for trial in merged.trials:
            data = {**json.loads(trial.to_json()), "trial_id": trial_id(trial.factors, trial.repeat)}
            folder.append(TrialResult.from_json(json.dumps(data)))
        for host, facts in merged.environment.items():
            folder.set_environment(host, facts)
    return folder.results()


def row_of(trial: TrialResult) -> dict[str, Any]:
    """A trial as a flat row: its levels, joules with their ends, metrics, and the sums of its stages."""
    row: dict[str, Any] = {
        "trial_id": trial.trial_id,
        "index": trial.index,
        "repeat": trial.repeat,
        **trial.factors,
        "status": trial.status,
        "host": trial.host,
        "started_at": trial.started_at,
        "duration_s": trial.duration_s,
    }
    for component, energy in (trial.energy_j or {}).items():
        row |= {f"energy_{component}_{end}_j": energy[end] for end in ("value", "low", "high")}
    row |= {f"method_{component}": method for component, method in trial.methods.items()}
    row |= {"coverage": trial.coverage, "contention": trial.contention, **trial.metrics}
    for name in dict.fromkeys(stage.name for stage in trial.stages):
        stages = trial.stages_named(name)
        energies = [stage.energy_j["value"] for stage in stages if stage.energy_j is not None]
        row[f"stage_{name}_s"] = sum(stage.duration_s for stage in stages)
        row[f"stage_{name}_j"] = sum(energies) if len(energies) == len(stages) else None
    return {**row, "run_id": trial.run_id, "error": trial.error}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
