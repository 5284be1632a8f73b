"""``--picture FILE``: which kind of file it is, seen before the work, and the file written after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wattmark.cli.terminal.output import writable_file
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = ("svg", "png", "pdf")


def picture_kind(path: str | None) -> str:
    """``svg``, ``png`` or ``pdf`` by the ending; empty without a path. Raises ConfigError, also where it cannot be
    written: before the work."""
    kind = (path or "").rpartition(".")[2].casefold()
    if path is not None and kind not in PICTURES:
        raise ConfigError(f"--picture {path} ends in none of .{', .'.join(PICTURES)}")
    writable_file("--picture", path)
    return kind


def write_picture(figure: Figure, path: str, kind: str) -> None:
    """Put a figure into a file. Raises ConfigError where it cannot be written, MissingExtra without matplotlib."""
    from wattmark.report.drawing.style import file_bytes

    try:
        Path(path).write_bytes(file_bytes(figure, kind))
    except OSError as error:
        raise ConfigError(f"--picture: cannot write {path}: {error.strerror}") from error
