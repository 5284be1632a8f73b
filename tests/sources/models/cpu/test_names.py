"""Which CPU is this: exact names, families by number, and never a loose substring."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.sources.models.cpu import names
from wattmark.sources.models.cpu.curves import CURVES, HOST_WATTS, host_kind
from wattmark.sources.models.cpu.names import CpuInfo, identify, normalise, parse_cpuinfo

INTEL, AMD = "GenuineIntel", "AuthenticAMD"


def info(vendor: str, family: int, model: int, name: str, stepping: int = 1, **more: object) -> CpuInfo:
    return CpuInfo(vendor, family, model, stepping, name)._replace(**more)


CLOUD_GUEST = """\
processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 1
model name	: AMD EPYC
stepping	: 1
physical id	: 0
cpu cores	: 2
flags		: fpu vme hypervisor lahf_lm

processor	: 1
vendor_id	: AuthenticAMD
physical id	: 0
"""


def test_reads_cpuinfo_of_a_guest():
    seen = parse_cpuinfo(CLOUD_GUEST)
    assert seen == CpuInfo(AMD, 25, 1, 1, "AMD EPYC", 2, 1, 2, True)


def test_reads_cpuinfo_of_two_sockets():
    text = "".join(
        f"processor : {n}\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 63\nstepping : 2\n"
        f"model name : Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz\nphysical id : {n // 12}\ncpu cores : 6\n\n"
        for n in range(24)
    )
    seen = parse_cpuinfo(text)
    assert (seen.threads, seen.sockets, seen.cores_per_socket, seen.virtual) == (24, 2, 6, False)
    part = identify(seen)
    assert (part.match, part.tdp_w, part.cores, part.threads_per_core) == ("part", 85.0, 6, 2)


def test_reads_cpuinfo_of_arm():
    text = "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd40\nCPU revision : 1\n\nprocessor : 1\n"
    seen = parse_cpuinfo(text)
    assert (seen.vendor, seen.family, seen.model, seen.threads) == ("arm", 0x41, 0xD40, 2)
    assert "Graviton3" in identify(seen).label


@pytest.mark.parametrize(
    "text", ["", "\n\n", "nonsense", "processor : x\nmodel : \ncpu family : huge", ":::\n: 1"]
)
def test_odd_cpuinfo_becomes_the_generic_cpu(text: str):
    part = identify(parse_cpuinfo(text))
    assert part.match == "generic"
    assert part.threads > 0
    assert part.tdp_w > 0


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz", "xeon e5-2620 v3"),
        ("Intel® Xeon® Processor E5-2620 v3", "xeon e5-2620 v3"),
        ("Intel(R) Xeon(R) CPU E31270 @ 3.40GHz", "xeon e3-1270"),
        ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "xeon e5-2670"),
        ("AMD FX(tm)-8350 Eight-Core Processor", "fx 8350"),
        ("Intel(R) Xeon(R) Platinum 8275CL CPU @ 3.00GHz", "xeon platinum 8275cl"),
        ("11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", "core i7-1165g7"),
        ("Intel(R) Core(TM) Ultra 7 155H", "core ultra 7 155h"),
        ("AMD EPYC 8024P 8-Core Processor", "epyc 8024p"),
        ("AMD Ryzen 7 PRO 5850U with Radeon Graphics", "ryzen 7 pro 5850u"),
        ("AMD Ryzen Threadripper 1950X 16-Core Processor", "ryzen threadripper 1950x"),
        ("Intel Xeon Processor (Skylake, IBRS)", "xeon"),
        ("AMD EPYC", "epyc"),
    ],
)
def test_a_name_is_brand_and_model_number(name: str, normal: str):
    assert normalise(name) == normal


@pytest.mark.parametrize(
    ("cpu", "tdp_w", "curve"),
    [
        (info(INTEL, 6, 142, "Intel(R) Core(TM) i7-7600U CPU @ 2.80GHz"), 15, "intel-mobile"),
        (info(INTEL, 6, 158, "Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz"), 95, "intel-client"),
        (info(INTEL, 6, 183, "13th Gen Intel(R) Core(TM) i9-13900K"), 125, "intel-client-hybrid"),
        (info(INTEL, 6, 158, "Intel(R) Core(TM) i7-8750H CPU @ 2.20GHz"), 45, "intel-mobile"),
        (info(INTEL, 6, 158, "Intel(R) Xeon(R) CPU E3-1240 v6 @ 3.70GHz"), 72, "intel-client-xeon"),
        (info(INTEL, 6, 85, "Intel(R) Xeon(R) Silver 4114 CPU @ 2.20GHz", 4), 85, "intel-mesh"),
        (info(INTEL, 6, 85, "Intel(R) Core(TM) i9-7900X CPU @ 3.30GHz", 4), 140, "intel-hedt"),
        (info(INTEL, 6, 143, "Intel(R) Xeon(R) Platinum 8480+", 8), 350, "intel-10nm"),
        (info(AMD, 25, 160, "AMD EPYC 8024P 8-Core Processor"), 90, "amd-epyc"),
        (info(AMD, 26, 68, "AMD EPYC 4345P 8-Core Processor"), 65, "amd-am5"),
        (info(AMD, 23, 1, "AMD Ryzen Threadripper 1950X 16-Core Processor"), 180, "amd-hedt"),
        (info(AMD, 23, 1, "AMD EPYC 7551P 32-Core Processor"), 180, "amd-epyc-zen1"),
        (info(AMD, 23, 113, "AMD Ryzen 5 3600 6-Core Processor"), 65, "amd-am4"),
        (info(AMD, 25, 80, "AMD Ryzen 7 5700G with Radeon Graphics"), 65, "amd-apu"),
        (info(AMD, 25, 80, "AMD Ryzen 7 PRO 5850U with Radeon Graphics"), 15, "amd-mobile"),
    ],
)
def test_an_exact_name_is_a_part(cpu: CpuInfo, tdp_w: float, curve: str):
    part = identify(cpu)
    assert (part.match, part.tdp_w, part.curve) == ("part", tdp_w, curve)


@pytest.mark.parametrize(
    ("cpu", "family"),
    [
        (info(AMD, 25, 1, "AMD EPYC"), "Milan"),
        (info(AMD, 23, 49, "AMD EPYC"), "Rome"),
        (info(AMD, 23, 1, "AMD EPYC Processor"), "Naples"),
        (info(AMD, 25, 17, "AMD EPYC-Genoa Processor"), "Genoa"),
        (info(AMD, 26, 2, "AMD EPYC"), "Turin"),
        (info(INTEL, 6, 79, "Intel(R) Xeon(R) CPU @ 2.20GHz", 0), "Broadwell-EP"),
        (info(INTEL, 6, 85, "Intel(R) Xeon(R) CPU @ 2.00GHz", 3), "Skylake-SP"),
        (info(INTEL, 6, 85, "Intel(R) Xeon(R) Processor @ 2.20GHz", 7), "Cascade Lake"),
        (info(INTEL, 6, 106, "Intel(R) Xeon(R) CPU @ 2.60GHz", 6), "Ice Lake-SP"),
        (info(INTEL, 6, 143, "Intel Xeon Processor (SapphireRapids)", 4), "Sapphire Rapids"),
        (info(INTEL, 6, 207, "INTEL(R) XEON(R) PLATINUM", 2), "Emerald Rapids"),
        (info(INTEL, 6, 173, "Intel(R) Xeon(R) Processor", 1), "Granite Rapids"),
        (info("arm", 0x41, 0xD0C, ""), "Neoverse N1"),
        (info("arm", 0x41, 0xD4F, ""), "Grace"),
    ],
)
def test_a_brand_alone_is_only_a_family(cpu: CpuInfo, family: str):
    part = identify(cpu)
    assert part.match == "family"
    assert family in part.label


@pytest.mark.parametrize(
    "name", ["AMD EPYC 99999", "AMD EPYC 77", "EPYC 7763X9", "AMD EPYC 7763 7763", "prefix AMD EPYC 7763"]
)
def test_a_name_that_is_nearly_a_part_is_not_that_part(name: str):
    assert identify(info(AMD, 25, 1, name)).match == "family"


def test_an_unknown_family_falls_back_to_the_vendor_and_then_to_the_generic_cpu():
    assert identify(info(INTEL, 6, 9999, "Intel(R) Xeon(R) Processor")).match == "vendor"
    assert identify(info("SomeoneNew", 1, 2, "Fast One")).match == "generic"


def test_a_part_whose_family_is_unknown_is_still_known_by_its_name():
    part = identify(CpuInfo(name="Intel(R) Core(TM) i7-7600U CPU @ 2.80GHz"))
    assert (part.match, part.tdp_w, part.curve) == ("part", 15.0, "intel-mobile")


def test_on_bare_metal_an_unknown_part_has_the_cores_that_are_seen():
    cpu = info(AMD, 25, 1, "AMD Eng Sample", threads=32, sockets=1, cores_per_socket=16)
    part = identify(cpu)
    assert (part.cores, part.threads) == (16, 32)
    assert part.tdp_w < identify(cpu._replace(virtual=True)).tdp_w


def test_every_family_has_a_curve_and_a_host_row():
    from wattmark.sources.models.cpu import names as cpu_names

    with open(f"{cpu_names._DATA}/cpu_families.tsv", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    assert len(rows) > 80
    for row in rows:
        assert len(row) == 11, row
        assert row[6] in CURVES, row
        part = identify(info(AMD, 25, 1, "AMD EPYC"))._replace(family=row[5])
        assert host_kind(part) in HOST_WATTS, row


def test_the_clock_in_the_name_is_the_base_clock():
    part = identify(info(INTEL, 6, 85, "Intel(R) Xeon(R) CPU @ 2.00GHz", 3, threads=4, virtual=True))
    assert part.match == "family"
    assert part.all_core_ghz == pytest.approx(2.0 * 1.18)


def test_the_kernels_highest_clock_is_no_boost_where_it_is_the_base_clock():
    name = "AMD EPYC 7742 64-Core Processor"
    plain = identify(info(AMD, 23, 49, name, 0, threads=128, cores_per_socket=64))
    assert identify(info(AMD, 23, 49, name, 0, threads=128, cores_per_socket=64), base_ghz=2.25) == plain
    unlisted = info(AMD, 26, 250, "AMD Mystery 1 8-Core Processor", 0, threads=16, cores_per_socket=8)
    assert identify(unlisted, base_ghz=3.0, max_ghz=3.0).all_core_ghz == 3.0
    assert identify(unlisted, base_ghz=3.0).all_core_ghz > 3.0


@pytest.mark.parametrize("family", [23, 25, 26, 27])
@pytest.mark.parametrize("model", [0, 1, 17, 49, 99, 200])
def test_a_threadripper_is_never_an_epyc(family: int, model: int):
    part = identify(
        info(
            AMD,
            family,
            model,
            "AMD Ryzen Threadripper PRO 6999WX 64-Cores",
            0,
            threads=128,
            cores_per_socket=64,
        )
    )
    assert part.curve == "amd-hedt"
    assert "EPYC" not in part.label


def test_every_part_of_the_table_has_a_clock():
    table = Path(names.__file__).parents[2] / "data/cpu_parts.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines() if not line.startswith("#")]
    assert len(rows) > 5000
    assert not [row[0] for row in rows if not row[3] and not row[4]]
    stated = [row for row in rows if (row[3] or row[4]) and not row[3].startswith("~")]
    assert len(stated) > 3000
    for row in rows:
        for text in filter(None, (row[3].lstrip("~"), row[4])):
            assert 0.03 <= float(text) <= 7.0, row
