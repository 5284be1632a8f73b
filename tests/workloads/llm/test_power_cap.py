"""A power cap is set on the GPUs in use, put back, and refused with a reason where it cannot be set."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.nvml.nvml_fake import FakeNvml, preload
from wattmark.errors import ConfigError
from wattmark.workloads.llm.power_cap import power_cap

needs_nvml = pytest.mark.skipif(
    shutil.which("cc") is None or not pytest.importorskip("pynvml"), reason="no C compiler"
)


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    preload()
    fake = FakeNvml(tmp_path)
    for name, value in fake.environ.items():  # the keeper is another process
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WATTMARK_SYSFS", str(tmp_path / "sys"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake.state("gpu 0 limit_w=400 name=Fake_H100", "gpu 1 limit_w=300")
    return fake


def set_caps(fake: FakeNvml) -> list[str]:
    log = fake.path.with_name(f"{fake.path.name}.caps")
    return log.read_text().splitlines() if log.exists() else []


@needs_nvml
def test_every_gpu_is_capped_and_put_back(gpus: FakeNvml) -> None:
    with power_cap(250) as names:
        assert "Fake H100" in names[0]
        assert set_caps(gpus) == ["0 250000", "1 250000"]
    assert set_caps(gpus)[2:] == ["0 400000", "1 300000"]


@needs_nvml
def test_only_gpus_that_the_work_may_use_are_capped(gpus: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with power_cap(250):
        assert set_caps(gpus) == ["1 250000"]


@needs_nvml
def test_it_is_put_back_when_the_work_fails(gpus: FakeNvml) -> None:
    with pytest.raises(RuntimeError), power_cap(250):
        raise RuntimeError
    assert set_caps(gpus)[2:] == ["0 400000", "1 300000"]


@needs_nvml
def test_a_cap_that_the_board_does_not_take_is_told_with_those_that_it_takes(gpus: FakeNvml) -> None:
    with pytest.raises(ConfigError, match="cannot be capped to 50 W") as caught, power_cap(50):
        pass
    assert "100 to 500 W" in (caught.value.hint or "")
    assert set_caps(gpus) == []


@needs_nvml
def test_a_second_board_that_refuses_leaves_the_first_as_it_was(gpus: FakeNvml) -> None:
    gpus.state(
        "gpu 0 limit_w=400", "gpu 1 limit_w=300", "fail 1 nvmlDeviceSetPowerManagementLimit code=4 after_s=0"
    )
    with pytest.raises(ConfigError, match="cannot be set") as caught, power_cap(250):
        pass
    assert "root" in (caught.value.hint or "")
    assert set_caps(gpus) == ["0 250000", "0 400000"]


@needs_nvml
def test_a_cap_above_the_one_in_force_is_no_level_of_a_study(gpus: FakeNvml) -> None:
    with pytest.raises(ConfigError, match="above what is in force") as caught, power_cap(350):
        pass
    assert "300 W or less" in (caught.value.hint or "")
    assert dict(line.split() for line in set_caps(gpus)) == {"0": "400000", "1": "300000"}


TRIAL = """
import sys
from wattmark.workloads.llm.power_cap import power_cap
with power_cap(250):
    print("capped", flush=True)
    sys.stdin.read()
"""


@needs_nvml
def test_it_is_put_back_when_the_trial_is_killed(gpus: FakeNvml) -> None:
    trial = subprocess.Popen(
        [sys.executable, "-c", TRIAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert trial.stdout is not None
    assert trial.stdin is not None
    assert trial.stdout.readline() == "capped\n"
    trial.kill()
    trial.wait()
    deadline = time.monotonic() + 60
    while set_caps(gpus)[2:] != ["0 400000", "1 300000"]:
        assert time.monotonic() < deadline, set_caps(gpus)
        time.sleep(0.05)
    trial.stdout.close()
    trial.stdin.close()


@needs_nvml
def test_hidden_gpus_leave_none_to_cap(gpus: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match="there is none here"), power_cap(250):
        pass


@needs_nvml
def test_without_an_nvidia_gpu_the_reason_is_told(gpus: FakeNvml) -> None:
    gpus.state("fail nvmlInit_v2 code=9")
    with pytest.raises(ConfigError, match="needs an NVIDIA GPU"), power_cap(250):
        pass
