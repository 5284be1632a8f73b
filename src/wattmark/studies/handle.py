"""``wm.study("vision")``: a study by its name or design, run and read from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wattmark.studies.designs.builtin import builtin_names, find_design
from wattmark.studies.designs.design import Design, parse_design, to_toml
from wattmark.studies.execution.executors import Executor
from wattmark.studies.execution.runner import StudyProgress, run_study
from wattmark.studies.execution.state import StudyFolder, load_results, study_names
from wattmark.studies.results import StudyResults


class Study:
    """A designed experiment: :meth:`run` it, read its :attr:`results`."""

    def __init__(self, design: Design) -> None:
        self.design = design

    @property
    def name(self) -> str:
        """What it is kept as."""
        return self.design.name

    def run(
        self,
        *,
        fresh: bool = False,
        retry_failed: bool = False,
        executor: Executor | None = None,
        on_progress: Callable[[StudyProgress], None] = lambda _: None,
    ) -> StudyResults:
        """Run what is left of it, and return all results so far; see :func:`wattmark.studies.execution.runner.run_study`."""
        return run_study(
            self.design, executor=executor, on_progress=on_progress, fresh=fresh, retry_failed=retry_failed
        )

    @property
    def results(self) -> StudyResults:
        """What it has found so far; ``results.to_pandas()`` has one row for each trial. Raises ConfigError if it was never
        begun."""
        return load_results(self.name)

    def __repr__(self) -> str:
        return f"<Study {self.name!r}>"


def study(design: str | Path | Mapping[str, Any] | Design, **changes: object) -> Study:
    """A study: the name of one that is kept or built in, a TOML file, or a design as data.

    changes: of the design, as ``--set`` has them (``epochs=1``, ``samples=2000``). Raises ConfigError for a
    design that cannot be used.
    """
    words = [f"{key}={value}" for key, value in changes.items()]
    if isinstance(design, Design):
        return Study(design)
    if isinstance(design, Mapping):
        return Study(parse_design(to_toml(dict(design)), "the design", words))
    name = str(design)
    if name in study_names() and name not in builtin_names() and not words:
        return Study(StudyFolder.open(name).design())
    return Study(find_design(name, words))
