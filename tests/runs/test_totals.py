"""Sums over runs: no joule twice, intervals end to end, what is not known said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.runs.totals import RunLine, add_up, pieces

NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)


def run(
    run_id: str, energy: float | None = 100.0, start_s: float = 0.0, length_s: float = 10.0, **changes
) -> RunLine:
    quantity = (
        None if energy is None else Quantity(energy, energy * 0.9, energy * 1.2, error="scale/node1/cpu")
    )
    values = {
        "run_id": run_id,
        "name": run_id,
        "host": "node1",
        "parent_id": None,
        "started_at": NOON + timedelta(seconds=start_s),
        "duration_s": length_s,
        "tags": {},
        "energy": quantity,
        "measured": quantity,
    }
    return RunLine(**{**values, **changes})


def ends(amount):
    return (amount.value, amount.low, amount.high)


def test_values_and_both_ends_are_added():
    total = add_up([run("a", 100), run("b", 50, start_s=20)]).all
    assert ends(total.energy) == pytest.approx((150, 135, 180))
    assert (total.runs, total.unknown, total.overlapping, total.duration_s) == (2, 0, 0, 20)


def test_runs_without_joules_are_counted_and_not_taken_for_zero():
    total = add_up([run("a", None), run("b", 50, start_s=20)]).all
    assert (total.runs, total.unknown) == (2, 1)
    assert total.energy.value == 50
    assert add_up([run("a", None)]).all.energy is None


def test_a_run_inside_another_is_not_added_again():
    total = add_up([run("a", 100), run("b", 60, start_s=2, length_s=5, parent_id="a")]).all
    assert total.energy.value == pytest.approx(100)
    alone = add_up([run("b", 60, parent_id="a")]).all
    assert alone.energy.value == pytest.approx(60)


def test_the_time_that_runs_of_one_machine_share_is_added_once():
    # ten seconds each at 10 W, the second five seconds later: fifteen seconds at 10 W
    total = add_up([run("a", 100), run("b", 100, start_s=5)]).all
    assert total.energy.value == pytest.approx(150)
    assert total.overlapping == 2
    elsewhere = add_up([run("a", 100), run("b", 100, start_s=5, host="node2")]).all
    assert elsewhere.energy.value == pytest.approx(200)
    unknown = add_up([run("a", 100, host=""), run("b", 100, host="")]).all
    assert unknown.energy.value == pytest.approx(200)


def test_shares_of_many_runs_at_once_cover_the_time_once():
    runs = [run(f"r{n}", start_s=n, length_s=20) for n in range(10)]
    found = pieces(runs)
    covered = sum(piece.share * 20 for own in found.values() for piece in own)
    assert covered == pytest.approx(29)


def test_groups_are_the_largest_first_and_runs_without_the_tag_are_a_group():
    runs = [
        run("a", 10, tags={"project": "x"}),
        run("b", 70, start_s=20),
        run("c", 20, start_s=40, tags={"project": "y"}),
    ]
    groups = add_up(runs, "project").groups
    assert [(group.key, group.sum.energy.value) for group in groups] == [(None, 70), ("y", 20), ("x", 10)]
    assert [group.key for group in add_up(runs, "host").groups] == ["node1"]
    assert {group.key for group in add_up(runs, "tag:project").groups} == {None, "x", "y"}
    assert {group.key for group in add_up(runs, "name").groups} == {"a", "b", "c"}


def test_a_run_over_midnight_is_divided_between_the_days_of_the_zone():
    night = run("a", 100, start_s=11 * 3600, length_s=4 * 3600)  # 23:00 to 03:00 UTC
    days = {part.start.isoformat(): part.energy.value for part in add_up([night], period="day").slices}
    assert days == pytest.approx({"2026-03-04": 25, "2026-03-05": 75})
    paris = add_up([night], period="day", zone=ZoneInfo("Europe/Paris")).slices
    assert [(part.start.isoformat(), part.energy.value) for part in paris] == [
        ("2026-03-05", pytest.approx(100))
    ]
    assert [part.start.isoformat() for part in add_up([night], period="week").slices] == ["2026-03-02"]
    assert [part.start.isoformat() for part in add_up([night], period="month").slices] == ["2026-03-01"]


def test_a_run_of_no_length_and_one_of_absurd_length_are_added_whole():
    assert add_up([run("a", 5, length_s=0)], period="day").slices[0].energy.value == 5
    assert len(add_up([run("a", 5, length_s=1e12)], period="day").slices) == 1


@given(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(0, 500), st.floats(1, 500), st.sampled_from(["a", "b"])),
        max_size=12,
    ),
    st.sampled_from(["host", "name", "day"]),
)
def test_groups_and_days_come_to_the_whole_with_both_ends(drawn, by):
    runs = [
        run(f"r{n}", energy, start, length, host=host)
        for n, (energy, start, length, host) in enumerate(drawn)
    ]
    totals = add_up(runs, by, "day")
    for parts in ([group.sum.energy for group in totals.groups], [part.energy for part in totals.slices]):
        for end in ("value", "low", "high"):
            whole = getattr(totals.all.energy, end) if totals.all.energy else 0.0
            assert sum(getattr(part, end) for part in parts) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize(("by", "period"), [("colour", None), ("tag:", None), ("host", "year")])
def test_what_cannot_be_grouped_by_is_said(by: str, period):
    with pytest.raises(ConfigError):
        add_up([], by, period)


def test_what_is_a_process_trees_own_is_not_shared_with_those_that_ran_beside_it() -> None:
    found = add_up([run("a", 30.0, own=True), run("b", 20.0, own=True), run("c", 100.0)], "name")
    sums = {group.key: group.sum for group in found.groups}
    assert sums["a"].energy is not None
    assert sums["a"].energy.value == pytest.approx(30.0)
    assert sums["c"].energy is not None
    assert sums["c"].energy.value == pytest.approx(100 / 3)  # the machine's, of which two others had a part
    assert (found.all.trees, found.all.overlapping) == (2, 1)
    assert any("process tree" in rule for rule in found.rules)
