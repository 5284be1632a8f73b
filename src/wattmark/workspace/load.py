"""``wm.load("last")``: a kept run with its questions answered."""

from __future__ import annotations

from wattmark.paths import journals_dir
from wattmark.runs.view import RunView
from wattmark.store.ingest import ingest_leftovers
from wattmark.store.store import open_store


def load(ref: str = "last") -> RunView:
    """The run that ``ref`` means: an id, a unique prefix of one, a name, or ``"last"``.

    Journals that wait are read into the store first. Raises RunNotFound if nothing, or more than one run, fits.
    """
    with open_store() as store:
        ingest_leftovers(store, journals_dir())
        return RunView(store.get(ref))
