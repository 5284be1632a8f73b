"""The catalogue of accelerators and CPUs behind the search box of "What if"."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from wattmark.predict.hardware.accelerators import Hardware, Kind, find, near

router = APIRouter(tags=["what if"])

Text = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]


class CataloguePart(BaseModel):
    """One part as it is sold; null is what nobody published. throughput_tflops: dense, by precision."""

    id: str
    name: str
    vendor: str
    kind: str
    year: int | None
    tdp_w: float | None
    cap_min_w: float | None
    cap_max_w: float | None
    throughput_tflops: dict[str, float]
    memory_gb: float | None
    bandwidth_gb_s: float | None
    cores: int | None
    base_ghz: float | None
    turbo_ghz: float | None
    source: str
    url: str


@router.get("/hardware")
def hardware(
    q: Text = "", kind: Kind | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 20
) -> list[CataloguePart]:
    """Parts whose names fit ``q`` best, best first; without ``q`` the first of the catalogue."""
    return [_part(match) for match in near(q, limit, kind)]


@router.get("/hardware/{part_id}")
def part(part_id: str) -> CataloguePart:
    """One part by its id, its name, or what the driver calls it."""
    return _part(find(part_id[:200]))


def _part(part: Hardware) -> CataloguePart:
    return CataloguePart.model_validate(part.as_dict())
