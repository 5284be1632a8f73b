"""Training, cross-validation and inference of classical classifiers, each a stage (the comparison of arXiv 2307.00361).

The published configurations of its multilayer perceptrons could not be found in its abstract; the sizes here are our own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from wattmark.errors import ConfigError, MissingExtra
from wattmark.workloads.registry import Config, Factor, SpanMaker
from wattmark.workloads.tabular.streams import load_streams

_ESTIMATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "decision-tree": ("tree.DecisionTreeClassifier", {}),
    "random-forest": ("ensemble.RandomForestClassifier", {}),
    "extra-trees": ("ensemble.ExtraTreesClassifier", {}),
    "logistic-regression": ("linear_model.LogisticRegression", {"max_iter": 1_000}),
    "naive-bayes": ("naive_bayes.GaussianNB", {}),
    "k-nearest-neighbours": ("neighbors.KNeighborsClassifier", {}),
    "svm": ("svm.SVC", {}),
    "adaboost": ("ensemble.AdaBoostClassifier", {}),
    "gradient-boosting": ("ensemble.GradientBoostingClassifier", {}),
}
"""Name -> class of scikit-learn and what differs from its defaults."""
_MLP = re.compile(r"mlp(-[1-9][0-9]*)+")
_MLP_ITERATIONS = 200
_MLP_OPTIONS: dict[str, Any] = {"batch_size": 32, "learning_rate_init": 0.003, "tol": 1e-5}
"""scikit-learn's own values stop on rare anomalies before anything is learned."""
_TEST_SHARE = 0.2


class TabularWorkload:
    """Anomaly detection in sensor streams with one classifier of scikit-learn."""

    factors: Mapping[str, Factor] = {
        "model": Factor(
            "decision-tree", f"{', '.join(_ESTIMATORS)}, or mlp-64-32: hidden layers of 64 and 32"
        ),
        "data": Factor("synthetic", "synthetic, or csv:PATH"),
        "rows": Factor(6_000, "rows of the streams; of a CSV file at most so many, 0 for all"),
        "folds": Factor(5, "of the cross-validation; 0 for none"),
        "inference_rounds": Factor(10, "how often the test rows are classified in the stage inference"),
        "threads": Factor(1, "jobs of estimators that can use several, and threads of BLAS and OpenMP"),
        "seed": Factor(0, "of data, split and estimator"),
    }

    def warm_up(self, config: Config) -> None:
        """Load scikit-learn and fit the classifier to a few rows."""
        rng = np.random.default_rng(0)
        features = rng.normal(size=(40, 3))
        labels = (np.arange(40) % 2).astype(np.int64)
        model = make_model(str(config["model"]), int(config["seed"]), int(config["threads"]))
        model.fit(features, labels)
        model.predict(features)

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """Stages ``data``, ``train``, ``cross-validation`` and ``inference``; scores on the held-out rows."""
        limits: Any = import_module("threadpoolctl").threadpool_limits
        with limits(int(config["threads"])):  # BLAS and OpenMP would take all cores, whatever was asked for
            return _run(config, span)


def _run(config: Config, span: SpanMaker) -> dict[str, Any]:
    seed, folds = int(config["seed"]), int(config["folds"])
    selection: Any = import_module("sklearn.model_selection")
    with span("data"):
        streams = load_streams(str(config["data"]), int(config["rows"]), seed)
        train_x, test_x, train_y, test_y = selection.train_test_split(
            streams.features,
            streams.labels,
            test_size=_TEST_SHARE,
            random_state=seed,
            stratify=streams.labels,
        )
    model = make_model(str(config["model"]), seed, int(config["threads"]))
    validated: Any = None
    with span("train", samples=len(train_y)):
        model.fit(train_x, train_y)
    if folds:
        with span("cross-validation", samples=len(train_y) * (folds - 1)):
            splits = selection.StratifiedKFold(folds, shuffle=True, random_state=seed)
            fresh = make_model(str(config["model"]), seed, int(config["threads"]))
            validated = selection.cross_val_score(fresh, train_x, train_y, cv=splits, scoring="f1")
    rounds = int(config["inference_rounds"])
    with span("inference", samples=len(test_y) * rounds):
        for _ in range(rounds):
            model.predict(test_x)
    metrics = scores(test_y, model.predict(test_x), ranking(model, test_x))
    if validated is not None:
        metrics["cross_validated_f1"] = float(validated.mean())
    return {**metrics, "train_samples": len(train_y), "test_samples": len(test_y), **_anatomy(model)}


def make_model(name: str, seed: int = 0, threads: int = 1) -> Any:
    """A new pipeline of standardisation and the classifier of that name.

    Raises ConfigError for a name that there is not, MissingExtra without scikit-learn.
    """
    if find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "study")
    if _MLP.fullmatch(name):
        hidden = tuple(int(size) for size in name.split("-")[1:])
        reference = "neural_network.MLPClassifier"
        options: dict[str, Any] = {
            "hidden_layer_sizes": hidden,
            "max_iter": _MLP_ITERATIONS,
            **_MLP_OPTIONS,
        }
    elif name in _ESTIMATORS:
        reference, options = _ESTIMATORS[name]
    else:
        raise ConfigError(f"no classifier named {name!r}", hint=f"{', '.join(_ESTIMATORS)}, or mlp-64-32")
    module, _, kind = reference.partition(".")
    estimator: Any = getattr(import_module(f"sklearn.{module}"), kind)(**options)
    parameters: dict[str, Any] = estimator.get_params()
    if "random_state" in parameters:
        estimator.set_params(random_state=seed)
    if "n_jobs" in parameters and threads != 1:
        estimator.set_params(n_jobs=threads)
    scaler: Any = import_module("sklearn.preprocessing").StandardScaler()
    return import_module("sklearn.pipeline").make_pipeline(scaler, estimator)


def ranking(model: Any, features: Any) -> Any:
    """How anomalous each row is, for the area under the ROC curve."""
    if hasattr(model, "decision_function"):
        return model.decision_function(features)
    return model.predict_proba(features)[:, 1]


def scores(truth: Any, predicted: Any, rank: Any) -> dict[str, float]:
    """The eight metrics of arXiv 2307.00361; precision, recall and F1 are those of the anomalies."""
    metrics: Any = import_module("sklearn.metrics")
    return {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "auc": float(metrics.roc_auc_score(truth, rank)),
        "precision": float(metrics.precision_score(truth, predicted, zero_division=0)),
        "recall": float(metrics.recall_score(truth, predicted)),
        "f1": float(metrics.f1_score(truth, predicted)),
        "f1_macro": float(metrics.f1_score(truth, predicted, average="macro")),
        "kappa": float(metrics.cohen_kappa_score(truth, predicted)),
        "mcc": float(metrics.matthews_corrcoef(truth, predicted)),
    }


def _anatomy(model: Any) -> dict[str, float]:
    """What the fitted classifier is made of, where that can be said."""
    from wattmark.anatomy import describe

    estimator: Any = describe(model[-1])
    sizes = {
        "parameters": estimator.coefficients,
        "macs": estimator.multiply_adds,
        "nodes": estimator.nodes,
        "support_vectors": estimator.support_vectors,
        "comparisons": estimator.comparisons,
    }
    return {name: float(value) for name, value in sizes.items() if value is not None}
