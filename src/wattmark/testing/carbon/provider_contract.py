"""The contract of a provider of carbon intensity as tests: subclass :class:`CarbonProviderContract` in a pytest file and
run it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from wattmark.errors import ConfigError, ProviderError, WattmarkError
from wattmark.impact.providers import Cache, CarbonProvider, Question, intensity
from wattmark.impact.providers.web import Web
from wattmark.impact.series import Signal
from wattmark.testing.carbon.intensity_server import Asked, IntensityServer, Said

HOUR_S = 3600.0
NOW_S = 1_785_585_600.0
"""2026-08-01T12:00Z: the time at which the tests ask."""
KEY = "sesame-9f2c"
"""The key that the provider of :meth:`CarbonProviderContract.provider` should be given, where it wants one."""
GARBAGE: Sequence[bytes] = (
    b"", b"{", b"null", b"[]", b"{}", b"[[]]", b'"words"', b"7", b"<html>a login page</html>", b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"data": 7}', b'{"data": [7]}', b'{"data": [{}]}', b'{"history": [{"datetime": 5, "carbonIntensity": "x"}]}',
    b'{"data": [{"from": "soon", "to": "later", "intensity": {"actual": true}}], "meta": []}',
    b'[{"time": "2026-08-01T10:00:00Z", "rating": 1e400, "duration": -1}]', b"<?xml version='1.0'?><!DOCTYPE a []><a/>",
    b"<GL_MarketDocument><TimeSeries><Period/></TimeSeries></GL_MarketDocument>", b'{"token": "a\\nb"}',
)  # fmt: skip


class CarbonProviderContract:
    """What every provider promises. The hooks say how to try it."""

    def provider(self, url: str, web: Web) -> CarbonProvider:
        """The provider, asking the server at ``url`` by ``web``, with :data:`KEY` as its key."""
        raise NotImplementedError

    def zone(self) -> str:
        """A place that it has."""
        raise NotImplementedError

    def signal(self) -> Signal | None:
        """The signal that is asked for, None for its usual one."""
        return None

    def unknown_zone(self) -> str:
        """A place that it does not have."""
        return "XX-NOWHERE"

    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        """What its publisher would answer, at :data:`NOW_S`, of a place whose intensity was ``values[n]`` g/kWh in the
        n-th hour from six hours before; null where None."""
        raise NotImplementedError

    def refusal(self, asked: Asked) -> Said:
        """What its publisher answers of a place that it does not have."""
        return Said(404, {"message": "no such zone"})

    tolerance = 1e-6
    """How far its values may be from those that were told, relative."""

    # promises

    def test_it_answers_in_grams_per_kilowatt_hour_of_utc(self) -> None:
        """Each hour has its value; the pieces lie end to end."""
        values = (100.0, 250.5, 12.0, 400.0, 30.0, 320.0)
        with IntensityServer(lambda asked: self.answer(asked, values)) as server:
            answer = self._provider(server).ask(self._question(-6, 0))
        readings = [reading for reading in answer.readings if reading.start_s < NOW_S]
        assert all(a.end_s <= b.start_s + 1e-6 for a, b in pairwise(readings))
        for hour, value in enumerate(values):
            start = NOW_S + (hour - 6) * HOUR_S
            told = [
                reading.g_per_kwh
                for reading in readings
                if start <= reading.start_s < start + HOUR_S and reading.g_per_kwh is not None
            ]
            assert told == pytest.approx([value] * len(told), rel=self.tolerance)
            assert told, f"nothing of hour {hour}"

    def test_what_is_null_is_a_hole_and_no_zero(self) -> None:
        """A missing value is missing."""
        with IntensityServer(
            lambda asked: self.answer(asked, (100.0, None, 300.0, 300.0, 300.0, 300.0))
        ) as server:
            series = intensity(self._provider(server), self._question(-6, 0))
        assert series.mean(NOW_S - 5 * HOUR_S, NOW_S - 4 * HOUR_S) is None
        assert series.mean(NOW_S - 6 * HOUR_S, NOW_S - 5 * HOUR_S) == pytest.approx(100.0, rel=self.tolerance)

    def test_the_answer_says_what_it_is(self) -> None:
        """Zone, signal and terms; and no other signal than it has."""
        with IntensityServer(lambda asked: self.answer(asked, (12.0,) * 6)) as server:
            provider = self._provider(server)
            answer = provider.ask(self._question(-6, 0))
            assert answer.zone == self.zone()
            assert answer.signal in provider.signals
            assert provider.terms.title
            assert provider.terms.licence
            both: tuple[Signal, ...] = ("average", "marginal")
            for other in both:
                if other not in provider.signals:
                    with pytest.raises(ConfigError):
                        provider.ask(self._question(-6, 0, other))

    def test_a_place_that_it_does_not_have_is_refused_in_words(self) -> None:
        """Never the value of another place."""
        with IntensityServer(self.refusal) as server:
            question = Question(self.unknown_zone(), NOW_S - 6 * HOUR_S, NOW_S, self.signal(), NOW_S)
            with pytest.raises((ProviderError, ConfigError)) as error:
                self._provider(server).ask(question)
        assert str(error.value)

    def test_a_server_that_hangs_is_left(self) -> None:
        """In time, whether it says nothing or byte after byte."""
        for said in (Said(hang_s=60.0), Said(body=b"{" * 10_000, trickle_s=0.05)):
            with IntensityServer(lambda _, said=said: said) as server:
                patient = Web(timeout_s=0.15, deadline_s=0.4, tries=2, pause_s=0.01)
                with pytest.raises(ProviderError):
                    self.provider(server.url, patient).ask(self._question(-6, 0))

    def test_trouble_that_passes_is_tried_again(self) -> None:
        """A busy server (429 with a time to wait), a broken one, one that hangs up."""
        for trouble in (Said(429, headers={"Retry-After": "0"}), Said(503), Said(drop=True)):
            first = [trouble]
            with IntensityServer(
                lambda asked, first=first: first.pop() if first else self.answer(asked, (50.0,) * 6)
            ) as server:
                answer = self._provider(server).ask(self._question(-6, 0))
            assert any(reading.g_per_kwh is not None for reading in answer.readings)

    def test_trouble_that_stays_is_said_and_no_key_is_in_it(self) -> None:
        """Whatever the status, and nothing of the key in any message."""
        for status in (301, 400, 401, 403, 404, 418, 429, 500):
            said = Said(status, {"message": "no"}, headers={"Location": "http://127.0.0.1:9/x"})
            with IntensityServer(lambda _, said=said: said) as server, pytest.raises(ProviderError) as error:
                self._provider(server).ask(self._question(-6, 0))
            assert KEY not in f"{error.value} {error.value.hint}", status
        assert KEY not in repr(self.provider("http://127.0.0.1:9", Web()))

    def test_nonsense_is_refused(self) -> None:
        """No answer raises anything but our errors."""
        for body in GARBAGE:
            with IntensityServer(lambda _, body=body: Said(body=body)) as server:
                try:
                    answer = self._provider(server).ask(self._question(-6, 0))
                except WattmarkError:
                    continue
                assert all(
                    reading.g_per_kwh is None or math.isfinite(reading.g_per_kwh)
                    for reading in answer.readings
                )

    def test_what_was_asked_once_is_there_offline(self, tmp_path: Path) -> None:
        """From the cache, without a key in it, and with words where the provider fails."""
        cache = Cache(tmp_path / "kept")
        with IntensityServer(lambda asked: self.answer(asked, (100.0, 200.0) * 3)) as server:
            provider = self._provider(server)
            first = intensity(provider, self._question(-6, -2), cache=cache)
            asked = len(server.asked)
            again = intensity(provider, self._question(-6, -2), cache=cache)
            assert len(server.asked) == asked, "what has settled is not asked again"
        assert again.values == first.values
        files = list((tmp_path / "kept").iterdir())
        assert files
        assert all(KEY not in file.read_text(encoding="utf-8") for file in files)
        later = Question(self.zone(), NOW_S - 6 * HOUR_S, NOW_S + 9 * HOUR_S, self.signal(), NOW_S + 2000)
        kept = intensity(provider, later, cache=cache)  # the server has gone
        assert kept.values[: len(first.values)] == first.values
        assert any("as it was kept" in note for note in kept.notes)

    def test_a_cache_of_nonsense_counts_as_none(self, tmp_path: Path) -> None:
        """Torn, foreign and wrong files."""
        cache = Cache(tmp_path)
        with IntensityServer(lambda asked: self.answer(asked, (70.0,) * 6)) as server:
            provider = self._provider(server)
            question = self._question(-6, 0)
            signal = question.signal or provider.signals[0]
            path = cache.path(provider, question.zone, signal)
            for text in (
                "",
                "{",
                "[1]",
                json.dumps({"format": 1, "zone": question.zone, "readings": [[1], 2]}),
            ):
                path.write_text(text, encoding="utf-8")
                series = intensity(provider, question, cache=cache)
                assert series.values[0] == pytest.approx(70.0, rel=self.tolerance)

    def _provider(self, server: IntensityServer) -> CarbonProvider:
        return self.provider(server.url, Web(timeout_s=5.0, deadline_s=8.0, tries=2, pause_s=0.01))

    def _question(self, first_hour: float, last_hour: float, signal: Signal | None = None) -> Question:
        return Question(
            self.zone(),
            NOW_S + first_hour * HOUR_S,
            NOW_S + last_hour * HOUR_S,
            signal or self.signal(),
            NOW_S,
        )
