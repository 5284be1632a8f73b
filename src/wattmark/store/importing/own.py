"""Wattmark's own JSON exports: each run as it was, or without the parts that are not what they should be."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.documents import is_list, mapping
from wattmark.errors import ImportFileError
from wattmark.runs.record import RunRecord
from wattmark.store.importing.reading import Problem, Reading, TextFile
from wattmark.store.portable import FORMAT, VERSION, from_plain, mended


def runs(file: TextFile, data: object) -> Reading:
    """The runs of an export; what cannot be read of one is named and left out, the whole run if it must be."""
    records: list[RunRecord] = []
    problems: list[Problem] = []
    for number, run in enumerate(content(file, data), 1):
        try:
            whole, faults = mended(run)
            records.append(from_plain(whole))
            problems += [Problem(None, f"run {number} of the export: {fault}; left out") for fault in faults]
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            what = f"misses {error}" if isinstance(error, KeyError) else str(error)
            problems.append(Problem(None, f"run {number} of the export cannot be read: {what}"))
    return Reading("wattmark", tuple(records), tuple(problems))


def content(file: TextFile, data: object) -> Sequence[object]:
    """The runs in the document of an export. Raises ImportFileError for other JSON, and for a later version's."""
    document = mapping(data)
    exported = document.get("runs")
    if document.get("format") != FORMAT or not is_list(exported):
        raise ImportFileError(f"{file.path} is JSON, but no export of Wattmark and no profile of EnergyVis")
    if document.get("version") != VERSION:
        raise ImportFileError(f"{file.path} was written by a later Wattmark", hint="update Wattmark")
    return exported
