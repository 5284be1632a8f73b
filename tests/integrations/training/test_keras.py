"""The contract over Keras itself (its PyTorch backend), and the order of its hooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fakes.frameworks import KerasModel
from wattmark.integrations.training.callback import EnergyHooks
from wattmark.testing.training.contract import TrainingContract, Wish

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", exc_type=ImportError)

from wattmark.integrations.training.keras import EnergyCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


class Working(keras.callbacks.Callback):
    """What the training does in a step."""

    def __init__(self, work: Any, step: int) -> None:
        super().__init__()
        self._work, self._step = work, step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        self._work(self._step)


def fit(callbacks: list[Any], epochs: int, steps: int, initial_epoch: int = 0) -> None:
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    x, y = np.zeros((8 * steps, 2)), np.zeros((8 * steps, 1))
    model.fit(
        x, y, batch_size=8, epochs=epochs, initial_epoch=initial_epoch, verbose=0, validation_data=(x[:8], y[:8]),
        callbacks=callbacks,
    )  # fmt: skip


class TestKeras(TrainingContract):
    tells_of_exceptions = False

    def make(self, **options: Any) -> EnergyHooks:
        return EnergyCallback(**{"training": "contract", "batch_size": 8, **options})

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        begun = int(str(wish.state["epochs"])) if wish.state else 0
        fit([Working(wish.work, begun * wish.steps), callback], wish.epochs, wish.steps, begun)
        return {"epochs": wish.epochs}


def test_the_stand_in_calls_hooks_in_keras_order() -> None:
    def hook(name: str) -> Any:
        return lambda self, *args, **kwargs: self.called.append(name)

    names = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]
    recorder = type("Recorder", (keras.callbacks.Callback,), {name: hook(name) for name in names})
    real, fake = recorder(), recorder()
    real.called, fake.called = [], []
    fit([real], 2, 2)
    KerasModel().fit(_Settable(fake), lambda step: None, 2, 2)
    known = set(fake.called)
    assert [
        name for name in real.called if name in known and not name.startswith("on_test_batch")
    ] == fake.called


class _Settable:
    """A callback whose model may be anything."""

    def __init__(self, callback: Any) -> None:
        self._callback = callback

    def __getattr__(self, name: str) -> Any:
        return getattr(self._callback, name)
