"""scikit-learn estimators, by the documented rule of each kind."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the anatomy of estimators needs scikit-learn")

from sklearn import ensemble, linear_model, naive_bayes, neighbors, svm, tree
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wattmark.anatomy import describe, rows
from wattmark.errors import ConfigError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
F, K = 4, 3


def test_a_tree_compares_once_per_level_on_the_way_to_its_leaf():
    fitted = tree.DecisionTreeClassifier(random_state=0).fit(X, Y)
    found = describe(fitted)
    assert (found.nodes, found.depth) == (fitted.tree_.node_count, fitted.get_depth())
    assert found.multiply_adds == 0
    # The decision path counts its leaf, too.
    assert found.comparisons == pytest.approx(fitted.decision_path(X).sum() / len(X) - 1)


def test_a_forest_is_the_sum_of_its_trees():
    fitted = ensemble.RandomForestClassifier(5, bootstrap=False, random_state=0).fit(X, Y)
    found = describe(fitted)
    assert found.nodes == sum(t.tree_.node_count for t in fitted.estimators_)
    assert found.depth == max(t.get_depth() for t in fitted.estimators_)
    assert found.multiply_adds == 5 * K
    paths = [t.decision_path(X.astype(np.float32)).sum() / len(X) - 1 for t in fitted.estimators_]
    assert found.comparisons == pytest.approx(sum(paths))


def test_boosted_trees_add_up():
    fitted = ensemble.GradientBoostingClassifier(n_estimators=3, random_state=0).fit(X, Y)
    assert describe(fitted).multiply_adds == 3 * K
    histogram = ensemble.HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2).fit(X, Y)
    found = describe(histogram)
    assert found.multiply_adds == 3 * K
    assert found.nodes == sum(len(t.nodes) for stage in histogram._predictors for t in stage)
    assert 0 < found.comparisons <= found.multiply_adds * found.depth
    ada = describe(ensemble.AdaBoostClassifier(n_estimators=4, random_state=0).fit(X, Y))
    assert ada.multiply_adds == 4 * K


@pytest.mark.parametrize(
    ("estimator", "coefficients", "multiply_adds"),
    [
        (linear_model.LogisticRegression(), K * F + K, K * F),
        (linear_model.Ridge(), F, F),
        (linear_model.LinearRegression(fit_intercept=False), F, F),
        (linear_model.SGDRegressor(), F + 1, F),
        (linear_model.SGDOneClassSVM(), F + 1, F),
        (svm.LinearSVC(), K * F + K, K * F),
        (neighbors.KNeighborsClassifier(), 60 * F, 60 * F),
        (naive_bayes.GaussianNB(), 2 * K * F + K, 2 * K * F),
        (naive_bayes.BernoulliNB(), K * F + K, K * F),
        (MLPClassifier((5,), max_iter=2), 5 * F + 5 + 5 * K + K, 5 * F + 5 * K),
        (KMeans(2, n_init=1), 2 * F, 2 * F),
        (PCA(2), 2 * F, 2 * F),
        (DummyClassifier(), 1, 0),
        (make_pipeline(StandardScaler(), "passthrough", linear_model.Ridge()), 2 * F + F, F + F),
        (GridSearchCV(linear_model.Ridge(), {"alpha": [1, 2]}, cv=2), F, F),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_multiply_adds_follow_the_rule_of_the_kind(estimator, coefficients, multiply_adds):
    found = describe(estimator.fit(X, Y))
    assert found.kind == type(estimator).__name__
    # A plain float for an intercept is one number that scikit-learn does not keep as an array.
    assert found.coefficients - coefficients in (0, 1 if "Ridge" in repr(estimator) else 0)
    assert found.multiply_adds == multiply_adds


def test_categorical_naive_bayes_reads_one_number_per_feature_and_class():
    fitted = naive_bayes.CategoricalNB().fit((X > 0).astype(int), Y)
    assert describe(fitted).multiply_adds == F * K


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_a_kernel_machine_visits_every_support_vector(kernel):
    fitted = svm.SVC(kernel=kernel).fit(X, Y)
    vectors = len(fitted.support_)
    found = describe(fitted)
    assert found.support_vectors == vectors
    assert found.multiply_adds == vectors * F + vectors * (K - 1)


def test_voting_sums_its_members():
    members = [("a", linear_model.LogisticRegression()), ("b", svm.SVC())]
    fitted = ensemble.VotingClassifier(members).fit(X, Y)
    found = describe(fitted)
    assert found.multiply_adds == K * F + describe(fitted.estimators_[1]).multiply_adds
    assert found.support_vectors == len(fitted.estimators_[1].support_)


def test_a_kind_without_a_rule_has_no_numbers_rather_than_zeros():
    found = describe(GaussianProcessClassifier().fit(X[:10], [0, 1] * 5))
    assert found.multiply_adds is None
    assert found.coefficients is None


@pytest.mark.parametrize("estimator", [svm.SVC(), make_pipeline(StandardScaler(), svm.SVC())])
def test_an_estimator_that_is_not_fitted_is_refused(estimator):
    with pytest.raises(ConfigError, match="not fitted"):
        describe(estimator)


def test_a_search_without_refit_is_refused():
    search = GridSearchCV(linear_model.Ridge(), {"alpha": [1]}, cv=2, refit=False).fit(X, Y)
    with pytest.raises(ConfigError, match="no best estimator"):
        describe(search)


def test_what_is_neither_is_refused():
    with pytest.raises(ConfigError, match="neither"):
        describe(object())


def test_an_estimator_is_one_row():
    (row,) = rows(describe(linear_model.LogisticRegression().fit(X, Y)))
    assert row["multiply_adds"] == K * F
    assert row["nodes"] is None


def test_importing_the_package_loads_no_framework():
    code = "import sys, wattmark.anatomy; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
