"""What every request may need, made once when the dashboard starts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from wattmark.dashboard.api.runs.columns import RunTable
from wattmark.dashboard.cache import Cache
from wattmark.dashboard.live_hub import LiveHub
from wattmark.dashboard.looks import Looks
from wattmark.dashboard.run_cache import RunCache
from wattmark.dashboard.study_cache import StudyCache
from wattmark.paths import journals_dir
from wattmark.store import RunSummary, Store

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Options:
    """How the dashboard runs.

    token: what a request must show (None: none is needed; only right on loopback). hosts: names under which the page
    may be asked for, beside the loopback's. loopback: only this machine can ask. read_only: nothing may be changed.
    studies: the folder of studies' results (None: the one in the data folder). static: the built page.
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    loopback: bool = True
    read_only: bool = False
    studies: Path | None = None
    static: Path = field(default=STATIC)


@dataclass(frozen=True)
class Context:
    """The store, the options, and what is set when the server ends (streams then end too)."""

    store: Store
    options: Options
    ending: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def runs(self) -> RunCache:
        """Runs that were looked at lately."""
        return RunCache(self.store, self.live)

    @cached_property
    def looks(self) -> Looks:
        """What event streams tell."""
        return Looks()

    @cached_property
    def lists(self) -> Cache[list[RunSummary]]:
        """The list of the store's runs."""
        return Cache(1)

    @cached_property
    def tables(self) -> Cache[RunTable]:
        """The same in columns, with the carbon by the settings."""
        return Cache(1)

    @cached_property
    def studies(self) -> StudyCache:
        """Studies that were looked at lately."""
        return StudyCache(self.options.studies)

    @cached_property
    def live(self) -> LiveHub:
        """Runs that go on."""
        return LiveHub(self.store, journals_dir())


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""``here: Here`` as a parameter of a route gives it the context."""
