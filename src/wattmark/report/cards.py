"""Model cards as files: the section of a run written into one, and cards checked."""

from __future__ import annotations

from pathlib import Path

from wattmark.errors import ConfigError
from wattmark.report.card import Problem, metadata_of, problems_of, section_of, with_section
from wattmark.runs.view import RunView
from wattmark.tracker.run import Run
from wattmark.workspace.library import view_of
from wattmark.workspace.runs import result


def card(
    run: Run | RunView | str = "last", path: str | Path | None = None, *, training_type: str | None = None
) -> str:
    """The energy section of a run, as Markdown; with ``path``, that card is made or gets it, with ``co2_eq_emissions`` in
    its head where the run's carbon is known. training_type: ``pre-training`` or ``fine-tuning``, for the head.

    Raises RunNotFound, and ConfigError for a file that cannot be read or written.
    """
    told = result(view_of(run))
    section = section_of(told)
    if path is not None:
        file = Path(path)
        before = _read(file) if file.exists() else ""
        try:
            file.write_text(with_section(before, section, metadata_of(told, training_type)), encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"{file} cannot be written: {error.strerror}", hint="give another path"
            ) from error
    return section


def check_card(path: str | Path) -> list[Problem]:
    """What a card lacks. Raises ConfigError for a file that cannot be read."""
    return problems_of(_read(Path(path)))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {error}", hint="a model card is a Markdown file"
        ) from error
