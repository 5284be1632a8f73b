"""Files as runs: Wattmark's own exports, CodeCarbon's ``emissions.csv``, logs of ``nvidia-smi``, profiles of EnergyVis.

One module per kind of file; ``reading`` holds what they share. Importing the same file twice gives the same
run ids, so the store keeps its runs once.
"""

from __future__ import annotations

import json
import os
from datetime import timezone, tzinfo
from typing import Any, cast

from wattmark.errors import ImportFileError
from wattmark.runs.record import RunRecord
from wattmark.store.importing import codecarbon, energyvis, nvidia_smi
from wattmark.store.importing.reading import TextFile, read
from wattmark.store.portable import FORMAT, VERSION, from_plain


def import_file(path: str | os.PathLike[str], zone: tzinfo = timezone.utc) -> list[RunRecord]:
    """The runs in a file: JSON of Wattmark or EnergyVis, CSV of CodeCarbon or nvidia-smi, any of them gzipped.

    ``zone`` is the time zone of stamps that do not say theirs (CodeCarbon and nvidia-smi write local time).
    Raises ImportFileError, with the line where there is one, for anything else.
    """
    file = read(os.fspath(path))
    if file.text.lstrip()[:1] in ("{", "["):
        data = _json(file)
        return energyvis.runs(file, data) if energyvis.recognises(data) else _wattmark(file, data)
    header = file.header()
    for kind in (codecarbon, nvidia_smi):
        if kind.recognises(header):
            return kind.runs(file, zone)
    raise ImportFileError(
        f"{file.path} is none of the files that can be imported",
        hint="these can: Wattmark's JSON exports, EnergyVis's profiles, CodeCarbon's emissions.csv, and CSV logs of "
        "nvidia-smi whose header has timestamp and power.draw",
    )


def summaries_in(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The summaries (objects of ``show --json``) that a JSON export holds, by run id."""
    file = read(os.fspath(path))
    data = _content(file, _json(file))
    return {run["run_id"]: run["summary"] for run in data["runs"] if isinstance(run.get("summary"), dict)}


def _wattmark(file: TextFile, data: Any) -> list[RunRecord]:
    runs: list[RunRecord] = []
    for number, run in enumerate(_content(file, data)["runs"], 1):
        try:
            runs.append(from_plain(run))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            what = f"misses {error}" if isinstance(error, KeyError) else str(error)
            raise ImportFileError(
                f"{file.path}: run {number} of the export cannot be read: {what}"
            ) from error
    return runs


def _json(file: TextFile) -> Any:
    try:
        return json.loads(file.text)
    except json.JSONDecodeError as error:
        raise ImportFileError(f"{file.path}, line {error.lineno}: this is no JSON ({error.msg})") from error
    except RecursionError as error:
        raise ImportFileError(f"{file.path}: this JSON is nested too deeply") from error


def _content(file: TextFile, data: Any) -> dict[str, Any]:
    content = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if content.get("format") != FORMAT or not isinstance(content.get("runs"), list):
        raise ImportFileError(f"{file.path} is JSON, but no export of Wattmark and no profile of EnergyVis")
    if content.get("version") != VERSION:
        raise ImportFileError(f"{file.path} was written by a later Wattmark", hint="update Wattmark")
    return content
