from __future__ import annotations

from typing import Any

import pytest

from wattmark.recorder.launchers.job import job_of

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "4711", "MASTER_ADDR": "node1", "MASTER_PORT": "29400", "GROUP_WORLD_SIZE": "4",
    "GROUP_RANK": "2", "RANK": "17", "WORLD_SIZE": "32", "LOCAL_WORLD_SIZE": "8",
}  # fmt: skip
SLURM = {
    "SLURM_JOB_ID": "99", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": "3", "SLURM_NODEID": "1", "SLURM_PROCID": "4",
    "SLURM_STEP_NODELIST": "gpu[01-02],login",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (TORCHRUN, {"id": "torchrun-4711-node1-29400", "unique": False, "hosts": 4, "node": 2, "rank": 17}),
        (TORCHRUN | {"TORCHELASTIC_RUN_ID": "6a1f0e0c-5a5f-4d2b-9a53-0e6f3d1c2b4a"}, {"unique": True}),
        (TORCHRUN | {"TORCHELASTIC_RUN_ID": "none"}, {"id": "torchrun-none-node1-29400", "unique": False}),
        (TORCHRUN | {"TORCHELASTIC_RESTART_COUNT": "2"}, {"id": "torchrun-4711-node1-29400-r2"}),
        (SLURM, {"id": "slurm-99-0", "unique": True, "hosts": 3, "node": 1, "names": ["gpu01", "gpu02", "login"]}),
        (
            {"MASTER_ADDR": "n1", "MASTER_PORT": "1", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "4", "RAY_JOB_ID": "0a"},
            {"id": "ddp-n1-1-6-0a", "hosts": 2, "unique": False},
        ),
        (
            {"PMIX_NAMESPACE": "prterun-n1-5@1", "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_LOCAL_SIZE": "4"},
            {"id": "pmix-prterun-n1-5_1", "hosts": 2},
        ),
        ({"WATTMARK_JOB": "ft/../x\n", "WATTMARK_HOSTS": "5"}, {"id": "job-ft_.._x_", "hosts": 5, "unique": False}),
        ({"WATTMARK_JOB": "ft", "WATTMARK_HOSTS": "-3"}, {"hosts": None}),
        ({"WATTMARK_JOB": "ft", "WATTMARK_HOSTS": "9" * 9}, {"hosts": 65_536}),
        (SLURM | {"SLURM_STEP_NODELIST": "a[1-"}, {"names": []}),
        (SLURM | {"SLURM_STEP_NODELIST": "a[1-999999999]"}, {"names": []}),
    ],
)  # fmt: skip
def test_what_launchers_say(environ: dict[str, str], told: dict[str, Any]):
    job = job_of(environ)
    assert job is not None
    assert {key: job[key] for key in told} == told


@pytest.mark.parametrize(
    "environ",
    [
        {},
        TORCHRUN | {"GROUP_WORLD_SIZE": "1"},
        {"SLURM_JOB_ID": "9", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": "1"},
        {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "WORLD_SIZE": "2"},
        {"WATTMARK_JOB": "here", "WATTMARK_HOSTS": "1"},
    ],
)
def test_a_job_of_one_host_is_a_run_like_any_other(environ: dict[str, str]):
    assert job_of(environ) is None


def test_all_hosts_of_a_job_have_one_id():
    ids = {str((job_of(TORCHRUN | {"GROUP_RANK": str(n), "RANK": str(8 * n)}) or {})["id"]) for n in range(4)}
    assert len(ids) == 1
