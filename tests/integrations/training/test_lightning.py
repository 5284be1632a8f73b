"""The contract over PyTorch Lightning itself, its hooks' order, its loggers and two ranks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fakes.frameworks import LightningTrainer
from wattmark.integrations.training.callback import EnergyHooks
from wattmark.testing.training.contract import TrainingContract, Wish

L = pytest.importorskip("lightning.pytorch", exc_type=ImportError)
torch = pytest.importorskip("torch")

from wattmark.integrations.training.lightning import EnergyCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 2,
}  # fmt: skip


class Net(L.LightningModule):
    def __init__(self, work: Any = lambda step: None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self._work = work

    def training_step(self, batch: Any, index: int) -> Any:
        self._work(self.trainer.global_step + 1)
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", self.layer(batch[0]).square().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


def data(steps: int) -> Any:
    rows = torch.utils.data.TensorDataset(torch.zeros(8 * steps, 2))
    return torch.utils.data.DataLoader(rows, batch_size=8)


class TestLightning(TrainingContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def make(self, **options: Any) -> EnergyHooks:
        return EnergyCallback(**options)

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        trainer = L.Trainer(
            max_epochs=wish.epochs, callbacks=[callback], logger=False, enable_checkpointing=False,
            default_root_dir=self.path, **QUIET,
        )  # fmt: skip
        before = None if wish.state is None else str(wish.state["path"])
        trainer.fit(Net(wish.work), data(wish.steps), data(1), ckpt_path=before)
        path = str(self.path / "kept.ckpt")
        trainer.save_checkpoint(path)
        return {"path": path}


def test_the_stand_in_calls_hooks_in_lightnings_order(tmp_path: Path) -> None:
    def recorder(base: type) -> tuple[Any, list[str]]:
        called: list[str] = []

        class Recorder(base):
            def __getattribute__(self, name: str) -> Any:
                if name.startswith("on_") or name in ("setup", "teardown"):
                    called.append(name)
                return super().__getattribute__(name)

        return Recorder(), called

    real, by_lightning = recorder(L.Callback)
    trainer = L.Trainer(
        max_epochs=2,
        callbacks=[real],
        logger=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
        **QUIET,
    )
    trainer.fit(Net(), data(2), data(1))
    fake, by_stand_in = recorder(L.Callback)
    LightningTrainer(fake, 2).fit(lambda step: None, 2)
    known = set(by_stand_in)
    order = [name for name in by_lightning if name in known]
    assert _once(order) == _once(by_stand_in)


def _once(names: list[str]) -> list[str]:
    """Lightning looks some hooks up before it calls them."""
    return [name for place, name in enumerate(names) if place == 0 or name != names[place - 1]]


def test_a_logger_gets_joules_beside_the_loss(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger  # pyright: ignore[reportMissingImports]

    logger = CSVLogger(tmp_path)
    trainer = L.Trainer(
        max_epochs=2, callbacks=[EnergyCallback()], logger=logger, enable_checkpointing=False, **QUIET
    )
    trainer.fit(Net(Wish().work), data(4), data(1))
    rows = Path(logger.log_dir, "metrics.csv").read_text().splitlines()
    head = rows[0].split(",")
    assert {"loss", "energy/epoch_j", "energy/epoch_low_j", "energy/total_j", "energy/per_sample_j"} <= set(
        head
    )
    table = [dict(zip(head, row.split(","), strict=True)) for row in rows[1:]]
    assert [row["step"] for row in table if row["energy/epoch_j"]] == ["4", "8"]


RANKS = """
import json, sys, time
import lightning.pytorch as L, torch
from wattmark.integrations.training.lightning import EnergyCallback

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def training_step(self, batch, index):
        time.sleep(0.05)
        return self.layer(batch[0]).square().mean()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

if __name__ == "__main__":
    rows = torch.utils.data.TensorDataset(torch.zeros(64, 2))
    energy = EnergyCallback("two ranks")
    trainer = L.Trainer(max_epochs=2, accelerator="cpu", devices=2, strategy="ddp", callbacks=[energy], logger=False,
                        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(Net(), torch.utils.data.DataLoader(rows, batch_size=8))
"""


def test_two_ranks_are_counted_once(tmp_path: Path) -> None:
    import wattmark as wm

    script = tmp_path / "ranks.py"
    script.write_text(textwrap.dedent(RANKS))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (run,) = wm.runs()
    assert run.name == "two ranks"
    assert run.energy is not None
    assert run.energy.value == pytest.approx(50 * run.duration_s, rel=0.1)
    assert sum(span.name == "epoch" for span in run.spans) == 4, json.dumps([s.path for s in run.spans])
    assert len({span.pid for span in run.spans}) == 2
