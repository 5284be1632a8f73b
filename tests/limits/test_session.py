"""Caps are set, and come back whatever ends."""

# ruff: noqa: PT012 - what is inside the block is what must be put back

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from limits.conftest import limits_of
from wattmark.limits.base import LimitError, MayNotCap
from wattmark.limits.record import CapRecord
from wattmark.limits.restoring import forget, kept_caps, put_back
from wattmark.limits.session import Caps, KeeperLost
from wattmark.sources.base import Host


def held(machine, *wanted):
    return Caps(limits_of(machine, *wanted), Host.here())


def wait_until(true, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_cap_is_set_and_comes_back(machine, records):
    machine.cpu()
    before = machine.limits()
    with held(machine) as caps:
        assert caps.set(70) == 70
        assert machine.caps_w() == {"cpu0": 70}
        assert any(name.endswith(".json") for name in records())
        assert caps.set(None) == 125
        assert machine.limits() == before
        caps.set(50)
    assert machine.limits() == before
    assert records() == []
    assert caps.lines == ["CPU package-0 is back at 125 W"]


def test_the_old_cap_is_on_the_disk_before_the_device_is_touched(machine, data_dir, monkeypatch):
    machine.cpu()
    (machine.root / "class/powercap/intel-rapl:0/constraint_0_power_limit_uw").chmod(0o444)
    with held(machine):
        (record,) = (data_dir / "caps").glob("*.json")
        assert json.loads(record.read_text())["devices"][0]["old"]["long_term_uw"] == 125_000_000


def test_an_exception_puts_back(machine):
    machine.amd()
    before = machine.limits()
    with pytest.raises(ZeroDivisionError), held(machine) as caps:
        caps.set(120)
        assert machine.caps_w() == {"amdgpu0": 120}
        _ = 1 / 0
    assert machine.limits() == before


def test_a_cap_that_is_kept_stays_and_can_be_put_back_later(machine, capfd):
    machine.cpu()
    before = machine.limits()
    with held(machine) as caps:
        caps.set(70)
        caps.keep()
    assert machine.caps_w() == {"cpu0": 70}
    assert capfd.readouterr().err == ""
    assert put_back() == []
    limits = limits_of(machine)
    assert list(kept_caps(limits)) == [limits[0].key]
    assert put_back(kept=True) == ["CPU package-0 is back at 125 W"]
    assert machine.limits() == before
    assert kept_caps(limits) == {}


@pytest.mark.parametrize("who", ["program", "keeper", "both"])
def test_whoever_is_killed_the_old_cap_is_back(machine, holding, records, who):
    machine.cpu()
    machine.amd()
    before = machine.limits()
    process = subprocess.Popen(holding(100), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    keeper = int(process.stdout.readline())
    assert machine.caps_w()["amdgpu0"] == 100
    for pid in {"program": [process.pid], "keeper": [keeper], "both": [keeper, process.pid]}[who]:
        os.kill(pid, signal.SIGKILL)
    if who == "program":
        wait_until(lambda: machine.limits() == before and records() == [])
    else:
        process.kill()
        wait_until(
            lambda: not Path(f"/proc/{keeper}").exists() or "Z" in Path(f"/proc/{keeper}/stat").read_text()
        )
        assert machine.caps_w()["amdgpu0"] == 100
        assert len(put_back()) == 1
        assert machine.limits() == before
        assert records() == []
    process.communicate()


def test_the_keeper_ends_well_when_it_is_asked_to(machine):
    machine.cpu()
    before = machine.limits()
    with pytest.raises(KeeperLost), held(machine) as caps:
        caps.set(70)
        os.kill(caps.keeper_pid, signal.SIGTERM)
        wait_until(lambda: not caps.alive)
        assert machine.limits() == before
        caps.check()


def test_a_program_whose_keeper_is_killed_puts_back_itself(machine):
    machine.cpu()
    before = machine.limits()
    with pytest.raises(KeeperLost, match="is back at 125 W"), held(machine) as caps:
        caps.set(70)
        os.kill(caps.keeper_pid, signal.SIGKILL)
        wait_until(lambda: not caps.alive)
        assert machine.caps_w() == {"cpu0": 70}
        caps.set(80)
    assert machine.limits() == before


def test_the_second_user_of_a_device_is_told_who_the_first_is(machine, holding):
    machine.cpu()
    with held(machine) as caps:
        caps.set(70)
        with pytest.raises(MayNotCap, match=f"capped by process {caps.keeper_pid}"), held(machine):
            pass
        assert machine.caps_w() == {"cpu0": 70}
        assert put_back() == []  # its keeper lives
        assert machine.caps_w() == {"cpu0": 70}


def test_what_somebody_else_has_set_meanwhile_stays(machine):
    folder = machine.cpu()
    with held(machine) as caps:
        caps.set(70)
        (folder / "constraint_0_power_limit_uw").write_text("95000000\n")
        with pytest.raises(LimitError, match="somebody else has set"):
            caps.set(60)
    assert (folder / "constraint_0_power_limit_uw").read_text().strip() == "95000000"
    assert (folder / "constraint_1_power_limit_uw").read_text().strip() == "150000000"  # ours, and back
    assert "left alone" in caps.lines[0]


def test_a_cap_that_a_device_does_not_take_leaves_nothing_behind(machine):
    machine.amd(0)
    second = machine.amd(1)
    before = machine.limits()
    (second / "power1_cap").unlink()
    (second / "power1_cap").mkdir()  # reading fails: even root cannot
    with pytest.raises(LimitError), held(machine, "amdgpu0") as caps:
        caps.set(100)
        (second / "power1_cap").rmdir()
        (machine.devices["amdgpu0"].folder / "power1_cap").unlink()
        caps.set(90)
    (machine.devices["amdgpu0"].folder / "power1_cap").write_text("100000000\n")
    assert put_back() == ["AMD GPU at 0000:01:00.0 is back at 250 W"]
    (second / "power1_cap").write_text("250000000\n")
    assert machine.limits() == before


def test_the_first_device_comes_back_when_the_second_refuses(machine):
    machine.amd(0)
    second = machine.amd(1)
    before = machine.limits()
    with pytest.raises(LimitError), held(machine) as caps:
        (second / "power1_cap").rename(second / "gone")
        caps.set(100)
    assert (machine.devices["amdgpu0"].folder / "power1_cap").read_text().strip() == "250000000"
    (second / "gone").rename(second / "power1_cap")
    put_back()
    assert machine.limits() == before


def test_what_the_driver_made_of_a_cap_is_what_is_told(machine, monkeypatch):
    machine.amd()
    (limit,) = limits_of(machine)
    from wattmark.limits import keeper as module

    monkeypatch.setattr(module, "find_limits", lambda host: [])
    monkeypatch.setattr(module, "choose_limits", lambda found, keys: [limit])
    write = type(limit).write

    def clamped(self, setting):
        write(self, {knob: max(value, 90_000_000) for knob, value in setting.items()})

    monkeypatch.setattr(type(limit), "write", clamped)
    keeper = module.Keeper("a-test", Host.here())
    keeper.take([limit.key])
    assert keeper.set(75) == {"applied": {limit.key: 90.0}}
    assert keeper.put_back() == [f"{limit.label} is back at 250 W"]


def test_records_of_another_machine_or_boot_change_nothing(machine, records):
    machine.cpu()
    with held(machine) as caps:
        caps.set(70)
        caps.keep()
    (name,) = [one for one in records() if one.endswith(".json")]
    record = CapRecord.read(name.removesuffix(".json"))
    assert record is not None
    record.kept, record.host = False, "elsewhere"
    record.write()
    assert put_back() == []
    record.host, record.boot = os.uname().nodename, "another-boot"
    record.write()
    assert put_back() == []
    assert records() == []  # caps do not outlive a boot, so nothing is left to be done
    assert machine.caps_w() == {"cpu0": 70}


def test_a_cap_that_was_set_but_not_yet_read_back_is_known_as_ours(machine):
    folder = machine.cpu()
    with held(machine) as caps:
        caps.set(70)
        caps.keep()
    (path,) = (Path(os.environ["WATTMARK_DATA_DIR"]) / "caps").glob("*.json")
    record = CapRecord.read(path.stem)
    assert record is not None
    record.kept = False
    record.devices[0].ours, record.devices[0].pending = (
        [{"long_term_uw": 60_000_000, "short_term_uw": 60_000_000, "enabled": 1}],
        True,
    )
    record.write()
    (folder / "constraint_0_power_limit_uw").write_text("88000000\n")  # clamped by the driver
    assert put_back() == ["CPU package-0 is back at 125 W"]


def test_a_device_that_is_not_there_is_waited_for_and_can_be_forgotten(machine, records):
    machine.cpu()
    with held(machine) as caps:
        caps.set(70)
        caps.keep()
    (machine.root / "class/powercap/intel-rapl:0").unlink()
    (line,) = put_back(kept=True)
    assert "is not there" in line
    assert forget() == ["forgotten: CPU package-0 was at 125 W"]
    assert records() == []


def test_a_record_that_is_no_record_is_passed_over(machine, data_dir):
    machine.cpu()
    (data_dir / "caps").mkdir(parents=True)
    for name, content in (
        ("a", "{"),
        ("b", "[]"),
        ("c", '{"version": 1}'),
        ("d", '{"version":1,"boot":"x","host":"y","devices":[{"key":"../..","old":{"x":-1}}]}'),
    ):
        (data_dir / "caps" / f"{name}.json").write_text(content)
    assert put_back() == []


def test_only_the_first_user_is_asked_where_both_forked(machine):
    """A forked child holds the pipe; the keeper sees its owner end all the same."""
    machine.cpu()
    before = machine.limits()
    code = (
        "import os, time, sys\n"
        "from wattmark.limits.discovery import choose_limits, find_limits\n"
        "from wattmark.limits.session import Caps\n"
        "from wattmark.sources.base import Host\n"
        "caps = Caps(choose_limits(find_limits(Host.here())), Host.here()).__enter__()\n"
        "caps.set(70)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    time.sleep(30)\n"
        "    os._exit(0)\n"
        "print(child, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    import sys

    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        wait_until(lambda: machine.limits() == before)
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()
