from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wattmark.errors import ConfigError, ImportFileError
from wattmark.workloads import registry
from wattmark.workloads.tabular.streams import load_streams, read_csv, synthesise
from wattmark.workloads.tabular.workload import TabularWorkload, make_model, scores


class Spans:
    def __init__(self) -> None:
        self.seen: dict[str, dict[str, Any]] = {}

    def __call__(self, name: str, **counts: Any) -> AbstractContextManager[Any]:
        self.seen[name] = counts
        return nullcontext()


def test_one_row_in_twenty_is_anomalous_and_the_seed_decides_all() -> None:
    streams = synthesise(4_000, seed=3)
    assert streams.labels.mean() == pytest.approx(0.05, abs=0.001)
    again = synthesise(4_000, seed=3)
    assert np.array_equal(streams.features, again.features)
    assert not np.array_equal(streams.features, synthesise(4_000, seed=4).features)


def test_anomalies_are_not_told_by_the_range_of_one_sensor() -> None:
    streams = synthesise(6_000, seed=0)
    distance = np.abs((streams.features - streams.features.mean(0)) / streams.features.std(0)).max(1)
    normal, anomalous = distance[streams.labels == 0], distance[streams.labels == 1]
    assert (anomalous < np.quantile(normal, 0.95)).mean() > 0.3


@pytest.mark.parametrize(
    "model",
    [
        "decision-tree", "random-forest", "extra-trees", "logistic-regression", "naive-bayes",
        "k-nearest-neighbours", "svm", "adaboost", "gradient-boosting", "mlp-8", "mlp-8-4",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # an MLP may use all its iterations
def test_every_classifier_learns_and_names_its_stages(model: str) -> None:
    workload = TabularWorkload()
    given = {"model": model, "rows": 600, "folds": 0, "inference_rounds": 1}
    config = registry.complete(workload, given)
    spans = Spans()
    workload.warm_up(config)
    metrics = workload.run(config, spans)
    assert spans.seen["train"] == {"samples": 480}
    assert spans.seen["inference"] == {"samples": 120}
    assert metrics["accuracy"] > 0.8
    assert {"auc", "precision", "recall", "f1", "f1_macro", "kappa", "mcc"} <= set(metrics)


def test_cross_validation_is_a_stage_of_its_own() -> None:
    workload, spans = TabularWorkload(), Spans()
    metrics = workload.run(registry.complete(workload, {"rows": 600, "folds": 3}), spans)
    assert list(spans.seen) == ["data", "train", "cross-validation", "inference"]
    assert 0 <= metrics["cross_validated_f1"] <= 1


def test_the_eight_scores_on_a_case_counted_by_hand() -> None:
    truth, predicted = [1, 1, 0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0, 0, 0]
    found = scores(truth, predicted, [0.9, 0.4, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert found["accuracy"] == 0.75
    assert (found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
    assert found["f1_macro"] == pytest.approx((0.5 + 5 / 6) / 2)
    assert found["kappa"] == pytest.approx(1 / 3)
    assert found["mcc"] == pytest.approx(1 / 3)
    assert found["auc"] == pytest.approx(11 / 12)


def test_a_users_csv_is_read_with_its_label_column(tmp_path: Path) -> None:
    path = tmp_path / "plant.csv"
    path.write_text("Label,a,b\n0,1,2\n1,3,4\n0,5,6\n")
    streams = load_streams(f"csv:{path}", 0, 0)
    assert streams.labels.tolist() == [0, 1, 0]
    assert streams.features.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    "text", ["", "a,label\n", "a,label\n1,x\n", "a,label\n1,0\n1,2\n", "a,label\n1,0\n2\n"]
)
def test_a_csv_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ImportFileError):
        read_csv(str(path))


def test_an_unknown_classifier_is_named() -> None:
    with pytest.raises(ConfigError, match="mlp-x"):
        make_model("mlp-x")
