"""Power from an agent elsewhere: its sensors on this machine's clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.runs.energy import CurveEnergy
from wattmark.serving.power.agents import AgentPower, ProcessLine, agent_power
from wattmark.serving.power.meter import power_meter
from wattmark.sources.base import Accuracy, Channel

CHANNEL = Channel(
    "cpu0/package", "cpu", "rapl", "counter", "package", "counter", Accuracy(0.01, 0.01, 0.0, "made up")
)


class FakeAgent:
    """100 W by a clock of its own, which is offset_s ahead and runs too fast by drift. It may be away."""

    where = "agent://there"

    def __init__(self, offset_s: float = 1e6, drift: float = 0.0) -> None:
        self.offset_s, self.drift = offset_s, drift
        self.boot, self.away, self.began = "a", False, time.monotonic()

    def clock_ns(self, now: float) -> int:
        return round(((now - self.began) * (1 + self.drift) + self.offset_s) * 1e9)

    def ask(self, what: str) -> dict[str, Any]:
        if self.away:
            raise OSError("no route")
        if what == "channels":
            return {"boot": self.boot, "channels": [CHANNEL.to_dict()]}
        now = time.monotonic()
        t_ns = self.clock_ns(now - 0.03)  # a reading that is 30 ms old
        return {
            "boot": self.boot, "t_ns": t_ns, "now_ns": self.clock_ns(now),
            "energies_uj": {"cpu0/package": round((now - 0.03 - self.began) * 100e6)},
        }  # fmt: skip

    def close(self) -> None:
        pass


def joules(power: AgentPower, start_ns: int, end_ns: int) -> tuple[float, float, tuple[str, ...]]:
    told = power.readings(start_ns, end_ns)
    (curve,) = told.curves
    got = CurveEnergy(curve).between(np.array([start_ns]), np.array([end_ns]))
    return float(got.value_j[0]), float(got.covered_s[0]), told.notes


@pytest.mark.parametrize(("offset_s", "drift"), [(1e6, 0.0), (-3600.0, 3e-4), (0.0, -3e-4)])
def test_joules_are_those_of_our_time_whatever_clock_there_is_there(offset_s: float, drift: float) -> None:
    power = AgentPower(FakeAgent(offset_s, drift), period_s=0.02)
    power.begin()
    try:
        threading.Event().wait(0.15)
        start = time.monotonic_ns()
        threading.Event().wait(0.3)
        end = time.monotonic_ns()
        value, covered_s, _ = joules(power, start, end - 40_000_000)
    finally:
        power.close()
    assert value == pytest.approx(100 * (end - 40_000_000 - start) / 1e9, rel=0.02)
    assert covered_s == pytest.approx((end - 40_000_000 - start) / 1e9, rel=0.01)


def test_an_agent_that_was_away_and_one_that_was_started_anew_are_told_of() -> None:
    agent = FakeAgent()
    power = AgentPower(agent, period_s=3600)
    power.begin()
    try:
        start = time.monotonic_ns()
        for step in range(12):
            agent.away = step == 3
            if step == 6:
                agent.boot, agent.began = "b", time.monotonic() - 0.03
                agent.offset_s = agent.offset_s + 0.0
            threading.Event().wait(0.01)
            power._look()  # pyright: ignore[reportPrivateUsage]
        agent.away = False
        told = power.readings(start, time.monotonic_ns())
    finally:
        power.close()
    said = " ".join(told.notes)
    assert "1 readings of agent://there failed (no route)" in said
    assert "started anew 1 times" in said
    assert all(np.all(np.diff(curve.energy_uj) >= 0) for curve in told.curves)


def test_an_agent_that_is_not_there_is_said_before_the_load() -> None:
    agent = FakeAgent()
    agent.away = True
    with pytest.raises(ServerError, match="no route"):
        AgentPower(agent).begin()
    with pytest.raises(ServerError, match="refused"):
        agent_power("agent://127.0.0.1:1").begin()
    with pytest.raises(ServerError):
        AgentPower(ProcessLine(["sh", "-c", "echo nonsense; cat >/dev/null"], "ssh://x")).begin()
    with pytest.raises(ServerError, match="Permission denied"):
        AgentPower(ProcessLine(["sh", "-c", "echo 'Permission denied (publickey).' >&2"], "ssh://x")).begin()


@pytest.mark.parametrize(
    "address",
    [
        "ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://u:p@host", "ssh://host?x=1", "agent://", "agent://u:p@host",
        "agent://host/path", "agent://host:99999", "agent://host?token_env=NOT_SET", "agent://host?q=1", "telnet://host",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError):
        power_meter(address)


def test_several_hosts_are_added_and_one_that_is_silent_is_no_zero() -> None:
    agents = [AgentPower(FakeAgent(), period_s=0.02) for _ in range(2)]
    from wattmark.serving.power.meter import SeveralPowers

    power = SeveralPowers(agents)
    power.begin()
    try:
        start = time.monotonic_ns()
        threading.Event().wait(0.2)
        told = power.readings(start, time.monotonic_ns())
        assert [curve.channel.id for curve in told.curves] == ["1:cpu0/package", "2:cpu0/package"]
        agents[1]._energies[:] = [[float("nan")] for _ in agents[1]._energies]  # pyright: ignore[reportPrivateUsage]
        agents[1].line.away = True  # type: ignore[attr-defined]
        with pytest.raises(ServerError, match="without it the sum is not known"):
            power.readings(start, time.monotonic_ns())
    finally:
        power.close()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and namespaces")
def test_ssh_to_a_host_with_a_clock_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real command at the other end, in namespaces of its own, its monotonic clock a day ahead; ssh a stand-in."""
    there = ["unshare", "--net", "--uts", "--time", "--monotonic", "86400", "--boottime", "86400"]
    if subprocess.run([*there, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no time namespaces here")
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nfor last; do :; done\nexec {" ".join(there)} sh -c "$last"\n')
    ssh.chmod(0o755)
    program = tmp_path / "watt mark"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m wattmark "$@" --sources cpu-model,dram-model\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("WATTMARK_AGENT", str(tmp_path / "none.sock"))
    power = power_meter(f"ssh://user@server:22{str(program).replace(' ', '%20')}")
    power.begin()
    try:
        threading.Event().wait(0.3)
        start = time.monotonic_ns()
        threading.Event().wait(0.6)
        end = time.monotonic_ns()
        told = power.readings(start, end)
    finally:
        power.close()
    assert {curve.channel.component for curve in told.curves} == {"cpu", "dram"}
    for curve in told.curves:
        got = CurveEnergy(curve).between(np.array([start]), np.array([end]))
        assert got.covered_s[0] == pytest.approx((end - start) / 1e9, rel=0.3)
        assert got.value_j[0] > 0
    assert told.clock_s < 0.25
