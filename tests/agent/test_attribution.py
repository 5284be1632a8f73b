"""Whose joules, on a node with known ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fakes.node import SOURCES, FakeNode
from wattmark.agent.attribution import Attribution, Ledger
from wattmark.agent.node import Node
from wattmark.agent.shares import Idle
from wattmark.agent.units import Unit

WEB, JOB = "/system.slice/web.service", "/system.slice/slurmstepd.scope/job_7/step_0"


def _exact(ledger: Ledger) -> None:
    for name, part in ledger.parts.items():
        owned = sum(uj for (_, component), uj in ledger.units.items() if component == part.component == name)
        assert part.idle_uj + part.unattributed_uj + part.gone_uj + owned == part.total_uj


@pytest.fixture
def fake(tmp_path: Path) -> FakeNode:
    node = FakeNode(tmp_path)
    node.process(10, 0, WEB)
    node.process(11, 0, JOB)
    node.process(12, 0, "/")
    return node


def _tick(attribution: Attribution, fake: FakeNode, joules: float, idle_w: float = 0.0) -> Ledger:
    """A tick in which the package used so much, with an idle power that is known."""
    fake.used(joules)
    attribution._idle["cpu"] = Idle(idle_w)
    time.sleep(0.02)  # counters that are judged need a moment between readings
    ledger = attribution.tick()
    _exact(ledger)
    return ledger


def test_units_get_what_their_cpu_time_says_and_the_rest_is_shown(fake: FakeNode) -> None:
    node = Node(fake.host, SOURCES)
    attribution = Attribution(node, fake.host)
    fake.process(10, 60, WEB)
    fake.process(11, 20, JOB)
    fake.busy(100)  # a fifth of it was nobody's: interrupts, the kernel
    ledger = _tick(attribution, fake, 0.5)
    assert ledger.units[Unit("unit", "web.service"), "cpu"] == 300_000
    assert ledger.units[Unit("slurm", "7"), "cpu"] == 100_000
    assert ledger.parts["cpu"].unattributed_uj == 100_000
    assert {state.process.pid: state.energy_uj for state in ledger.processes} == {10: 300_000, 11: 100_000}
    node.close()


def test_a_units_own_counter_has_what_nobody_saw(fake: FakeNode) -> None:
    fake.usage(WEB, 1.0)
    node = Node(fake.host, SOURCES)
    attribution = Attribution(node, fake.host)
    fake.process(10, 10, WEB)
    fake.usage(WEB, 1.8)  # short processes ran and ended
    fake.busy(100)
    ledger = _tick(attribution, fake, 0.5)
    assert ledger.units[Unit("unit", "web.service"), "cpu"] == 400_000
    assert {state.process.pid: state.energy_uj for state in ledger.processes} == {10: 400_000}
    node.close()


def test_the_idle_pot_is_spread_over_no_one(fake: FakeNode) -> None:
    node = Node(fake.host, SOURCES)
    attribution = Attribution(node, fake.host)
    fake.process(10, 50, WEB)
    fake.busy(50)
    ledger = _tick(attribution, fake, 0.4, idle_w=5.0)
    part = ledger.parts["cpu"]
    assert part.idle_uj > 0
    assert part.unattributed_uj <= 1
    assert part.idle_w == 5.0
    assert (
        ledger.units[Unit("unit", "web.service"), "cpu"]
        == part.total_uj - part.idle_uj - part.unattributed_uj
    )
    node.close()


def test_without_any_work_all_above_idle_is_unattributed(fake: FakeNode) -> None:
    node = Node(fake.host, SOURCES)
    attribution = Attribution(node, fake.host)
    ledger = _tick(attribution, fake, 0.3)
    assert ledger.parts["cpu"].unattributed_uj == ledger.parts["cpu"].total_uj == 300_000
    assert ledger.units == {}
    node.close()


def test_a_models_own_idle_power_is_known_from_the_beginning(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    (fake.proc / "cpuinfo").write_text("processor : 0\nmodel name : Intel(R) Xeon(R) CPU @ 2.00GHz\n")
    node = Node(fake.host, ["cpu-model"])
    attribution = Attribution(node, fake.host)
    fake.busy(50)
    time.sleep(0.05)
    part = attribution.tick().parts["cpu"]
    curves = [channel.curve_w for channel in node.channels if channel.counted and channel.component == "cpu"]
    assert part.idle_w == pytest.approx(sum(curve[0] for curve in curves))
    assert part.idle_w > 0
    node.close()


def test_energies_are_those_of_the_counter_over_many_ticks(fake: FakeNode) -> None:
    node = Node(fake.host, SOURCES)
    attribution = Attribution(node, fake.host)
    ticks = 0
    for step in range(1, 8):
        ticks += step * 3
        fake.process(10, ticks, WEB)
        fake.busy(ticks + step)
        ledger = _tick(attribution, fake, 0.1 * step)
    assert ledger.parts["cpu"].total_uj == 2_800_000
    assert ledger.reading.channels_uj["cpu0/package"] == 2_800_000
    node.close()
