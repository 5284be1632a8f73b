from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from wattmark.quantity import Quantity
from wattmark.serving.energy.accounting import ServingEnergy, account
from wattmark.serving.energy.attribution import EQUAL_WEIGHTS, IntervalEnergy, RequestColumns, TokenWeights
from wattmark.testing.simulated_server import SimulatedServer, Simulation, simulate

S = 1_000_000_000


def four_requests() -> RequestColumns:
    """One each second, each 30 + 11 tokens."""
    start = np.arange(4, dtype=np.int64) * S
    counts = [np.full(4, count, np.int64) for count in (30, 11, 0)]
    return RequestColumns(start, start + S // 2, start + S, *counts)


def pot(component: str, watts: float, idle_w: float | None, method: str = "counter") -> IntervalEnergy:
    """Five seconds; the last one at half the idle watts above idle."""
    edges = np.arange(6, dtype=np.int64) * S
    joules = np.array([watts] * 4 + [watts / 2])
    value = float(joules.sum())
    return IntervalEnergy(
        component, edges, joules, np.ones(5), idle_w, method, Quantity(value, 0.9 * value, 1.2 * value)
    )


def simulation(count: int = 600) -> Simulation:
    generator = np.random.default_rng(2)
    sent = np.cumsum(generator.exponential(0.8, count))
    return simulate(
        SimulatedServer(), sent, generator.integers(20, 1_500, count), generator.integers(1, 90, count)
    )


def test_figures_with_and_without_idle():
    done = account(four_requests(), [pot("cpu", 10, idle_w=4)], weights=EQUAL_WEIGHTS)
    assert done.without_idle is not None
    assert done.with_idle is not None
    # 6 J above idle a request; 45 J in all
    each = done.without_idle.j_per_request
    assert each is not None
    assert (each.value, each.low, each.high) == pytest.approx((6, 5.4, 7.2))
    assert each.unit == "J/request"
    assert done.with_idle.j_per_request is not None
    assert done.with_idle.j_per_request.value == pytest.approx(45 / 4)
    assert done.without_idle.j_per_output_token is not None
    assert done.without_idle.j_per_output_token.value == pytest.approx(24 / 44)
    assert done.without_idle.j_per_token is not None
    assert done.without_idle.j_per_token.value == pytest.approx(24 / 164)
    assert done.without_idle.j_per_1000_requests is not None
    assert done.without_idle.j_per_1000_requests.value == pytest.approx(6_000)
    assert done.without_idle.tokens_per_j is not None
    assert done.without_idle.tokens_per_j.value == pytest.approx(44 / 24)
    assert done.without_idle.tokens_per_j.low == pytest.approx(44 / 24 / 1.2)
    # a second each
    assert done.without_idle.energy_delay_j_s is not None
    assert done.without_idle.energy_delay_j_s.value == pytest.approx(6)
    assert done.idle_share == pytest.approx(20 / 45)
    assert done.duration_s == 5


def test_delay_counts_from_sending_where_it_is_known():
    requests = four_requests()
    queued = replace(requests, sent_ns=requests.start_ns - 2 * S)
    done = account(queued, [pot("cpu", 10, idle_w=4)], weights=EQUAL_WEIGHTS)
    assert done.without_idle is not None
    assert done.without_idle.energy_delay_j_s is not None
    assert done.without_idle.energy_delay_j_s.value == pytest.approx(18)


def test_the_parts_of_each_component_add_up():
    done = account(four_requests(), [pot("cpu", 10, 4), pot("gpu", 90, 30, "integrated")])
    for part in done.components:
        assert part.idle is not None
        assert part.requests.value + part.idle.value + part.unattributed.value == pytest.approx(
            part.measured.value
        )
    assert done.request_j.sum() == pytest.approx(sum(part.requests.value for part in done.components))


def test_measured_and_modelled_joules_are_apart():
    done = account(four_requests(), [pot("cpu", 10, 4, "modelled"), pot("gpu", 90, 30)])
    assert done.modelled_j is not None
    assert done.measured_j is not None
    assert (done.modelled_j.value, done.measured_j.value) == (45, 405)
    assert any("modelled" in note and "cpu" in note for note in done.notes)
    only = account(four_requests(), [pot("gpu", 90, 30)])
    assert only.modelled_j is None


def test_without_a_baseline_idle_is_not_known_and_said_so():
    done = account(four_requests(), [pot("cpu", 10, None)])
    assert done.components[0].idle is None
    assert done.idle_share is None
    assert any("idle watts not known" in note for note in done.notes)
    mixed = account(four_requests(), [pot("cpu", 10, None), pot("gpu", 90, 30)])
    assert mixed.idle_share is None


def test_idle_is_spread_only_when_asked_for():
    plain = account(four_requests(), [pot("cpu", 10, 4)])
    spread = account(four_requests(), [pot("cpu", 10, 4)], spread="all")
    assert plain.idle_share_j.sum() == 0
    assert spread.idle_share_j == pytest.approx([5, 5, 5, 5])
    assert spread.request_j == pytest.approx(plain.request_j)


def test_carbon_and_money_follow_from_the_joules():
    done = account(
        four_requests(),
        [pot("cpu", 10, 4)],
        grams=lambda energy: (energy * (360 / 3.6e6)).with_unit("g"),
        money=lambda energy: (energy * (0.36 / 3.6e6)).with_unit("EUR"),
    )
    assert done.without_idle is not None
    assert done.without_idle.gco2e_per_1000_requests is not None
    assert done.without_idle.gco2e_per_1000_requests.value == pytest.approx(0.6)
    assert done.without_idle.money_per_1000_requests is not None
    assert done.without_idle.money_per_1000_requests.value == pytest.approx(0.0006)
    bare = account(four_requests(), [pot("cpu", 10, 4)])
    assert bare.without_idle is not None
    assert bare.without_idle.gco2e_per_1000_requests is None
    assert bare.without_idle.money_per_1000_requests is None


def test_nothing_served_and_nothing_measured_are_none_not_zero():
    empty = np.empty(0, np.int64)
    nobody = account(RequestColumns(*[empty] * 6), [pot("cpu", 10, 4)])
    assert nobody.with_idle is not None
    assert nobody.with_idle.energy_j.value == 45
    assert nobody.with_idle.j_per_request is None
    assert nobody.with_idle.j_per_output_token is None
    assert nobody.mean_request_j is None
    assert nobody.covered is None
    blind = account(four_requests(), [])
    assert (blind.with_idle, blind.without_idle, blind.measured_j, blind.mean_request_j) == (None,) * 4
    json.dumps([nobody.as_dict(), blind.as_dict()])


def test_a_percentile_without_enough_requests_beyond_it_is_none():
    done = account(four_requests(), [pot("cpu", 10, 4)])
    assert set(done.percentiles_j.values()) == {None}
    seen = simulation(400)
    many = account(seen.requests, [seen.energy])
    assert many.percentiles_j[50] is not None
    assert many.percentiles_j[95] is not None
    assert many.percentiles_j[99] is None


def test_a_simulated_server_is_accounted_for_by_fitted_costs():
    seen = simulation()
    done = account(seen.requests, [seen.energy])
    true = seen.true_request_j
    assert done.components[0].weights.rule.startswith("prefill and decode tokens by their fitted")
    assert done.without_idle is not None
    assert done.without_idle.energy_j.value == pytest.approx(true.sum(), rel=0.05)
    middle, mean = done.percentiles_j[50], done.mean_request_j
    assert middle is not None
    assert mean is not None
    assert middle.value == pytest.approx(np.median(true), rel=0.07)
    assert middle.low < np.median(true) < middle.high
    assert mean.value == pytest.approx(true.mean(), rel=0.05)


def test_given_weights_take_the_place_of_fitted_ones():
    weights = TokenWeights(0, 1, "decode only")
    done = account(four_requests(), [pot("cpu", 10, 4)], weights=weights)
    assert done.components[0].weights is weights


def test_requests_outside_the_measurement_are_pointed_out():
    late = replace(pot("cpu", 10, 4), edges_ns=np.arange(2, 8, dtype=np.int64) * S)
    done = account(four_requests(), [late])
    assert done.covered == pytest.approx(0.5)
    assert any("50%" in note for note in done.notes)


def test_the_json_has_every_figure_and_no_columns():
    seen = simulation(100)
    done = account(seen.requests, [seen.energy])
    data = json.loads(json.dumps(done.as_dict()))
    assert data["components"]["cpu"]["requests_j"]["low"] <= data["components"]["cpu"]["requests_j"]["value"]
    assert data["request_j"]["p50"]["value"] > 0
    assert (
        data["with_idle"]["j_per_output_token"]["value"] > data["without_idle"]["j_per_output_token"]["value"]
    )
    assert isinstance(done, ServingEnergy)


def test_two_loads_on_one_host_compare_by_what_does_not_cancel():
    """The sensor may be off by half, for both: joules per request and per token differ by what the loads do."""
    found: list[ServingEnergy] = []
    for watts in (100.0, 300.0):
        whole = pot("gpu", watts, 20.0)
        joules = float(whole.energy_j.sum())
        total = Quantity(joules, 0.5 * joules, 1.5 * joules, error="scale/lab/gpu0")
        found.append(account(four_requests(), [replace(whole, total=total)]))
    first, second = found
    for name in ("j_per_request", "j_per_output_token", "j_per_token"):
        one, other = (getattr(side.with_idle, name) for side in (first, second))
        assert one.low == pytest.approx(0.5 * one.value)
        ratio = other / one
        assert (ratio.low, ratio.value, ratio.high) == pytest.approx((3.0, 3.0, 3.0))
    assert first.with_idle is not None
    assert second.with_idle is not None
    assert first.with_idle.tokens_per_j is not None
    gained = second.with_idle.tokens_per_j / first.with_idle.tokens_per_j  # type: ignore[operator]
    assert gained.half_width == pytest.approx(0.0, abs=1e-9)


def test_what_reasoning_took_follows_from_what_tokens_cost() -> None:
    """Prompts of 10 tokens at 1 J, answers of 21 at 3 J: half of the output is reasoning, which begins in the prefill."""
    one = simulation(10).requests
    halves = replace(one, output_tokens=np.full(10, 21), input_tokens=np.full(10, 10), reasoning=np.full(10, 11 / 21),
                     chunk_ns=None, chunk_offsets=None)  # fmt: skip
    weights = TokenWeights(1.0, 3.0, "test")
    share = weights.reasoning_of(halves)
    assert share == pytest.approx(10 * 3 / (10 + 20 * 3))  # ten of the twenty steps
    assert weights.reasoning_of(replace(halves, reasoning=np.zeros(10))) == pytest.approx(0)
    assert np.isnan(weights.reasoning_of(one)).all()  # nothing tells it
    growing = TokenWeights(1.0, 3.0, "test", context=0.1)
    assert (growing.reasoning_of(halves) < 0.5).all()  # its context is the shorter one


def test_how_far_single_requests_may_be_off_is_said_by_the_rule() -> None:
    from wattmark.serving.energy.costs import TokenCosts

    known = Quantity.exact(1.0)
    fitted = TokenCosts(known, known, None, 0.9, 100)
    prompts = replace(fitted, prompt_j=5.0)
    unknown = TokenCosts(None, known, None, None, 100)
    assert fitted.request_error(starts_told=True) < fitted.request_error(starts_told=False)
    assert fitted.request_error(starts_told=False) < prompts.request_error(starts_told=False)
    assert unknown.request_error(starts_told=True) == (0.5, 1.0)
