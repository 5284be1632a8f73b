"""The contract of energy callbacks over stand-ins that call the hooks as the frameworks do: it runs everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from fakes.frameworks import (
    Hooks,
    HooksOfKeras,
    HuggingFaceTrainer,
    KerasModel,
    LightningTrainer,
    stand_in,
)
from wattmark.integrations.training.callback import EnergyHooks
from wattmark.integrations.training.loop import Loop
from wattmark.testing.training.contract import TrainingContract, Wish

Load = Callable[[str], ModuleType]


class TestLightning(TrainingContract):
    @pytest.fixture(autouse=True)
    def module(self, monkeypatch: pytest.MonkeyPatch, fresh: Load) -> None:
        stand_in(monkeypatch, "lightning.pytorch.callbacks", Callback=Hooks)
        self.integration = fresh("lightning")

    def make(self, **options: Any) -> EnergyHooks:
        return self.integration.EnergyCallback(**options)

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        trainer = LightningTrainer(callback, wish.epochs)
        trainer.fit(wish.work, wish.steps, wish.state)
        return trainer.checkpoint


class TestHuggingFace(TrainingContract):
    tells_of_exceptions = False

    @pytest.fixture(autouse=True)
    def module(self, monkeypatch: pytest.MonkeyPatch, fresh: Load) -> None:
        stand_in(
            monkeypatch,
            "transformers.trainer_callback",
            TrainerCallback=Hooks,
            ExportableState=type("State", (), {}),
        )
        self.integration = fresh("transformers")

    def make(self, **options: Any) -> EnergyHooks:
        return self.integration.EnergyCallback(**options)

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        trainer = HuggingFaceTrainer(callback, wish.epochs)
        trainer.train(wish.work, wish.steps, wish.state)
        return trainer.checkpoint


class TestKeras(TrainingContract):
    tells_of_exceptions = False

    @pytest.fixture(autouse=True)
    def module(self, monkeypatch: pytest.MonkeyPatch, fresh: Load) -> None:
        stand_in(monkeypatch, "keras.callbacks", Callback=HooksOfKeras)
        self.integration = fresh("keras")

    def make(self, **options: Any) -> EnergyHooks:
        return self.integration.EnergyCallback(**{"training": "contract", **options})

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        begun = int(str(wish.state["epochs"])) if wish.state else 0
        KerasModel().fit(callback, wish.work, wish.epochs, wish.steps, begun)
        return {"epochs": wish.epochs}


class TestLoop(TrainingContract):
    def make(self, **options: Any) -> EnergyHooks:
        return Loop(**options)

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        assert isinstance(callback, Loop)
        begun = 0
        if wish.state is not None:
            callback.load_state_dict(wish.state)
            begun = callback.global_step // wish.steps
        with callback as energy:
            for _ in energy.epochs(range(begun, wish.epochs)):
                for _ in energy.steps(range(wish.steps)):
                    wish.work(energy.global_step + 1)
                energy.log({"loss": 1.0})
        return callback.state_dict()
