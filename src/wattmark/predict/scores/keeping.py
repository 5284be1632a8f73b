"""Keeping what was predicted, with its subject, so that it can be scored."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from wattmark.errors import WattmarkError
from wattmark.predict.base import Prediction, amount
from wattmark.recorder.launch import new_session_id
from wattmark.store.predictions.rows import StoredPrediction
from wattmark.tracker.process import warn
from wattmark.workspace.runs import store_here


def keep(
    prediction: Prediction,
    predictor: str,
    *,
    run_id: str | None = None,
    subject: Mapping[str, Any] | None = None,
    per: str | None = None,
    component: str | None = None,
) -> str | None:
    """Keep a prediction that a command, the API or the dashboard made; its id, or None where the store takes nothing
    (a warning says why: a prediction that cannot be kept is still one).

    predictor: its name (:mod:`wattmark.predict.registry`). run_id: of the run that it is about, where that is known; a run
    that begins later says so by its tag ``prediction=ID``. subject: what was asked, as plain data. per: of one of what the
    run counts (``requests``). component: of this part of the machine only (``gpu``), or ``tree``: of
    the process tree.
    """
    energy, time_s = amount(prediction.energy), amount(prediction.time)
    said = prediction.as_dict()
    kept = StoredPrediction(
        new_session_id(),
        time.time_ns(),
        predictor,
        os.uname().nodename,
        prediction.subject,
        energy["value"],
        energy["low"],
        energy["high"],
        time_s["value"],
        time_s["low"],
        time_s["high"],
        run_id,
        None,
        {
            **{key: said[key] for key in ("method", "basis", "outside", "terms_j")},
            **({} if subject is None else {"asked": dict(subject)}),
            **({} if per is None else {"per": per}),
            **({} if component is None else {"component": component}),
        },
    )
    try:
        with store_here(ingest=False) as store:
            store.add_prediction(kept)
    except WattmarkError as error:
        warn(f"the prediction is not kept: {error}")
        return None
    return kept.prediction_id
