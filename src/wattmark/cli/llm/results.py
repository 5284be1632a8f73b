"""What ``wattmark llm bench`` writes beside its tables: requests, and the loads as CSV, Markdown or a page; and the answer
of a search or of a sweep with limits, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from wattmark.errors import ConfigError
from wattmark.serving.figures.search import judge
from wattmark.serving.loads import LoadResults
from wattmark.serving.results import requests
from wattmark.serving.results.tables import to_csv, to_markdown
from wattmark.units import format_energy, format_mass, format_number

REPORTS = (".csv", ".md", ".html")


def check_paths(records: str | None, reports: Sequence[str]) -> None:
    """Whether all can be written, before a load is run for them. Raises ConfigError and MissingExtra."""
    if records is not None:
        requests.check(records)
    for path in reports:
        if Path(path).suffix.lower() not in REPORTS:
            raise ConfigError(
                f"a report cannot be written as {path!r}", hint=f"end its name in {', '.join(REPORTS)}"
            )
        folder = Path(path).expanduser().parent
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder}", hint="make it first")


def write_files(outcome: LoadResults, records: str | None, reports: Sequence[str]) -> None:
    """Write the requests and the reports that were asked for. Raises ConfigError where a file cannot be written."""
    if records is not None:
        requests.write(records, outcome.points)
    for path in reports:
        target = Path(path).expanduser()
        kind = outcome.ask.kind
        lead = list(answer(outcome))
        match target.suffix.lower():
            case ".csv":
                text = to_csv(kind, outcome.points)
            case ".md":
                text = to_markdown(kind, outcome.points, lead)
            case _:
                from wattmark.report.serving import serving_page

                text = serving_page(kind, outcome.points, lead)
        try:
            with target.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def answer(outcome: LoadResults) -> Iterator[str]:
    """Of several loads with limits: the largest within them, and the cheapest with its joules, carbon and money."""
    best = outcome.best
    if best is None:
        return
    ask = outcome.ask
    if best.largest is None:
        load, result = outcome.points[0]
        rate = load if ask.kind == "rate" else None
        why = judge(result.metrics, attain=ask.attain, rate=rate).why
        yield f"no load is within the limits: at {words(ask.kind, load)}, {why} ({ask.attain:.0%} must)"
        return
    beyond = "" if outcome.beyond is None else f"; {words(ask.kind, outcome.beyond)} is beyond"
    top = outcome.ask.search and outcome.beyond is None and not outcome.ended
    yield (
        f"largest load within the limits ({ask.attain:.0%} of the requests): {words(ask.kind, best.largest[0])}{beyond}"
        + ("; no larger one was tried" if top else "")
    )
    if best.cheapest is not None:
        load, result = best.cheapest
        cost, figures = result.j_per_token, result.serving.with_idle if result.serving else None
        assert cost is not None
        low, high = (format_energy(end, cost.value) for end in (cost.low, cost.high))
        parts = [f"{format_energy(cost.value)}/output token ({low} to {high}), idle included"]
        if figures is not None and figures.gco2e_per_1m_tokens is not None:
            parts.append(f"{format_mass(figures.gco2e_per_1m_tokens.value)} CO2e per million")
        if figures is not None and figures.money_per_1m_tokens is not None:
            parts.append(f"{format_number(figures.money_per_1m_tokens.value)} in your currency per million")
        yield f"cheapest within them: {words(ask.kind, load)}, {'; '.join(parts)}"
        if best.alike:
            listed = ", ".join(f"{other:.3g}" for other in best.alike)
            yield f"its joules cannot be told from those of {ask.kind} {listed}"
    if outcome.ended:
        yield f"ended early: {outcome.ended}"


def words(kind: str, load: float) -> str:
    """A load in words."""
    return f"{load:.3g} requests/s" if kind == "rate" else f"{load:.0f} at a time"
