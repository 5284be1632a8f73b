from __future__ import annotations

from pathlib import Path

from fakes.hwmon import drm_card, write
from wattmark.sources import intelgpu
from wattmark.sources.base import Finding, Host


def probe(root: Path) -> list[Finding]:
    return intelgpu.probe(Host(str(root)))


def arc(root: Path, index: int = 0, **files: object) -> Path:
    device = drm_card(root, index, "0x8086", "0x56a0")
    return write(device / "hwmon/hwmon4", **{"name": "xe", **files})


def test_no_card_no_finding(tmp_path: Path) -> None:
    assert probe(tmp_path) == []


def test_the_package_of_xe_is_inside_the_card(tmp_path: Path) -> None:
    arc(tmp_path, energy1_input=2000, energy1_label="card", energy2_input=1500, energy2_label="pkg")
    (finding,) = probe(tmp_path)
    assert finding.open is not None
    card, package = finding.channels
    assert (card.id, card.inside, card.method) == ("intelgpu0/card", (), "counter")
    assert (package.id, package.inside) == ("intelgpu0/package", ("intelgpu0/card",))
    source = finding.open()
    assert source.read() == [2000, 1500]
    source.close()


def test_a_package_alone_is_inside_nothing(tmp_path: Path) -> None:
    arc(tmp_path, energy2_input=1500, energy2_label="pkg")
    (channel,) = probe(tmp_path)[0].channels
    assert (channel.scope, channel.inside) == ("package", ())


def test_tiles_of_i915_are_inside_its_device(tmp_path: Path) -> None:
    first = arc(tmp_path, name="i915", energy1_input=5)
    for tile in (0, 1):
        write(first.parent / f"hwmon{5 + tile}", name=f"i915_gt{tile}", energy1_input=2)
    channels = {channel.scope: channel for channel in probe(tmp_path)[0].channels}
    assert set(channels) == {"card", "tile0", "tile1"}
    assert channels["tile1"].inside == ("intelgpu0/card",)


def test_integrated_graphics_are_explained_and_take_no_number(tmp_path: Path) -> None:
    drm_card(tmp_path, 0, "0x8086", "0x9a49")
    arc(tmp_path, 1, energy1_input=1)
    integrated, discrete = probe(tmp_path)
    assert not integrated.usable
    assert "integrated" in (integrated.problem or "")
    assert discrete.channels[0].id == "intelgpu0/card"


def test_a_card_of_another_vendor_is_not_ours(tmp_path: Path) -> None:
    drm_card(tmp_path, 0, "0x1002", "0x744c")
    assert probe(tmp_path) == []
