"""What publishers are known to do, each on a server that does it (docs/science/carbon-over-time.md has the list)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import intensities as shapes
from wattmark.errors import ConfigError, ProviderError, WattmarkError
from wattmark.impact.providers import Cache, Question, Reading, intensity, provider_of
from wattmark.impact.providers import web as web_module
from wattmark.impact.providers.carbon_aware import CarbonAware
from wattmark.impact.providers.electricity_maps import ElectricityMaps
from wattmark.impact.providers.entsoe import AREAS, Entsoe, area_of
from wattmark.impact.providers.keys import Secret
from wattmark.impact.providers.proxy import Proxy
from wattmark.impact.providers.uk import UkCarbonIntensity, region_of
from wattmark.impact.providers.watttime import WattTime
from wattmark.impact.providers.web import Reply, Web
from wattmark.testing.carbon import Asked, IntensityServer, Said
from wattmark.testing.carbon.provider_contract import HOUR_S, NOW_S

KEY = Secret("k")
QUICK = Web(timeout_s=2.0, deadline_s=4.0, tries=2, pause_s=0.01)
SIX: Sequence[float | None] = (100, 200, 300, 400, 500, 600)


def between(first: float, last: float, zone: str = "DE") -> Question:
    return Question(zone, NOW_S + first * HOUR_S, NOW_S + last * HOUR_S, None, NOW_S)


def at(readings: Sequence[Reading], hour: float) -> Reading:
    moment = NOW_S + hour * HOUR_S
    return next(reading for reading in readings if reading.start_s <= moment < reading.end_s)


class TestElectricityMaps:
    def test_it_may_not_fall_back_to_the_place_of_our_address(self) -> None:
        with IntensityServer(lambda asked: shapes.electricity_maps(asked, SIX)) as server:
            ElectricityMaps(server.url, KEY, QUICK).ask(between(-6, 0))
        assert all(asked.query["shouldUseFallbackCallerLookup"] == "false" for asked in server.asked)
        assert all(asked.query["zone"] == "DE" for asked in server.asked)
        assert all(asked.headers["auth-token"] == "k" for asked in server.asked)

    def test_an_answer_for_another_zone_is_none(self) -> None:
        with (
            IntensityServer(lambda asked: shapes.electricity_maps(asked, SIX, zone="FR")) as server,
            pytest.raises(ProviderError, match="answered for 'FR' instead of DE"),
        ):
            ElectricityMaps(server.url, KEY, QUICK).ask(between(-6, 0))

    def test_a_short_run_takes_the_latest_and_then_the_forecast(self) -> None:
        with IntensityServer(lambda asked: shapes.electricity_maps(asked, SIX)) as server:
            readings = ElectricityMaps(server.url, KEY, QUICK).ask(between(-0.5, 3)).readings
        now, later = at(readings, 0.2), at(readings, 2.5)
        assert (now.g_per_kwh, now.estimated, now.forecast) == (77, True, False)
        assert (later.g_per_kwh, later.forecast) == (62, True)
        series = intensity(_given(readings), between(-0.5, 3))
        assert series.estimated == 3

    def test_the_free_tier_has_a_day_and_says_so(self) -> None:
        def answer(asked: Asked) -> Said:
            if asked.path.endswith(("past-range", "forecast")):
                return Said(403, {"status": "error", "message": "not in your plan"})
            return shapes.electricity_maps(asked, SIX)

        with IntensityServer(answer) as server:
            maps = ElectricityMaps(server.url, KEY, QUICK)
            recent = maps.ask(between(-6, 3))
            assert any("no forecast" in note for note in recent.notes)
            assert any(reading.g_per_kwh == 77 for reading in recent.readings)
            with pytest.raises(ProviderError, match="24 hours back"):
                maps.ask(between(-48, -40))
        assert "not commercial" in maps.terms.notice

    def test_a_run_that_began_before_the_free_tiers_day_takes_what_there_is(self) -> None:
        def answer(asked: Asked) -> Said:
            if asked.path.endswith("past-range"):
                return Said(401, {"error": "not in your plan"})
            return shapes.electricity_maps(asked, SIX)

        with IntensityServer(answer) as server:
            answered = ElectricityMaps(server.url, KEY, QUICK).ask(between(-30, -1))
        assert at(answered.readings, -5.5).g_per_kwh == 100
        assert any("last 24 hours is used" in note for note in answered.notes)

    def test_a_sandboxs_values_are_told_as_such(self) -> None:
        def answer(asked: Asked) -> Said:
            said = shapes.electricity_maps(asked, SIX)
            assert isinstance(said.json, dict)
            return Said(json={**said.json, "_disclaimer": "This data is\nfor testing only"})

        with IntensityServer(answer) as server:
            answered = ElectricityMaps(server.url, KEY, QUICK).ask(between(-6, -1))
        assert answered.notes == ("Electricity Maps says of these values: This data is for testing only",)

    def test_long_stretches_are_asked_for_in_parts(self) -> None:
        with IntensityServer(lambda asked: shapes.electricity_maps(asked, SIX)) as server:
            ElectricityMaps(server.url, KEY, QUICK).ask(between(-25 * 24, -1))
        ranges = [asked.query for asked in server.asked if asked.path.endswith("past-range")]
        assert len(ranges) == 3
        assert [row["end"] for row in ranges[:-1]] == [row["start"] for row in ranges[1:]]

    def test_cloud_regions_are_asked_for_as_such(self) -> None:
        with IntensityServer(lambda asked: shapes.electricity_maps(asked, SIX, zone="BE")) as server:
            ElectricityMaps(server.url, KEY, QUICK).ask(between(-6, 0, "gcp:europe-west1"))
        assert server.asked[0].query["dataCenterProvider"] == "gcp"
        assert server.asked[0].query["dataCenterRegion"] == "europe-west1"

    def test_v3_is_there_as_legacy(self) -> None:
        assert provider_of("electricitymaps").place.startswith("https://api.electricitymaps.com/v4")
        assert provider_of("electricitymaps-v3").place.startswith("https://api.electricitymaps.com/v3")


class TestWattTime:
    def test_pounds_become_grams_and_the_signal_is_marginal(self) -> None:
        with IntensityServer(lambda asked: shapes.watttime(asked, (453.59237,) * 6)) as server:
            answer = WattTime(server.url, KEY, KEY, QUICK).ask(between(-6, 0, "CAISO_NORTH"))
        assert answer.signal == "marginal"
        assert answer.readings[0].g_per_kwh == pytest.approx(453.59237)
        assert server.asked[1].query["signal_type"] == "co2_moer"

    def test_another_unit_signal_or_region_is_refused(self) -> None:
        for change in ({"units": "kg_co2_per_mwh"}, {"region": "PJM"}):
            with (
                IntensityServer(lambda asked, change=change: shapes.watttime(asked, SIX, **change)) as server,
                pytest.raises(ProviderError, match="not"),
            ):
                WattTime(server.url, KEY, KEY, QUICK).ask(between(-6, 0, "CAISO_NORTH"))

        def average(asked: Asked) -> Said:
            return shapes.watttime(Asked(asked.path, {**asked.query, "signal_type": "co2_aoer"}, {}), SIX)

        with IntensityServer(average) as server, pytest.raises(ProviderError, match="co2_aoer"):
            WattTime(server.url, KEY, KEY, QUICK).ask(between(-6, 0, "CAISO_NORTH"))

    def test_one_token_serves_for_half_an_hour_and_a_dead_one_is_renewed(self) -> None:
        refused = [False]

        def answer(asked: Asked) -> Said:
            if asked.path != "/login" and refused[0]:
                refused[0] = False
                return Said(401, {"detail": "Signature has expired"})
            return shapes.watttime(asked, SIX)

        now = [0.0]
        with IntensityServer(answer) as server:
            there = WattTime(server.url, KEY, KEY, QUICK, clock=lambda: now[0])

            def logins() -> int:
                there.ask(between(-6, 0, "CAISO_NORTH"))
                return sum(asked.path == "/login" for asked in server.asked)

            assert logins() == 1
            now[0] = 20 * 60
            assert logins() == 1
            now[0] = 31 * 60
            assert logins() == 2
            refused[0] = True
            assert logins() == 3
        login = next(asked for asked in server.asked if asked.path == "/login")
        assert login.headers["authorization"] == "Basic azpr"

    def test_too_many_requests_are_waited_for(self) -> None:
        slept: list[float] = []
        busy = [Said(429, headers={"Retry-After": "1.5"})]
        patient = Web(timeout_s=2.0, deadline_s=60.0, tries=3, sleep=slept.append)
        with IntensityServer(lambda asked: busy.pop() if busy else shapes.watttime(asked, SIX)) as server:
            WattTime(server.url, KEY, KEY, patient).ask(between(-6, 0, "CAISO_NORTH"))
        assert slept == [1.5]

    def test_five_minutes_late_data_are_filled_by_the_forecast(self) -> None:
        with IntensityServer(lambda asked: shapes.watttime(asked, SIX)) as server:
            readings = WattTime(server.url, KEY, KEY, QUICK).ask(between(-1, 0.5, "CAISO_NORTH")).readings
        assert at(readings, 0.2).forecast
        assert not at(readings, -0.2).forecast


class TestUk:
    def test_stamps_have_minutes_only_and_actual_may_be_null(self) -> None:
        def answer(asked: Asked) -> Said:
            rows = [
                {
                    "from": "2026-08-01T11:00Z",
                    "to": "2026-08-01T11:30Z",
                    "intensity": {"forecast": 190, "actual": 200},
                },
                {
                    "from": "2026-08-01T11:30Z",
                    "to": "2026-08-01T12:00Z",
                    "intensity": {"forecast": 210, "actual": None},
                },
            ]
            return Said(json={"data": rows})

        with IntensityServer(answer) as server:
            series = intensity(UkCarbonIntensity(server.url, QUICK), between(-1, 0, "GB"))
        assert server.asked[0].path == "/intensity/2026-08-01T11:00Z/2026-08-01T12:00Z"
        assert series.values == (200, 210)
        assert series.unsettled == (False, True)
        assert "CC BY 4.0" in series.notes[0]

    def test_regions_have_forecasts_only(self) -> None:
        def answer(asked: Asked) -> Said:
            half = {"from": "2026-08-01T11:00Z", "to": "2026-08-01T11:30Z", "intensity": {"forecast": 90}}
            return Said(json={"data": {"regionid": 13, "shortname": "London", "data": [half]}})

        with IntensityServer(answer) as server:
            answered = UkCarbonIntensity(server.url, QUICK).ask(between(-1, -0.5, "London"))
        assert server.asked[0].path.endswith("/regionid/13")
        assert answered.readings[0].forecast
        assert "forecasts only" in answered.notes[0]
        assert region_of("GB-13") == region_of("13") == 13
        with pytest.raises(ConfigError):
            region_of("Narnia")

    def test_longer_than_it_answers_at_once_is_asked_for_in_parts(self) -> None:
        with IntensityServer(lambda asked: shapes.uk(asked, SIX)) as server:
            UkCarbonIntensity(server.url, QUICK).ask(between(-24 * 30, 0, "GB"))
        assert len(server.asked) == 3


class TestEntsoe:
    def ask(self, said: Said, first: float = -6, last: float = 0) -> Sequence[Reading]:
        with IntensityServer(lambda _: said) as server:
            answer = Entsoe(server.url, KEY, QUICK).ask(between(first, last, "FR"))
        return answer.readings

    def test_no_matching_data_comes_with_status_200(self) -> None:
        with pytest.raises(ProviderError, match="No matching data found"):
            self.ask(shapes.acknowledgement())

    def test_curve_type_a03_leaves_repeated_points_out(self) -> None:
        coal = shapes.series("B05", [(1, 10.0), (4, 30.0)], curve="A03")
        wind = shapes.series("B19", [(1, 10.0)], curve="A03")
        readings = self.ask(shapes.market(coal, wind))
        even, more = (820 + 11) / 2, (3 * 820 + 11) / 4
        told = [at(readings, hour).g_per_kwh for hour in (-5.5, -4.5, -3.5, -2.5, -1.5, -0.5)]
        assert told == pytest.approx([even] * 3 + [more] * 3)

    def test_in_a01_what_is_left_out_is_a_hole(self) -> None:
        readings = self.ask(shapes.market(shapes.series("B14", [(1, 10.0), (3, 10.0)])))
        assert [(reading.start_s - NOW_S) / HOUR_S for reading in readings] == [-6, -4]

    def test_a_part_without_data_is_a_hole_and_the_rest_stands(self) -> None:
        wind = shapes.market(shapes.series("B19", [(place, 50.0) for place in range(1, 7)]))
        said = [wind, shapes.acknowledgement()]
        with IntensityServer(lambda _: said.pop()) as server:
            answer = Entsoe(server.url, KEY, QUICK).ask(between(-24 * 40, 0, "FR"))
        assert at(answer.readings, -1).g_per_kwh == 11

    def test_a_mix_in_which_a_large_type_is_not_there_yet_is_a_hole(self) -> None:
        """Gas an hour later than wind: the grid of that hour would look clean."""
        wind = shapes.series("B19", [(place, 50.0) for place in range(1, 7)])
        gas = shapes.series("B04", [(place, 50.0) for place in range(1, 6)])
        sun = shapes.series("B16", [(place, 20.0) for place in range(1, 4)])
        readings = self.ask(shapes.market(wind, gas, sun))
        assert at(readings, -1.5).g_per_kwh == pytest.approx((490 + 11) / 2)
        assert at(readings, -0.5).g_per_kwh is None

    def test_quarters_of_hours_and_hours_are_cut_at_all_edges(self) -> None:
        quarters = shapes.series(
            "B16", [(place, 100.0 * (place % 2)) for place in range(1, 25)], step="PT15M"
        )
        hours = shapes.series("B05", [(place, 100.0) for place in range(1, 7)])
        readings = self.ask(shapes.market(quarters, hours))
        assert len(readings) == 24
        assert [reading.g_per_kwh for reading in readings[:2]] == pytest.approx([(820 + 48) / 2, 820])

    def test_what_pumps_consume_is_no_generation(self) -> None:
        wind = shapes.series("B19", [(place, 50.0) for place in range(1, 7)])
        pumps = shapes.series("B10", [(place, 500.0) for place in range(1, 7)], side="out")
        assert self.ask(shapes.market(wind, pumps))[0].g_per_kwh == 11

    def test_types_without_a_factor_are_left_out_and_told(self) -> None:
        wind, waste = (
            shapes.series(kind, [(place, 50.0) for place in range(1, 7)]) for kind in ("B19", "B17")
        )
        with IntensityServer(lambda _: shapes.market(wind, waste)) as server:
            answer = Entsoe(server.url, KEY, QUICK).ask(between(-6, 0, "FR"))
        assert answer.readings[0].g_per_kwh == 11
        assert any("50.0%" in note for note in answer.notes)
        assert any("imports are not in it" in note for note in answer.notes)
        assert answer.factor is not None
        assert answer.factor > 1.3

    def test_a_document_that_would_grow_is_not_parsed(self) -> None:
        bomb = b"<?xml version='1.0'?><!DOCTYPE b [<!ENTITY a 'aaaa'>]><GL_MarketDocument>&a;</GL_MarketDocument>"
        with pytest.raises(ProviderError, match="another kind"):
            self.ask(Said(body=bomb))

    def test_codes_of_areas_have_their_check_characters(self) -> None:
        """The last of 16 characters checks the others (ENTSO-E, EIC reference manual, check character)."""
        letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
        for zone, code in AREAS.items():
            total = sum(letters.index(letter) * (16 - place) for place, letter in enumerate(code[:15]))
            assert letters[36 - (total - 1) % 37] == code[15], zone
        assert area_of("10YFR-RTE------C") == AREAS["FR"]
        with pytest.raises(ConfigError):
            area_of("US")


class TestCarbonAwareAndProxy:
    def test_the_sdk_does_not_tell_its_signal_so_the_user_must(self) -> None:
        with pytest.raises(ConfigError, match="average or marginal"):
            CarbonAware("http://127.0.0.1:9", QUICK).ask(between(-6, 0))

    def test_a_proxy_must_tell_signal_zone_and_unit(self) -> None:
        for key, value in (("signal", None), ("signal", "both"), ("unit", "lb/MWh"), ("zone", "FR")):

            def answer(asked: Asked, key: str = key, value: str | None = value) -> Said:
                said = shapes.proxy(asked, SIX)
                assert isinstance(said.json, dict)
                return Said(json={**said.json, key: value})

            with IntensityServer(answer) as server, pytest.raises(ProviderError):
                Proxy(server.url, None, QUICK).ask(between(-6, 0))


class TestNetwork:
    def test_no_key_goes_over_an_open_line(self) -> None:
        with pytest.raises(ConfigError, match="unencrypted"):
            ElectricityMaps("http://maps.example.org/v4", KEY, QUICK).ask(between(-6, 0))
        for address in (
            "ftp://x",
            "http://",
            "file:///etc/passwd",
            "http://u:p@x/",
            "http://x\n/",
            "http://x:no/",
        ):
            with pytest.raises(ConfigError):
                provider_of(f"proxy={address}")

    def test_redirects_are_not_followed(self) -> None:
        with IntensityServer(lambda asked: Said(json=[])) as other:
            moved = Said(302, headers={"Location": f"{other.url}/there"})
            with IntensityServer(lambda _: moved) as server, pytest.raises(ProviderError, match="302"):
                Proxy(server.url, KEY, QUICK).ask(between(-6, 0))
            assert not other.asked

    def test_a_key_is_asked_for_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("ELECTRICITYMAPS_API_KEY", "ELECTRICITY_MAPS_API_KEY", "EMAPS_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(ConfigError) as error:
            provider_of("electricitymaps").ask(between(-6, 0))
        assert "ELECTRICITYMAPS_API_KEY" in str(error.value.hint)
        monkeypatch.setenv("ELECTRICITYMAPS_API_KEY", "a\nb")
        with pytest.raises(ConfigError, match="letters"):
            provider_of("electricitymaps").ask(between(-6, 0))

    def test_pauses_double_and_scatter(self) -> None:
        slept: list[float] = []
        patient = Web(
            timeout_s=1, deadline_s=100, tries=4, pause_s=1.0, sleep=slept.append, chance=lambda: 0.5
        )
        with IntensityServer(lambda _: Said(503)) as server, pytest.raises(ProviderError, match="503"):
            patient.get("it", server.url)
        assert slept == [1.0, 2.0, 4.0]

    def test_a_wait_longer_than_the_time_left_is_not_waited(self) -> None:
        slept: list[float] = []
        patient = Web(timeout_s=1, deadline_s=5, tries=4, sleep=slept.append)
        busy = Said(429, headers={"Retry-After": "3600"})
        with IntensityServer(lambda _: busy) as server, pytest.raises(ProviderError):
            patient.get("it", server.url)
        assert slept == []

    def test_unknown_providers_are_refused(self) -> None:
        with pytest.raises(ConfigError) as error:
            provider_of("electricitmaps")
        assert error.value.hint == "did you mean electricitymaps?"
        with pytest.raises(ConfigError, match="where is carbon-aware"):
            provider_of("carbon-aware")


FIELDS = (
    "data", "history", "forecast", "zone", "carbonIntensity", "datetime", "point_time", "value", "meta", "units",
    "signal_type",
    "region", "from", "to", "intensity", "actual", "time", "rating", "duration", "timestamp", "forecastData", "points",
    "start",
    "end", "g_per_kwh", "signal", "unit", "token",
)  # fmt: skip
TAGS = (
    "TimeSeries", "Period", "Point", "position", "quantity", "timeInterval", "start", "end", "resolution", "MktPSRType",
    "psrType", "curveType", "Reason", "text",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["2026-08-01T10:00Z", "DE", "co2_moer", "lbs_co2_per_mwh", "average", "g/kWh", "PT15M"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(FIELDS),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip
XML = st.recursive(
    st.sampled_from(
        ["", "1", "x", "2026-08-01T10:00Z", "2026-08-02T10:00Z", "PT15M", "A03", "B05", "-4.5", "1e9"]
    ),
    lambda inner: st.lists(
        st.tuples(
            st.sampled_from(TAGS),
            inner,
        ),
        max_size=5,
    ).map(lambda parts: "".join(f"<{tag}>{inside}</{tag}>" for tag, inside in parts)),
    max_leaves=30,
)


class Scripted(Web):
    """A web whose every answer is the same, without a network."""

    body = b""

    def get(
        self, who: object, url: object, params: object = None, headers: object = None, *, secret: bool = False
    ) -> Reply:
        return Reply(200, {}, Scripted.body)


def everybody() -> list[tuple[object, str]]:
    web = Scripted()
    return [
        (ElectricityMaps("http://127.0.0.1", KEY, web), "DE"),
        (WattTime("http://127.0.0.1", KEY, KEY, web), "DE"),
        (UkCarbonIntensity("http://127.0.0.1", web), "GB"),
        (UkCarbonIntensity("http://127.0.0.1", web), "London"),
        (Entsoe("http://127.0.0.1", KEY, web), "FR"),
        (Proxy("http://127.0.0.1", KEY, web), "DE"),
        (CarbonAware("http://127.0.0.1", web), "DE"),
    ]


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(JSON | st.binary(max_size=40), XML)
def test_no_answer_raises_anything_but_our_errors(data: object, xml: str) -> None:
    import json

    bodies = [data] if isinstance(data, bytes) else [json.dumps(data).encode()]
    bodies.append(f"<GL_MarketDocument>{xml}</GL_MarketDocument>".encode())
    for body in bodies:
        Scripted.body = body
        for provider, zone in everybody():
            signal = "average" if isinstance(provider, CarbonAware) else None
            question = Question(zone, NOW_S - 6 * HOUR_S, NOW_S + HOUR_S, signal, NOW_S)
            try:
                series = intensity(provider, question)  # pyright: ignore[reportArgumentType]
            except WattmarkError:
                continue
            assert all(after > before for before, after in zip(series.starts, series.ends, strict=True))


def _given(readings: Sequence[Reading]) -> object:
    class Given:
        name, signals, place = "given", ("average",), ""
        terms = ElectricityMaps().terms

        def ask(self, question: Question) -> object:
            from wattmark.impact.providers import Answer

            return Answer(tuple(readings), question.zone, "average")

    return Given()


def test_the_time_limits_hold_while_names_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    ended = threading.Event()

    def hangs(*_: object) -> str:
        ended.wait(30)
        return ""

    monkeypatch.setattr(web_module, "_once", hangs)
    with pytest.raises(ProviderError, match="nothing within"):
        Web(timeout_s=0.05, deadline_s=0.1, tries=1).get("it", "http://127.0.0.1")
    ended.set()


def test_an_answer_is_kept_no_longer_than_its_terms_allow(tmp_path: Path) -> None:
    with IntensityServer(lambda asked: shapes.electricity_maps(asked, SIX)) as server:
        maps = ElectricityMaps(server.url, KEY, QUICK)
        early = Question("DE", NOW_S - 6 * HOUR_S, NOW_S - 2 * HOUR_S, None, NOW_S)
        intensity(maps, early, cache=Cache(tmp_path))
    later = replace(early, now_s=NOW_S + 2 * 86_400)
    with pytest.raises(ProviderError):
        intensity(maps, later, cache=Cache(tmp_path), offline=True)
    assert intensity(maps, later, cache=Cache(tmp_path, keep_days=365), offline=True).values[0] == 100
