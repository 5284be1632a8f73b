from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.errors import SourceGone
from wattmark.sources import host as host_source
from wattmark.sources.base import Host


def write(root: Path, busy: int, idle: int, available_kb: int = 250) -> None:
    root.mkdir(exist_ok=True)
    times = f"{busy} 0 0 {idle} 0 0 0 0 0 0"
    (root / "stat").write_text(f"cpu  {times}\ncpu0 {times}\nintr 5\n")
    (root / "meminfo").write_text(f"MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\n")


def test_utilisation_and_memory_come_from_procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [50.0]
    monkeypatch.setattr(host_source.time, "monotonic", lambda: clock[0])
    write(tmp_path / "proc", 100, 100)
    (finding,) = host_source.probe(Host(str(tmp_path / "sys"), str(tmp_path / "proc")))
    assert finding.open is not None
    source = finding.open()
    assert source.read() == [None, 750 * 1024, 1000 * 1024]
    write(tmp_path / "proc", 175, 125, 500)
    clock[0] += 1.0
    assert source.read() == [pytest.approx(75.0), 500 * 1024, 1000 * 1024]
    clock[0] += 1.0
    assert source.read()[0] is None
    write(tmp_path / "proc", 250, 10**19, 500)
    clock[0] += 1.0
    assert source.read()[0] is None
    source.close()
    source.close()
    with pytest.raises(SourceGone):
        source.read()


def test_clock_and_temperature_where_they_are(tmp_path: Path) -> None:
    write(tmp_path / "proc", 1, 1)
    policy = tmp_path / "sys/devices/system/cpu/cpufreq/policy0"
    policy.mkdir(parents=True)
    (policy / "scaling_cur_freq").write_text("2400000\n")
    for number, name, value in ((0, "nvme", "31000"), (1, "k10temp", "54250")):
        chip = tmp_path / f"sys/class/hwmon/hwmon{number}"
        chip.mkdir(parents=True)
        (chip / "name").write_text(name)
        (chip / "temp1_input").write_text(value)
    (finding,) = host_source.probe(Host(str(tmp_path / "sys"), str(tmp_path / "proc")))
    assert [series.id for series in finding.series] == [
        "cpu/utilisation",
        "memory/used",
        "memory/total",
        "cpu/clock",
        "cpu/temperature",
    ]
    assert finding.open is not None
    source = finding.open()
    assert source.read()[3:] == [pytest.approx(2400.0), pytest.approx(54.25)]
    source.close()


def test_a_machine_without_procfs_has_no_series(tmp_path: Path) -> None:
    assert host_source.probe(Host(str(tmp_path), str(tmp_path))) == []
