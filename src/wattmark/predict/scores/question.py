"""``wm.score_predictions()``, ``wm.fit_predictors()``: what the commands do, in Python."""

from __future__ import annotations

from wattmark.predict.scores.learning import Learned, learn
from wattmark.predict.scores.score import Score, scores
from wattmark.workspace.runs import store_here


def score_predictions(*, predictor: str | None = None, host: str | None = None) -> list[Score]:
    """How good the predictions in the store were, by predictor, machine and the share of the run that was seen."""
    with store_here() as store:
        return scores(store.predictions(predictor=predictor, host=host))


def fit_predictors() -> list[Learned]:
    """Let predictors learn from this machine's own runs. Raises ConfigError where there are too few."""
    with store_here() as store:
        return [learn(store)]
