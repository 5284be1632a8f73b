"""The studies that are kept in a folder, read again when their files have changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wattmark.dashboard.cache import Cache
from wattmark.errors import RunNotFound
from wattmark.studies.execution.state import DESIGN, StudyFolder, studies_dir
from wattmark.studies.results import StudyResults

if TYPE_CHECKING:
    from wattmark.studies.analysis import Analysis

_KEPT = 8


class NoStudy(RunNotFound):
    """No study, or no trial, has the name that was asked for."""


class StudyCache:
    """Studies under a folder (None: the user's data folder), with the results and findings of the latest ones."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._results: Cache[StudyResults] = Cache(_KEPT)
        self._findings: Cache[Analysis] = Cache(_KEPT)

    def folders(self) -> list[StudyFolder]:
        """All of them, by name."""
        return [
            StudyFolder(path.parent) for path in sorted((self._root or studies_dir()).glob(f"*/{DESIGN}"))
        ]

    def folder(self, name: str) -> StudyFolder:
        """The study of that name; a name is no path. Raises NoStudy."""
        by_name = {study.path.name: study for study in self.folders()}
        if name not in by_name:
            names = ", ".join(list(by_name)[:8]) or "none yet: wattmark study run vision-quick"
            raise NoStudy(f"there is no study {name!r}", hint=f"there are: {names}")
        return by_name[name]

    def find(self, name: str) -> StudyResults | None:
        """The results of the study of that name, None where it is not kept."""
        return next((self.results(study) for study in self.folders() if study.path.name == name), None)

    def results(self, study: StudyFolder) -> StudyResults:
        """All that a study found so far."""
        return self._results.get(study.path, study.revision(), study.results)

    def findings(self, study: StudyFolder) -> Analysis:
        """What the analysis says of it. Needs the extra ``study``."""
        from wattmark.studies.analysis import analyse

        return self._findings.get(study.path, study.revision(), lambda: analyse(self.results(study)))
