"""Five families of regression as scikit-learn pipelines, and the search among them by cross-validation."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from wattmark.errors import MissingExtra
from wattmark.statistics import Float64

FAMILIES = ("linear", "ridge", "kernel ridge", "svr", "trees")
_FOLDS = 5


def pipelines() -> Mapping[str, tuple[Any, Mapping[str, Sequence[Any]]]]:
    """By family: the pipeline (standardised features, then the regression) and what of it is searched."""
    linear: Any = _sklearn("sklearn.linear_model")
    kernel: Any = _sklearn("sklearn.kernel_ridge")
    svm: Any = _sklearn("sklearn.svm")
    ensemble: Any = _sklearn("sklearn.ensemble")
    make: Any = _sklearn("sklearn.pipeline").make_pipeline
    scaler: Any = _sklearn("sklearn.preprocessing").StandardScaler
    found: dict[str, tuple[Any, dict[str, Sequence[Any]]]] = {
        "linear": (linear.LinearRegression(), {}),
        "ridge": (linear.Ridge(), {"ridge__alpha": [0.01, 0.1, 1.0, 10.0, 100.0]}),
        "kernel ridge": (
            kernel.KernelRidge(kernel="rbf"),
            {"kernelridge__alpha": [0.001, 0.01, 0.1, 1.0], "kernelridge__gamma": [0.01, 0.03, 0.1, 0.3]},
        ),
        "svr": (svm.SVR(epsilon=0.01), {"svr__C": [0.3, 3.0], "svr__gamma": [0.01, 0.1]}),
        "trees": (
            ensemble.ExtraTreesRegressor(n_estimators=50, random_state=0),
            {"extratreesregressor__min_samples_leaf": [1, 5]},
        ),
    }
    return {name: (make(scaler(), regression), grid) for name, (regression, grid) in found.items()}


def search(
    x: Float64,
    y: Float64,
    groups: Sequence[Hashable] | None = None,
    families: Sequence[str] = FAMILIES,
    *,
    seed: int = 0,
) -> tuple[str, Any]:
    """The family and the fitted pipeline of least absolute error in cross-validation. x (n, d), y (n,).

    groups: each is left out in turn; without them five folds are drawn.
    """
    selection: Any = _sklearn("sklearn.model_selection")
    if groups is not None and len(set(groups)) > 1:
        folds: Any = selection.LeaveOneGroupOut()
    else:
        folds = selection.KFold(min(_FOLDS, len(y)), shuffle=True, random_state=seed)
    best: tuple[float, str, Any] | None = None
    for name in families:
        pipeline, grid = pipelines()[name]
        tried = selection.GridSearchCV(pipeline, grid, cv=folds, scoring="neg_mean_absolute_error")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a solver that did not converge loses by its score
            tried.fit(x, y, groups=None if groups is None else np.array([str(one) for one in groups]))
        score = -float(tried.best_score_)
        if best is None or score < best[0]:
            best = score, name, tried.best_estimator_
    assert best is not None
    return best[1], best[2]


def _sklearn(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra("scikit-learn", "study") from error
