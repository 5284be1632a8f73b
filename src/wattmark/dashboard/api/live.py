"""What goes on, told as it happens by server-sent events; the browser connects again by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from wattmark.dashboard.api.schemas import RunRef
from wattmark.dashboard.context import Context, Here
from wattmark.dashboard.looks import EVERY_S
from wattmark.documents import mappings
from wattmark.quantity import Quantity
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView

router = APIRouter(tags=["live"])
MOST_STREAMS = 256
"""Connections that stay open are not free; a browser that is refused one asks again."""
_KEEP_OPEN_S = 15.0
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


class RunForecast(BaseModel):
    """What the whole run is expected to cost, with the ends of 90 % intervals. share: of it, that was seen by then."""

    share: float
    energy_j: float
    energy_low_j: float
    energy_high_j: float
    time_s: float
    progress: str | None
    outside: list[str]


class LiveRun(BaseModel):
    """A run that is not in the store yet. live: its process still runs."""

    run_id: str
    name: str
    status: str
    live: bool
    tags: dict[str, str]
    duration_s: float
    energy: Quantity | None
    mean_power_w: float | None
    spans: int
    prediction: RunForecast | None = None


@router.get("/runs/live")
def live_runs(here: Here) -> list[LiveRun]:
    """The runs that go on, the newest first."""
    return [_told(record) for record in here.live.records()]


@router.get("/runs/{ref}/events", response_class=StreamingResponse, responses=_STREAM)
def run_events(here: Here, ref: RunRef, request: Request) -> StreamingResponse:
    """``grown`` whenever there is more of the run, ``ended`` when it is over (at once for a run of the store)."""
    run_id = here.runs.resolve(ref)

    def look() -> tuple[str, dict[str, Any]]:
        record = here.live.find(run_id)
        if record is None or record.status != "running":
            return "ended", {"run_id": run_id, "status": record.status if record else "kept"}
        return "grown", {"run_id": run_id, "duration_s": record.duration_s, "spans": len(record.spans)}

    return _stream(here, request, run_id, look, last="ended")


@router.get("/events", response_class=StreamingResponse, responses=_STREAM)
def events(here: Here, request: Request) -> StreamingResponse:
    """``runs`` whenever a run begins, grows, ends, or comes into the store: those that go on, and the newest kept."""

    def look() -> tuple[str, dict[str, Any]]:
        run_ids = [run.run_id for run in here.store.summaries(limit=20)]
        return "runs", {
            "live": [_told(record).model_dump() for record in here.live.records()],
            "kept": run_ids,
        }

    return _stream(here, request, "", look)


def _told(record: RunRecord) -> LiveRun:
    view = RunView(record)
    return LiveRun(
        run_id=record.run_id,
        name=record.name,
        status=record.status,
        live=record.status == "running",
        tags=dict(record.tags),
        duration_s=record.duration_s,
        energy=view.energy,
        mean_power_w=view.mean_power_w,
        spans=len(record.spans),
        prediction=forecast(record),
    )


def forecast(record: RunRecord) -> RunForecast | None:
    """The last prediction that was made of a run while it went on, or None."""
    try:
        last: Mapping[str, Any] = mappings(record.extra.get("predictions"))[-1]
        return RunForecast(
            share=last["share"],
            energy_j=last["energy_j"]["value"],
            energy_low_j=last["energy_j"]["low"],
            energy_high_j=last["energy_j"]["high"],
            time_s=last["time_s"]["value"],
            progress=last.get("progress"),
            outside=last.get("outside") or [],
        )
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def _stream(
    here: Context,
    request: Request,
    key: str,
    look: Callable[[], tuple[str, dict[str, Any]]],
    last: str = "",
) -> StreamingResponse:
    looks = here.looks
    if looks.streams >= MOST_STREAMS:
        raise HTTPException(
            503, f"{looks.streams} event streams are open: close some pages", headers={"Retry-After": "5"}
        )

    async def told() -> AsyncIterator[str]:
        before = ""
        spoken_s = time.monotonic()
        looks.streams += 1
        try:
            yield "retry: 1000\n\n"
            while not here.ending.is_set() and not await request.is_disconnected():
                begun_s = time.monotonic()
                name, text = await looks.tell(key, look)
                if text != before:
                    before, spoken_s = text, begun_s
                    yield text
                    if name == last:
                        return
                elif begun_s - spoken_s > _KEEP_OPEN_S:
                    spoken_s = begun_s
                    yield ": still here\n\n"
                # a look that takes long is taken less often, so that watching never takes a core
                await asyncio.sleep(max(EVERY_S, 3 * (time.monotonic() - begun_s)))
        finally:
            looks.streams -= 1

    return StreamingResponse(told(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
