"""Inside the user's Python: what is asked for is done, the rest is as it was, and nothing breaks the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from wattmark.advise.levers import hook
from wattmark.advise.levers.lever import Lever, conditions_under
from wattmark.advise.levers.subject import Reports, read_reports, subject_of

FOLDER = str(Path(hook.__file__).parent)
NETWORK = """
import json
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))
optimizer = torch.optim.AdamW(net.parameters())
loss_of = nn.CrossEntropyLoss()
x, y = torch.randn(16, 3, 8, 8), torch.randint(0, 5, (16,))
for _ in torch.utils.data.DataLoader(list(range(4))):
    loss = loss_of(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
net.eval()
out = net(x)
print(json.dumps({"loss": loss.item(), "dtype": str(out.dtype), "graph": out.requires_grad,
                  "last": net[0].weight.is_contiguous(memory_format=torch.channels_last),
                  "fused": optimizer.defaults.get("fused")}))
"""


def run(tmp_path: Path, code: str, lever: Lever | None = None, **environ: str) -> tuple[str, Reports]:
    report = tmp_path / "report.jsonl"
    report.unlink(missing_ok=True)
    given = conditions_under(lever, environ, FOLDER, str(report)).environ
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **environ, **given},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout, read_reports(report)


def lever(**given: object) -> Lever:
    return Lever("a", "a", "", "", hook=given)  # type: ignore[arg-type]


def test_the_path_is_as_it_was_and_another_sitecustomize_is_run(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import os\nos.environ['SEEN'] = 'yes'\n")
    code = "import os, sys; print(os.environ['SEEN'], any('hook' in p for p in sys.path), sys.path.count(%r))"
    out, _ = run(tmp_path, code % str(other), PYTHONPATH=str(other))
    assert out.split() == ["yes", "False", "1"]


def test_garbage_collection_is_set_and_said(tmp_path: Path) -> None:
    out, reports = run(tmp_path, "import gc; print(gc.get_threshold()[0])", lever(gc_threshold=12_345))
    assert out.strip() == "12345"
    assert reports.applied == {"gc_threshold"}


def test_levers_of_a_script_are_told_and_given(tmp_path: Path) -> None:
    code = (
        "import wattmark as wm; s = wm.levers(batch_size=64, mode=('a', 'b')); print(s.batch_size, s['mode'])"
    )
    out, reports = run(tmp_path, code)
    assert out.split() == ["64", "a"]
    subject = subject_of(["python"], reports)
    assert subject.declared == {"batch_size": (64,), "mode": ("a", "b")}
    out, _ = run(tmp_path, code, Lever("a", "a", "", "", values={"batch_size": 128}))
    assert out.split() == ["128", "a"]


def test_a_torn_report_and_a_variable_that_is_none_break_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text('{"pid": 1, "applied": ["a"], "refused": {"a": "x", "b": "y"}}\n{"pid": 2, "app')
    reports = read_reports(path)
    assert (reports.applied, reports.refused, len(reports.lines)) == ({"a"}, {"b": "y"}, 1)
    assert read_reports(tmp_path / "none").lines == ()
    env = {**os.environ, "PYTHONPATH": FOLDER, "WATTMARK_LEVERS": "[1"}
    done = subprocess.run(
        [sys.executable, "-c", "print(1)"], env=env, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
@pytest.mark.slow
def test_a_network_is_seen_and_changed_from_outside(tmp_path: Path) -> None:
    out, reports = run(tmp_path, NETWORK)
    plain = json.loads(out)
    network = subject_of(["python"], reports).network
    assert network is not None
    assert (network.training_calls, network.inference_calls, network.graph_in_inference) == (4, 1, 1)
    assert {"Conv2d", "Linear"} <= network.layers
    assert (network.devices, network.dtypes, network.loader_workers) == ({"cpu"}, {"float32"}, (0,))
    assert plain["graph"]

    out, reports = run(
        tmp_path,
        NETWORK,
        lever(
            autocast=True, channels_last=True, inference_mode=True, fused_optimizer=True, int8=True, workers=0
        ),
    )
    changed = json.loads(out)
    assert {
        "autocast",
        "channels_last",
        "inference_mode",
        "fused_optimizer",
        "int8",
        "workers",
    } <= reports.applied
    assert not reports.refused
    assert changed["dtype"] == "torch.float32"
    assert changed["last"]
    assert changed["fused"]
    assert not changed["graph"]
    assert changed["loss"] == pytest.approx(plain["loss"], abs=0.05)
    assert changed["loss"] != plain["loss"]
