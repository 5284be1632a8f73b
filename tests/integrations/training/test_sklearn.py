"""``measure_fit`` with scikit-learn itself: a model, a pipeline's steps, workers, an exception."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import wattmark as wm
from wattmark.integrations.training.sklearn import measure_fit

sklearn = pytest.importorskip("sklearn")

from sklearn.decomposition import PCA  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

X = np.random.default_rng(0).normal(size=(400, 20))
y = (X[:, 0] > 0).astype(int)


def test_a_model_is_fitted_and_its_samples_counted() -> None:
    model = LogisticRegression()
    run = measure_fit(model, X, y, tags={"data": "made"})
    assert model.score(X, y) > 0.9
    (span,) = [span for span in run.spans if span.name == "fit"]
    assert span.counts == {"samples": 400}
    assert run.tags == {"stage": "training", "model": "LogisticRegression", "data": "made"}
    assert run.energy is not None


def test_steps_of_a_pipeline_are_spans_and_nothing_of_it_stays() -> None:
    model = make_pipeline(StandardScaler(), PCA(5), LogisticRegression())
    run = measure_fit(model, X, y)
    assert [span.path for span in run.spans] == [
        "fit",
        "fit/standardscaler",
        "fit/pca",
        "fit/logisticregression",
    ]
    assert pickle.loads(pickle.dumps(model)).score(X, y) == model.score(X, y)
    assert all("fit" not in vars(step) for _, step in model.steps)


def test_what_fit_raises_is_raised_and_the_run_is_kept() -> None:
    with pytest.raises(ValueError, match="classes"):
        measure_fit(LogisticRegression(), X, np.zeros(400), name="one class")
    assert wm.load("one class").status == "failed"
