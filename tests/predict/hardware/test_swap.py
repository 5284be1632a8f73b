"""Other hardware: identity, order, intervals that hold both roofs, and honest refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.predict.hardware.accelerators import accelerators, find
from wattmark.predict.hardware.devices import Installed
from wattmark.predict.hardware.swap import count_speed, device_speed, swap_accelerators
from wattmark.predict.whatif.state import State, Step, Unpredictable
from wattmark.quantity import Quantity

USABLE = [
    one for one in accelerators() if one.tdp_w and one.bandwidth_gb_s and {"fp32", "fp16"} <= set(one.throughput)
]  # fmt: skip
PARTS = st.sampled_from(USABLE)


def state(
    gpu: str = "a100-sxm4-80",
    count: int = 1,
    utilisation: float | None = 0.95,
    watts: float = 300.0,
    **more: object,
) -> State:
    joules = Quantity(watts * count * 100, watts * count * 95, watts * count * 105)
    given: dict[str, object] = {
        "by_component": {"gpu": joules, "cpu": Quantity.exact(5_000.0), "dram": Quantity.exact(500.0)},
        "duration_s": Quantity.exact(100.0, "s"),
        "accelerators": (Installed(find(gpu), count),),
        "cpus": (Installed(find("cpu:epyc-7763"), 1),),
        "utilisation": utilisation,
        "busy_cores": 2.0,
    }
    return State(**{**given, **more})  # pyright: ignore[reportArgumentType]


def swapped(before: State, target: str, count: int = 1, **how: bool) -> tuple[State, Step]:
    found = swap_accelerators(before, [Installed(find(target), count)], **how)
    assert not isinstance(found, Unpredictable), str(found)
    return found


@given(PARTS)
def test_the_same_board_is_the_same_run_exactly(part):
    before = state(part.id, 2)
    after, step = swapped(before, part.id, 2)
    assert after == before
    assert step.energy == Quantity.exact(1.0, "", "the same hardware")


@given(PARTS, PARTS)
def test_going_there_and_back_is_as_fast_as_before(one, other):
    there, back = device_speed(one, other), device_speed(other, one)
    assert isinstance(there, Quantity)
    assert isinstance(back, Quantity)
    assert there.value * back.value == pytest.approx(1.0)
    assert there.low * back.high == pytest.approx(1.0)


@given(PARTS, PARTS)
def test_the_interval_holds_the_bandwidths_and_the_throughputs_ratio(one, other):
    speed = device_speed(one, other)
    assert isinstance(speed, Quantity)
    assert one.bandwidth_gb_s
    assert other.bandwidth_gb_s
    assert speed.low <= other.bandwidth_gb_s / one.bandwidth_gb_s <= speed.high
    assert speed.low <= other.throughput["fp32"] / one.throughput["fp32"] <= speed.high


@given(PARTS, st.floats(0.05, 1.0), st.integers(1, 16), st.floats(20, 400))
def test_every_swap_gives_positive_ordered_numbers(part, utilisation: float, count: int, watts: float):
    after, step = swapped(state(utilisation=utilisation, watts=watts), part.id, count)
    assert after.duration_s is not None
    assert after.duration_s.low > 0
    for quantity in (after.duration_s, *after.by_component.values()):
        assert quantity.low <= quantity.value <= quantity.high
    assert after.energy_j is not None
    old = state(utilisation=utilisation, watts=watts).energy_j
    assert old is not None
    assert after.energy_j.value == pytest.approx(old.value * step.energy.value)


def test_a_faster_board_takes_less_time_and_a_slower_one_more():
    faster, _ = swapped(state(), "h100-sxm", host_stays=True)
    slower, _ = swapped(state(), "t4", host_stays=True)
    assert faster.duration_s is not None
    assert slower.duration_s is not None
    assert faster.duration_s.high < 100 < slower.duration_s.low


def test_a_device_that_waits_for_its_host_gains_little():
    busy, _ = swapped(state(utilisation=0.99), "h100-sxm", host_stays=True)
    waiting, _ = swapped(state(utilisation=0.3, watts=130), "h100-sxm", host_stays=True)
    assert busy.duration_s is not None
    assert waiting.duration_s is not None
    assert waiting.duration_s.value > 1.3 * busy.duration_s.value
    assert waiting.duration_s.high == pytest.approx(100.0)


def test_an_unknown_host_makes_the_interval_wider():
    stays, _ = swapped(state(utilisation=0.5, watts=200), "h100-sxm", host_stays=True)
    may_change, _ = swapped(state(utilisation=0.5, watts=200), "h100-sxm")
    assert stays.duration_s is not None
    assert may_change.duration_s is not None
    assert may_change.duration_s.low < stays.duration_s.low
    assert may_change.duration_s.high > stays.duration_s.high


def test_joules_never_exceed_what_the_boards_may_draw():
    after, _ = swapped(state(), "t4", 3)
    assert after.duration_s is not None
    assert after.by_component["gpu"].high <= 70 * 3 * after.duration_s.high * 1.05 / 0.95 * 1.001


@given(st.integers(1, 64), st.integers(1, 64))
def test_more_devices_are_faster_but_not_in_proportion(before: int, after: int):
    speed = count_speed(before, after)
    if before == after:
        assert speed == Quantity.exact(1.0)
    elif after > before:
        assert 1 < speed.low <= speed.value < after / before
    else:
        assert after / before < speed.value < 1


def test_without_utilisation_the_interval_is_wider():
    known, _ = swapped(state(utilisation=0.95, watts=200), "h100-sxm", host_stays=True)
    unknown, _ = swapped(state(utilisation=None, watts=200), "h100-sxm", host_stays=True)
    assert known.duration_s is not None
    assert unknown.duration_s is not None
    assert unknown.duration_s.high > known.duration_s.high


@pytest.mark.parametrize(
    ("changes", "target", "why"),
    [
        ({"accelerators": ()}, [("h100-sxm", 1)], "does not say on which accelerator"),
        ({"by_component": {"cpu": Quantity.exact(1.0)}}, [("h100-sxm", 1)], "no joules of its accelerator"),
        (
            {"by_component": {"gpu": Quantity.exact(9.0), "host": Quantity.exact(9.0)}},
            [("t4", 1)],
            "whole machine",
        ),
        ({}, [("h100-sxm", 1), ("t4", 1)], "side by side"),
        ({}, [("tpu-v5e", 1)], "power of Google TPU v5e (chip) is not published"),
        ({}, [("arc-b580", 1)], "no throughput of the same precision"),
        ({}, [("apple-m1", 1)], "bandwidth of Apple M1"),
    ],
)
def test_what_the_model_has_no_ground_for_is_refused(
    changes: dict[str, object], target: list[tuple[str, int]], why: str
):
    found = swap_accelerators(state(**changes), [Installed(find(name), count) for name, count in target])  # pyright: ignore[reportArgumentType]
    assert isinstance(found, Unpredictable)
    assert why in str(found)


def test_a_profile_without_times_gets_joules_but_no_seconds():
    after, _ = swapped(state(duration_s=None), "h100-sxm")
    assert after.duration_s is None
    assert after.by_component["gpu"].high > 2 * after.by_component["gpu"].low


# ML.ENERGY v2, Llama 3 70B and others: language models at full utilisation by NVML, watts of one board, and how many times
# faster and more joules a token the same configuration was on the other board.
SERVED = [
    ("a100-sxm4-40", "h100-sxm", 187.0, 1.22, 1.11),
    ("h100-sxm", "a100-sxm4-40", 254.0, 1 / 1.22, 1 / 1.11),
]


@pytest.mark.parametrize(("gpu", "target", "watts", "faster", "more_joules"), SERVED)
@pytest.mark.parametrize("work", ["serving", ""])
def test_serving_is_not_as_busy_as_nvml_says(
    gpu: str, target: str, watts: float, faster: float, more_joules: float, work: str
):
    after, _ = swapped(state(gpu, utilisation=1.0, watts=watts, work=work), target)
    assert after.duration_s is not None
    assert after.duration_s.value == pytest.approx(100 / faster, rel=0.15)
    assert after.duration_s.low < 100 / faster < after.duration_s.high
    joules = after.by_component["gpu"]
    assert joules.value == pytest.approx(watts * 100 * more_joules, rel=0.2)
    assert joules.low < watts * 100 * more_joules < joules.high


@given(PARTS, PARTS, st.floats(0.2, 0.95))
def test_joules_of_serving_are_within_four_times(one, other, load: float):
    before = state(one.id, utilisation=1.0, watts=load * one.tdp_w, work="serving")
    after, _ = swapped(before, other.id)
    ratio = after.by_component["gpu"].high / after.by_component["gpu"].low
    assert ratio <= 4 * 1.05 / 0.95
