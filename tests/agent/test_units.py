"""Cgroups by the paths that engines and schedulers give them."""

from __future__ import annotations

import pytest

from wattmark.agent.units import Unit, unit_of

ID = "0123456789ab" + "c" * 52
POD = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/nginx.service", Unit("unit", "nginx.service")),
        ("/user.slice/user-1000.slice/session-3.scope", Unit("unit", "session-3.scope")),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/code.service",
            Unit("unit", "code.service"),
        ),
        (f"/system.slice/docker-{ID}.scope", Unit("container", "0123456789ab")),
        (f"/docker/{ID}", Unit("container", "0123456789ab")),
        (f"/machine.slice/libpod-{ID}.scope/container", Unit("container", "0123456789ab")),
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice/"
            f"cri-containerd-{ID}.scope",
            Unit("pod", POD),
        ),
        (f"/kubepods/besteffort/pod{POD}/{ID}", Unit("pod", POD)),
        (f"/kubepods/pod{'a' * 32}/{ID}", Unit("pod", "a" * 32)),
        ("/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0", Unit("slurm", "4711")),
        ("/slurm/uid_1000/job_12/step_batch", Unit("slurm", "12")),
        (f"/system.slice/slurmstepd.scope/job_9/step_0/docker/{ID}", Unit("slurm", "9")),
        ("/my/job_7/x", Unit("cgroup", "/my/job_7/x")),
        ("/", Unit("cgroup", "/")),
        ("", Unit("cgroup", "/")),
        ("/a.serviceable", Unit("cgroup", "/a.serviceable")),
    ],
)
def test_a_path_says_whose_it_is(path: str, unit: Unit) -> None:
    assert unit_of(path) == unit
