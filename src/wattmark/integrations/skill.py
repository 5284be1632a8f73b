"""The skill file: how an assistant that writes code measures, gates and reports, in as few words as it takes."""

from __future__ import annotations

from importlib import resources


def skill() -> str:
    """The text, Markdown with a head that names and describes it."""
    return resources.files("wattmark.integrations").joinpath("assets", "skill.md").read_text(encoding="utf-8")
