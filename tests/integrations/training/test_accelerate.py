"""The contract over a loop with Accelerate itself: its checkpoints and its trackers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wattmark.integrations.training.callback import EnergyHooks
from wattmark.testing.training.contract import TrainingContract, Wish

accelerate = pytest.importorskip("accelerate", exc_type=ImportError)

from wattmark.integrations.training.accelerate import EnergyLoop  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


class TestAccelerate(TrainingContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "state"

    def make(self, **options: Any) -> EnergyHooks:
        self.accelerator = accelerate.Accelerator(cpu=True)
        return EnergyLoop(self.accelerator, **options)

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        assert isinstance(callback, EnergyLoop)
        if wish.state is not None:
            self.accelerator.load_state(str(wish.state["path"]))
        with callback as energy:
            for _ in energy.epochs(range(energy.global_step // wish.steps, wish.epochs)):
                for _ in energy.steps(range(wish.steps)):
                    wish.work(energy.global_step + 1)
                energy.log({"loss": 1.0})
        self.accelerator.save_state(str(self.path))
        return {"path": str(self.path)}


def test_its_trackers_are_told(tmp_path: Path) -> None:
    class Kept(accelerate.tracking.GeneralTracker):
        name, requires_logging_directory = "kept", False
        rows: list[tuple[Any, Any]] = []  # noqa: RUF012 - one for the test

        tracker = property(lambda self: None)

        def __init__(self) -> None:
            super().__init__()

        def store_init_configuration(self, values: Any) -> None: ...

        def log(self, values: Any, step: Any = None, **kwargs: Any) -> None:
            self.rows.append((step, values))

    accelerator = accelerate.Accelerator(cpu=True, log_with=Kept())
    accelerator.init_trackers("mine")
    with EnergyLoop(accelerator) as energy:
        for _ in energy.epochs(range(2)):
            for _ in energy.steps(range(3)):
                Wish().work(1)
    assert [step for step, values in Kept.rows if "energy/epoch_j" in values] == [3, 6]
