"""The public contract suite, run over every source of ours and over the one that the documentation shows."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from pathlib import Path

import pytest

from fakes.hwmon import amd_card, battery, drm_card, grace, jetson, mains, write
from fakes.nvml.nvml_fake import FakeNvml, preload
from fakes.powercap import PowercapTree, write_cpuinfo
from wattmark.sources import amdgpu, hwmon, intelgpu, replay
from wattmark.sources import battery as batteries
from wattmark.sources.base import Accuracy, Channel, Finding, Host
from wattmark.sources.models import dram as dram_model
from wattmark.sources.models.cpu import source as cpu_model
from wattmark.sources.nvml import probe as nvml
from wattmark.sources.rapl import source as rapl
from wattmark.testing import SourceContract

GUIDE = Path(__file__).parents[2] / "docs/extend/write-a-source.md"


def count_up(root: Path, pattern: str, step: int) -> None:
    for path in root.rglob(pattern):
        if path.is_file() and not path.is_symlink():
            path.write_text(f"{int(path.read_text()) + step}\n")


class TestHwmon(SourceContract):
    module = "wattmark.sources.hwmon"

    def probe(self, host: Host) -> Sequence[Finding]:
        return hwmon.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        grace(tmp_path)
        write(tmp_path / "class/hwmon/hwmon9", name="amd_energy", energy1_input=7, energy1_label="Esocket0")
        return Host(str(tmp_path), str(tmp_path / "proc"))

    def advance(self, host: Host) -> None:
        count_up(Path(host.sysfs), "energy*_input", 1_000)


class TestJetson(TestHwmon):
    def make_host(self, tmp_path: Path) -> Host:
        jetson(tmp_path)
        return Host(str(tmp_path), str(tmp_path / "proc"))


class TestAmdGpu(SourceContract):
    module = "wattmark.sources.amdgpu"

    def probe(self, host: Host) -> Sequence[Finding]:
        return amdgpu.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        amd_card(tmp_path, 0, hwmon={"energy1_input": 100, "temp1_input": 50_000}, gpu_busy_percent=3)
        amd_card(tmp_path, 1)
        drm_card(tmp_path, 2, "0x1002", "0x1638")
        return Host(str(tmp_path), str(tmp_path / "proc"))

    def advance(self, host: Host) -> None:
        count_up(Path(host.sysfs), "energy*_input", 1_000)


class TestIntelGpu(SourceContract):
    module = "wattmark.sources.intelgpu"

    def probe(self, host: Host) -> Sequence[Finding]:
        return intelgpu.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        device = drm_card(tmp_path, 0, "0x8086", "0x56a0")
        write(device / "hwmon/hwmon1", name="xe", energy1_input=5, energy2_input=4, energy2_label="pkg")
        drm_card(tmp_path, 1, "0x8086", "0x9a49")
        return Host(str(tmp_path), str(tmp_path / "proc"))

    def advance(self, host: Host) -> None:
        count_up(Path(host.sysfs), "energy*_input", 1_000)


class TestBattery(SourceContract):
    module = "wattmark.sources.battery"

    def probe(self, host: Host) -> Sequence[Finding]:
        return batteries.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        battery(tmp_path)
        battery(tmp_path, "BAT1", current_now=1_000_000, voltage_now=11_000_000)
        mains(tmp_path, 0)
        return Host(str(tmp_path), str(tmp_path / "proc"))


class TestReplay(SourceContract):
    module = "wattmark.sources.replay"

    def probe(self, host: Host) -> Sequence[Finding]:
        return replay.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        path = tmp_path / "wave.csv"
        path.write_text("t_s,cpu0/package:power_w,dram:energy_j\n0,10,0\n3600,20,99\n")
        return Host(str(tmp_path), str(tmp_path / "proc"), {"WATTMARK_REPLAY": str(path)})


class TestRapl(SourceContract):
    module = "wattmark.sources.rapl.source"

    def probe(self, host: Host) -> Sequence[Finding]:
        return rapl.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        write_cpuinfo(tmp_path / "proc", "GenuineIntel")
        with PowercapTree(tmp_path / "sys") as tree:
            tree.add_package(0)
            tree.add_package(1)
        return Host(str(tmp_path / "sys"), str(tmp_path / "proc"))

    def advance(self, host: Host) -> None:
        count_up(Path(host.sysfs), "energy_uj", 50_000)


class TestCpuModel(SourceContract):
    module = "wattmark.sources.models.cpu.source"

    def probe(self, host: Host) -> Sequence[Finding]:
        return cpu_model.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        write_cpuinfo(tmp_path / "proc", "GenuineIntel")
        self._write(tmp_path / "proc", 100)
        return Host(str(tmp_path / "sys"), str(tmp_path / "proc"))

    def advance(self, host: Host) -> None:
        busy = int((Path(host.procfs) / "stat").read_text().split()[1])
        self._write(Path(host.procfs), busy + 5)

    @staticmethod
    def _write(proc: Path, busy: int) -> None:
        times = f"{busy} 0 50 1000 0 0 0 0 0 0"
        (proc / "stat").write_text(f"cpu  {times}\ncpu0 {times}\nbtime 1\n")


class TestDramModel(SourceContract):
    module = "wattmark.sources.models.dram"

    def probe(self, host: Host) -> Sequence[Finding]:
        return dram_model.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        write(tmp_path / "proc", meminfo="MemTotal:       65536000 kB")
        return Host(str(tmp_path / "sys"), str(tmp_path / "proc"))


class TestNvml(SourceContract):
    module = "wattmark.sources.nvml.probe"
    allowed_imports = ("pynvml",)

    @pytest.fixture(autouse=True)
    def _driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        preload()
        self._fake = FakeNvml(tmp_path)
        self._fake.state("gpu 0 watts=50", "gpu 1 watts=30 counter=0")
        monkeypatch.setenv("FAKE_NVML_STATE", str(self._fake.path))

    def probe(self, host: Host) -> Sequence[Finding]:
        return nvml.probe(host)

    def make_host(self, tmp_path: Path) -> Host:
        environ = {"LD_LIBRARY_PATH": self._fake.environ["LD_LIBRARY_PATH"]}
        return Host(str(tmp_path / "sys"), str(tmp_path / "proc"), environ)

    def damage(self, host: Host) -> None:
        self._fake.state("gpu 0 watts=50 lost_after_s=0", "gpu 1 watts=30 counter=0 lost_after_s=0")


def blocks_of_the_guide() -> list[str]:
    parts = GUIDE.read_text().split("```python\n")[1:]
    return [part.split("```")[0] for part in parts]


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """The modules that the guide has people write, as they would write them."""
    source, tests = blocks_of_the_guide()
    module = types.ModuleType("tpu_meter")
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, "tpu_meter", module)
    (tmp_path / "tpu_meter.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    scope: dict[str, object] = {"__name__": "test_tpu_meter"}
    exec(tests, scope)
    return scope


PROMISES = [name for name in dir(SourceContract) if name.startswith("test_")]


@pytest.mark.parametrize("promise", PROMISES)
def test_the_example_of_the_guide_keeps_every_promise(
    guide: dict[str, object], promise: str, tmp_path: Path
) -> None:
    suite = guide["TestTpuMeter"]()  # type: ignore[operator]
    method = getattr(suite, promise)
    method(*([tmp_path / "host"] if method.__code__.co_argcount > 1 else []))


def test_the_example_of_the_guide_is_short() -> None:
    lines = [line for line in blocks_of_the_guide()[0].splitlines() if line.strip()]
    assert len(lines) <= 45


class Liar:
    """A source that breaks promises on request."""

    name = "liar"
    series = ()
    period_s = 1.0

    def __init__(self, channel: Channel, values: list[object]) -> None:
        self.channels = (channel,)
        self.values = values

    def read(self) -> list[object]:
        if len(self.values) == 1:
            return [self.values[0]]
        return [self.values.pop(0)]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("promise", "values", "change"),
    [
        ("test_energy_never_falls", [5, 4], {}),
        ("test_a_reading_has_one_value_of_the_right_type_per_channel_and_series", [1.5], {}),
        ("test_a_reading_has_one_value_of_the_right_type_per_channel_and_series", [None], {}),
        ("test_closing_twice_is_fine_and_reading_after_it_gives_nothing", [1], {}),
        ("test_channels_are_fully_described", [1], {"accuracy": Accuracy(0.0, 0.0, 0.0, " ")}),
        ("test_channels_are_fully_described", [1], {"component": "tpu"}),
        ("test_channels_are_fully_described", [1], {"wrap_uj": 5}),
        ("test_the_probe_finds_what_is_there", [1], {"source": "somebody else"}),
        ("test_what_is_opened_is_what_was_found", [1], {"source": "somebody else"}),
    ],
)
def test_the_suite_notices_a_broken_promise(
    tmp_path: Path, promise: str, values: list[object], change: dict[str, object]
) -> None:
    channel = Channel("liar", "cpu", "liar", "counter", "x", "energy", Accuracy(0.0, 0.0, 0.0, "none"))
    channel = channel._replace(**change)

    class Suite(SourceContract):
        def probe(self, host: Host) -> Sequence[Finding]:
            name = channel.source if promise.startswith("test_what_is_opened") else "liar"
            return [Finding(name, "a liar", (channel,), open=lambda: Liar(channel, list(values)))]  # type: ignore[arg-type, return-value]

        def make_host(self, tmp_path: Path) -> Host:
            return Host(str(tmp_path))

    with pytest.raises(AssertionError):
        getattr(Suite(), promise)(tmp_path)


def test_the_suite_notices_imports_beyond_the_standard_library() -> None:
    class Suite(SourceContract):
        module = "numpy.linalg"

    class Forbidden(SourceContract):
        module = "wattmark.runs.record"

    Suite().test_the_module_needs_only_the_standard_library()  # its own package is its own affair
    with pytest.raises(AssertionError, match="numpy"):
        Forbidden().test_the_module_needs_only_the_standard_library()
