"""NVIDIA boards: caps are set through the library, act, and come back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.nvml import gpu_work
from fakes.nvml.nvml_fake import FakeNvml

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or os.geteuid() != 0 or not pytest.importorskip("pynvml"),
    reason="no C compiler, or not root",
)
SEARCH = """
import sys, json
import wattmark as wm
try:
    asked = dict(apply=True, caps_w=(150, 200, 250, 300), settle_s=0, prove=1, seed=1)
    advice = wm.advise_cap(sys.argv[2:], **asked | json.loads(sys.argv[1]))
except wm.WattmarkError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
print(json.dumps(advice.to_dict()))
"""


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml(tmp_path)
    for name, value in fake.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WATTMARK_SYSFS", str(tmp_path / "sys"))
    monkeypatch.setenv("WATTMARK_SOURCES", "nvml")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake.state("gpu 0 watts=350 limit_w=400 max_limit_w=400 caps_act=1 name=Fake_H100")
    return fake


def search(options: str = "{}", seconds: float = 0.6) -> list[str]:
    work = [sys.executable, "-I", "-S", gpu_work.__file__, str(seconds)]
    return [sys.executable, "-c", SEARCH, options, *work]


def limits(fake: FakeNvml) -> list[float]:
    log = Path(f"{fake.path}.caps")
    return [float(line.split()[1]) / 1e3 for line in log.read_text().splitlines()] if log.exists() else []


def test_the_best_cap_of_a_board_is_found_and_the_old_one_is_back(gpus):
    done = subprocess.run(search(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"basis": "measured"' in done.stdout
    assert min(limits(gpus)) == 150
    assert limits(gpus)[-1] == 400


def test_a_board_that_this_user_may_not_cap_is_told(gpus):
    gpus.state(
        "gpu 0 watts=350 limit_w=400 max_limit_w=400 caps_act=1",
        "fail 0 nvmlDeviceSetPowerManagementLimit code=4",
    )
    done = subprocess.run(search(), capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "MayNotCap" in done.stdout
    assert limits(gpus) == []


def test_a_board_that_is_lost_in_the_middle_is_told(gpus):
    gpus.state("gpu 0 watts=350 limit_w=400 max_limit_w=400 caps_act=1 lost_after_s=2")
    done = subprocess.run(search("{}", 0.6), capture_output=True, text=True, check=False)
    assert done.returncode not in (0, -11), done.stdout
    assert "Traceback" not in done.stderr


def test_after_kill_9_of_the_search_the_limit_is_back(gpus):
    process = subprocess.Popen(search("{}", 1.5), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not limits(gpus) or limits(gpus)[-1] == 400:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while limits(gpus)[-1] != 400:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_consent_the_traces_of_other_boards_say_what_a_cap_would_do(gpus):
    options = '{"apply": false}'
    done = subprocess.run(search(options), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"basis": "predicted"' in done.stdout
    assert '"applied": false' in done.stdout
    assert limits(gpus) == []
