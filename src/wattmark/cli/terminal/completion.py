"""Words that the shell can complete: runs, names, tags, projects, studies, zones. What cannot be read has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from wattmark.errors import WattmarkError

if TYPE_CHECKING:
    from wattmark.store import RunSummary

_MOST = 200
"""The newest runs that are looked at."""
Words = list[tuple[str, str]]
"""Each word with what stands beside it."""


def complete_run(incomplete: str) -> Words:
    """Short ids, with name and energy; names; ``last``."""
    return _begin(incomplete, _runs())


def complete_name(incomplete: str) -> Words:
    """Names of runs."""
    return _begin(incomplete, ((run.name, "") for run in _summaries()))


def complete_tag(incomplete: str) -> Words:
    """Tags of runs: ``key`` and ``key=value``."""
    words = (
        word
        for run in _summaries()
        for key, value in run.tags.items()
        for word in ([key, f"{key}={value}"] if value else [key])
    )
    return _begin(incomplete, ((word, "") for word in words))


def complete_project(incomplete: str) -> Words:
    """Projects of runs."""
    return _begin(incomplete, ((run.tags["project"], "") for run in _summaries() if run.tags.get("project")))


def complete_study(incomplete: str) -> Words:
    """Studies that are here, and those that come with Wattmark."""
    return _begin(incomplete, _studies())


def complete_zone(incomplete: str) -> Words:
    """Zones of electricity, with their names."""
    from wattmark.impact.places import zones

    return _begin(incomplete.upper(), ((zone.id, zone.name) for zone in zones()))


def complete_setting(incomplete: str) -> Words:
    """Names of settings."""
    from wattmark.settings import KNOWN

    return _begin(incomplete, KNOWN.items())


def _begin(incomplete: str, words: Iterable[tuple[str, str]]) -> Words:
    """Those that begin so, each once, without what would disturb a shell."""
    chosen: dict[str, str] = {}
    try:
        for word, beside in words:
            if word.startswith(incomplete) and word.isprintable():
                chosen.setdefault(word, "".join(sign if sign.isprintable() else " " for sign in beside))
    except (WattmarkError, OSError):
        return []
    return list(chosen.items())


def _summaries() -> Iterator[RunSummary]:
    from wattmark.store import open_store

    with open_store() as store:
        yield from store.summaries(limit=_MOST)


def _runs() -> Iterator[tuple[str, str]]:
    from wattmark.store import open_store
    from wattmark.units import format_energy

    with open_store() as store:
        runs = store.summaries(limit=_MOST)
        short = store.short_ids(run.run_id for run in runs)
    if runs:
        yield "last", runs[0].name
    for run in runs:
        energy = run.headline
        yield short[run.run_id], f"{run.name} {'' if energy is None else format_energy(energy.value)}".strip()
    for run in runs:
        yield run.name, ""


def _studies() -> Iterator[tuple[str, str]]:
    from wattmark.studies.designs.builtin import builtin_names
    from wattmark.studies.execution.state import study_names

    yield from ((name, "") for name in study_names())
    yield from ((name, "comes with Wattmark") for name in builtin_names())
