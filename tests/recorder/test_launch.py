from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from conftest import FakeMachine
from wattmark.errors import RecorderError
from wattmark.recorder import launch


@pytest.mark.parametrize(
    ("environ", "start"),
    [
        ({}, None),
        ({"TORCHELASTIC_RUN_ID": "a b/c", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, "torchrun-a_b_c-h-1-"),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}, "slurm-7-0-"),
        ({"PMIX_NAMESPACE": "x"}, "pmix-x-"),
        ({"MASTER_ADDR": "h", "MASTER_PORT": "1", "WORLD_SIZE": "2"}, "ddp-h-1-2-"),
    ],
)
def test_ranks_of_a_job_share_a_key_that_is_a_safe_file_name(
    environ: dict[str, str], start: str | None
) -> None:
    key = launch.job_key(environ)
    assert (key is None) if start is None else (key is not None and key.startswith(start) and "/" not in key)


def test_jobs_without_an_id_are_told_apart_by_their_launcher() -> None:
    key = launch.job_key({"MASTER_ADDR": "h", "MASTER_PORT": "1"})
    assert key is not None
    assert key.endswith(str(os.getppid()))


@pytest.mark.parametrize(
    ("environ", "devices"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": "2"}, None),
        ({"CUDA_VISIBLE_DEVICES": "2", "LOCAL_WORLD_SIZE": "4"}, "all"),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "LOCAL_WORLD_SIZE": "2"}, None),
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_GPUS": "4,5"}, "4,5"),
    ],
)
def test_one_recorder_measures_the_gpus_of_all_ranks(environ: dict[str, str], devices: str | None) -> None:
    options = launch._for_all_ranks({"period_s": 0.1}, environ).get("options", {})
    assert options.get("nvml", {}).get("devices") == devices


@pytest.mark.parametrize(("environ", "rank"), [({}, None), ({"RANK": "3"}, 3), ({"SLURM_PROCID": "x"}, None)])
def test_the_rank_is_what_the_launcher_says(environ: dict[str, str], rank: int | None) -> None:
    assert launch.rank(environ) == rank


def test_a_session_is_private_to_its_user(fake_machine: FakeMachine, data_dir: Path) -> None:
    session = launch.start(str(data_dir / "journals"), {"period_s": 0.1})
    try:
        assert stat.S_IMODE(os.stat(session.folder).st_mode) == 0o700
        assert session.running()
        assert launch.join(session.folder) is not None
    finally:
        assert session.stop()
    assert not session.running()
    assert launch.join(session.folder) is None
    assert not session.tell("poke")
    assert not session.sync(0.01)


def test_a_recorder_that_cannot_start_says_why(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_SOURCES", "no-such-source")
    with pytest.raises(RecorderError, match="no source named 'no-such-source'") as caught:
        launch.start(str(data_dir / "journals"), {"period_s": 0.1})
    assert caught.value.hint is not None


def test_joining_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert launch.join(str(tmp_path / "gone")) is None
