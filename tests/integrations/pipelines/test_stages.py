"""Which part of a model's life a stage is, and its run."""

from __future__ import annotations

import pytest

import wattmark as wm
from wattmark.integrations.pipelines.stages import kind_of, stage


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("prepare", "data"), ("FeatureStore_build-features", "data"), ("train_test_split", "data"),
        ("TrainModel", "training"), ("fine-tune", "training"), ("evaluate", "experiments"),
        ("test_model", "experiments"), ("tuneHyperparameters", "search"), ("quantize", "compression"),
        ("batch_predict", "inference"), ("serve", "inference"), ("step 7", ""), ("", ""), ("training_data", "training"),
    ],
)  # fmt: skip
def test_names_say_it(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_what_is_given_holds() -> None:
    assert kind_of("train", "data") == "data"


def test_a_stage_is_a_run_with_its_tags(fake_machine: object) -> None:
    with wm.stage("train", pipeline="churn", tags={"model": "small"}):
        pass
    with pytest.raises(ValueError, match="no"), stage("evaluate", pipeline="churn", attempt=2):
        raise ValueError("no")
    failed, trained = wm.runs(tag="pipeline=churn")
    assert trained.tags == {"pipeline": "churn", "step": "train", "stage": "training", "model": "small"}
    assert failed.tags == {"pipeline": "churn", "step": "evaluate", "stage": "experiments", "attempt": "2"}
    assert (trained.status, failed.status) == ("completed", "failed")
