"""``wm.load("last")``: a kept or running run with its questions answered."""

from __future__ import annotations

from wattmark.runs.view import RunView
from wattmark.workspace.runs import find_run, store_here


def load(ref: str = "last") -> RunView:
    """The run that ``ref`` means in the store that the settings name: an id, a unique beginning of one, a name (the newest
    of it), ``"last"``, or ``"@-2"`` for the one before.

    Journals that wait are read into the store first; a run that still goes on is given as it stands. Raises RunNotFound if
    nothing, or more than one run, fits.
    """
    with store_here() as store:
        return find_run(store, ref)
