"""Other CPUs: an effect at all, in the right direction, and honest refusals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.what_if import a_run
from wattmark.predict.hardware.accelerators import find, processors
from wattmark.predict.hardware.cpus import cpu_speed, swap_cpus, watts_ratio
from wattmark.predict.hardware.devices import Installed, machine_of
from wattmark.predict.whatif.state import State, Unpredictable
from wattmark.quantity import Quantity

KNOWN = [one for one in processors() if one.cores and one.base_ghz]
PARTS = st.builds(Installed, st.sampled_from(KNOWN), st.integers(1, 4))
BUSY = st.one_of(st.none(), st.floats(0, 200))


def state(**more: Any) -> State:
    given: dict[str, Any] = {
        "by_component": {"cpu": Quantity.exact(5_000.0)},
        "duration_s": Quantity.exact(100.0, "s"),
        "cpus": (Installed(find("cpu:epyc-7763"), 1),),
        "busy_cores": 2.0,
    }
    return State(**{**given, **more})


@given(PARTS, PARTS, BUSY)
def test_any_pair_gives_ordered_positive_ratios(old: Installed, new: Installed, busy: float | None):
    for ratio in (cpu_speed(old, new, busy), watts_ratio(old, new, busy)):
        assert isinstance(ratio, Quantity)
        assert 0 < ratio.low <= ratio.value <= ratio.high


def test_twice_the_packages_for_one_thread_cost_watts_and_bring_no_speed():
    one, two = Installed(find("cpu:epyc-7763"), 1), Installed(find("cpu:epyc-7763"), 2)
    speed = cpu_speed(one, two, 1.0)
    assert isinstance(speed, Quantity)
    assert speed.value == pytest.approx(1.0)
    assert watts_ratio(one, two, 1.0).value > 1.2


def test_a_profile_of_unknown_length_still_shows_the_effect_of_its_cpu():
    found = swap_cpus(state(duration_s=None, busy_cores=None), [Installed(find("cpu:core-i7-2600k"), 1)])
    assert not isinstance(found, Unpredictable)
    assert found[0].duration_s is None
    assert found[0].by_component["cpu"].value != 5_000


@pytest.mark.parametrize(
    ("changes", "target", "why"),
    [
        ({"by_component": {"gpu": Quantity.exact(1.0)}}, "cpu:epyc-7302", "no joules of its CPU"),
        ({"cpus": ()}, "cpu:epyc-7302", "on which CPU"),
        ({}, "cpu:core-i5-750s", "clock of Intel Core i5 750S"),
    ],
)
def test_what_the_model_has_no_ground_for_is_refused(changes: dict[str, Any], target: str, why: str):
    found = swap_cpus(state(**changes), [Installed(find(target), 1)])
    assert isinstance(found, Unpredictable)
    assert why in str(found)


def test_another_cpu_changes_joules_and_seconds():
    before = state()
    found = swap_cpus(before, [Installed(find("cpu:xeon-platinum-8480+"), 2)])
    assert not isinstance(found, Unpredictable)
    assert found[0].by_component["cpu"].value != before.by_component["cpu"].value
    assert found[0].duration_s is not None
    assert found[0].duration_s.low < 100 < found[0].duration_s.high


def test_the_same_cpu_is_the_same_run():
    found = swap_cpus(state(), [Installed(find("cpu:epyc-7763"), 1)])
    assert not isinstance(found, Unpredictable)
    assert found[0] == state()


def test_more_cores_help_only_work_that_fills_the_old_ones():
    old, new = Installed(find("cpu:epyc-7302"), 1), Installed(find("cpu:epyc-7702"), 1)
    one_thread, all_threads = cpu_speed(old, new, 1.0), cpu_speed(old, new, 16.0)
    assert isinstance(one_thread, Quantity)
    assert isinstance(all_threads, Quantity)
    assert all_threads.value > 1.5 * one_thread.value


def test_a_run_whose_cpu_has_no_name_of_a_part_says_so():
    machine = machine_of(a_run(environment={"cpu": {"model": ["AMD EPYC"], "cores": 2}}))
    assert machine.cpus == ()
    assert machine.unknown_cpus == ("AMD EPYC",)
    found = swap_cpus(state(cpus=machine.cpus), [Installed(find("cpu:epyc-7763"), 1)])
    assert isinstance(found, Unpredictable)
    assert "on which CPU" in str(found)
