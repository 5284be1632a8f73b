"""A training in pieces: what the runs before a checkpoint used, so that joules go on where the work does.

A piece is known by the tags ``training`` (the same for all pieces) and ``piece`` (0, 1, ...) of its run, or of the span that
it became inside another measurement. A checkpoint keeps what was known when it was written; the store, where the run is
there, knows the rest: joules between the last checkpoint and a crash were spent too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wattmark.documents import is_mapping, mapping, mappings, number, text
from wattmark.errors import WattmarkError
from wattmark.quantity import Quantity, total

TRAINING, PIECE = "training", "piece"


@dataclass(frozen=True, slots=True)
class Piece:
    """One earlier piece. run_id: of the run that it is or lies in; energy: J as of its last checkpoint, None if unknown."""

    run_id: str
    number: int
    energy: Quantity | None

    def to_dict(self) -> dict[str, object]:
        """As a checkpoint keeps it: plain data."""
        energy = None if self.energy is None else dict(self.energy.as_dict())
        return {"run_id": self.run_id, "piece": self.number, "energy_j": energy}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Piece | None:
        """The inverse of :meth:`to_dict`; None for what is none."""
        run_id, place = text(data.get("run_id")), number(data.get("piece"))
        if run_id is None or place is None:
            return None
        energy = data.get("energy_j")
        return cls(run_id, int(place), Quantity.from_dict(energy) if is_mapping(energy) else None)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What came before: the training's id, its pieces, and their joules together (None where one of them is not known).
    lost: there may be pieces that nobody could read."""

    training: str
    pieces: tuple[Piece, ...] = ()
    energy: Quantity | None = None
    lost: bool = False

    @property
    def known(self) -> bool:
        """Whether the sum of all pieces is known (it is, of none)."""
        return not self.lost and (not self.pieces or self.energy is not None)


def pieces_in(state: Mapping[str, object]) -> tuple[str, list[Piece]]:
    """The training's id and the pieces of a checkpoint's state; empty for what is no state of ours."""
    training = text(state.get("training")) or ""
    return training, [piece for row in mappings(state.get("pieces")) if (piece := Piece.from_dict(row))]


def looked_up(training: str, pieces: Sequence[Piece]) -> Earlier:
    """The pieces with all joules that the store knows of them; those of the checkpoint where it does not know the run."""
    rows = [Piece(piece.run_id, piece.number, _kept(training, piece) or piece.energy) for piece in pieces]
    known = [piece.energy for piece in rows if piece.energy is not None]
    return Earlier(training, tuple(rows), total(known) if len(known) == len(rows) else None)


def pieces_named(training: str) -> list[Piece]:
    """The pieces that the store has of a training, by the id or name that its runs are tagged with, oldest first."""
    import wattmark

    runs = wattmark.runs(tag=f"{TRAINING}={training}").summaries
    pieces: list[Piece] = []
    for summary in sorted(runs, key=lambda run: run.started_at):
        energy = wattmark.load(summary.run_id).energy
        pieces.append(Piece(summary.run_id, int(summary.tags.get(PIECE, "0") or 0), energy))
    return pieces


def _kept(training: str, piece: Piece) -> Quantity | None:
    """What the store knows of a piece: of the run, or the span in a run, that has its tags."""
    import wattmark

    try:
        view = wattmark.load(piece.run_id).view
    except WattmarkError:
        return _tagged(training, piece.number)
    if _is_piece(view.record.tags, training, piece.number):
        return view.energy
    for span in view.spans():
        if _is_piece(mapping(span.attrs), training, piece.number):
            return span.energy
    return _tagged(training, piece.number)


def _tagged(training: str, number: int) -> Quantity | None:
    """The same by the tags alone: the run of several ranks has the id of whichever of them began it."""
    import wattmark

    runs = wattmark.runs(tag=f"{TRAINING}={training}").summaries
    ids = [run.run_id for run in runs if _is_piece(run.tags, training, number)]
    return wattmark.load(ids[0]).energy if len(ids) == 1 else None


def _is_piece(tags: Mapping[str, object], training: str, number: int) -> bool:
    return tags.get(TRAINING) == training and str(tags.get(PIECE)) == str(number)
