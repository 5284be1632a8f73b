"""How good the predictions were that were kept in the store."""

from __future__ import annotations

from fastapi import APIRouter

from wattmark.dashboard.context import Here
from wattmark.predict.scores.score import Score, scores

router = APIRouter(prefix="/predictions", tags=["predictions"])


@router.get("/scores")
def prediction_scores(here: Here) -> list[Score]:
    """By predictor, machine and the share of the run that was seen; energies in J, errors and coverage as fractions."""
    return scores(here.store.predictions())
