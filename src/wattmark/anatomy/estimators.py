"""Anatomy of a fitted scikit-learn estimator, by the name of its family; scikit-learn is never imported.

The rules, for one predicted sample (f features, k classes or outputs):

======================  ======================================================================================
decision tree           comparisons: mean depth of the leaves, weighted by the training samples in them;
                        no multiply-adds
forest, bagging         the sum over members, and one addition per member and output to average them
gradient boosting       the sum over trees, and one multiply-add per tree
histogram boosting      as gradient boosting
AdaBoost                the sum over members, and one multiply-add per member and class to weigh its vote
linear models           one multiply-add per coefficient
kernel SVM              f per support vector for the kernel's product or distance, one per dual coefficient
                        (libsvm sums over support vectors for the linear kernel, too)
nearest neighbours      f per stored sample: the distance to each; an upper bound where a search tree prunes
Gaussian naive Bayes    two per feature and class: square, divide by the variance
other naive Bayes       one per feature and class
neural network          one per weight
k-means, PCA            one per element of the centres or components
scalers                 one per feature
pipeline, search        the sum over the steps; the best estimator
voting, stacking        the sum over members, with the final estimator where there is one
======================  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np

from wattmark.anatomy.records import EstimatorAnatomy
from wattmark.errors import ConfigError

# What a rule finds; ``describe_estimator`` puts the kind in.
_parts = partial(EstimatorAnatomy, kind="")


def is_estimator(obj: Any) -> bool:
    """Whether ``obj`` is, or derives from, a class of scikit-learn."""
    return "BaseEstimator" in {c.__name__ for c in type(obj).__mro__ if c.__module__.startswith("sklearn.")}


def describe_estimator(estimator: Any) -> EstimatorAnatomy:
    """Count a fitted estimator; fields stay None where its kind has no rule.

    Raises ConfigError if it is not fitted.
    """
    kind = type(estimator).__name__
    # scikit-learn's own convention: what was learned ends in an underscore.
    attributes = cast("dict[str, Any]", vars(estimator))
    learned = any(n.endswith("_") and not n.startswith("__") for n in attributes)
    if not learned and not hasattr(estimator, "steps"):
        raise ConfigError(f"{kind} is not fitted, so its size is not known", hint="call fit first")
    for cls in type(estimator).__mro__:
        rule = _RULES.get(cls.__name__)
        if rule is not None and cls.__module__.startswith("sklearn."):
            return replace(rule(estimator), kind=kind)
    return EstimatorAnatomy(kind)


def _sum(values: Iterable[Any]) -> Any:
    """The sum, None if any part is not known."""
    parts = list(values)
    return None if any(v is None for v in parts) else sum(parts)


def _sum_known(values: Iterable[int | None]) -> int | None:
    """The sum of the parts that have such a thing at all; None if none has."""
    parts = [v for v in values if v is not None]
    return sum(parts) if parts else None


def _together(parts: list[EstimatorAnatomy], *, extra: int = 0) -> EstimatorAnatomy:
    """Several estimators that all run for a prediction, and ``extra`` multiply-adds to join their answers."""
    multiply_adds = _sum(p.multiply_adds for p in parts)
    return _parts(
        nodes=_sum_known(p.nodes for p in parts),
        depth=max((p.depth for p in parts if p.depth is not None), default=None),
        coefficients=_sum_known(p.coefficients for p in parts),
        support_vectors=_sum_known(p.support_vectors for p in parts),
        multiply_adds=None if multiply_adds is None else multiply_adds + extra,
        comparisons=_sum(p.comparisons for p in parts),
    )


def _members(estimators: Iterable[Any]) -> list[EstimatorAnatomy]:
    return [describe_estimator(e) for e in estimators if e is not None and not isinstance(e, str)]


def _tree(estimator: Any) -> EstimatorAnatomy:
    tree = estimator.tree_
    samples = tree.weighted_n_node_samples
    # Each inner node that a sample passes is one comparison, so their shares of the samples sum to the mean
    # depth.
    inner = samples[tree.children_left >= 0].sum() / samples[0]
    return _parts(
        nodes=int(tree.node_count),
        depth=int(tree.max_depth),
        coefficients=int(tree.value.size),
        multiply_adds=0,
        comparisons=float(inner),
    )


def _averaged(estimator: Any) -> EstimatorAnatomy:
    members = _members(estimator.estimators_)
    return _together(members, extra=len(members) * _outputs(estimator))


def _outputs(estimator: Any) -> int:
    """Numbers that one member gives: a vote for each class (of each target), or one value for each target."""
    classes = getattr(estimator, "n_classes_", None)
    if classes is None:
        return int(getattr(estimator, "n_outputs_", 1))
    return int(np.sum(classes))


def _gradient_boosting(estimator: Any) -> EstimatorAnatomy:
    trees = _members(estimator.estimators_.ravel())
    return _together(trees, extra=len(trees))


def _histogram_boosting(estimator: Any) -> EstimatorAnatomy:
    trees = [tree.nodes for stage in estimator._predictors for tree in stage]
    inner = [nodes[nodes["is_leaf"] == 0] for nodes in trees]
    return _parts(
        nodes=sum(len(nodes) for nodes in trees),
        depth=max(int(nodes["depth"].max()) for nodes in trees),
        coefficients=sum(len(nodes) for nodes in trees),
        multiply_adds=len(trees),
        comparisons=float(
            sum(i["count"].sum() / n["count"][0] for i, n in zip(inner, trees, strict=True) if len(i))
        ),
    )


def _weight_boosting(estimator: Any) -> EstimatorAnatomy:
    members = _members(estimator.estimators_)
    return _together(members, extra=len(members) * _outputs(estimator))


def _linear(estimator: Any) -> EstimatorAnatomy:
    size = int(estimator.coef_.size)
    # A one-class machine has an offset instead; without fit_intercept the intercept is a plain 0.0 that is
    # not learned.
    intercept = getattr(estimator, "intercept_", getattr(estimator, "offset_", 0.0))
    return _parts(coefficients=size + int(getattr(intercept, "size", 0)), multiply_adds=size, comparisons=0.0)


def _kernel_svm(estimator: Any) -> EstimatorAnatomy:
    vectors = int(estimator.support_vectors_.shape[0])
    features = int(estimator.n_features_in_)
    duals = int(estimator.dual_coef_.size)
    return _parts(
        coefficients=vectors * features + duals + int(estimator.intercept_.size),
        support_vectors=vectors,
        multiply_adds=vectors * features + duals,
        comparisons=0.0,
    )


def _neighbours(estimator: Any) -> EstimatorAnatomy:
    stored = int(estimator.n_samples_fit_) * int(estimator.n_features_in_)
    return _parts(coefficients=stored, multiply_adds=stored)


def _gaussian_bayes(estimator: Any) -> EstimatorAnatomy:
    means = int(estimator.theta_.size)
    return _parts(
        coefficients=2 * means + len(estimator.class_prior_), multiply_adds=2 * means, comparisons=0.0
    )


def _discrete_bayes(estimator: Any) -> EstimatorAnatomy:
    tables: Any = estimator.feature_log_prob_  # one per feature where the features are categories
    size = sum(int(t.size) for t in tables)
    classes = len(estimator.class_log_prior_)
    multiply_adds = int(estimator.n_features_in_) * classes
    return _parts(coefficients=size + classes, multiply_adds=multiply_adds, comparisons=0.0)


def _neural_network(estimator: Any) -> EstimatorAnatomy:
    weights = sum(int(w.size) for w in estimator.coefs_)
    biases = sum(int(b.size) for b in estimator.intercepts_)
    return _parts(
        depth=len(estimator.coefs_),
        coefficients=weights + biases,
        multiply_adds=weights,
        comparisons=0.0,
    )


def _array(name: str) -> Callable[[Any], EstimatorAnatomy]:
    """A rule of one multiply-add per element of a learned array."""

    def rule(estimator: Any) -> EstimatorAnatomy:
        size = int(getattr(estimator, name).size)
        return _parts(coefficients=size, multiply_adds=size, comparisons=0.0)

    return rule


def _scaler(estimator: Any) -> EstimatorAnatomy:
    features = int(estimator.n_features_in_)
    return _parts(coefficients=2 * features, multiply_adds=features, comparisons=0.0)


def _pipeline(estimator: Any) -> EstimatorAnatomy:
    return _together(_members(step for _, step in estimator.steps))


def _search(estimator: Any) -> EstimatorAnatomy:
    if not hasattr(estimator, "best_estimator_"):
        raise ConfigError(f"{type(estimator).__name__} kept no best estimator", hint="search with refit=True")
    return describe_estimator(estimator.best_estimator_)


def _ensemble(estimator: Any) -> EstimatorAnatomy:
    final = getattr(estimator, "final_estimator_", None)
    return _together(_members([*estimator.estimators_, final]))


def _constant(estimator: Any) -> EstimatorAnatomy:
    return _parts(coefficients=1, multiply_adds=0, comparisons=0.0)


# By the name of the nearest class of scikit-learn among an estimator's bases.
_RULES: dict[str, Callable[[Any], EstimatorAnatomy]] = {
    "BaseDecisionTree": _tree,
    "BaseForest": _averaged,
    "BaseBagging": _averaged,
    "BaseGradientBoosting": _gradient_boosting,
    "BaseHistGradientBoosting": _histogram_boosting,
    "BaseWeightBoosting": _weight_boosting,
    "LinearClassifierMixin": _linear,
    "LinearModel": _linear,
    "BaseSGD": _linear,
    "BaseLibSVM": _kernel_svm,
    "NeighborsBase": _neighbours,
    "GaussianNB": _gaussian_bayes,
    "_BaseDiscreteNB": _discrete_bayes,
    "BaseMultilayerPerceptron": _neural_network,
    "_BaseKMeans": _array("cluster_centers_"),
    "_BasePCA": _array("components_"),
    "StandardScaler": _scaler,
    "MinMaxScaler": _scaler,
    "MaxAbsScaler": _scaler,
    "RobustScaler": _scaler,
    "Pipeline": _pipeline,
    "BaseSearchCV": _search,
    "_BaseVoting": _ensemble,
    "_BaseStacking": _ensemble,
    "DummyClassifier": _constant,
    "DummyRegressor": _constant,
}
