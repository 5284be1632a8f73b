"""The contract of tasks on real weights, where packages and libraries are installed; elsewhere skipped with the reason."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wattmark.testing.task_contract import TaskContract
from wattmark.workloads.tasks import weights
from wattmark.workloads.tasks.base import Model, Settings, Task
from wattmark.workloads.tasks.catalogue import find_task

HERE = (
    Path(os.path.expanduser(os.environ.get("WATTMARK_DATA_DIR") or "~/.local/share/wattmark"))
    / "tasks"
    / "packages"
)
"""Where the packages lie outside of the tests, whose own data folder is empty."""
pytestmark = pytest.mark.skipif(
    not HERE.is_dir(), reason="no weights: python -m wattmark.workloads.tasks.install"
)

REAL = {
    "text-classification": ("minilm-head", ("torch", "tokenizers", "safetensors", "sklearn"), [""]),
    "similarity": ("minilm-int8", ("onnxruntime", "tokenizers"), []),
    "retrieval": ("minilm", ("torch", "tokenizers", "safetensors"), [" "]),
    "image-classification": (
        "efficientnet-lite0",
        ("torch", "PIL", "sklearn", "matplotlib"),
        [b"no picture"],
    ),
    "token-classification": ("en-core-web-sm", ("spacy",), [""]),
    "address-parsing": ("usaddress", (), [""]),
    "optical-character-recognition": ("rapidocr", ("onnxruntime", "cv2", "pyclipper", "shapely"), [b""]),
    "file-types": ("magika", ("onnxruntime",), [b""]),
    "speech-detection": ("silero", ("onnxruntime",), [np.zeros(0, np.float32)]),
    "speech-recognition": ("whisper-tiny", ("faster_whisper",), [np.zeros(0, np.float32)]),
    "text-generation": ("smollm2", ("xllamacpp",), []),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", REAL)
class TestRealWeights(TaskContract):
    @pytest.fixture(autouse=True)
    def _chosen(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(weights, "packages_dir", lambda: HERE)
        self.name = name
        self.called, modules, self.bad = REAL[name]
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")
        package = find_task(name).models[self.called].package
        needed = (package, *weights.PACKAGES[package].beside)
        absent = [one for one in needed if weights.package_folder(one) is None]
        if absent:
            pytest.skip(f"no weights of {', '.join(absent)}")

    def task(self) -> Task[Any, Any]:
        return find_task(self.name)

    def model(self, settings: Settings) -> Model[Any, Any]:
        return self.task().models[self.called].open(settings)

    def unusable(self) -> Sequence[Any]:
        return self.bad

    def test_it_says_what_it_is(self, name: str) -> None:
        super().test_it_says_what_it_is()

    def test_its_inputs_are_always_the_same(self, name: str) -> None:
        super().test_its_inputs_are_always_the_same()

    def test_one_answer_for_each_input(self, name: str) -> None:
        super().test_one_answer_for_each_input()

    def test_it_knows_what_it_is_made_of(self, name: str) -> None:
        super().test_it_knows_what_it_is_made_of()

    def test_a_score_is_a_share_with_its_interval(self, name: str) -> None:
        super().test_a_score_is_a_share_with_its_interval()

    def test_right_answers_are_worth_one(self, name: str) -> None:
        super().test_right_answers_are_worth_one()

    def test_what_is_no_input_is_refused_in_words(self, name: str) -> None:
        super().test_what_is_no_input_is_refused_in_words()
