"""``wm.what_if(run, zone="FR", epochs=90)``: a scenario in plain words, about a run by any of its names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from wattmark.errors import ConfigError
from wattmark.predict.whatif.outcome import Outcome
from wattmark.predict.whatif.question import what_if as ask
from wattmark.predict.whatif.scenario import Scenario
from wattmark.runs.view import RunView
from wattmark.studies.execution.state import load_results, study_names
from wattmark.studies.results import StudyResults
from wattmark.workspace.library import RunLike, view_of

_MANY = re.compile(r"(\d+)\s*[x×*]\s*(\S.*)")


def what_if(
    run: RunLike,
    *,
    zone: str | None = None,
    year: int | None = None,
    pue: float | str | None = None,
    hardware: str | Sequence[str | tuple[str, int]] | None = None,
    epochs: int | None = None,
    power_cap_w: float | None = None,
    levels: Mapping[str, Any] | None = None,
    price_per_kwh: float | str | None = None,
    currency: str | None = None,
) -> Outcome:
    """The run as it was (``original``) and as it would be (``alternative``), each number with its interval.

    zone, year, pue: another place. hardware: ``"h100-sxm"``, ``"8x h100-sxm"``, or several of these. epochs: how many
    in all. power_cap_w: of every accelerator. levels: factor -> level of the study that the run belongs to.
    price_per_kwh, currency: of electricity, a number or a range (``"0.25-0.35"``), as pue may be. What is left out
    stays as it was; what cannot be predicted is None with its reason in ``reasons``. Raises ConfigError for a zone,
    part or value that cannot be, RunNotFound.
    """
    view = view_of(run)
    given = {
        "zone": zone,
        "year": year,
        "pue": pue,
        "hardware": None if hardware is None else _parts(hardware),
        "epochs": epochs,
        "power_cap_w": power_cap_w,
        "levels": levels,
        "price_per_kwh": price_per_kwh,
        "currency": currency,
    }
    try:
        scenario = Scenario.model_validate({key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "scenario"
        raise ConfigError(f"{field} cannot be {given.get(field)!r}: {first['msg']}") from None
    return ask(view, scenario, study=_study_of(view)).outcome


def _parts(hardware: str | Sequence[str | tuple[str, int]]) -> list[tuple[str, int]]:
    """``"8x h100-sxm"`` -> ``[("h100-sxm", 8)]``."""
    words = [hardware] if isinstance(hardware, str) else hardware
    parts: list[tuple[str, int]] = []
    for word in words:
        if isinstance(word, str):
            match = _MANY.fullmatch(word.strip())
            parts.append((match[2], int(match[1])) if match else (word.strip(), 1))
        else:
            parts.append(cast("tuple[str, int]", tuple(word)))
    return parts


def _study_of(view: RunView) -> StudyResults | None:
    """The study that the run is a trial of, if it is kept here."""
    name = view.record.tags.get("study")
    return load_results(name) if name and name in study_names() else None
