"""Files as runs: Wattmark's own exports, and what other tools wrote.

One module per kind of file: ``logs`` of powers over time, ``reports`` of totals, ``trackers`` of experiments, and ``own``.
``reading`` holds what they share, ``stamps`` the times, ``records`` how powers and totals become runs, ``taking`` how runs
get into a store. Each takes in what can be read and names what cannot. Importing the same file twice gives the same run
ids, so the store keeps its runs once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timezone, tzinfo

from wattmark.documents import is_mapping, mappings
from wattmark.errors import ImportFileError
from wattmark.store.importing import own
from wattmark.store.importing.logs import dmon, nvidia_smi, perun, wandb
from wattmark.store.importing.reading import Problem, Reading, TextFile, read
from wattmark.store.importing.reports import carbontracker, codecarbon, eco2ai, energyvis, slurm
from wattmark.store.importing.taking import Intake, take_in
from wattmark.store.importing.trackers import reading_of_tracker

__all__ = [
    "Intake",
    "Problem",
    "Reading",
    "TextFile",
    "import_file",
    "read_file",
    "reading_of",
    "summaries_in",
    "take_in",
]

_HINT = (
    "these can: Wattmark's JSON exports; CodeCarbon's emissions.csv; Eco2AI's emission.csv; logs of nvidia-smi with "
    "timestamp and power.draw, of nvidia-smi dmon, dcgmi dmon and CarbonTracker; exports of perun, of W&B system metrics "
    "and of sacct; EnergyVis's profiles; run-*.wandb, TensorBoard's event files and mlflow.db with series of power"
)


def import_file(path: str | os.PathLike[str], zone: tzinfo = timezone.utc) -> Reading:
    """The runs in a file, a sequence whose ``problems`` name the lines that could not be read.

    ``zone`` is the time zone of stamps that do not say theirs (most tools write local time). Raises ImportFileError for
    a file of another kind, and for one of which nothing could be read.
    """
    reading = read_file(path, zone)
    if not reading.runs and reading.problems:
        first = reading.problems[0]
        place = os.fspath(path) + (":" if first.line is None else f", line {first.line}:")
        others = len(reading.problems) - 1
        raise ImportFileError(f"{place} {first.reason}" + (f", and {others} more like it" if others else ""))
    return reading


def read_file(path: str | os.PathLike[str], zone: tzinfo = timezone.utc) -> Reading:
    """As :func:`import_file`, and where nothing could be read, the problems without a run."""
    tracked = reading_of_tracker(os.fspath(path))
    return reading_of(read(os.fspath(path)), zone) if tracked is None else tracked


def reading_of(file: TextFile, zone: tzinfo = timezone.utc) -> Reading:
    """As :func:`read_file`, of a text that is there already."""
    if dmon.recognises(file):
        return dmon.runs(file, zone)
    if wandb.recognises(file):
        return wandb.runs(file, zone)
    if file.text.lstrip()[:1] in ("{", "["):
        data = _json(file)
        if energyvis.recognises(data):
            return energyvis.runs(file, data)
        return perun.runs_of_data(file, data) if perun.recognises_data(data) else own.runs(file, data)
    if carbontracker.recognises(file):
        return carbontracker.runs(file, zone)
    if perun.recognises(file):
        return perun.runs(file)
    for table in (codecarbon, eco2ai, slurm):
        if table.recognises(file):
            return table.runs(file, zone)
    if nvidia_smi.recognises(file, zone):
        return nvidia_smi.runs(file, zone)
    raise ImportFileError(f"{file.path} is none of the files that can be imported", hint=_HINT)


def summaries_in(path: str | os.PathLike[str]) -> dict[str, Mapping[str, object]]:
    """The summaries (objects of ``show --json``) that a JSON export holds, by run id."""
    file = read(os.fspath(path))
    exported = mappings(own.content(file, _json(file)))
    summaries = ((str(run["run_id"]), run.get("summary")) for run in exported)
    return {run_id: summary for run_id, summary in summaries if is_mapping(summary)}


def _json(file: TextFile) -> object:
    try:
        return json.loads(file.text)
    except json.JSONDecodeError as error:
        raise ImportFileError(f"{file.path}, line {error.lineno}: this is no JSON ({error.msg})") from error
    except RecursionError as error:
        raise ImportFileError(f"{file.path}: this JSON is nested too deeply") from error
    except ValueError as error:  # an integer of more digits than Python takes
        raise ImportFileError(f"{file.path}: this is no JSON ({error})") from error
