"""What hardware a run was on, from what its record holds."""

from __future__ import annotations

import pytest

from fakes.what_if import a_run
from wattmark.predict.hardware.devices import counted, machine_of


def test_boards_are_counted_by_their_channels():
    machine = machine_of(a_run(count=4))
    assert [(one.hardware.id, one.quantity) for one in machine.accelerators] == [("a100-sxm4-80", 4)]
    assert [(one.hardware.id, one.quantity) for one in machine.cpus] == [("cpu:epyc-7763", 1)]
    assert machine.utilisation == pytest.approx(0.95)


def test_a_board_that_is_not_in_the_catalogue_is_named():
    machine = machine_of(a_run(gpu="NVIDIA Something 9000"))
    assert machine.accelerators == ()
    assert machine.unknown_accelerators == ("NVIDIA Something 9000",)
    assert machine.as_dict()["unknown"] == ["NVIDIA Something 9000"]


def test_two_sockets_are_two_cpus():
    cpu = {"model": ["AMD EPYC 7763 64-Core Processor"], "sockets": 2, "cores": 128}
    assert machine_of(a_run(environment={"cpu": cpu})).cpus[0].quantity == 2


def test_codecarbons_way_of_counting_is_read():
    assert counted("8 x NVIDIA A100-SXM4-80GB") == ("NVIDIA A100-SXM4-80GB", 8)
    assert counted("NVIDIA T4") == ("NVIDIA T4", 1)
    environment = {
        "gpu": "8 x NVIDIA A100-SXM4-80GB",
        "cpu": "Intel(R) Xeon(R) Platinum 8275CL CPU @ 3.00GHz",
    }
    machine = machine_of(a_run(gpu=None, environment=environment, utilisation=None))
    assert [(one.hardware.id, one.quantity) for one in machine.accelerators] == [("a100-sxm4-80", 8)]
    assert machine.cpus[0].hardware.id == "cpu:xeon-platinum-8275cl"
    assert machine.utilisation is None


def test_a_run_that_says_nothing_has_no_machine():
    machine = machine_of(a_run(gpu=None, environment={}, utilisation=None))
    assert machine.as_dict() == {
        "accelerators": [],
        "cpus": [],
        "unknown": [],
        "utilisation": None,
        "busy_cores": None,
    }
