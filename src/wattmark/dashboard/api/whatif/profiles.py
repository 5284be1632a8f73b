"""Profiles of EnergyVis that are dropped on the page: they become runs, as ``wattmark import`` would make them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from wattmark.dashboard.api.whatif.runs import choice_of
from wattmark.dashboard.api.whatif.schemas import RunChoice
from wattmark.dashboard.context import Here
from wattmark.errors import ConfigError
from wattmark.runs.record import Anchor
from wattmark.runs.view import RunView
from wattmark.store.importing.reading import TextFile
from wattmark.store.importing.reports import energyvis
from wattmark.workspace.runs import keep

router = APIRouter(tags=["what if"])

MOST_CHARACTERS = 2 * 2**20


class ProfileFile(BaseModel):
    """A file's name and its text."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = "profile"
    text: Annotated[str, Field(max_length=MOST_CHARACTERS)]


@router.post("/whatif/profiles", status_code=201)
def import_profiles(file: ProfileFile, here: Here) -> list[RunChoice]:
    """Keep the profiles in a JSON file of EnergyVis as runs; a profile that is kept already is found again."""
    try:
        data: Any = json.loads(file.text)
        # half a surrogate pair, which JSON may spell, is no text and could be neither stored nor shown
        data = json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise ConfigError(f"{file.name!r} is no JSON", hint=_HINT) from None
    if not energyvis.recognises(data):
        raise ConfigError(f"{file.name!r} is no profile of EnergyVis", hint=_HINT)
    records = energyvis.runs(TextFile("", file.text), data)
    if records.problems:
        raise ConfigError(f"{file.name!r} cannot be imported: {records.problems[0]}", hint=_HINT)
    now_ns = time.time_ns()
    choices: list[RunChoice] = []
    for record in records:
        keep(here.store, replace(record, started_wall_ns=now_ns, anchors=(Anchor(0, 0, now_ns),)))
        choices.append(choice_of(RunView(here.store.get(record.run_id))))
    return choices


_HINT = "a profile is a JSON object with serverData, components, location and PUE; `wattmark import` reads other files"
