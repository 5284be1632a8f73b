"""What every request may need, made once when the dashboard starts."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
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
from wattmark.store.team.tokens import Token

STATIC = Path(__file__).parent / "static"
ACCESS = "wattmark.access"
"""In a request's scope: the token of the store that let it in, if one did."""
_NO_STUDIES = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Options:
    """How the dashboard runs.

    token: what a request must show (None: none is needed; only right on loopback). team: tokens of the store let in, too,
    each to what it allows. hosts: names under which the page
    may be asked for, beside the loopback's. loopback: only this machine can ask. read_only: nothing may be changed.
    studies: the folder of studies' results (None: the one in the data folder). static: the built page.
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    loopback: bool = True
    read_only: bool = False
    studies: Path | None = None
    static: Path = field(default=STATIC)
    team: bool = False


@dataclass(frozen=True)
class Context:
    """The store, the options, and what is set when the server ends (streams then end too)."""

    store: Store
    options: Options
    ending: threading.Event = field(default_factory=threading.Event)
    _of_tokens: dict[tuple[str | None, str], Context] = field(
        default_factory=dict[tuple[str | None, str], "Context"]
    )

    def seen_with(self, access: Token | None) -> Context:
        """The same with the eyes of who holds a token of the store: runs of its project, no studies (those are of the
        machine that the dashboard runs on), and no changes where it may only read. None: the dashboard's own token."""
        if access is None:
            return self
        key = (access.project, access.rights)
        if key not in self._of_tokens:
            options = replace(self.options, read_only=self.options.read_only or access.rights != "write")
            store = self.store
            if access.project is not None:
                store, options = store.of_project(access.project), replace(options, studies=_NO_STUDIES)
            self._of_tokens[key] = Context(store, options, self.ending)
        return self._of_tokens[key]

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
    return context.seen_with(request.scope.get(ACCESS))


Here = Annotated[Context, Depends(_context)]
"""``here: Here`` as a parameter of a route gives it the context."""
