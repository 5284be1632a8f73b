"""The energy of a load test: idle watts before it, the client's own part and other work told apart, the rest shared out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from wattmark.quantity import Quantity
from wattmark.recorder.tree import ProcessTree, host_busy_s
from wattmark.runs.view import RunView
from wattmark.serving.energy.accounting import ServingEnergy, account
from wattmark.serving.energy.attribution import (
    UNKNOWN_NS,
    IntervalEnergy,
    RequestColumns,
    component_energies,
    processing_starts,
)
from wattmark.serving.load.records import LoadResult, RequestRecord

SHARED_BY_CPU_TIME = ("cpu", "dram", "soc", "host")
"""Components whose energy processes share by CPU time; a board of a GPU belongs to the server."""
BUSY_CORES = 0.2
"""More than this many cores at other work is worth a word."""
NOT_IDLE_CORES = 0.5
"""A machine with more than this many busy cores on average is not idle: its watts then are no idle watts."""

_GLANCE_S = 0.15


@dataclass(frozen=True, slots=True)
class Idle:
    """Watts of the machine without requests, by component, and CPU seconds/s that were busy then (None: not known)."""

    watts: Mapping[str, float]
    busy_cores: float | None
    rule: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {"watts": dict(self.watts), "busy_cores": self.busy_cores, "rule": self.rule}


@dataclass(frozen=True, slots=True)
class BenchEnergy:
    """serving: the server's energy, accounted for. client_j, others_j: what the load client and other work on the machine
    used above idle, not in ``serving``; None where CPU times or idle are not known. request_j: by the index of the request.
    """

    serving: ServingEnergy
    client_j: Quantity | None
    others_j: Quantity | None
    request_j: Mapping[int, float]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            **self.serving.as_dict(),
            "client_j": None if self.client_j is None else self.client_j.as_dict(),
            "others_j": None if self.others_j is None else self.others_j.as_dict(),
        }


class CpuUse(NamedTuple):
    """CPU seconds of the whole machine and of the server over some seconds; None: not known."""

    seconds: float
    busy_s: float | None
    server_s: float | None

    @property
    def busy_cores(self) -> float | None:
        """Busy cores on average."""
        return None if self.busy_s is None or self.seconds <= 0 else self.busy_s / self.seconds


class CpuMeter:
    """Reads CPU times at the edges of an interval; a run's own record of them is too coarse for short loads."""

    def __init__(self, server_pid: int | None) -> None:
        self._tree = None if server_pid is None else ProcessTree([server_pid], set())
        self._last = self._read()

    def lap(self) -> CpuUse:
        """What was used since this was made, or since the last lap."""
        before, self._last = self._last, self._read()
        at, busy, server = self._last
        return CpuUse(at - before[0], _difference(before[1], busy), _difference(before[2], server))

    def _read(self) -> tuple[float, float | None, float | None]:
        server_s = None if self._tree is None else self._tree.cpu_s()
        return time.monotonic(), host_busy_s(), server_s


def wait_for_rest(most_s: float, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until the machine is at rest, so that its idle watts can be measured; whether it is. At most so many seconds."""
    deadline = time.monotonic() + most_s
    while True:
        before, since = host_busy_s(), time.monotonic()
        sleep(_GLANCE_S)
        busy = _difference(before, host_busy_s())
        if busy is None or busy <= NOT_IDLE_CORES * (time.monotonic() - since):
            return True
        if time.monotonic() >= deadline:
            return False


class _Users(NamedTuple):
    """Shares of what was used above idle: the server's, the client's, that of others; they add up to 1."""

    server: float
    client: float
    others: float


def idle_of(view: RunView, span_ns: tuple[int, int] | None, cpu: CpuUse | None) -> Idle | None:
    """Idle watts measured in [start, end) of the run, else those that the machine was calibrated to, else None.

    A machine that was busy with other work then has no idle to show: the calibrated watts are taken, or none.
    """
    calibrated = view.record.baseline_w
    busy = None if cpu is None else cpu.busy_cores
    if span_ns is not None and (busy is None or busy <= NOT_IDLE_CORES):
        start, end = span_ns
        got = view.between(np.array([start]), np.array([end]))
        watts = {
            component: float(energies.value_j[0] / energies.covered_s[0])
            for component, energies in got.items()
            if energies.covered_s[0] > 0
        }
        if watts:
            rule = f"measured for {(end - start) / 1e9:.1f} s before the load, model loaded"
            return Idle(_by_component(view, watts, start, end), busy, rule)
    return Idle(calibrated, None, "as the machine was calibrated") if calibrated else None


def _by_component(view: RunView, watts: Mapping[str, float], start_ns: int, end_ns: int) -> dict[str, float]:
    """Several channels of one component cover the same seconds: their joules add up, their seconds do not."""
    channels: dict[str, int] = {}
    for curve in view.counted:
        if curve.between(np.array([start_ns]), np.array([end_ns])).covered_s[0] > 0:
            component = curve.curve.channel.component
            channels[component] = channels.get(component, 0) + 1
    return {component: value * channels.get(component, 1) for component, value in watts.items()}


def energy_of(
    view: RunView,
    load: LoadResult,
    idle: Idle | None,
    cpu: CpuUse,
    *,
    grams: Callable[[Quantity], Quantity | None] | None = None,
    money_per_kwh: float | None = None,
) -> BenchEnergy | None:
    """Account for a load from its first request to its last answer; None where nothing was measured.

    cpu: what was used during the load.
    """
    answered = [
        record for record in load.ok if record.input_tokens is not None and record.output_tokens is not None
    ]
    start_ns = load.started_ns
    end_ns = max([load.stopped_sending_ns, *(record.end_ns or 0 for record in load.records)])
    energies = component_energies(view, start_ns, max(end_ns, start_ns + 1))
    if not any((energy.covered_s > 0).any() for energy in energies):
        return None
    users, notes = _users(cpu, load.client_cpu_s, idle)
    own: list[IntervalEnergy] = []
    taken_j, low_j, high_j = 0.0, 0.0, 0.0
    for energy in energies:
        energy = replace(energy, idle_w=None if idle is None else idle.watts.get(energy.component))
        if users is not None and energy.component in SHARED_BY_CPU_TIME:
            energy, taken = _servers_part(energy, users.server)
            taken_j, low_j, high_j = taken_j + taken.value, low_j + taken.low, high_j + taken.high
        own.append(energy)
    serving = account(_columns(answered), own, grams=grams, money_per_kwh=money_per_kwh)
    counted = len(load.ok) - len(answered)
    if counted:
        notes.append(
            f"{counted} answers without token counts have no joules of their own; others carry theirs"
        )
    if load.failed:
        notes.append(f"{load.failed} failed requests used energy too; it is in the energy of the others")
    taken = Quantity(taken_j, low_j, high_j)
    rest = None if users is None else users.client + users.others
    fitted = {f"{part.component}: {note}" for part in serving.components for note in part.costs.notes}
    return BenchEnergy(
        serving,
        None if users is None else taken * (users.client / rest if rest else 0.0),
        None if users is None else taken * (users.others / rest if rest else 0.0),
        dict(zip((record.index for record in answered), serving.request_j.tolist(), strict=True)),
        (*(note for note in serving.notes if note not in fitted), *notes),
    )


def _users(cpu: CpuUse, client_s: float, idle: Idle | None) -> tuple[_Users | None, list[str]]:
    """Who used what is above idle: by CPU time, where others' time while idle is part of idle."""
    if cpu.busy_s is None:
        return None, ["CPU times are not told here: the client's own energy is in the server's"]
    if idle is None:  # without it no one can say what each used above it
        return None, [
            "the idle watts are not known (the machine was busy, or not looked at), so the energy of the load client and of "
            "other work is in these figures: `wattmark calibrate` on the quiet machine finds them"
        ]
    notes: list[str] = []
    before = idle.busy_cores or 0.0
    if before > BUSY_CORES:
        notes.append(
            f"{before:.1f} cores were busy while the idle machine was measured: idle is a little high"
        )
    known = client_s + (cpu.server_s or 0.0)
    active = max(cpu.busy_s - before * cpu.seconds, known)
    if active <= 0:
        return _Users(1.0, 0.0, 0.0), notes
    client = client_s / active
    if (
        cpu.server_s is None
    ):  # a server that was not started here: all that is not the client's is taken for its
        return _Users(1 - client, client, 0.0), notes
    others = max(0.0, cpu.busy_s - known) / cpu.seconds
    if others > BUSY_CORES:
        notes.append(
            f"other work kept {others:.1f} cores busy during the load: latencies and joules suffer from it"
        )
    server = cpu.server_s / active
    return _Users(server, client, max(0.0, 1 - server - client)), notes


def _servers_part(energy: IntervalEnergy, share: float) -> tuple[IntervalEnergy, Quantity]:
    """The energy with that share of what is above idle, and what was taken off."""
    idle_w = energy.idle_w or 0.0
    above = np.maximum(0.0, energy.energy_j - idle_w * energy.covered_s)
    kept = energy.energy_j - (1 - share) * above
    whole, left = float(energy.energy_j.sum()), float(kept.sum())
    total = energy.total or Quantity.exact(whole)
    part = left / whole if whole > 0 else 1.0
    return replace(energy, energy_j=kept, total=total * part), (total * (1 - part)).with_unit("J")


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _columns(records: list[RequestRecord]) -> RequestColumns:
    """What attribution needs of the answered requests. llama.cpp says itself how long a prompt took."""

    def column(values: list[int]) -> Any:
        return np.array(values, np.int64)

    sent = column([record.sent_ns or record.released_ns for record in records])
    first = column([UNKNOWN_NS if each.first_token_ns is None else each.first_token_ns for each in records])
    start = processing_starts(sent, first)
    told = np.array([(record.timings or {}).get("prompt_ms", np.nan) for record in records], np.float64)
    known = np.isfinite(told) & (first != UNKNOWN_NS)
    start[known] = np.maximum(sent[known], first[known] - (told[known] * 1e6).astype(np.int64))
    end = column([record.last_token_ns or record.end_ns or record.released_ns for record in records])
    end = np.maximum(end, np.maximum(start, first))
    inputs = column([record.input_tokens or 0 for record in records])
    cached = np.minimum(inputs, column([record.cached_tokens or 0 for record in records]))
    outputs = column([record.output_tokens or 0 for record in records])
    chunks = [np.frombuffer(record.chunk_ns, np.int64) for record in records]
    whole = bool(records) and all(len(one) for one in chunks)
    return RequestColumns(
        start, first, end, inputs, outputs, cached,
        np.concatenate(chunks) if whole else None,
        np.concatenate(([0], np.cumsum([len(one) for one in chunks]))) if whole else None,
        sent,
    )  # fmt: skip
