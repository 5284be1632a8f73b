"""Which CPU is this? From ``/proc/cpuinfo`` to a part, its family, or an honest "unknown".

The rule, in order, and never a loose substring:

1. *part*: the name, normalised by :func:`normalise`, equals one name of ``data/cpu_parts.tsv``;
2. *family*: vendor, family, model and stepping fit one row of ``data/cpu_families.tsv``;
3. *vendor*: only the vendor is known;  4. *generic*: nothing is.

``AMD EPYC`` (what clouds show) is no name of any part, so it can only become a family, such as Milan by 25/1.
Standard library only; a look-up takes well under a millisecond.
"""

from __future__ import annotations

import os
import re
from typing import Literal, NamedTuple

Match = Literal["part", "family", "vendor", "generic"]

_DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "data")


class CpuInfo(NamedTuple):
    """What ``/proc/cpuinfo`` says. ``family`` and ``model`` are implementer and part on ARM."""

    vendor: str = ""
    family: int = -1
    model: int = -1
    stepping: int = -1
    name: str = ""
    threads: int = 1
    """Logical CPUs that are visible here."""
    sockets: int = 1
    cores_per_socket: int | None = None
    virtual: bool = False


class CpuPart(NamedTuple):
    """One CPU package, as well as it is known. Watts per package; clocks in GHz."""

    label: str
    curve: str
    match: Match
    cores: int
    threads_per_core: int
    tdp_w: float
    all_core_ghz: float
    family: str = ""
    """Label of the family in ``data/cpu_families.tsv``; empty where family and model are unknown."""

    @property
    def threads(self) -> int:
        """Logical CPUs of one package."""
        return self.cores * self.threads_per_core


class _Family(NamedTuple):
    label: str
    curve: str
    cores: int
    threads_per_core: int
    tdp_w: float
    all_core_ghz: float


_VENDORS = {
    "GenuineIntel": _Family("Intel CPU", "generic", 16, 2, 125.0, 2.9),
    "AuthenticAMD": _Family("AMD CPU", "generic", 32, 2, 200.0, 3.2),
    "arm": _Family("Arm CPU", "arm-server", 64, 1, 150.0, 2.6),
}
_GENERIC = _Family("unknown CPU", "generic", 16, 2, 125.0, 3.0)


def parse_cpuinfo(text: str, *, virtual: bool | None = None) -> CpuInfo:
    """Read the text of ``/proc/cpuinfo``; whatever is missing or odd keeps its default.

    ``virtual`` says whether this is a virtual machine; None takes the ``hypervisor`` flag (x86 only).
    """
    first: dict[str, str] = {}
    packages: set[str] = set()
    threads = 0
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            continue
        key, value = key.strip(), value.strip()
        if key == "processor" and value.isdigit():
            threads += 1
        elif key == "physical id":
            packages.add(value)
        first.setdefault(key, value)
    arm = "CPU implementer" in first
    sockets = max(1, len(packages))
    return CpuInfo(
        "arm" if arm else first.get("vendor_id", ""),
        _number(first.get("CPU implementer" if arm else "cpu family")),
        _number(first.get("CPU part" if arm else "model")),
        _number(first.get("CPU revision" if arm else "stepping")),
        first.get("model name") or first.get("Model") or first.get("Hardware") or "",
        max(1, threads),
        sockets,
        _positive(first.get("cpu cores")),
        "hypervisor" in first.get("flags", "").split() if virtual is None else virtual,
    )


def _number(text: str | None) -> int:
    try:
        return -1 if text is None else int(text, 0)
    except ValueError:
        return -1


def _positive(text: str | None) -> int | None:
    number = _number(text)
    return number if number > 0 else None


_NOISE = frozenset(("intel", "amd", "cpu", "processor", "apu", "soc", "genuine", "gen"))
_ORDINALS = ("st", "nd", "rd", "th")


def normalise(name: str) -> str:
    """``"Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz"`` -> ``"xeon e5-2620 v3"``: brand and model number, no more.

    Without regular expressions: compiling one takes longer than all the rest of the look-up.
    """
    text = name.lower().replace("fx(tm)-", "fx ").replace("fx-", "fx ")
    for mark in ("(r)", "(tm)", "(c)", "®", "™", ","):
        text = text.replace(mark, " ")
    for count in ("dual core", "triple core", "quad core"):
        text = text.replace(count, " ")
    for tail in ("@", " with ", " w/", "("):  # a clock, a graphics unit, QEMU's variants
        text = text.partition(tail)[0]
    words: list[str] = []
    for word in text.split():
        if word in _NOISE or word.endswith("-core") or (word[:-2].isdigit() and word[-2:] in _ORDINALS):
            continue
        if "xeon" in words and word[:2] in ("e3", "e5", "e7"):
            if word[2:6].isdigit():  # "Xeon CPU E31270" is an E3-1270
                word = f"{word[:2]}-{word[2:]}"
            elif word[2:3] == "-" and word[-2:-1] == "v":  # "E5-2630v4" is an E5-2630 v4
                word = f"{word[:-2]} {word[-2:]}"
        words.append(word)
    if len(words) > 1 and words[-1] == "0":  # the first E5s say "E5-2670 0"
        words.pop()
    return " ".join(words)


def _part_row(key: str) -> list[str] | None:
    """The row of an exact name in the table of parts. The file is scanned, not parsed: 0.1 ms."""
    if not any(char.isdigit() for char in key):
        return None  # a brand alone ("epyc", "xeon") is no part
    with open(os.path.join(_DATA, "cpu_parts.tsv"), "rb") as file:
        data = file.read()
    start = data.find(b"\n" + key.encode() + b"\t")
    if start < 0:
        return None
    return data[start + 1 : data.index(b"\n", start + 1)].decode().split("\t")


def _family_of(info: CpuInfo, key: str) -> _Family | None:
    with open(os.path.join(_DATA, "cpu_families.tsv"), encoding="utf-8") as file:
        for line in file:
            if not line.startswith(info.vendor + "\t"):
                continue
            _, family, models, steppings, brand, label, curve, cores, smt, tdp, ghz = line.rstrip("\n").split(
                "\t"
            )
            if (
                (family == "*" or int(family, 0) == info.family)
                and _fits(models, info.model)
                and _fits(steppings, info.stepping)
                and (brand == "*" or brand in key.split())
            ):
                return _Family(label, curve, int(cores), int(smt), float(tdp), float(ghz))
    return None


def _fits(ranges: str, number: int) -> bool:
    """``_fits("0-4,9", 3)``; ``*`` fits everything."""
    if ranges == "*":
        return True
    for part in ranges.split(","):
        low, _, high = part.partition("-")
        if int(low, 0) <= number <= int(high or low, 0):
            return True
    return False


_USUAL_BOOST = 1.18
"""All-core clock over base clock: the median of the parts in the table that have both."""
_ALL_CORES_OF_MAX = 0.9
"""All-core clock over the highest: the median of the parts in the table that have both."""
_MOBILE = (
    r"^core (ultra \d |i[3579]-|\d )?\S*\d(u|y|h|hk|hq|hx|mq|mx|m|qm|xm|lm|um|g[1-7]|p|hl|ul)$"
    r"|^ryzen .*\d(u|c|h|hs|hx|hx3d)$|^ryzen ai "
)


def _curve_by_name(key: str, curve: str) -> str:
    """Corrects the family's curve where one die serves several markets (client dies as Xeon, laptop,
    desktop)."""
    if curve.startswith(("intel-client", "intel-mobile")) and key.startswith("xeon"):
        return "intel-client-xeon"
    if curve.startswith("intel-client") and (re.search(_MOBILE, key) or re.search(r"\d(t|te)$", key)):
        return "intel-mobile"
    if curve in ("amd-am4", "amd-am5", "amd-zen1") and re.search(_MOBILE, key):
        return "amd-mobile"
    if curve == "amd-mobile" and re.search(r"\d(g|ge)$", key):
        return "amd-apu"
    return curve


def _curve_by_brand(info: CpuInfo, key: str, row: list[str]) -> str:
    """The curve of a part whose family and model say nothing (none given, or newer than the table)."""
    tdp_w = float(row[1])
    if key.startswith("xeon"):
        client = re.search(r"\be3-|\be-2|\be-\d{4}|\bw-1[23]", key)
        return (
            "intel-client-xeon"
            if client
            else "intel-ep"
            if re.search(r"\b[elx]\w*-?\d{4}", key)
            else "intel-10nm"
        )
    if key.startswith(("core", "pentium", "celeron")):
        return "intel-mobile" if re.search(_MOBILE, key) or tdp_w <= 35 else "intel-client"
    if "threadripper" in key:
        return "amd-hedt"
    if key.startswith("ryzen"):
        return "amd-mobile" if re.search(_MOBILE, key) or tdp_w < 55 else "amd-am4"
    if key.startswith("epyc"):
        return "amd-am5" if re.match(r"epyc 4\d", key) else "amd-epyc"
    return "arm-server" if info.vendor == "arm" else "generic"


def identify(info: CpuInfo, *, base_ghz: float | None = None, max_ghz: float | None = None) -> CpuPart:
    """The CPU package that ``info`` describes, by the rule at the top of this file.

    ``base_ghz`` and ``max_ghz`` are what the kernel reports (cpufreq), used where neither the table nor the CPU's own
    name has them.
    """
    key = normalise(info.name)
    row = _part_row(key)
    family = _family_of(info, key)
    if family is None or ("threadripper" in key.split() and family.curve != "amd-hedt"):
        family = _family_by_brand(key) or family
    base_text, turbo_text = (row[3], row[4]) if row is not None else ("", "")
    ghz = _all_core_ghz(base_text, turbo_text, _clock_in_name(info.name) or base_ghz, max_ghz)
    if row is not None:
        return _exact(info, key, row, family, ghz)
    match: Match = "family"
    if family is None:
        family = _VENDORS.get(info.vendor)
        match = "vendor" if family else "generic"
    base = family or _GENERIC
    curve = _curve_by_name(key, base.curve)
    if info.virtual or info.cores_per_socket is None:
        return CpuPart(
            base.label,
            curve,
            match,
            base.cores,
            base.threads_per_core,
            base.tdp_w,
            ghz or base.all_core_ghz,
            base.label,
        )
    # Bare metal: the cores are real, and thermal design power grows less than in proportion to them.
    tdp_w = base.tdp_w * (info.cores_per_socket / base.cores) ** 0.7
    smt = max(1, round(info.threads / (info.cores_per_socket * info.sockets)))
    clock = ghz or base.all_core_ghz
    return CpuPart(base.label, curve, match, info.cores_per_socket, smt, tdp_w, clock, base.label)


def _exact(info: CpuInfo, key: str, row: list[str], family: _Family | None, ghz: float | None) -> CpuPart:
    cores_text = row[2]
    curve = _curve_by_name(key, family.curve) if family else _curve_by_brand(info, key, row)
    smt = family.threads_per_core if family else 2
    real = None if info.virtual else info.cores_per_socket
    if real is not None:
        smt = max(1, round(info.threads / (real * info.sockets)))
    cores = real or (int(cores_text) if cores_text else 0) or (family.cores if family else _GENERIC.cores)
    if ghz is None:
        typical = float(row[3][1:]) if row[3].startswith("~") else _GENERIC.all_core_ghz
        ghz = family.all_core_ghz if family else typical
    label = row[5] or info.name
    return CpuPart(label, curve, "part", cores, smt, float(row[1]), ghz, family.label if family else "")


def _all_core_ghz(
    base_text: str, turbo_text: str, base_ghz: float | None, max_ghz: float | None
) -> float | None:
    """The clock of all cores under load, half-way between base and boost; None where neither is known.

    What the kernel gives as the highest clock is the base clock with some drivers, so it counts as boost only above it.
    """
    base = float(base_text) if base_text and not base_text.startswith("~") else base_ghz
    turbo = float(turbo_text) if turbo_text else max_ghz
    if base is not None and turbo is not None:
        return (base + max(base, turbo)) / 2
    if base is not None and not base_text:
        return _USUAL_BOOST * base  # the part is not in the table, so whether it boosts is not known either
    return base or (_ALL_CORES_OF_MAX * turbo if turbo is not None else None)


def _clock_in_name(name: str) -> float | None:
    """``"Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz"`` -> 2.4, which is the base clock."""
    number, _, rest = name.partition("@")[2].strip().lower().partition("ghz")
    if not name.lower().rstrip().endswith("ghz") or rest:
        return None
    try:
        value = float(number)
    except ValueError:
        return None
    return value if 0.1 < value < 10 else None


def _family_by_brand(key: str) -> _Family | None:
    """A family for names that the table of families does not have the numbers of (newer than it); by brand only."""
    words = key.split()
    if "threadripper" in words:
        return _Family("AMD Threadripper", "amd-hedt", 32, 2, 350.0, 4.3)
    if words[:1] == ["epyc"] and len(words) > 1:
        return _Family("AMD EPYC", "amd-epyc", 64, 2, 300.0, 3.1)
    if words[:1] == ["ryzen"]:
        if re.search(_MOBILE, key):
            return _Family("AMD Ryzen mobile", "amd-mobile", 8, 2, 35.0, 3.6)
        return _Family("AMD Ryzen", "amd-am5", 8, 2, 105.0, 4.8)
    return None
