"""The nvml source, driven through the real nvidia-ml-py by a fake libnvidia-ml.so.1 written in C."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fakes.hwmon import write
from fakes.nvml.nvml_fake import FakeNvml, preload
from wattmark.errors import SourceGone, SourceRetry
from wattmark.sources.base import Finding, Host, Source
from wattmark.sources.discovery import Selection
from wattmark.sources.nvml.boards import NvmlSource, UpdatePeriod
from wattmark.sources.nvml.devices import Gpu, Mig, Visible, mig_share, order_is_a_guess, visible_devices
from wattmark.sources.nvml.library import (
    MEANINGS,
    BindingsProblem,
    bindings_problem,
    meaning,
    source_error,
)
from wattmark.sources.nvml.probe import driver_is_here, probe
from wattmark.sources.nvml.series import GpuProcess, NvmlSeries
from wattmark.testing.source_contract import SourceContract

SRC = Path(__file__).parents[3] / "src"
CHECK = Path(__file__).parents[3] / "benchmarks" / "nvml_check.py"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """A fake driver in this process, with one GPU until the test says otherwise."""
    preload()
    machine = FakeNvml(tmp_path)
    machine.state("gpu 0 watts=50")
    monkeypatch.setenv("FAKE_NVML_STATE", str(machine.path))
    return machine


def host(fake: FakeNvml, **options: str) -> Host:
    environ = {"LD_LIBRARY_PATH": fake.environ["LD_LIBRARY_PATH"]}
    if "visible" in options:
        environ["CUDA_VISIBLE_DEVICES"] = options.pop("visible")
    return Host(environ=environ, options={"nvml": options})


def usable(findings: list[Finding], source: str = "nvml") -> Finding:
    return next(one for one in findings if one.source == source and one.usable)


def problems(findings: list[Finding]) -> list[str]:
    return [one.problem for one in findings if one.problem]


@pytest.fixture
def opened(fake: FakeNvml) -> Iterator[list[Source]]:
    """Sources to close at the end, so that NVML starts anew in the next test."""
    sources: list[Source] = []
    yield sources
    for source in sources:
        source.close()
        source.close()


def open_source(opened: list[Source], host_: Host, source: str = "nvml") -> Source:
    found = usable(probe(host_), source).open
    assert found is not None
    opened.append(found())
    return opened[-1]


# --- what is measured, and how ---


def test_a_board_with_a_counter_gives_the_joules_that_it_drew(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state("gpu 0 watts=50 energy_mj=12345")
    source = open_source(opened, host(fake))
    assert isinstance(source, Source)
    (channel,) = source.channels
    assert (channel.id, channel.component, channel.kind, channel.method) == (
        "gpu0/board",
        "gpu",
        "counter",
        "counter",
    )
    assert channel.scope == "board"
    assert channel.wrap_uj is None
    assert list(source.read()) == [12_345_000]
    fake.state("gpu 0 watts=50 energy_mj=12845")
    assert list(source.read()) == [12_845_000]


def test_the_fakes_counter_is_the_integral_of_its_power(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state("gpu 0 watts=5000")
    source = open_source(opened, host(fake))
    before = time.monotonic()
    (first,) = source.read()
    while (last := source.read()[0]) == first:
        pass
    after = time.monotonic()
    assert first is not None
    assert last is not None
    step_j = (last - first) / 1e6
    assert 0 < step_j <= 5000 * (after - before) + 0.002


def test_a_board_without_a_counter_gives_instantaneous_power(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state("gpu 0 watts=50", "gpu 1 watts=30.5 counter=0 arch=4 cc=60")
    source = open_source(opened, host(fake))
    first, second = source.channels
    assert first.kind == "counter"
    assert (second.kind, second.method) == ("power", "integrated")
    assert second.scope == "board, instantaneous power"
    assert source.read()[1] == pytest.approx(30.5)


def test_a_driver_without_the_instantaneous_field_says_that_its_power_is_an_average(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state(
        "gpu 0 watts=70 counter=0 instant=0 arch=8 cc=89", "gpu 1 watts=40 counter=0 instant=0 arch=5 cc=70"
    )
    source = open_source(opened, host(fake))
    ada, volta = source.channels
    assert ada.scope == "board, power averaged over 1 s"
    assert ada.update_period_s == 1.0
    assert volta.scope == "board, power"
    assert list(source.read()) == [pytest.approx(70.0), pytest.approx(40.0)]


def test_power_of_a_whole_superchip_is_not_called_a_gpu(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state("gpu 0 watts=600 counter=0 module=1", "fail 0 nvmlDeviceGetPowerUsage code=3")
    (channel,) = open_source(opened, host(fake)).channels
    assert channel.component == "soc"
    assert channel.scope.startswith("module")


def test_the_option_method_forces_power_beside_a_counter(fake: FakeNvml, opened: list[Source]) -> None:
    source = open_source(opened, host(fake, method="power"))
    assert source.channels[0].kind == "power"
    assert source.read()[0] == pytest.approx(50.0)
    assert any("names no way" in text for text in problems(probe(host(fake, method="magic"))))


def test_accuracy_is_wider_where_the_chip_samples_part_of_the_time(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state("gpu 0 cc=80 arch=7", "gpu 1 cc=89 arch=8")
    a100, ada = open_source(opened, host(fake)).channels
    assert a100.accuracy.relative_high > ada.accuracy.relative_high
    assert "arXiv:2312.02741" in ada.accuracy.citation
    assert ada.max_power_w == 1000.0  # twice the highest limit that the board accepts


class TestContract(SourceContract):
    """Every promise of a source, for the source that has the channels."""

    module = "wattmark.sources.nvml.probe"

    @pytest.fixture(autouse=True)
    def _machine(self, fake: FakeNvml) -> None:
        self.fake = fake

    def probe(self, host: Host) -> list[Finding]:
        return [finding for finding in probe(host) if finding.source == "nvml"]

    def make_host(self, tmp_path: Path) -> Host:
        self.fake.state("gpu 0 watts=50", "gpu 1 watts=30 counter=0", "gpu 2 lost_after_s=0")
        return host(self.fake)

    def damage(self, host: Host) -> None:
        self.fake.state("gpu 0 lost_after_s=0", "gpu 1 lost_after_s=0", "gpu 2 lost_after_s=0")


# --- failures ---


class Clock:
    """Nanoseconds that the test moves."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def with_clock(source: Source) -> Clock:
    clock = Clock()
    assert isinstance(source, NvmlSource)
    source._clock_ns = clock
    return clock


def test_a_lost_gpu_reads_none_until_it_is_there_again_and_the_other_goes_on(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state("gpu 0 watts=50", "gpu 1 watts=30 counter=0")
    source = open_source(opened, host(fake))
    clock = with_clock(source)
    assert isinstance(source, NvmlSource)
    clock.ns = 5
    assert None not in source.read()
    fake.state("gpu 0 watts=50 lost_after_s=0", "gpu 1 watts=31 counter=0")
    clock.ns = 10
    assert list(source.read()) == [None, pytest.approx(31.0)]
    (problem,) = source.problems
    assert problem.startswith(
        "gpu0/board is no longer measured: the GPU has fallen off the bus (Look for Xid 79"
    )
    fake.state("gpu 0 watts=50", "gpu 1 watts=32 counter=0")
    assert list(source.read()) == [None, pytest.approx(32.0)]  # not looked for at each reading
    clock.ns = 2 * 10**9
    assert None not in source.read()
    # its counter may have begun anew, so what it used meanwhile is a hole
    codes = {event[0]: event[3] for event in source.events}
    assert codes["hole"] == {"channel": "gpu0/board", "from_ns": 5, "to_ns": 2 * 10**9}
    assert "device-back" in codes


@pytest.mark.parametrize("code", [9, 1, 15])
def test_when_all_are_lost_nvml_is_started_anew_until_they_are_back(
    fake: FakeNvml, opened: list[Source], code: int
) -> None:
    source = open_source(opened, host(fake))
    clock = with_clock(source)
    fake.state("gpu 0", f"driver init={code}", f"fail 0 nvmlDeviceGetTotalEnergyConsumption code={code}")
    assert list(source.read()) == [None]
    clock.ns = 2 * 10**9
    assert list(source.read()) == [None]
    fake.state("gpu 0")
    clock.ns = 5 * 10**9 // 2
    assert list(source.read()) == [None]  # it was looked for half a second ago
    clock.ns = 3 * 10**9
    assert source.read()[0] is not None


def test_side_series_of_a_board_that_was_lost_come_back_with_it(fake: FakeNvml, opened: list[Source]) -> None:
    findings = probe(host(fake))
    board, series = (usable(findings, name).open for name in ("nvml", "nvml-series"))
    assert board is not None
    assert series is not None
    opened += [board(), series()]
    clock = with_clock(opened[0])
    assert opened[1].read()[0] == 50
    fake.state("gpu 0 lost_after_s=0")
    assert (list(opened[0].read()), set(opened[1].read())) == ([None], {None})
    fake.state("gpu 0 util=70")
    clock.ns = 2 * 10**9
    assert opened[0].read()[0] is not None
    assert opened[1].read()[0] == 70


def test_a_board_that_sleeps_is_not_asked(fake: FakeNvml, opened: list[Source], tmp_path: Path) -> None:
    folder = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    write(folder, vendor="0x10de", **{"class": "0x030200"}, power__runtime_status="suspended")
    asleep = host(fake)._replace(sysfs=str(tmp_path / "sys"))
    fake.state("driver init=999")  # it would show if it were started
    (finding,) = probe(asleep)
    assert finding.left_out == "asleep"
    assert finding.retry is not None
    assert not any(one.usable for one in finding.retry())
    fake.state("gpu 0 watts=50")
    write(folder, power__runtime_status="active")
    source = open_source(opened, asleep)
    assert source.read()[0] is not None
    fake.state("gpu 0 watts=50", "fail 0 nvmlDeviceGetTotalEnergyConsumption code=999")
    write(folder, power__runtime_status="suspended")
    first, second = source.read()[0], source.read()[0]
    assert first is not None
    assert second is not None
    assert 0 <= second - first < 1e6
    assert isinstance(source, NvmlSource)
    assert [event[0] for event in source.events] == ["asleep"]


def test_a_call_that_becomes_unsupported_ends_that_channel_only(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state("gpu 0 watts=50", "gpu 1 watts=30")
    source = open_source(opened, host(fake))
    fake.state("gpu 0 watts=50", "gpu 1 watts=30", "fail 0 nvmlDeviceGetTotalEnergyConsumption code=3")
    values = source.read()
    assert values[0] is None
    assert values[1] is not None


def test_a_passing_failure_costs_one_reading(fake: FakeNvml, opened: list[Source]) -> None:
    source = open_source(opened, host(fake))
    fake.state("gpu 0", "fail 0 nvmlDeviceGetTotalEnergyConsumption code=10")
    assert list(source.read()) == [None]
    fake.state("gpu 0")
    assert source.read()[0] is not None


def test_a_closed_source_is_gone(fake: FakeNvml, opened: list[Source]) -> None:
    source = open_source(opened, host(fake))
    source.close()
    with pytest.raises(SourceGone, match="closed"):
        source.read()


@pytest.mark.parametrize(
    ("code", "words"),
    [(9, "kernel driver is not loaded"), (18, "different versions"), (4, "may not"), (999, "999")],
)
def test_a_driver_that_cannot_start_is_a_finding_not_an_exception(
    fake: FakeNvml, code: int, words: str
) -> None:
    fake.state(f"driver init={code}")
    (finding,) = probe(host(fake))
    assert not finding.usable
    assert finding.problem is not None
    assert words in finding.problem


def test_a_gpu_that_is_lost_before_the_start_is_explained_and_others_are_measured(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state("gpu 0 lost_after_s=0", "gpu 1 watts=30")
    findings = probe(host(fake))
    assert [channel.id for channel in usable(findings).channels] == ["gpu1/board"]
    lost = next(one for one in findings if one.problem)
    assert lost.problem == "NVIDIA GPU 0: the GPU has fallen off the bus."
    assert lost.fix is not None
    assert "Xid 79" in lost.fix


def test_a_board_that_tells_no_energy_at_all_says_so(fake: FakeNvml) -> None:
    fake.state("gpu 0 name=GeForce_GT_710 counter=0 power=0")
    findings = probe(host(fake))
    assert not any(one.usable for one in findings if one.source == "nvml")
    assert "GeForce GT 710" in problems(findings)[0]
    fake.state("gpu 0 counter=0 watts=0")
    assert "it reads 0" in problems(probe(host(fake)))[0]


def test_a_driver_without_gpus_says_so(fake: FakeNvml) -> None:
    fake.state("driver version=550.1")
    assert problems(probe(host(fake))) == ["The driver is loaded but sees no GPU."]


def test_every_nvml_code_becomes_an_exception_of_ours_with_a_next_step() -> None:
    for code in range(1, 31):
        error = source_error(code, "reading GPU 0")
        assert isinstance(error, SourceRetry if meaning(code).severity == "retry" else SourceGone)
        assert str(error).startswith("reading GPU 0: ")
    assert all(known.fix for known in MEANINGS.values() if known.severity == "gone")


# --- MIG ---

MIG_BOARD = (
    "gpu 0 watts=200 mig=1 cc=80 arch=7 uuid=GPU-aaaa name=NVIDIA_A100",
    "mig 0 uuid=MIG-1111 gi=1 ci=0 slices=3",
    "mig 0 uuid=MIG-2222 gi=5 ci=0 slices=1",
    "gpu 1 watts=100 uuid=GPU-bbbb",
)


def test_a_process_on_a_mig_device_measures_the_board_and_says_that_it_is_shared(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state(*MIG_BOARD)
    (channel,) = open_source(opened, host(fake, visible="MIG-2222")).channels
    assert channel.id == "gpu0/board"
    assert channel.scope == "board (shared by MIG)"
    assert "MIG-2222, 14% of the compute slices" in channel.label


def test_both_mig_devices_of_a_board_are_one_channel(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state(*MIG_BOARD)
    (channel,) = open_source(opened, host(fake, visible="MIG-GPU-aaaa/5/0,MIG-1111")).channels
    assert "57% of the compute slices" in channel.label


def test_the_share_of_a_mig_board_is_that_of_its_visible_slices() -> None:
    one, three = Mig("MIG-1", 1, 0, 1), Mig("MIG-3", 2, 0, 3)
    assert mig_share(Gpu(0, mig_mode=True, migs=(one, three), mig_slices=7)) == pytest.approx(4 / 7)
    assert mig_share(Gpu(0, mig_mode=True, migs=(one._replace(slices=None),), mig_slices=7)) is None
    assert mig_share(Gpu(0)) is None


# --- which GPUs ---

GPUS = [
    Gpu(0, "GPU-8932f937-d72c", "A"),
    Gpu(
        1, "GPU-8932aaaa-d72c", "A", mig_mode=True, migs=(Mig("MIG-77aa", 1, 2, 1), Mig("MIG-77bb", 3, 0, 2))
    ),
    Gpu(2, "GPU-12345678-d72c", "A"),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, [Visible(0), Visible(1, 0), Visible(2)]),
        ("", []),
        ("2,0", [Visible(2), Visible(0)]),
        (" 2 , 0", [Visible(2), Visible(0)]),
        ("0,2,-1,1", [Visible(0), Visible(2)]),
        ("0,7,2", [Visible(0)]),
        ("-1", []),
        ("NoDevFiles", []),
        ("2gpu,0", [Visible(2), Visible(0)]),
        ("0,0", []),
        ("1", [Visible(1, 0)]),
        ("GPU-1234", [Visible(2)]),
        ("GPU-8932f", [Visible(0)]),
        ("GPU-8932", []),
        ("GPU-12345678-d72c,GPU-ffff,0", [Visible(2)]),
        ("MIG-77bb", [Visible(1, 1)]),
        ("MIG-GPU-8932aaaa-d72c/1/2", [Visible(1, 0)]),
        ("MIG-GPU-8932aaaa-d72c/9/9", []),
        ("MIG-77", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(value: str | None, expected: list[Visible]) -> None:
    assert visible_devices(value, GPUS) == expected


def test_only_visible_boards_are_measured_under_their_nvml_index(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state("gpu 0", "gpu 1", "gpu 2 uuid=GPU-cccc")
    assert [one.id for one in open_source(opened, host(fake, visible="GPU-cc,1")).channels] == [
        "gpu1/board",
        "gpu2/board",
    ]
    everything = host(fake, visible="1", devices="all")
    assert len(open_source(opened, everything).channels) == 3
    assert "hides all 3 NVIDIA GPUs" in problems(probe(host(fake, visible="GPU-none")))[0]


@pytest.mark.parametrize("value", ["", "-1"])
def test_gpus_hidden_on_purpose_are_not_even_asked(fake: FakeNvml, opened: list[Source], value: str) -> None:
    fake.state("driver init=9")
    (finding,) = probe(host(fake, visible=value))
    assert finding.problem is not None
    assert "hides all NVIDIA GPUs" in finding.problem
    fake.state("gpu 0")
    assert open_source(opened, host(fake, visible=value, devices="all")).channels


def test_indices_are_doubtful_only_where_boards_differ_and_cuda_may_sort_them() -> None:
    mixed = [Gpu(0, "GPU-a", "T4"), Gpu(1, "GPU-b", "A100")]
    assert order_is_a_guess({}, "0", mixed)
    assert not order_is_a_guess({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, "0", mixed)
    assert not order_is_a_guess({}, "GPU-a", mixed)
    assert not order_is_a_guess({}, None, mixed)
    assert not order_is_a_guess({}, "0", GPUS)


def test_a_doubtful_order_is_reported_with_its_remedy(fake: FakeNvml) -> None:
    fake.state("gpu 0 name=T4", "gpu 1 name=A100")
    findings = probe(host(fake, visible="0"))
    assert any(one.fix and "CUDA_DEVICE_ORDER=PCI_BUS_ID" in one.fix for one in findings)
    assert not problems(probe(host(fake, devices="0")))  # our own option counts as NVML does


def test_all_is_a_word_of_our_option_and_for_cuda_no_device(fake: FakeNvml) -> None:
    assert "hides all 1 NVIDIA GPUs" in problems(probe(host(fake, visible="all")))[0]


def test_a_board_that_cannot_be_read_is_left_out_with_a_warning(fake: FakeNvml) -> None:
    fake.state("gpu 0 watts=100", "gpu 1 counter=0 power=0 instant=0")
    (lost,) = [one for one in probe(host(fake)) if one.left_out]
    assert (lost.what, lost.left_out, lost.retry) == ("gpu1", "device-unmeasured", None)


def test_an_error_that_may_pass_is_tried_again(fake: FakeNvml, opened: list[Source]) -> None:
    calls = ("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetFieldValues")
    fake.state("gpu 0 watts=100", "gpu 1 watts=50", *(f"fail 1 {call} code=999 after_s=0" for call in calls))
    found = probe(host(fake))
    (lost,) = [one for one in found if one.left_out]
    assert lost.retry is not None
    selection = Selection(found)
    assert selection.waits
    opened += [source for source, _ in selection.open().sources]
    assert selection.retry() == []
    fake.state("gpu 0 watts=100", "gpu 1 watts=50")
    ((source, (channel,)),) = selection.retry()
    opened.append(source)
    assert (channel.id, channel.counted, selection.waits) == ("gpu1/board", True, False)
    assert source.read()[0]


def test_power_stands_in_for_a_counter_that_gives_nothing(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state("gpu 0 watts=100 energy_mj=5000", "gpu 1 watts=50")
    selection = Selection(probe(host(fake)))
    opened += [source for source, _ in selection.open().sources]
    assert "gpu0/power" not in {one.id for one in selection.channels}
    again = selection.replace({"gpu0/board"})
    opened += [source for source, _ in again.sources]
    assert again.roles == {"gpu0/power": ("gpu0/board",)}
    assert again.sources[0][0].read() == [100.0]


# --- side series and processes ---


def test_side_series_of_each_board(fake: FakeNvml, opened: list[Source]) -> None:
    fake.state("gpu 0 util=80 mem_util=20 used_mb=2 temp=65 sm_mhz=1410 mem_mhz=1215 limit_w=300 reasons=4")
    source = open_source(opened, host(fake), "nvml-series")
    assert isinstance(source, Source)
    assert not source.channels
    assert source.period_s == 1.0
    values = dict(zip((one.id.split("/")[1] for one in source.series), source.read(), strict=True))
    assert values.pop("memory_total") > 2 << 20
    assert values == {
        "utilisation": 80,
        "memory_utilisation": 20,
        "memory_used": 2 << 20,
        "temperature": 65,
        "sm_clock": 1410,
        "memory_clock": 1215,
        "power_limit": 300,
        "throttle_reasons": 4,
    }


def test_a_series_that_the_board_lacks_is_left_out_and_one_that_fails_later_is_none(
    fake: FakeNvml, opened: list[Source]
) -> None:
    missing = "fail 0 nvmlDeviceGetTemperature code=3"
    fake.state("gpu 0", missing)
    source = open_source(opened, host(fake), "nvml-series")
    names = [one.id for one in source.series]
    assert "gpu0/temperature" not in names
    fake.state("gpu 0", missing, "fail 0 nvmlDeviceGetMemoryInfo code=15")
    values = dict(zip(names, source.read(), strict=True))
    assert values["gpu0/memory_used"] is None
    assert values["gpu0/sm_clock"] == 1500
    source.close()
    with pytest.raises(SourceGone, match="closed"):
        source.read()


def test_processes_with_their_memory_and_share_of_the_multiprocessors(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state("gpu 0", "proc 0 pid=100 mb=3 sm=60", "proc 0 pid=200 mb=1 sm=20", "gpu 1")
    source = open_source(opened, host(fake), "nvml-series")
    assert isinstance(source, NvmlSeries)
    assert source.processes() == [
        GpuProcess("gpu0/board", 100, 3 << 20, 60.0),
        GpuProcess("gpu0/board", 200, 1 << 20, 20.0),
    ]
    source.close()
    assert source.processes() == []


def test_processes_in_mig_mode_are_those_of_the_visible_mig_devices(
    fake: FakeNvml, opened: list[Source]
) -> None:
    fake.state(*MIG_BOARD, "proc 0 pid=100 mb=3 mig=0", "proc 0 pid=200 mb=1 mig=1")
    source = open_source(opened, host(fake, visible="MIG-2222"), "nvml-series")
    assert isinstance(source, NvmlSeries)
    assert source.processes() == [GpuProcess("gpu0/board", 200, 1 << 20, None, "MIG-2222")]


# --- the update period ---


def test_the_update_period_is_found_from_readings_between_the_changes() -> None:
    period = UpdatePeriod()
    for tick in range(0, 1000, 7):  # ms; a new value every 100 ms
        period.saw(tick * 1_000_000, tick // 100)
    assert period.seconds == pytest.approx(0.1, rel=0.02)


def test_a_value_that_is_new_at_each_reading_tells_no_update_period() -> None:
    period = UpdatePeriod()
    for tick in range(100):
        period.saw(tick * 1_000_000, tick)
    assert period.seconds is None


def test_the_source_states_the_period_that_it_saw(fake: FakeNvml) -> None:
    fake.state("gpu 0 watts=500 update_ms=4")
    sensors_of = usable(probe(host(fake))).open
    assert sensors_of is not None
    source = sensors_of()
    assert isinstance(source, NvmlSource)
    assert source.update_periods() == {"gpu0/board": None}
    assert source.period_s == pytest.approx(0.02)
    end = time.monotonic() + 5
    while source.update_periods()["gpu0/board"] is None and time.monotonic() < end:
        source.read()
    for _ in range(2000):
        source.read()
    found = source.update_periods()["gpu0/board"]
    assert found is not None
    assert 0.003 < found < 0.1
    source.close()


# --- the bindings and the library ---


def site(folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [str(folder)]


def installed(folder: Path, distribution: str, *rows: str) -> None:
    (folder / f"{distribution}.dist-info").mkdir()
    (folder / f"{distribution}.dist-info" / "RECORD").write_text("\n".join(rows))


def test_the_folder_of_the_unofficial_package_is_refused_even_beside_nvidia_ml_py(tmp_path: Path) -> None:
    (tmp_path / "pynvml").mkdir()
    (tmp_path / "pynvml" / "__init__.py").write_text("from .nvml import *")
    (tmp_path / "pynvml.py").write_text("x = 1\n")
    installed(tmp_path, "nvidia_ml_py-12.0", "pynvml.py,sha256=x,6")
    problem = bindings_problem([str(tmp_path)])
    assert problem is not None
    assert "unofficial pynvml package" in problem.problem
    assert "pip uninstall -y pynvml" in problem.fix
    assert "nvidia-ml-py" in problem.fix


def test_the_fork_nvidia_ml_py3_is_told_by_its_record(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("x = 1\n")
    installed(tmp_path, "nvidia_ml_py3-7.352.0", "pynvml.py,sha256=x,6")
    problem = bindings_problem([str(tmp_path)])
    assert problem is not None
    assert "nvidia_ml_py3" in problem.problem
    installed(tmp_path, "nvidia_ml_py-12.0", "pynvml.py,sha256=y,330000")  # overwritten by the fork
    assert bindings_problem([str(tmp_path)]) == problem


def test_nvidia_ml_py_is_accepted_also_with_the_new_pynvml_that_ships_no_bindings(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("x = 1\n")
    installed(tmp_path, "nvidia_ml_py-12.0", "pynvml.py,sha256=x,6")
    installed(
        tmp_path, "pynvml-12.0.0", "pynvml_utils/__init__.py,sha256=x,6", "_pynvml_redirector.py,sha256=x,6"
    )
    assert bindings_problem([str(tmp_path)]) is None


def test_a_pynvml_of_a_distribution_package_without_a_record_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("x = 1\n")
    assert bindings_problem([str(tmp_path)]) is None


def test_missing_bindings_say_what_to_install(tmp_path: Path) -> None:
    expected = BindingsProblem("the NVIDIA bindings are not installed", "Run: pip install nvidia-ml-py")
    assert bindings_problem([str(tmp_path)]) == expected


def test_the_bindings_of_this_environment_are_nvidias() -> None:
    assert bindings_problem() is None


def test_without_a_driver_nothing_is_found_and_nothing_is_imported(tmp_path: Path) -> None:
    if os.path.exists("/dev/nvidiactl") or driver_is_here(Host(procfs=str(tmp_path))):
        pytest.skip("this machine has an NVIDIA driver")
    code = (
        "import sys; from wattmark.sources.base import Host; from wattmark.sources.nvml.probe import probe;"
        "print(probe(Host(procfs=sys.argv[1])), 'pynvml' in sys.modules, 'ctypes' in sys.modules)"
    )
    assert fresh(code, {}, str(tmp_path)) == "[] False False\n"


def fresh(code: str, environ: dict[str, str], *arguments: str) -> str:
    """What a new interpreter prints that is started as the recorder is."""
    prelude = f"import sys; sys.path[:0] = {[str(SRC), *sys.path]!r}\n"
    command = [sys.executable, "-I", "-S", "-c", prelude + code, *arguments]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


PROBE_AND_READ = """
import json
from wattmark.sources.base import Host
from wattmark.sources.nvml.probe import probe
rows = []
for one in probe(Host.here()):
    values = list(one.open().read()) if one.open else None
    rows.append([one.source, [channel.scope for channel in one.channels], values, one.problem])
print(json.dumps(rows))
"""


def test_a_fresh_recorder_process_finds_the_library_by_itself(tmp_path: Path) -> None:
    machine = FakeNvml(tmp_path)
    machine.state("gpu 0 watts=50 energy_mj=1000", "gpu 1 watts=30 counter=0")
    found = json.loads(fresh(PROBE_AND_READ, machine.environ))
    assert found[0] == ["nvml", ["board", "board, instantaneous power"], [1_000_000, 30.0], None]


def test_an_old_driver_without_the_newer_calls_is_measured_all_the_same(tmp_path: Path) -> None:
    machine = FakeNvml(tmp_path, old_driver=True)
    machine.state("gpu 0 watts=50 counter=0 arch=6 cc=75 reasons=8", "proc 0 pid=7 mb=1")
    found = json.loads(fresh(PROBE_AND_READ, machine.environ))
    assert found[0] == ["nvml", ["board, power"], [50.0], None]
    assert found[1][0] == "nvml-series"
    assert found[1][2][-1] == 8


HOLD_AND_LET_GO = """
from wattmark.sources.base import Host
from wattmark.sources.nvml.probe import probe
import pynvml
def running():
    try:
        return pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError_Uninitialized:
        return None
findings = probe(Host.here())
sources = [one.open() for one in findings]
del findings
held = [running()]
for source in sources:
    source.close()
    held.append(running())
print(held)
"""


def test_nvml_is_shut_down_with_its_last_user(tmp_path: Path) -> None:
    machine = FakeNvml(tmp_path)
    machine.state("gpu 0")
    assert fresh(HOLD_AND_LET_GO, machine.environ) == "[1, 1, 1, None]\n"


def test_a_broken_library_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    machine = FakeNvml(tmp_path)
    found = json.loads(fresh(PROBE_AND_READ, {**machine.environ, "LD_LIBRARY_PATH": str(tmp_path)}))
    assert "cannot be loaded" in found[0][3]


def test_an_unofficial_package_in_the_way_is_refused_before_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "pynvml").mkdir()
    (tmp_path / "pynvml" / "__init__.py").write_text("raise SystemExit('imported')")
    machine = FakeNvml(tmp_path)
    machine.state("gpu 0")
    code = f"sys.path.insert(0, {str(tmp_path)!r})\n{PROBE_AND_READ}"
    found = json.loads(fresh(code, machine.environ))
    assert "unofficial pynvml" in found[0][3]


# --- benchmarks/nvml_check.py: its analysis, on known waves and on the fake ---


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nvml_check", CHECK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["nvml_check"] = module
    spec.loader.exec_module(module)
    return module


def square_wave(check: ModuleType, lag_s: float) -> tuple[object, object, list[tuple[float, bool]]]:
    """A 100/20 W wave of 1 s, renewed every 100 ms, ``lag_s`` late, read every 5 ms for 10 s."""
    t_s = np.arange(0, 10, 0.005)
    shown = np.floor((t_s - lag_s) * 10 + 1e-6) / 10
    power = np.where((shown % 1) < 0.5, 100.0, 20.0)
    whole = np.floor(shown)
    part = shown - whole
    joules = 60 * whole + 100 * np.minimum(part, 0.5) + 20 * np.maximum(part - 0.5, 0)
    edges = [(k / 2, k % 2 == 0) for k in range(1, 20)]
    return check.Trace(t_s, joules), check.Trace(t_s, power), edges


def test_the_check_finds_agreement_update_period_and_lag_of_a_known_wave(check: ModuleType) -> None:
    counter, power, edges = square_wave(check, lag_s=0.03)
    found = check.analyse(counter, power, [60.0, 60.0], edges)
    assert found["counter_to_integrated"] == pytest.approx(1.0, rel=0.02)
    assert found["counter_mean_w"] == pytest.approx(60, rel=0.02)
    assert found["power_to_nvidia_smi"] == pytest.approx(1.0, rel=0.02)
    assert found["counter_update_period_s"] == pytest.approx(0.1, rel=0.02)
    assert found["power_lag_s"] == pytest.approx(0.03, abs=0.011)


def test_the_check_says_none_where_there_is_nothing_to_see(check: ModuleType) -> None:
    flat = check.Trace(np.arange(0, 5, 0.01), np.full(500, 40.0))
    found = check.analyse(None, flat, [], [(1.0, True), (2.0, False), (3.0, True)])
    assert found["power_mean_w"] == pytest.approx(40.0)
    assert [
        found[key] for key in ("counter_j", "power_lag_s", "nvidia_smi_mean_w", "power_update_period_s")
    ] == [None] * 4


def test_a_renewal_by_the_same_value_does_not_lengthen_the_period(check: ModuleType) -> None:
    t_s = np.arange(0, 20, 0.007)
    levels = np.random.default_rng(0).integers(0, 2, 200)  # every second renewal brings the old value again
    assert check.update_period_s(check.Trace(t_s, levels[(t_s * 10).astype(int)])) == pytest.approx(
        0.1, rel=0.05
    )
    assert check.update_period_s(check.Trace(t_s, t_s)) is None


def test_nvidia_smi_rows_without_a_number_are_left_out(check: ModuleType) -> None:
    assert check.smi_watts(["119.17 W", " 80.5 W", "[N/A]", "", "12"]) == [119.17, 80.5, 12.0]


def test_the_check_runs_on_the_fake_and_writes_what_it_found(
    check: ModuleType,
    fake: FakeNvml,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", fake.environ["LD_LIBRARY_PATH"])
    monkeypatch.setattr(check, "SETTLE_S", 0.0)
    fake.state("gpu 0 watts=400 update_ms=10")
    output = tmp_path / "nvml.json"
    assert check.main(["--seconds=0.4", "--idle-only", f"--output={output}"]) == 0
    idle = json.loads(output.read_text())["phases"]["idle"]
    assert idle["power_mean_w"] == pytest.approx(400.0)
    assert idle["integrated_j_in_the_same_time"] == pytest.approx(idle["counter_j"], rel=0.2)
    assert "idle" in capsys.readouterr().out


def test_the_check_ends_cleanly_without_a_gpu(
    check: ModuleType, fake: FakeNvml, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", fake.environ["LD_LIBRARY_PATH"])
    fake.state("driver init=9")
    assert check.main(["--seconds=0.1"]) == 0
    assert "kernel driver is not loaded" in capsys.readouterr().out
