"""What can be capped, and why something cannot."""

from __future__ import annotations

import pytest

from limits.conftest import limits_of
from wattmark.limits.base import NothingToCap, watts
from wattmark.limits.discovery import choose_limits, common_range, find_limits
from wattmark.sources.base import Host


def test_a_machine_without_anything_to_cap_says_what_is_needed(tmp_path):
    (tmp_path / "class").mkdir()
    with pytest.raises(NothingToCap) as told:
        choose_limits(find_limits(Host(sysfs=str(tmp_path), environ={"LD_LIBRARY_PATH": ""})))
    assert told.value.exit_code == 3
    assert "nothing here can be capped" in str(told.value)
    assert "powercap" in str(told.value.hint) or "driver" in str(told.value.hint)


def test_cards_come_before_processors_and_are_meant_where_nothing_is_named(machine):
    machine.cpu()
    machine.amd()
    machine.intel(1)
    assert [one.id for one in limits_of(machine)] == ["amdgpu0", "intelgpu0"]
    assert [one.id for one in limits_of(machine, "cpu")] == ["cpu0"]
    assert [one.id for one in limits_of(machine, "amdgpu0", "cpu0")] == ["amdgpu0", "cpu0"]
    with pytest.raises(NothingToCap, match="gpu7"):
        limits_of(machine, "gpu7")


def test_a_package_is_capped_for_bursts_too_and_never_above_what_it_had(machine):
    machine.cpu()
    (limit,) = limits_of(machine)
    old = limit.read()
    assert old == {"long_term_uw": 125_000_000, "short_term_uw": 150_000_000, "enabled": 1}
    assert limit.capped(old, 80) == {"long_term_uw": 80_000_000, "short_term_uw": 80_000_000, "enabled": 1}
    assert limit.capped(old, 140)["long_term_uw"] == 125_000_000
    limit.write(limit.capped(old, 60.0))
    assert watts(limit.read()) == 60
    limit.write(old)
    assert limit.read() == old


def test_a_limit_that_is_switched_off_is_none_and_comes_back_switched_off(machine):
    folder = machine.cpu()
    (folder / "enabled").write_text("0\n")
    (limit,) = limits_of(machine)
    old = limit.read()
    assert watts(old) is None
    limit.write(limit.capped(old, 50))
    assert watts(limit.read()) == 50
    limit.write(old)
    assert (folder / "enabled").read_text().strip() == "0"


def test_an_intel_card_without_a_limit_is_capped_by_its_rating_and_switched_off_again(machine):
    folder = machine.intel()
    (folder / "power1_max").write_text("0\n")
    (limit,) = limits_of(machine)
    assert (limit.most_w, limit.component) == (190.0, "gpu")
    old = limit.read()
    assert limit.capped(old, 100) == {"power1_max_uw": 100_000_000}
    limit.write(limit.capped(old, 100))
    limit.write(old)
    assert (folder / "power1_max").read_text().strip() == "0"


@pytest.mark.parametrize(
    ("limit_uw", "largest_uw", "most_w"), [(4_095_000_000, 95_000_000, 95), (28_000_000, 15_000_000, 28)]
)
def test_the_largest_cap_of_a_package_is_its_limit_or_where_that_is_lifted_its_own_power(
    machine, limit_uw, largest_uw, most_w
):
    folder = machine.cpu()
    (folder / "constraint_0_power_limit_uw").write_text(f"{limit_uw}\n")
    (folder / "constraint_0_max_power_uw").write_text(f"{largest_uw}\n")
    assert limits_of(machine)[0].most_w == most_w


def test_a_processor_that_only_counts_says_so(machine):
    folder = machine.cpu()
    for file in folder.glob("constraint_*"):
        file.unlink()
    with pytest.raises(NothingToCap, match="no power limit"):
        limits_of(machine)


def test_memory_mapped_packages_are_not_capped_a_second_time(machine):
    machine.cpu()
    real = machine.root / "class/powercap/intel-rapl:0"
    (machine.root / "class/powercap/intel-rapl-mmio:0").symlink_to(real.resolve())
    assert [one.key for one in limits_of(machine)] == ["powercap/intel-rapl:0/package-0"]


def test_a_card_that_sleeps_is_left_alone(machine):
    folder = machine.amd()
    power = folder.parents[1] / "power"
    power.mkdir()
    (power / "runtime_status").write_text("suspended\n")
    with pytest.raises(NothingToCap, match="suspended"):
        limits_of(machine)


def test_no_cap_that_fits_devices_of_different_size_is_told(machine):
    machine.amd(0, most_w=300)
    machine.amd(1, most_w=60)
    with pytest.raises(NothingToCap, match="no cap fits all"):
        common_range(limits_of(machine))
