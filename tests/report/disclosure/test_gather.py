"""Selections of runs as one footprint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.records import rapl_record
from wattmark.errors import ConfigError
from wattmark.report.disclosure.gather import counts_of, disclose, footprint_of
from wattmark.report.disclosure.sci import score_of
from wattmark.runs.view import RunView
from wattmark.workspace.impact import Costs, Sought


def views(*changes: dict[str, object]) -> list[RunView]:
    return [
        RunView(replace(rapl_record(3), run_id=f"run-{place}", **change))  # pyright: ignore[reportArgumentType]
        for place, change in enumerate(changes)
    ]


@pytest.fixture(autouse=True)
def _data(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))


def test_runs_apart_add_up_and_overlapping_ones_share() -> None:
    day = 86_400 * 10**9
    one, other = views({}, {"started_wall_ns": rapl_record(3).started_wall_ns + day})
    alone = footprint_of([one], Sought(zone="FR"))
    assert alone.energy is not None
    assert alone.carbon is not None
    apart = footprint_of([one, other], Sought(zone="FR"))
    assert apart.energy is not None
    assert apart.carbon is not None
    assert apart.energy.value == pytest.approx(2 * alone.energy.value)
    assert apart.carbon.value == pytest.approx(2 * alone.carbon.value)
    assert alone.g_per_kwh is not None
    assert apart.zones == ("FR",)
    same = footprint_of(views(*[{"environment": {"host": "a"}}] * 2), Sought(zone="FR"))
    assert same.energy is not None
    assert same.energy.value == pytest.approx(alone.energy.value)
    assert footprint_of([one, one], Sought(zone="FR")).energy == alone.energy


def test_a_run_inside_another_adds_nothing() -> None:
    outer, inner = views({}, {"parent_id": "run-0"})
    whole = footprint_of([outer, inner], Sought())
    assert whole.energy is not None
    assert outer.energy is not None
    assert whole.energy.value == pytest.approx(outer.energy.value)
    assert whole.carbon is None


def test_what_one_run_lacks_is_not_known_of_the_whole() -> None:
    day = 86_400 * 10**9
    one, blind = views({}, {"curves": (), "started_wall_ns": rapl_record(3).started_wall_ns + day})
    whole = footprint_of([one, blind], Sought(zone="FR"))
    assert whole.energy is None
    assert whole.carbon is None


def test_models_are_groups_and_shared_tags_are_facts() -> None:
    day = 86_400 * 10**9
    start = rapl_record(3).started_wall_ns
    runs = views(
        {"tags": {"model": "a", "stage": "inference"}},
        {"tags": {"model": "b", "stage": "inference"}, "started_wall_ns": start + day},
    )
    whole = footprint_of(runs, Sought(), {"task": "chat"})
    assert whole.facts == {"stage": "inference", "task": "chat"}
    assert [group.facts["model"] for group in whole.groups] == ["a", "b"]


def test_facts_that_no_format_asks_for_are_refused() -> None:
    with pytest.raises(ConfigError, match="no format asks for colour"):
        disclose(views({}), "md", facts={"colour": "red"})
    assert disclose(views({})[0], "json", zone="FR").ending == "json"


def test_the_making_goes_into_the_score() -> None:
    day = 86_400 * 10**9
    runs = views({}, {"started_wall_ns": rapl_record(3).started_wall_ns + day})
    costs = Costs(making=1500.0, lifetime=5, wue=1.8, price=0.3, currency="EUR")
    whole = footprint_of(runs, Sought(zone="FR", costs=costs), {"units": "10"}, "samples")
    seconds = sum(view.record.duration_s for view in runs)
    assert whole.embodied is not None
    assert whole.embodied.value == pytest.approx(1500e3 * seconds / (5 * 365.25 * 86_400))
    assert score_of(whole) is not None
    assert set(whole.stages) == {"water", "making of the hardware", "electricity"}
    assert whole.energy is not None
    assert whole.stages["water"].value == pytest.approx(whole.energy.value / 3.6e6 * 1.8)


def test_no_run_is_said() -> None:
    with pytest.raises(ConfigError, match="no run fits"):
        footprint_of([], Sought())


def test_counts_are_those_of_the_outermost_spans() -> None:
    record = rapl_record(3)
    assert counts_of(record.spans) is not None
