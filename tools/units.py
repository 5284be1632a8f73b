"""Writes the page's table of units, and texts that both must show, from ``wattmark.units``: ``python tools/units.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark import units  # noqa: E402

TABLE = ROOT / "frontend/src/lib/units.json"
TEXTS = ROOT / "frontend/tests/units.json"
VALUES = (
    0.0, 1e-7, 2.5e-6, 0.00125, 0.0125, 0.05, 0.5, 0.999, 1.0, 1.125, 2.5, 12.25, 65.25, 99.95, 123.4, 999.5, 1250.0, 7200.0,
    9999.0, 12345.0, 86400.0, 999999.0, 1234567.0, 3.6e6, 3.2e9, 5.4e12, -500.0, -0.02,
)  # fmt: skip


def table() -> str:
    """The steps by unit, and those of energies by the setting."""
    return (
        json.dumps({"steps": units.STEPS, "energy": units.ENERGY_UNITS}, ensure_ascii=False, indent=1) + "\n"
    )


def texts() -> str:
    """Each value as the terminal shows it: energies by the setting, powers and masses."""
    rows: dict[str, list[list[float | str]]] = {}
    for unit in units.ENERGY_UNITS:
        units.show_energies_in(unit)
        rows[unit] = [[value, units.format_energy(value)] for value in VALUES]
    units.show_energies_in("auto")
    rows["W"] = [[value, units.format_power(value)] for value in VALUES]
    rows["g"] = [[value, units.format_mass(value)] for value in VALUES]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
    TEXTS.write_text(texts(), encoding="utf-8")
