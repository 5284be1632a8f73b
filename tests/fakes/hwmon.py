"""Fake trees of sysfs for the sources that read hwmon, DRM and power supplies; files change in place."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, **files: object) -> Path:
    """Write one small file per keyword; a double underscore stands for a slash."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return folder


def chip(root: Path, index: int, name: str, **files: object) -> Path:
    """A chip ``/sys/class/hwmon/hwmon<index>``."""
    return write(root / "class/hwmon" / f"hwmon{index}", name=name, **files)


def drm_card(root: Path, index: int, vendor: str, device: str, **files: object) -> Path:
    """A card ``/sys/class/drm/card<index>`` linked to its PCI device; the device's folder."""
    pci = write(root / "devices" / f"0000:0{index + 1}:00.0", vendor=vendor, device=device, **files)
    card = root / "class/drm" / f"card{index}"
    card.mkdir(parents=True)
    (card / "device").symlink_to(pci)
    (root / "class/drm" / f"card{index}-DP-1").mkdir()
    return pci


def amd_card(root: Path, index: int = 0, hwmon: dict[str, object] | None = None, **files: object) -> Path:
    """An AMD card; its hwmon folder."""
    pci = drm_card(root, index, "0x1002", str(files.pop("device", "0x744c")), **files)
    return write(
        pci / "hwmon" / f"hwmon{index + 3}", name="amdgpu", **(hwmon or {"power1_average": 150_000_000})
    )


def grace(root: Path, sockets: int = 1) -> None:
    """Grace Hopper: four ACPI power meters per socket, 300 > 150 > 90 + 20 W."""
    rails = {"Module": 300, "Grace": 150, "CPU": 90, "SysIO": 20}
    for socket in range(sockets):
        for number, (rail, watts) in enumerate(rails.items()):
            chip(
                root,
                socket * 4 + number,
                "power_meter",
                power1_average=watts * 1_000_000,
                power1_average_interval=50,
                power1_oem_info=f"{rail} Power Socket {socket}",
            )


def jetson(root: Path) -> Path:
    """A Jetson Orin NX: one INA3221 with three rails in mV and mA, and the sums of its shunts."""
    return chip(
        root,
        0,
        "ina3221",
        in1_label="VDD_IN",
        in1_input=5000,
        curr1_input=2000,
        in2_label="VDD_CPU_GPU_CV",
        in2_input=5000,
        curr2_input=800,
        in3_label="VDD_SOC",
        in3_input=5000,
        curr3_input=400,
        in4_input=10,
        curr4_input=3200,
        in7_label="sum of shunt voltages",
    )


def battery(root: Path, name: str = "BAT0", status: str = "Discharging", **files: object) -> Path:
    """A battery; 12.5 W in ``power_now`` unless other files are given."""
    readings = files or {"power_now": 12_500_000}
    return write(root / "class/power_supply" / name, type="Battery", status=status, **readings)


def mains(root: Path, online: int) -> Path:
    """The mains adapter."""
    return write(root / "class/power_supply/AC", type="Mains", online=online)
