"""The contract over the Trainer of Hugging Face itself, and the order of its hooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fakes.frameworks import HuggingFaceTrainer
from wattmark.integrations.training.callback import EnergyHooks
from wattmark.testing.training.contract import TrainingContract, Wish

transformers = pytest.importorskip("transformers.trainer", exc_type=ImportError)
pytest.importorskip("accelerate")
torch = pytest.importorskip("torch")

from transformers import Trainer, TrainerCallback, TrainingArguments  # noqa: E402  # pyright: ignore[reportMissingImports]

from wattmark.integrations.training.transformers import EnergyCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


class Net(torch.nn.Module):
    def __init__(self, work: Any = lambda step: None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self._work = work
        self.step = 0

    def forward(self, x: Any, labels: Any = None) -> dict[str, Any]:
        if self.training:
            self.step += 1
            self._work(self.step)
        out = self.layer(x)
        return {"loss": out.square().mean(), "logits": out}


def rows(steps: int) -> list[dict[str, Any]]:
    return [{"x": torch.zeros(2), "labels": torch.zeros(1)} for _ in range(8 * steps)]


def trainer_of(folder: Path, epochs: int, steps: int, callbacks: list[Any], work: Any, **options: Any) -> Any:
    args = TrainingArguments(
        output_dir=str(folder), num_train_epochs=epochs, per_device_train_batch_size=8, logging_steps=2,
        eval_strategy="epoch", save_strategy="epoch", use_cpu=True, disable_tqdm=True,
        **{"report_to": [], **options},
    )  # fmt: skip
    return Trainer(
        model=Net(work), args=args, train_dataset=rows(steps), eval_dataset=rows(1), callbacks=callbacks
    )


class TestHuggingFace(TrainingContract):
    tells_of_exceptions = False

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def make(self, **options: Any) -> EnergyHooks:
        return EnergyCallback(**options)

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        trainer = trainer_of(self.path / "out", wish.epochs, wish.steps, [callback], wish.work)
        trainer.train(resume_from_checkpoint=None if wish.state is None else str(wish.state["path"]))
        return {"path": str(self.path / "out" / f"checkpoint-{wish.epochs * wish.steps}")}


def test_the_stand_in_calls_hooks_in_the_trainers_order(tmp_path: Path) -> None:
    class Recorder(TrainerCallback):
        def __init__(self) -> None:
            self.called: list[str] = []

        def __getattribute__(self, name: str) -> Any:
            if name.startswith("on_"):
                self.called.append(name)
            return super().__getattribute__(name)

        def state(self) -> dict[str, Any]:
            return {}

    real, fake = Recorder(), Recorder()
    trainer_of(tmp_path, 2, 2, [real], lambda step: None).train()
    HuggingFaceTrainer(fake, 2).train(lambda step: None, 2)
    known = set(fake.called)
    assert [name for name in real.called if name in known] == fake.called


def test_tensorboard_has_joules_in_the_folder_of_the_loss(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # pyright: ignore[reportMissingImports]

    trainer = trainer_of(tmp_path, 2, 4, [EnergyCallback()], Wish().work, report_to=["tensorboard"])
    trainer.train()
    (folder,) = {path.parent for path in tmp_path.rglob("events.out.tfevents*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/loss", "energy/epoch_j", "energy/epoch_low_j", "energy/total_j"} <= tags
    assert [event.step for event in events.Scalars("energy/epoch_j")] == [4, 8]
