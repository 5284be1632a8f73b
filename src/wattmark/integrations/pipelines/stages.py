"""A stage of a pipeline as a run: its pipeline, its name, which part of a model's life it is, which try.

Tags: ``pipeline``, ``step`` (the stage's name there), ``stage`` (data, search, experiments, training, compression,
inference: the words of ``wattmark cycle``), ``attempt`` where it is not the first. A stage that fails is a run that failed;
one that is not run because its result is there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wattmark.tracker.measure import measure
from wattmark.tracker.run import Run

KINDS: Mapping[str, tuple[str, ...]] = {
    "inference": ("infer", "inference", "predict", "prediction", "serve", "serving", "score", "scoring", "deploy"),
    "compression": ("prune", "pruning", "quantize", "quantise", "quantization", "distill", "compress", "compression"),
    "experiments": (
        "evaluate", "evaluation", "eval", "validate", "validation", "test", "testing", "experiment", "experiments",
        "benchmark", "metrics", "report", "analyse", "analyze",
    ),
    "search": ("tune", "tuning", "search", "sweep", "hpo", "hyperparameters"),
    "training": ("train", "training", "fit", "finetune", "retrain", "pretrain", "learn"),
    "data": (
        "data", "dataset", "download", "fetch", "ingest", "extract", "transform", "load", "etl", "preprocess", "prepare",
        "preparation", "clean", "split", "feature", "features", "featurize", "tokenize", "augment", "label", "raw",
    ),
}  # fmt: skip
"""Part of a model's life -> words of names that say so; of several the first table entry holds (``train_test_split`` has
``train``, ``test`` and ``split``: see :data:`WHOLE`)."""
WHOLE: Mapping[str, str] = {"train_test_split": "data", "split_train_test": "data", "fine_tune": "training"}
"""Names that say another thing than their words."""


def kind_of(name: str, given: str | None = None) -> str:
    """Which part of a model's life a stage is: as given, else by the words of its name; empty where these do not say."""
    if given:
        return given
    text = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    words = set(text.split("_"))
    for whole, kind in WHOLE.items():
        if whole in text:
            return kind
    return next((kind for kind, known in KINDS.items() if set(known) & words), "")


def tags_of(pipeline: str, step: str, *, kind: str | None = None, attempt: int = 1) -> dict[str, str]:
    """What the run of a stage is tagged with."""
    part = kind_of(step, kind)
    return {
        "pipeline": pipeline,
        "step": step,
        **({"stage": part} if part else {}),
        **({"attempt": str(attempt)} if attempt > 1 else {}),
    }


def stage(
    name: str,
    *,
    pipeline: str,
    kind: str | None = None,
    attempt: int = 1,
    tags: Mapping[str, object] | None = None,
) -> Run:
    """A stage of a pipeline as a run: ``with wm.stage("train", pipeline="churn"): ...``.

    kind: its part of a model's life, a stage of ``wattmark cycle`` (default: by the words of its name). attempt: which try
    it is, from 1. tags: further ones.
    """
    run: Run = measure(name, tags={**tags_of(pipeline, name, kind=kind, attempt=attempt), **(tags or {})})
    return run
