"""Stamps in the order of a log, across the hour that comes twice and the one that never comes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.store.importing.reading import UnreadableCell
from wattmark.store.importing.stamps import in_order, local_zone, moment

BERLIN = ZoneInfo("Europe/Berlin")
SYDNEY = ZoneInfo("Australia/Sydney")


def wall(start_utc: datetime, seconds, zone) -> list[str]:
    """What a logger on a wall clock in ``zone`` writes."""
    return [
        (start_utc + timedelta(seconds=s)).astimezone(zone).strftime("%Y/%m/%d %H:%M:%S.000") for s in seconds
    ]


@pytest.mark.parametrize(
    "zone", [BERLIN, SYDNEY, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")]
)
@pytest.mark.parametrize("step_s", [1, 7, 60, 600, 2700])
@pytest.mark.parametrize("year", [2023, 2024])
def test_a_log_across_any_change_of_the_clock_keeps_its_length(zone, step_s, year):
    for month in (3, 4, 10, 11):
        for day in range(1, 32):
            try:
                noon = datetime(year, month, day, 12, tzinfo=timezone.utc)
            except ValueError:
                continue
            if noon.astimezone(zone).utcoffset() == (noon - timedelta(days=1)).astimezone(zone).utcoffset():
                continue
            begin = noon - timedelta(hours=24)
            seconds = range(0, 86_400, step_s)
            if step_s < 60:
                seconds = range(0, 86_400, step_s * 60) if step_s == 1 else range(0, 86_400, 420)
            stamps = in_order([moment(text, zone) for text in wall(begin, seconds, zone)])
            assert [(ns - stamps[0]) // 10**9 for ns in stamps] == list(seconds)


def test_a_log_that_begins_within_the_second_hour_is_dated_by_what_follows():
    begin = datetime(2024, 10, 27, 1, 30, tzinfo=timezone.utc)  # 02:30 for the second time
    stamps = in_order([moment(text, BERLIN) for text in wall(begin, range(0, 3600, 10), BERLIN)])
    assert stamps[0] == int(begin.timestamp()) * 10**9
    assert stamps[-1] - stamps[0] == 3590 * 10**9


def test_gpus_whose_lines_lie_milliseconds_apart_stay_in_the_same_hour():
    begin = datetime(2024, 10, 27, 0, 59, 58, tzinfo=timezone.utc)
    texts = []
    for second in range(6):
        for jitter in (0.020, 0.018):
            local = (begin + timedelta(seconds=second + jitter)).astimezone(BERLIN)
            texts.append(local.strftime("%Y/%m/%d %H:%M:%S.%f"))
    stamps = in_order([moment(text, BERLIN) for text in texts])
    assert [round((ns / 1e9 - begin.timestamp()), 3) for ns in stamps[::2]] == [s + 0.02 for s in range(6)]


@given(st.integers(946_684_800, 4_000_000_000), st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_stamps_that_count_from_the_epoch_are_read_in_any_unit(seconds, scale):
    assert moment(str(seconds * scale), BERLIN).ns == seconds * 10**9


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00", "9999/12/31 23:59:59.999", "2024-02-30 00:00:00", "2024-01-01 25:00:00",
     "now", "", "12", "1" * 31],
)  # fmt: skip
def test_other_texts_and_years_are_refused(text):
    with pytest.raises(UnreadableCell):
        moment(text, BERLIN)


def test_the_local_zone_has_its_summer_times(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    summer, winter = (datetime(2024, month, 1, tzinfo=local_zone()).utcoffset() for month in (7, 1))
    assert (summer, winter) == (timedelta(hours=2), timedelta(hours=1))
    monkeypatch.setenv("TZ", "Nowhere/Atall")
    assert local_zone() is not None
