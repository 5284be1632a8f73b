"""What the page asks first: who answers, and what may be done."""

from __future__ import annotations

import os

from fastapi import APIRouter
from pydantic import BaseModel

from wattmark import __version__, settings
from wattmark.dashboard.context import Here

router = APIRouter(tags=["meta"])


class Meta(BaseModel):
    """The dashboard itself. energy_unit: how joules are shown, auto, J, Wh or kWh (``wattmark.units.ENERGY_UNITS``)."""

    version: str
    store: str
    host: str
    read_only: bool
    energy_unit: str


@router.get("/meta")
def meta(here: Here) -> Meta:
    """Version, store and rights."""
    return Meta(
        version=__version__,
        store=here.store.location,
        host=os.uname().nodename,
        read_only=here.options.read_only,
        energy_unit=settings.load().get("energy_unit", "auto"),
    )
