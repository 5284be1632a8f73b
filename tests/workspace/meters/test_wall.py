"""From sensors and a meter to the plug: the fit, its interval, its errors by name, and bad meters in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakes.plugs import CONSTANT_W, SLOPE, STAIRS, machine, plug_w, said
from wattmark.errors import ConfigError
from wattmark.quantity import METER, SCALE, WALL, kind_of
from wattmark.runs.wall.model import WallModel, WallResult, at_plug, default_wall, load_wall, save_wall
from wattmark.sources.base import Accuracy
from wattmark.workspace.meters.readings import Readings, of_energy, of_power
from wattmark.workspace.meters.wall import fit_wall

HOUR = 3600 * 10**9


def calibrated(seed: int = 0, meter_share: float = 0.0, every_s: float = 1.0) -> WallModel:
    view = machine(seed=seed)
    return fit_wall([view], of_power("m", *said(view, every_s, seed=seed + 1)), meter_share=meter_share)


def test_the_fit_gives_the_plug_back() -> None:
    model = calibrated()
    for power in (15.0, 40.0, 90.0):
        assert model.wall_w(power) == pytest.approx(plug_w(power), rel=0.005)
    assert model.constant_w == pytest.approx(CONSTANT_W, abs=1.5)
    assert model.slope == pytest.approx(SLOPE, abs=0.08)
    assert model.levels >= 5
    assert model.lag_s == pytest.approx(0.0, abs=0.6)


def test_a_run_at_the_plug_has_its_errors_by_name() -> None:
    view = machine((30.0, 60.0), 60.0, run_id="work", accuracy=Accuracy(0.1, 0.1, 0.5, "made up", 0.04, 0.04))
    told = at_plug(view, calibrated(meter_share=0.01))
    assert isinstance(told, WallResult)
    truth = (plug_w(30.0) + plug_w(60.0)) / 2 * 120
    assert told.energy.value == pytest.approx(truth, rel=0.005)
    kinds = {kind_of(name) for name in told.energy.terms}
    assert {WALL, METER, "character"} <= kinds
    assert SCALE not in kinds, "the sensor's own scale is in the fit"
    meter = told.energy.only(METER)
    assert meter.high / meter.value == pytest.approx(1.01)
    character = told.energy.only("character")
    marginal = SLOPE + 2 * 0.0006 * (30**2 + 60**2) / 90
    assert character.high - character.value == pytest.approx(0.04 * 45 * 120 * marginal, rel=0.05)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    view = machine((20.0, 80.0), 20.0, run_id="new", accuracy=Accuracy(0.0, 0.0, 0.0, "made up"))
    truth = (plug_w(20.0) + plug_w(80.0)) / 2 * 40
    for seed in range(30):
        noisy = machine(seed=seed, each_s=15.0)
        readings = of_power("m", *said(noisy, noise_w=3.0, seed=seed + 100))
        told = at_plug(view, fit_wall([noisy], readings, meter_share=0.0))
        assert isinstance(told, WallResult)
        held += told.energy.low <= truth <= told.energy.high
    assert held >= 25, "a binomial of 30 and 0.95 is below 25 once in 3,000"


def test_what_two_runs_share_cancels_between_them() -> None:
    model = calibrated(meter_share=0.03)
    one, two = (
        at_plug(machine((watts,), 60.0, run_id=name), model) for watts, name in ((40.0, "a"), (44.0, "b"))
    )
    assert isinstance(one, WallResult)
    assert isinstance(two, WallResult)
    ratio = two.energy / one.energy
    assert ratio.half_width / ratio.value < 0.4 * one.energy.half_width / one.energy.value
    assert not ratio.only(METER).terms


def test_a_run_beyond_the_calibrated_power_is_wider_and_says_so() -> None:
    model = calibrated()
    inside, outside = (at_plug(machine((watts,), 60.0, run_id="x"), model) for watts in (90.0, 180.0))
    assert isinstance(inside, WallResult)
    assert isinstance(outside, WallResult)
    assert "outside of the calibrated 10 to 9" in outside.rule
    assert (
        outside.energy.half_width / outside.energy.value > 3 * inside.energy.half_width / inside.energy.value
    )
    assert outside.energy.low <= plug_w(180.0) * 60 <= outside.energy.high


def test_it_is_kept_for_the_machine_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    model = calibrated()
    path = save_wall(model)
    assert load_wall("node1") == model
    assert load_wall("node2") is None
    Path(path).write_text('{"host": "node1"}')
    assert load_wall("node1") is None


def test_other_sensors_are_refused() -> None:
    told = at_plug(machine(), replace(calibrated(), channels=("gpu0/board (counter)",)))
    assert isinstance(told, str)
    assert "gpu0/board" in told
    assert "cpu0/package" in told


def test_a_meter_of_energy_says_the_same() -> None:
    view = machine()
    t_ns, watts = said(view, noise_w=0.0)
    readings = of_energy("m", t_ns, np.concatenate(([0.0], np.cumsum((watts[1:] + watts[:-1]) / 2))))
    assert fit_wall([view], readings).wall_w(50.0) == pytest.approx(plug_w(50.0), rel=0.01)


@pytest.mark.parametrize("shift_s", [37.0, -41.0, 300.0])
def test_a_shifted_clock_is_found(shift_s: float) -> None:
    view = machine()
    t_ns, watts = said(view)
    model = fit_wall([view], of_power("m", t_ns - round(shift_s * 1e9), watts))
    assert model.lag_s == pytest.approx(shift_s, abs=0.6)
    assert model.wall_w(50.0) == pytest.approx(plug_w(50.0), rel=0.01)
    assert any(
        "clock is" in note and ("behind" if shift_s > 0 else "ahead of") in note for note in model.notes
    )


def test_times_of_another_zone_are_found() -> None:
    view = machine()
    t_ns, watts = said(view)
    model = fit_wall([view], of_power("m", t_ns + 2 * HOUR, watts))
    assert model.lag_s == pytest.approx(-7200, abs=0.6)
    assert any("another time zone" in note for note in model.notes)


def _said(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Readings:
    return of_power("m", *change(*said(machine())))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, w: (t, w / 1000), "look like kW"),
        (lambda t, w: (t, w * 1000), "look like mW"),
        (lambda t, w: (t, w * 0.3), "where the parts of the machine alone drew"),
        (lambda t, w: (t, 250 - w), "fall where the sensors' rise"),
        (lambda t, w: (t + 400 * 24 * HOUR, w), "none of them are of its time"),
        (lambda t, w: (t, 60 + np.random.default_rng(5).normal(0, 5, len(w))), "do not follow the machine"),
        (lambda t, w: (t[:40], w[:40]), "do not follow|none of them|in common|hardly changed"),
    ],
)
def test_bad_meters_in_words(change: Callable[..., tuple[np.ndarray, np.ndarray]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fit_wall([machine()], _said(change))


@pytest.mark.parametrize(
    ("levels", "words"), [((50.0,), "the load hardly changed"), ((20.0, 90.0), "2 levels")]
)
def test_a_load_that_does_not_tell_is_refused(levels: tuple[float, ...], words: str) -> None:
    view = machine(levels * 2, 60.0)
    with pytest.raises(ConfigError, match=words) as error:
        fit_wall([view], of_power("m", *said(view)))
    assert "wattmark calibrate --load" in str(error.value.hint)


def test_three_levels_lean_on_what_supplies_have_and_say_so() -> None:
    view = machine((10.0, 90.0, 50.0, 10.0, 50.0, 90.0), 30.0)
    model = fit_wall([view], of_power("m", *said(view)))
    assert any("curve of the power supply" in note for note in model.notes)
    assert model.wall_w(70.0) == pytest.approx(plug_w(70.0), rel=0.02)


def test_without_a_meter_the_default_is_wide_and_says_what_it_is() -> None:
    view = machine(STAIRS, 5.0)
    told = at_plug(view, default_wall(view))
    assert isinstance(told, WallResult)
    assert view.energy is not None
    assert told.kind == "default"
    assert told.energy.low <= 1.05 * view.energy.value < 1.4 * view.energy.value < told.energy.value
    assert told.energy.high == pytest.approx(2.67 * view.energy.value, rel=0.02)
    assert "not measured here" in told.rule
