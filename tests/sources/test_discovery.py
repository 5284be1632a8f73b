from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fakes.hwmon import amd_card, battery, chip, grace, jetson
from wattmark.errors import ConfigError, SourceGone
from wattmark.sources import amdgpu, discovery, hwmon
from wattmark.sources.base import Accuracy, Channel, Finding, Host, Series
from wattmark.sources.discovery import Selection, discover

EXACT = Accuracy(0.0, 0.0, 0.0, "made up for the test")


class Still:
    """A source whose values never change."""

    period_s = 0.1
    series = ()

    def __init__(self, name: str, channels: tuple[Channel, ...]) -> None:
        self.name = name
        self.channels = channels

    def read(self) -> list[float | None]:
        return [1.0 for _ in self.channels]

    def close(self) -> None:
        pass


def channel(id: str, component: str, source: str, method: str = "counter", **more: Any) -> Channel:
    kind = "power" if method == "integrated" else "energy"
    return Channel(id, component, source, method, more.pop("scope", "package"), kind, EXACT, **more)  # type: ignore[arg-type]


def finding(*channels: Channel, fails: bool = False) -> Finding:
    def open_source() -> Still:
        if fails:
            raise SourceGone("it is broken")
        return Still(channels[0].source, channels)

    return Finding(channels[0].source, "test", channels, open=open_source)


RAPL = finding(
    channel("cpu0/package", "cpu", "rapl"),
    channel("cpu0/core", "cpu", "rapl", inside=("cpu0/package",)),
    channel("psys", "host", "rapl"),
)
RAPL_DRAM = finding(channel("cpu0/dram", "dram", "rapl"), channel("cpu0/package", "cpu", "rapl"))
NVML = finding(channel("gpu0/board", "gpu", "nvml"), channel("gpu1/board", "gpu", "nvml", "integrated"))
AMD = finding(channel("amdgpu0/package", "gpu", "amdgpu", "integrated"))
CPU_MODEL = finding(channel("cpu", "cpu", "cpu-model", "modelled"))
DRAM_MODEL = finding(channel("dram", "dram", "dram-model", "modelled"))
BATTERY = finding(channel("battery", "host", "battery", "integrated", scope="machine"))


def counted(selection: Selection) -> set[str]:
    return {one.id for one in selection.channels if one.counted}


def shown(selection: Selection) -> set[str]:
    return {one.id for one in selection.channels if not one.counted}


@pytest.mark.parametrize(
    ("findings", "in_total", "beside"),
    [
        # never a package with its core, never psys with the parts; models are not needed
        ([RAPL, CPU_MODEL], {"cpu0/package"}, {"cpu0/core", "psys"}),
        # GPUs of different vendors add up, whatever their method
        (
            [RAPL, NVML, AMD],
            {"cpu0/package", "gpu0/board", "gpu1/board", "amdgpu0/package"},
            {"cpu0/core", "psys"},
        ),
        # a modelled constant is shown beside measured joules, not added
        ([RAPL, DRAM_MODEL], {"cpu0/package"}, {"cpu0/core", "psys", "dram"}),
        # ... and where there is a memory counter it is not even opened
        ([RAPL_DRAM, DRAM_MODEL], {"cpu0/package", "cpu0/dram"}, set()),
        # where the cpu is modelled, so is the memory
        ([NVML, CPU_MODEL, DRAM_MODEL], {"gpu0/board", "gpu1/board", "cpu", "dram"}, set()),
        ([CPU_MODEL, DRAM_MODEL], {"cpu", "dram"}, set()),
        ([DRAM_MODEL], set(), {"dram"}),
        # the whole machine counts only where no part of it is measured, and then contains what is modelled
        ([RAPL, BATTERY], {"cpu0/package"}, {"cpu0/core", "psys", "battery"}),
        ([BATTERY, CPU_MODEL, DRAM_MODEL], {"battery"}, {"cpu", "dram"}),
        ([BATTERY, NVML, CPU_MODEL], {"gpu0/board", "gpu1/board", "cpu"}, {"battery"}),
        ([finding(channel("psys", "host", "rapl")), BATTERY], {"psys"}, {"battery"}),
        # of equals the first one is taken
        (
            [finding(channel("psys", "host", "rapl")), finding(channel("hwmon/total", "host", "hwmon"))],
            {"psys"},
            {"hwmon/total"},
        ),
        ([], set(), set()),
    ],
)
def test_what_counts(findings: list[Finding], in_total: set[str], beside: set[str]) -> None:
    selection = Selection(findings)
    assert counted(selection) == in_total
    assert shown(selection) == beside


def test_every_channel_and_every_absent_source_has_a_reason() -> None:
    absent = Finding("nvml", "NVIDIA", problem="There is no driver.", fix="Install it.")
    selection = Selection([RAPL, absent, BATTERY, CPU_MODEL])
    assert set(selection.reasons) == {"cpu0/package", "cpu0/core", "psys", "battery", "cpu", "nvml"}
    assert selection.reasons["nvml"] == "There is no driver."
    assert all(reason[0].isupper() and reason.endswith(".") for reason in selection.reasons.values())
    assert "cpu0/package" in selection.reasons["cpu0/core"]


def test_a_counter_wins_over_a_sensor_of_the_same_component() -> None:
    sensor = finding(channel("hwmon/cpu", "cpu", "hwmon", "integrated"))
    selection = Selection([sensor, RAPL])
    assert counted(selection) == {"cpu0/package"}
    assert "rapl" in selection.reasons["hwmon/cpu"]
    assert counted(Selection([sensor, RAPL], frozenset(["hwmon"]))) == {"hwmon/cpu"}


def test_the_inside_of_what_lost_is_not_counted_either() -> None:
    loser = finding(
        channel("hwmon/package", "cpu", "hwmon", "integrated"),
        channel("hwmon/core", "cpu", "hwmon", "integrated", inside=("hwmon/package",)),
    )
    assert counted(Selection([RAPL, loser])) == {"cpu0/package"}


def test_a_part_counts_where_what_holds_it_is_not_usable() -> None:
    core = finding(channel("cpu0/core", "cpu", "rapl", inside=("cpu0/package",)))
    assert counted(Selection([core])) == {"cpu0/core"}


def test_a_copy_counts_once() -> None:
    twin = finding(
        channel("cpu0/die0/package", "cpu", "rapl"),
        channel("cpu0/die1/package", "cpu", "rapl", copy_of="cpu0/die0/package"),
    )
    assert counted(Selection([twin])) == {"cpu0/die0/package"}


def test_what_a_source_will_not_count_stays_uncounted() -> None:
    rail = finding(channel("hwmon/pout1", "host", "hwmon", "integrated", counted=False))
    assert counted(Selection([rail, CPU_MODEL])) == {"cpu"}


def test_a_modelled_memory_is_added_where_the_user_names_it() -> None:
    assert counted(Selection([RAPL, DRAM_MODEL], frozenset(["rapl", "dram-model"]))) == {
        "cpu0/package",
        "dram",
    }


def test_only_one_scope_of_a_model_counts() -> None:
    both = finding(
        channel("cpu/package", "cpu", "cpu-model", "modelled", scope="package"),
        channel("cpu/host-share", "cpu", "cpu-model", "modelled", scope="host-share"),
    )
    assert counted(Selection([both])) == {"cpu/package"}


def test_the_socket_of_an_apu_is_not_added_to_rapl_but_stands_for_the_cpu_without_it(tmp_path: Path) -> None:
    amd_card(tmp_path, hwmon={"power1_input": 1, "in1_label": "vddnb"})
    apu = amdgpu.probe(Host(str(tmp_path)))
    assert counted(Selection([RAPL, *apu, CPU_MODEL])) == {"cpu0/package"}
    alone = Selection([*apu, CPU_MODEL, DRAM_MODEL])
    assert counted(alone) == {"amdgpu0/socket"}
    assert shown(alone) == {"dram"}


def test_the_socket_of_an_mi300a_stands_for_cpu_and_gpu(tmp_path: Path) -> None:
    amd_card(tmp_path, device="0x74a0")
    assert counted(Selection([RAPL, *amdgpu.probe(Host(str(tmp_path))), DRAM_MODEL])) == {"amdgpu0/socket"}


def test_grace_counts_its_socket_beside_the_gpu_and_nothing_inside_it(tmp_path: Path) -> None:
    grace(tmp_path)
    selection = Selection([NVML, *hwmon.probe(Host(str(tmp_path))), CPU_MODEL, DRAM_MODEL])
    assert counted(selection) == {"gpu0/board", "gpu1/board", "hwmon/grace_power_socket_0"}
    assert "dram" not in {one.id for one in selection.channels}


def test_jetson_counts_its_rails_and_shows_the_module(tmp_path: Path) -> None:
    jetson(tmp_path)
    selection = Selection([*hwmon.probe(Host(str(tmp_path))), CPU_MODEL])
    assert counted(selection) == {"hwmon/vdd_cpu_gpu_cv", "hwmon/vdd_soc"}
    assert shown(selection) == {"hwmon/vdd_in"}
    assert "hwmon measures the cpu" in selection.reasons["cpu"]


@pytest.mark.parametrize(
    ("chips", "expected"),
    [
        ([("power_meter", {}), ("corsairpsu", {"power1_label": "power total"})], {"hwmon/power_meter_1"}),
        ([("pmbus", {"power1_label": "PSU1"}), ("power_meter", {})], {"hwmon/power_meter_1"}),
        ([("power_meter", {}), ("power_meter", {})], {"hwmon/power_meter_1"}),
        ([("ipmi", {"power1_label": "System"}), ("pmbus", {"power1_label": "PSU1"})], {"hwmon/system"}),
        (
            [("pmbus", {"power1_label": "PSU1"}), ("pmbus", {"power1_label": "PSU2"})],
            {"hwmon/psu1", "hwmon/psu2"},
        ),
    ],
)
def test_two_meters_of_the_whole_machine_are_not_added_and_two_power_supplies_are(
    tmp_path: Path, chips: list[tuple[str, dict[str, object]]], expected: set[str]
) -> None:
    for index, (name, files) in enumerate(chips):
        chip(tmp_path, index, name, power1_average=450_000_000, **files)
    selection = Selection(hwmon.probe(Host(str(tmp_path))))
    assert counted(selection) == expected
    assert all(selection.reasons[one.id] for one in selection.channels)


def test_two_drivers_that_read_one_socket_are_not_added(tmp_path: Path) -> None:
    chip(tmp_path, 0, "amd_hsmp_hwmon", power1_input=90_000_000)
    chip(
        tmp_path,
        1,
        "amd_energy",
        energy1_label="Esocket0",
        energy1_input=1,
        energy2_label="Esocket1",
        energy2_input=1,
    )
    assert counted(Selection(hwmon.probe(Host(str(tmp_path))))) == {"hwmon/esocket0", "hwmon/esocket1"}


def test_a_device_that_is_left_out_is_a_warning_and_an_obstacle_without_loss_is_none() -> None:
    lost = Finding(
        "nvml", "gpu1", problem="It is not supported.", fix="Buy another.", left_out="device-unmeasured"
    )
    selection = Selection([RAPL, lost, Finding("battery", "BAT0", problem="It is on mains.")])
    assert selection.warnings == [
        {"code": "device-unmeasured", "message": "gpu1 is not measured: It is not supported. Buy another."}
    ]


@pytest.mark.parametrize(
    ("findings", "silent", "roles"),
    [
        ([RAPL, CPU_MODEL], {"cpu0/package"}, {"cpu0/core": ("cpu0/package",)}),
        ([RAPL, CPU_MODEL], {"cpu0/package", "cpu0/core"}, {"psys": ("cpu0/package",)}),
        ([RAPL_DRAM, CPU_MODEL], {"cpu0/package"}, {"cpu": ("cpu0/package",)}),
        ([BATTERY, CPU_MODEL, DRAM_MODEL], {"battery"}, {"cpu": ("battery",), "dram": ("battery",)}),
        ([RAPL_DRAM, NVML, BATTERY, CPU_MODEL], {"gpu1/board"}, {}),
        ([NVML, BATTERY, CPU_MODEL], {"gpu0/board", "gpu1/board"}, {}),
    ],
)
def test_the_choice_is_made_again_without_what_gives_nothing(
    findings: list[Finding], silent: set[str], roles: dict[str, tuple[str, ...]]
) -> None:
    selection = Selection(findings)
    selection.open()
    assert selection.replace(silent).roles == roles


def test_models_that_nobody_asked_for_stand_in_only() -> None:
    reserve = {"cpu-model": lambda: [CPU_MODEL], "dram-model": lambda: [DRAM_MODEL]}
    selection = Selection([RAPL_DRAM], frozenset(["rapl"]), reserve=reserve)
    assert [source.name for source, _ in selection.open().sources] == ["rapl"]
    again = selection.replace({"cpu0/package"})
    assert [source.name for source, _ in again.sources] == ["cpu-model"]
    assert again.roles == {"cpu": ("cpu0/package",)}
    assert selection.replace(()).roles == {}


def test_opening_gives_sources_with_their_decided_channels() -> None:
    opened = Selection([RAPL, CPU_MODEL]).open()
    assert opened.problems == ()
    ((source, channels),) = opened.sources
    assert source.name == "rapl"
    assert [one.counted for one in channels] == [True, False, False]
    assert len(source.read()) == len(channels)


def test_a_source_that_fails_to_open_is_replaced_by_the_next_best() -> None:
    broken = finding(channel("cpu0/package", "cpu", "rapl"), fails=True)
    selection = Selection([broken, NVML, CPU_MODEL, DRAM_MODEL])
    assert counted(selection) == {"cpu0/package", "gpu0/board", "gpu1/board"}
    opened = selection.open()
    assert [source.name for source, _ in opened.sources] == ["nvml", "cpu-model", "dram-model"]
    assert all(one.counted for _, channels in opened.sources for one in channels)
    assert opened.problems == ("rapl was dropped: it is broken",)
    assert selection.reasons["rapl"] == "It could not be opened: it is broken."


def test_two_sources_with_the_same_channel_do_not_both_count() -> None:
    impostor = finding(channel("cpu0/package", "cpu", "stranger"))
    selection = Selection([RAPL, impostor])
    assert [one.source for one in selection.chosen] == ["rapl"]
    assert "cpu0/package" in selection.reasons["stranger"]


def test_plain_data_has_a_row_for_each_channel_and_each_obstacle() -> None:
    absent = Finding("nvml", "NVIDIA", problem="There is no driver.", fix="Install it.")
    data = json.loads(json.dumps(Selection([RAPL, absent, CPU_MODEL]).to_dict()))
    rows = {row["channel"] or row["source"]: row for row in data["sources"]}
    assert set(rows) == {"cpu0/package", "cpu0/core", "psys", "nvml", "cpu"}
    assert rows["cpu0/package"]["counted"]
    assert rows["cpu0/package"]["accuracy"]["citation"] == EXACT.citation
    assert (rows["nvml"]["chosen"], rows["nvml"]["fix"]) == (False, "Install it.")
    assert (rows["cpu"]["chosen"], rows["cpu"]["counted"]) == (False, False)
    assert all(row["why"] for row in rows.values())


def test_side_series_without_channels_are_opened_too() -> None:
    series = (Series("gpu0/temperature", "°C", "nvml-series"),)
    beside = Finding("nvml-series", "GPUs", series=series, open=lambda: Still("nvml-series", ()))
    selection = Selection([NVML, beside])
    assert [source.name for source, _ in selection.open().sources] == ["nvml", "nvml-series"]
    assert "no energy" in selection.reasons["nvml-series"]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Finding]]:
    """Discovery over made-up probes instead of the hardware of this machine."""
    here: dict[str, list[Finding]] = {
        "rapl": [Finding("rapl", "RAPL", problem="Only root may read it.", fix="See --fix.")],
        "nvml": [NVML],
        "cpu-model": [CPU_MODEL],
        "dram-model": [DRAM_MODEL],
    }
    monkeypatch.setattr(discovery, "BUILT_IN", {name: name for name in here})
    monkeypatch.setattr(discovery, "_built_in", lambda name: lambda host: here[name])
    monkeypatch.setattr("wattmark.sources.plugins.entry_points", dict)
    return here


def test_everything_is_probed_by_default(table: dict[str, list[Finding]]) -> None:
    selection = discover(Host())
    assert counted(selection) == {"gpu0/board", "gpu1/board", "cpu", "dram"}
    assert selection.reasons["rapl"] == "Only root may read it."


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["nvml"], {"gpu0/board", "gpu1/board"}),
        (["cpu-model", " dram-model "], {"cpu", "dram"}),
        (["!nvml"], {"cpu", "dram"}),
        (["!nvml", "!dram-model"], {"cpu"}),
    ],
)
def test_sources_are_named_and_excluded(
    table: dict[str, list[Finding]], wanted: list[str], expected: set[str]
) -> None:
    assert counted(discover(Host(), wanted)) == expected
    assert counted(discover(Host(environ={"WATTMARK_SOURCES": ",".join(wanted)}))) == expected


def test_the_argument_outranks_the_environment(table: dict[str, list[Finding]]) -> None:
    host = Host(environ={"WATTMARK_SOURCES": "nvml"})
    assert counted(discover(host, ["cpu-model"])) == {"cpu"}
    assert counted(discover(host, exclude=["cpu-model"])) == {"gpu0/board", "gpu1/board"}


def test_a_named_source_that_is_unusable_is_replaced_with_a_warning(table: dict[str, list[Finding]]) -> None:
    selection = discover(Host(), ["rapl"])
    assert "cpu" in counted(selection)
    ((warning),) = selection.warnings
    assert warning["code"] == "source-unusable"
    assert "Only root may read it" in warning["message"]
    assert selection.open().problems == (warning["message"],)


def test_models_are_not_even_loaded_where_their_component_is_measured(
    table: dict[str, list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    table["rapl"] = [RAPL_DRAM]
    probed: list[str] = []

    def counting(name: str) -> Any:
        def probe(host: Host) -> list[Finding]:
            probed.append(name)
            return table[name]

        return probe

    monkeypatch.setattr(discovery, "_built_in", counting)
    selection = discover(Host(), ["!nvml"])
    assert probed == ["rapl"]
    assert selection.reasons["cpu-model"] == "Not needed: rapl measures the cpu."
    rows = {row["source"]: row["why"] for row in selection.to_dict()["sources"]}
    assert rows["dram-model"] == "Not needed: rapl measures the dram."
    assert rows["nvml"] == "Left out by the settings."


def test_models_are_loaded_after_all_when_the_sensor_fails_to_open(table: dict[str, list[Finding]]) -> None:
    table["rapl"] = [finding(channel("cpu0/package", "cpu", "rapl"), fails=True)]
    selection = discover(Host(), exclude=["dram-model"])
    assert "cpu-model" not in {one.source for one in selection.findings}
    opened = selection.open()
    assert [source.name for source, _ in opened.sources] == ["nvml", "cpu-model"]
    assert selection.reasons["dram-model"] == "Left out by the settings."


def test_strictly_it_is_an_error_with_the_fix(table: dict[str, list[Finding]]) -> None:
    with pytest.raises(ConfigError, match="Only root may read it") as caught:
        discover(Host(), ["rapl"], strict=True)
    assert caught.value.hint == "See --fix."


@pytest.mark.parametrize("token", ["nvlm", "!nvlm"])
def test_an_unknown_name_is_an_error_with_near_matches(table: dict[str, list[Finding]], token: str) -> None:
    with pytest.raises(ConfigError, match="nvlm") as caught:
        discover(Host(), [token])
    assert "nvml" in (caught.value.hint or "")
    with pytest.raises(ConfigError) as caught:
        discover(Host(), ["zzzzzz"])
    assert "cpu-model" in (caught.value.hint or "")


def test_sources_of_other_packages_take_part(
    table: dict[str, list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wattmark.sources.plugins import EntryPoint

    points = {"tpu": EntryPoint("tpu", "tpu_meter:probe", "tpu-meter")}
    monkeypatch.setattr("wattmark.sources.plugins.entry_points", lambda: points)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tpu_meter.py").write_text(
        "from wattmark.sources.base import Finding\n"
        "def probe(host):\n    return [Finding('tpu', 'TPU', problem='It is off.', fix='Switch it on.')]\n"
    )
    assert discover(Host()).reasons["tpu"] == "It is off."


def test_a_package_cannot_take_the_name_of_a_source_of_ours(
    table: dict[str, list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wattmark.sources.plugins import EntryPoint

    points = {"nvml": EntryPoint("nvml", "no_such_module:probe", "impostor")}
    monkeypatch.setattr("wattmark.sources.plugins.entry_points", lambda: points)
    selection = discover(Host())
    assert "gpu0/board" in counted(selection)
    assert [warning["code"] for warning in selection.warnings] == ["source-name-taken"]
    assert "impostor" in selection.warnings[0]["message"]


def test_a_replay_stands_in_for_all_hardware(table: dict[str, list[Finding]], tmp_path: Path) -> None:
    path = tmp_path / "wave.csv"
    path.write_text("t_s,cpu:power_w,gpu0:power_w\n0,1,2\n1,1,2\n")
    selection = discover(Host(environ={"WATTMARK_REPLAY": str(path), "WATTMARK_SOURCES": "nvml"}))
    assert counted(selection) == {"cpu", "gpu0"}
    with pytest.raises(ConfigError, match="cannot replay"):
        discover(Host(environ={"WATTMARK_REPLAY": str(tmp_path / "none.csv")}))


def test_the_real_probes_agree_on_an_empty_machine(tmp_path: Path) -> None:
    for name, module in discovery.BUILT_IN.items():
        if name not in ("rapl", "nvml", "cpu-model", "dram-model"):
            assert discovery._built_in(module)(Host(str(tmp_path), str(tmp_path))) == []


def test_a_laptop_on_battery_shows_its_battery_beside_the_parts(tmp_path: Path) -> None:
    battery(tmp_path)
    selection = discover(Host(str(tmp_path)), ["battery"])
    assert counted(selection) == {"battery"}
