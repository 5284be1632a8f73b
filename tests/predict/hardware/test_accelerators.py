"""The catalogue: every row can be stood behind, and device names find their row."""

from __future__ import annotations

import csv
from itertools import pairwise

import pytest

from wattmark.errors import ConfigError
from wattmark.predict.hardware.accelerators import _DATA, accelerators, catalogue, find, near, of_device


def test_there_are_some_eighty_accelerators_and_thousands_of_cpus():
    assert len(accelerators()) >= 80
    assert len(catalogue("cpu")) > 4_000
    assert len(catalogue()) == len(accelerators()) + len(catalogue("cpu"))


def test_ids_are_unique():
    ids = [one.id for one in catalogue()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("one", accelerators(), ids=lambda one: one.id)
def test_every_row_has_a_source_and_plausible_figures(one):
    assert one.source
    assert one.url.startswith("https://")
    assert one.year is not None
    assert 2012 <= one.year <= 2026
    assert one.throughput or one.vendor == "Apple"  # which tells none since the M3
    assert one.tdp_w is None or 5 <= one.tdp_w <= 1500
    if one.cap_min_w is not None:
        assert one.cap_max_w is not None
        assert one.cap_min_w < one.cap_max_w
    # 16-bit matrices are at least as fast as 32-bit numbers, 8-bit ones at least as fast as 16-bit ones
    order = [one.throughput[name] for name in ("fp32", "tf32", "fp16", "fp8") if name in one.throughput]
    assert all(later >= 0.99 * earlier for earlier, later in pairwise(order))
    if one.memory_gb and one.bandwidth_gb_s:
        assert 1 <= one.bandwidth_gb_s / one.memory_gb <= 100


def test_no_row_has_more_columns_than_the_header():
    with (_DATA / "accelerators.csv").open(encoding="utf-8", newline="") as file:
        lengths = {len(row) for row in csv.reader(file)}
    assert len(lengths) == 1


def test_throughputs_are_dense():
    # The data sheet's figure with sparsity is 3,958 (FP8) and 1,979 (16-bit) TFLOP/s.
    assert find("h100-sxm").throughput["fp8"] == 1979
    assert find("h100-sxm").throughput["fp16"] == 989.5
    assert find("a100-sxm4-80").throughput["fp16"] == 312


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100-sxm4-80"),
        ("A100-PCIE-40GB", "a100-pcie-40"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80"),
        ("Tesla V100-SXM2-16GB", "v100-sxm2-16"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H200", "h200-sxm"),
        ("NVIDIA GeForce RTX 3090", "rtx-3090"),
        ("geforce-gtx-1080-ti", "gtx-1080-ti"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("Quadro RTX 8000", "quadro-rtx-8000"),
        ("AMD Instinct MI300X", "mi300x"),
        ("NVIDIA RTX A2000", "rtx-a2000"),
        ("NVIDIA RTX A2000 12GB", "rtx-a2000-12"),
        ("NVIDIA RTX 4000 Ada Generation", "rtx-4000-ada"),
        ("NVIDIA H20", "h20"),
        ("NVIDIA H800", "h800-sxm"),
        ("NVIDIA H800 PCIe", "h800-pcie"),
        ("NVIDIA A800-SXM4-80GB", "a800-sxm4-80"),
        ("NVIDIA A800 80GB PCIe", "a800-pcie-80"),
        ("NVIDIA B300 SXM6 AC", "b300"),
        ("NVIDIA GB300", "gb300"),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", "rtx-4060-laptop"),
        ("NVIDIA GeForce RTX 4080 SUPER", "rtx-4080-super"),
        ("NVIDIA GeForce GTX 1060 3GB", "gtx-1060-3"),
        ("Tesla K40m", "k40"),
        ("AMD Radeon RX 6800", "rx-6800"),
        ("AMD Radeon RX 7900 XT", "rx-7900-xt"),
        ("Apple M3", "apple-m3"),
        ("Apple M4 Max", "apple-m4-max"),
        ("Intel(R) Xeon(R) Platinum 8275CL CPU @ 3.00GHz", "cpu:xeon-platinum-8275cl"),
        ("AMD EPYC 7763 64-Core Processor", "cpu:epyc-7763"),
        ("Intel i7 2600K", "cpu:core-i7-2600k"),
        ("cpu:epyc-7763", "cpu:epyc-7763"),
    ],
)
def test_names_of_drivers_find_their_part(name: str, wanted: str):
    found = of_device(name)
    assert found is not None
    assert found.id == wanted


@pytest.mark.parametrize("name", ["", "AMD EPYC", "NVIDIA GeForce RTX 3080 Laptop GPU", "NVIDIA A100", "GPU"])
def test_a_name_that_means_no_one_part_is_not_guessed(name: str):
    found = of_device(name)
    assert found is None or (name == "NVIDIA A100" and "A100" in found.name)


def test_an_unknown_name_hints_at_the_nearest():
    with pytest.raises(ConfigError) as caught:
        find("rtx 3090 tii")
    assert "rtx-3090-ti" in str(caught.value.hint)


def test_a_search_finds_what_the_words_say_best_first():
    assert [one.id for one in near("rtx 3090")][:2] == ["rtx-3090", "rtx-3090-ti"]
    assert {one.id for one in near("a100", 4)} == {
        "a100-pcie-40",
        "a100-pcie-80",
        "a100-sxm4-40",
        "a100-sxm4-80",
    }
    assert near("epyc 7763", 1)[0].id == "cpu:epyc-7763"
    assert len(near("", 7)) == 7
    assert near("zzzz") == []
