"""Learn this machine's layers for a moment, predict a network, and the commands of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import wattmark as wm
from predict.layers.conftest import mlp, networks, simulated_profile
from wattmark.cli.predict.command import app
from wattmark.errors import ConfigError
from wattmark.predict.layers import storage
from wattmark.predict.layers.calls import PHASES, Call
from wattmark.predict.layers.machine import Machine
from wattmark.report.figures.layers import layer_costs


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    storage.save(simulated_profile()[1])
    return tmp_path


def test_a_network_costs_its_steps(kept: Path) -> None:
    once = wm.predict_model(mlp((200,)), (100,), batch=50)
    assert once.training.steps == 1
    whole = wm.predict_model(mlp((200,)), (100,), batch=50, samples=120, epochs=4)
    assert whole.training.steps == 12  # three batches, the last one not full
    assert whole.prediction.energy.value == pytest.approx(12 * once.prediction.energy.value)
    data = whole.as_dict()
    layers = data["layers"]
    joules = sum(row[phase]["joules"] for row in layers for phase in PHASES if phase in row)
    assert joules == pytest.approx(data["energy_j"]["value"])
    assert data["device"] == "simulated"


def test_without_a_profile_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="no layers were profiled") as error:
        wm.predict_model(mlp((200,)), (100,))
    assert "layers fit" in str(error.value.hint)


def test_the_command_says_what_the_function_says(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (kept / "mynets.py").write_text(
        "from torch import nn\nclass MyNet(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 10))\n"
    )
    monkeypatch.chdir(kept)
    words = [
        "model",
        "mynets:MyNet",
        "--input",
        "3,8,8",
        "--batch",
        "32",
        "--samples",
        "640",
        "--epochs",
        "5",
    ]
    shown = CliRunner().invoke(app, [*words, "--picture", "layers.svg"], env={"COLUMNS": "140"})
    assert shown.exit_code == 0, shown.output
    assert "forward" in shown.output
    assert "100 steps of 32" in shown.output
    assert "<svg" in (kept / "layers.svg").read_text()
    answer = CliRunner().invoke(app, [*words, "--json", "-"])
    data = json.loads(answer.output)
    assert [row["layer"] for row in data["layers"]] == ["0", "1", "2", "3", ""]
    energy = data["energy_j"]
    assert energy["low"] < energy["value"] < energy["high"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model", "LeNet", "--input", "3,?,32"], "not a shape"),
        (["model", "Nothing"], "no network named"),
        (["model", "LeNet", "--picture", "a.gif"], "--picture"),
        (["layers", "fit", "--budget", "soon"], "no budget"),
        (["model", "LeNet", "--optimizer", "lion"], "lion"),
    ],
)
def test_what_cannot_be_is_refused(kept: Path, words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_many_layers_are_drawn_as_the_costliest_and_the_rest(kept: Path) -> None:
    deep = nn.Sequential(*(nn.Linear(100, 100) for _ in range(60)))
    answer = wm.predict_model(deep, (100,))
    figure = layer_costs(answer.layers, 1).figure
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == 40
    assert names[-1] == "all others"


def test_this_machine_measures_layers_in_cpu_seconds_and_joules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    before = torch.get_num_threads()
    with Machine(threads=1) as machine:
        small, large = (machine.layer(Call("linear", (rows, 512, 512, 2))) for rows in (8, 512))
        hidden, first = (
            machine.layer(Call("conv", (8, 32, 32, 1, 16, 3, 1, 1), gradient=g)) for g in (True, False)
        )
        update = machine.layer(Call("adam", (200_000,)))
        whole = machine.whole(networks()[3], networks()[3].training())
        layers, wholes = machine.finished([small, large, hidden, first, update], [whole])
    assert torch.get_num_threads() == before
    assert large.costs["forward"].seconds > 5 * small.costs["forward"].seconds
    assert hidden.costs["backward"].seconds > 1.2 * first.costs["backward"].seconds
    assert set(update.costs) == {"optimizer"}
    for sample in layers:
        for cost in sample.costs.values():
            assert cost.joules > 0
            assert 0.1 < cost.joules / cost.seconds < 1000
    assert wholes[0].cost.joules > 0
    assert machine.spent().seconds > 0
