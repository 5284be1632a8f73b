"""Can these numbers be trusted: this machine, and one run (:mod:`wattmark.runs.health`)."""

from __future__ import annotations

from fastapi import APIRouter

from wattmark.dashboard.api.run.overview import results_of
from wattmark.dashboard.api.schemas import RunRef
from wattmark.dashboard.context import Here
from wattmark.runs.health import Gaps, RunHealth, health_of
from wattmark.workspace.health import MachineHealth, machine_health

router = APIRouter(tags=["health"])


@router.get("/health")
def machine(here: Here) -> MachineHealth:
    """What this machine can measure, what would make it better, and how its latest runs were covered."""
    return machine_health(here.store)


@router.get("/runs/{ref}/health")
def run(here: Here, ref: RunRef) -> RunHealth:
    """Coverage, gaps, wraps and agreement of a run's channels; its recorder's cost; what would have been better."""
    current = here.runs.get(ref)
    results = results_of(here, current)
    gaps = {channel.id: Gaps(channel.samples, channel.max_gap_s) for channel in results.channels}
    return health_of(current.record, current.curves, gaps, results.coverage)
