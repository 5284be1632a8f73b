"""TensorBoard itself: its event files read back by its own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.tracked import epochs_of, measured, trained

pytest.importorskip("tensorboard", exc_type=ImportError)

from wattmark.integrations.trackers.tensorboard import TensorBoardTracker, log_run

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # pyright: ignore[reportMissingImports]

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return reader


def test_a_training_is_told_beside_its_loss(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(tmp_path))
    for step in (4, 8):
        writer.add_scalar("train/loss", 1.0, step)
    energy = trained(trackers=[TensorBoardTracker(writer)])
    writer.close()
    reader = events(tmp_path)
    assert [event.step for event in reader.Scalars("energy/epoch_j")] == [4, 8]
    assert [event.value for event in reader.Scalars("energy/epoch_j")] == pytest.approx(
        epochs_of(energy.run), rel=0.01
    )
    assert reader.Scalars("summary/energy_mean_power_w")[0].value == pytest.approx(50, rel=0.1)
    (text,) = reader.Tensors("energy/text_summary")
    assert "## Energy" in text.tensor_proto.string_val[0].decode()


def test_a_finished_run_is_written_into_a_folder(tmp_path: Path) -> None:
    log_run(measured(), tmp_path)
    reader = events(tmp_path)
    for name in ("energy/total_j", "energy/total_low_j", "energy/epoch_j"):
        assert [event.step for event in reader.Scalars(name)] == [4, 8], name
