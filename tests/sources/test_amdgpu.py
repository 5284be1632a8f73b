from __future__ import annotations

from pathlib import Path

import pytest

from fakes.hwmon import amd_card, drm_card, write
from wattmark.sources import amdgpu
from wattmark.sources.base import Finding, Host


def probe(root: Path) -> list[Finding]:
    return amdgpu.probe(Host(str(root)))


def test_no_card_no_finding(tmp_path: Path) -> None:
    assert probe(tmp_path) == []


def test_a_card_of_another_vendor_is_not_ours(tmp_path: Path) -> None:
    drm_card(tmp_path, 0, "0x10de", "0x2684")
    assert probe(tmp_path) == []


@pytest.mark.parametrize(
    ("files", "method", "value"),
    [
        ({"power1_average": 150_000_000, "power1_input": 170_000_000}, "integrated", 150.0),
        ({"power1_input": 170_000_000}, "integrated", 170.0),
        ({"energy1_input": 42, "power1_average": 1}, "counter", 42),
    ],
)
def test_the_best_file_is_read(tmp_path: Path, files: dict[str, object], method: str, value: float) -> None:
    amd_card(tmp_path, hwmon=files)
    finding, *_ = probe(tmp_path)
    assert finding.open is not None
    (channel,) = finding.channels
    assert (channel.component, channel.scope, channel.method) == ("gpu", "package", method)
    source = finding.open()
    assert source.read()[0] == value
    source.close()


def test_side_series_are_read_where_they_exist(tmp_path: Path) -> None:
    hwmon = {"power1_average": 1_000_000, "temp1_input": 61_000}
    amd_card(tmp_path, hwmon=hwmon, gpu_busy_percent=87, product_name="AMD Instinct MI210")
    (finding,) = probe(tmp_path)
    assert finding.open is not None
    source = finding.open()
    named = dict(zip((series.id for series in source.series), source.read()[1:], strict=True))
    assert named == {"amdgpu0/utilization": 87, "amdgpu0/temperature": pytest.approx(61.0)}
    assert "MI210" in finding.what
    source.close()


def test_an_apu_is_known_by_its_north_bridge_voltage(tmp_path: Path) -> None:
    amd_card(tmp_path, hwmon={"power1_input": 1, "in1_label": "vddnb"})
    (channel,) = probe(tmp_path)[0].channels
    assert (channel.id, channel.component, channel.scope) == ("amdgpu0/socket", "soc", "socket")


@pytest.mark.parametrize(("revision", "component"), [(1, "gpu"), (2, "soc"), (3, "soc")])
def test_an_apu_is_known_by_the_format_of_its_metrics(tmp_path: Path, revision: int, component: str) -> None:
    device = amd_card(tmp_path).parent.parent
    (device / "gpu_metrics").write_bytes(bytes([128, 0, revision, 2]) + bytes(124))
    assert probe(tmp_path)[0].channels[0].component == component


def test_a_card_with_board_info_is_no_apu(tmp_path: Path) -> None:
    device = amd_card(tmp_path, board_info="type : oam").parent.parent
    (device / "gpu_metrics").write_bytes(bytes([128, 0, 2, 2]))
    assert probe(tmp_path)[0].channels[0].component == "gpu"


def test_mi300a_is_a_socket_of_its_own_kind(tmp_path: Path) -> None:
    amd_card(tmp_path, device="0x74a0")
    (channel,) = probe(tmp_path)[0].channels
    assert (channel.component, channel.scope) == ("soc", "apu-socket")


def test_cards_are_numbered_in_order_and_one_device_counts_once(tmp_path: Path) -> None:
    amd_card(tmp_path, 0)
    amd_card(tmp_path, 1)
    twin = tmp_path / "class/drm/card7"
    twin.mkdir()
    (twin / "device").symlink_to(tmp_path / "devices/0000:01:00.0")
    assert [finding.channels[0].id for finding in probe(tmp_path)] == ["amdgpu0/package", "amdgpu1/package"]


def test_a_card_without_any_power_file_is_explained(tmp_path: Path) -> None:
    drm_card(tmp_path, 0, "0x1002", "0x744c")
    folder = amd_card(tmp_path, 1)
    (folder / "power1_average").unlink()
    write(folder, temp1_input=1)
    for finding in probe(tmp_path):
        assert not finding.usable
        assert finding.problem
        assert finding.fix
