"""What is on this machine as providers: a file of the user's, and the shipped yearly averages (one value a year)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from wattmark.errors import ProviderError
from wattmark.impact.intensity import intensity_of
from wattmark.impact.places import find_zone
from wattmark.impact.providers.base import Answer, Question, Reading, Terms, signal_of
from wattmark.impact.series import Signal, read_series
from wattmark.impact.series.cells import time_of

OF_FILE = Terms("a file", "the file's own", "", None)
OF_YEARLY = Terms("yearly averages", "see data_sources()", "", None)


@dataclass(frozen=True, slots=True)
class SeriesFile:
    """A file that :func:`read_series` reads. unit, column: as there. declared: the signal, where the file does not say."""

    path: str
    unit: str | None = None
    column: str | None = None
    declared: Signal | None = None
    name: str = "file"
    signals: tuple[Signal, ...] = ("average", "marginal")
    terms: Terms = OF_FILE

    @property
    def place(self) -> str:
        """The file."""
        return self.path

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`; the zone is the file's."""
        wanted = question.signal or self.declared
        series = read_series(self.path, unit=self.unit, signal=self.declared, column=self.column)
        if wanted is not None and series.signal != wanted:
            raise ProviderError(f"{self.path} has {series.signal} intensities, not {wanted} ones")
        open_ones = series.unsettled or (False,) * len(series.starts)
        readings = tuple(
            Reading(start, end, value, unsettled)
            for start, end, value, unsettled in zip(
                series.starts, series.ends, series.values, open_ones, strict=True
            )
        )
        return Answer(readings, series.zone or question.zone, series.signal, series.notes, series.factor)


@dataclass(frozen=True, slots=True)
class Yearly:
    """The shipped averages: for each year of the time asked for the figure of that year, or of the nearest there is."""

    name: str = "yearly"
    signals: tuple[Signal, ...] = ("average",)
    terms: Terms = OF_YEARLY
    place: str = ""

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`."""
        signal = signal_of(self, question)
        zone = find_zone(question.zone)
        first, last = (
            datetime.fromtimestamp(at, timezone.utc).year for at in (question.start_s, question.end_s)
        )
        readings: list[Reading] = []
        factors: list[float] = []
        notes: dict[str, None] = {}
        for year in range(first, last + 1):
            figure = intensity_of(zone, year)
            start, end = (time_of(f"{at:04d}-01-01T00:00:00Z") for at in (year, year + 1))
            assert start is not None
            assert end is not None
            readings.append(Reading(start, end, figure.g_per_kwh.value))
            value = figure.g_per_kwh.value
            factors += [figure.g_per_kwh.high / value, value / figure.g_per_kwh.low]
            if figure.year != year:
                notes[f"the figure of {figure.year} stands in for {year}"] = None
        return Answer(tuple(readings), zone.id, signal, tuple(notes), max(factors))
