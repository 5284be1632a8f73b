"""The energy of a load test: idle watts before it, the client's own part and other work told apart, the rest shared out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wattmark.quantity import Quantity
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.serving.accounting import ServingEnergy, account
from wattmark.serving.attribution import (
    UNKNOWN_NS,
    IntervalEnergy,
    RequestColumns,
    component_energies,
    processing_starts,
)
from wattmark.serving.records import LoadResult, RequestRecord

SHARED_BY_CPU_TIME = ("cpu", "dram", "soc", "host")
"""Components whose energy processes share by CPU time; a board of a GPU belongs to the server."""
BUSY_CORES = 0.2
"""More than this many cores at other work is worth a word."""


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
    used above idle, not in ``serving``; None where CPU times were not recorded. request_j: by the index of the request.
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


@dataclass(frozen=True, slots=True)
class _Users:
    """Shares of what was used above idle: the server's, the client's, that of others; they add up to 1."""

    server: float
    client: float
    others: float


def idle_of(view: RunView, span_ns: tuple[int, int] | None) -> Idle | None:
    """Idle watts measured in [start, end) of the run, else those that the machine was calibrated to, else None.

    A machine that was busy with other work then has no idle to show: the calibrated watts are taken if there are any.
    """
    calibrated = view.record.baseline_w
    if span_ns is not None:
        start, end = span_ns
        got = view.between(np.array([start]), np.array([end]))
        watts = {
            component: float(energies.value_j[0] / energies.covered_s[0])
            for component, energies in got.items()
            if energies.covered_s[0] > 0
        }
        if watts:
            seconds = (end - start) / 1e9
            cpu_s = _cpu_s(view.record, start, end)
            busy = None if cpu_s is None else cpu_s[1] / seconds
            if not calibrated or busy is None or busy <= BUSY_CORES:
                rule = f"measured for {seconds:.1f} s before the load, model loaded"
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
    *,
    server_is_ours: bool,
    grams: Callable[[Quantity], Quantity | None] | None = None,
    money_per_kwh: float | None = None,
) -> BenchEnergy | None:
    """Account for a load from its first request to its last answer; None where nothing was measured.

    server_is_ours: the server's process is a child of this one, so that its CPU time is known.
    """
    answered = [
        record for record in load.ok if record.input_tokens is not None and record.output_tokens is not None
    ]
    start_ns = load.started_ns
    end_ns = max([load.stopped_sending_ns, *(record.end_ns or 0 for record in load.records)])
    energies = component_energies(view, start_ns, max(end_ns, start_ns + 1))
    if not any((energy.covered_s > 0).any() for energy in energies):
        return None
    users, notes = _users(view.record, load, idle, start_ns, end_ns, server_is_ours)
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
    return BenchEnergy(
        serving,
        None if users is None else taken * (users.client / rest if rest else 0.0),
        None if users is None else taken * (users.others / rest if rest else 0.0),
        dict(zip((record.index for record in answered), serving.request_j.tolist(), strict=True)),
        (*serving.notes, *notes),
    )


def _users(
    record: RunRecord, load: LoadResult, idle: Idle | None, start_ns: int, end_ns: int, server_is_ours: bool
) -> tuple[_Users | None, list[str]]:
    """Who used what is above idle: by CPU time, where others' time while idle is part of idle."""
    cpu = _cpu_s(record, start_ns, end_ns)
    if cpu is None:
        return None, ["CPU times were not recorded: the client's own energy is in the server's"]
    seconds = (end_ns - start_ns) / 1e9
    tree, busy = cpu
    before = 0.0 if idle is None or idle.busy_cores is None else idle.busy_cores * seconds
    client = min(load.client_cpu_s, tree)
    active = max(busy - before, tree)
    if active <= 0:
        return _Users(1.0, 0.0, 0.0), []
    server = (tree - client) / active if server_is_ours else 1 - client / active
    users = _Users(server, client / active, max(0.0, 1 - server - client / active))
    notes: list[str] = []
    if idle is not None and idle.busy_cores is not None and idle.busy_cores > BUSY_CORES:
        notes.append(
            f"{idle.busy_cores:.1f} cores were busy while the idle machine was measured: idle is too high"
        )
    others = max(0.0, busy - tree) / seconds
    if server_is_ours and others > BUSY_CORES:
        notes.append(
            f"other work kept {others:.1f} cores busy during the load: latencies and joules suffer from it"
        )
    return users, notes


def _servers_part(energy: IntervalEnergy, share: float) -> tuple[IntervalEnergy, Quantity]:
    """The energy with that share of what is above idle, and what was taken off."""
    idle_w = energy.idle_w or 0.0
    above = np.maximum(0.0, energy.energy_j - idle_w * energy.covered_s)
    kept = energy.energy_j - (1 - share) * above
    whole, left = float(energy.energy_j.sum()), float(kept.sum())
    total = energy.total or Quantity.exact(whole)
    part = left / whole if whole > 0 else 1.0
    return replace(energy, energy_j=kept, total=total * part), (total * (1 - part)).with_unit("J")


def _cpu_s(record: RunRecord, start_ns: int, end_ns: int) -> tuple[float, float] | None:
    """CPU seconds of the run's process tree and of the whole machine in [start, end); None if not recorded."""
    rows = record.tree_cpu
    if len(rows) < 2 or end_ns <= start_ns:
        return None
    edges = np.array([start_ns, end_ns], np.float64)
    tree, busy = (np.diff(np.interp(edges, rows[:, 0], rows[:, column]))[0] for column in (1, 2))
    return float(tree), float(max(busy, tree))


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
