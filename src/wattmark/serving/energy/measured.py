"""The energy of a load test: idle watts before it, the client's own part and other work told apart, the rest shared out."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from wattmark.quantity import Quantity, total
from wattmark.recorder.tree import ProcessTree, host_busy_s
from wattmark.runs.record import Float64
from wattmark.runs.view import RunView
from wattmark.serving.energy.accounting import ServingEnergy, account
from wattmark.serving.energy.attribution import (
    UNKNOWN_NS,
    IntervalEnergy,
    RequestColumns,
    component_energies,
    processing_starts,
)
from wattmark.serving.figures.latency import reasoning_part
from wattmark.serving.figures.steady import Window
from wattmark.serving.load.records import LoadResult, RequestRecord

SHARED_BY_CPU_TIME = ("cpu", "dram", "soc", "host")
"""Components whose energy processes share by CPU time; a board of a GPU belongs to the server."""
TOKENS_PER_SOUND_S = 50
"""Seconds of sound as work, where a server counts no tokens: frames of Whisper's encoder (arXiv 2212.04356, 2.2)."""
BUSY_CORES = 0.2
"""More than this many cores at other work is worth a word."""
NOT_IDLE_CORES = 0.5
"""A machine with more than this many busy cores on average is not idle: its watts then are no idle watts."""

READ_EVERY_S = 0.25
"""CPU times are read this often during a load: a few tens of microseconds each time."""
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
    """serving: the server's energy in the window of the latencies, accounted for; whole: that of the whole load, ramp
    and drain included. client_j, others_j: what the load client and other work on the machine used above idle in the
    window, not in ``serving``; None where CPU times, idle or the server's processes are not known. request_j: by the
    index of the request, of all its life.
    """

    serving: ServingEnergy
    client_j: Quantity | None
    others_j: Quantity | None
    request_j: Mapping[int, float]
    notes: tuple[str, ...]
    whole: ServingEnergy | None = None
    window: str = "whole"

    def of_request(self, index: int) -> Quantity | None:
        """The joules of one request above idle, with their interval; None for one that was not answered."""
        joules = self.request_j.get(index)
        return None if joules is None else (self.whole or self.serving).of_request(joules)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            **self.serving.as_dict(),
            "window": self.window,
            "whole": None if self.whole is None else _brief(self.whole),
            "client_j": None if self.client_j is None else self.client_j.as_dict(),
            "others_j": None if self.others_j is None else self.others_j.as_dict(),
        }


class CpuReading(NamedTuple):
    """CPU seconds so far, of the machine and of the server (None: not known), at a moment of the monotonic clock."""

    t_ns: int
    busy_s: float | None
    server_s: float | None


class CpuUse(NamedTuple):
    """CPU seconds of the whole machine and of the server over some seconds; None: not known. readings: in between.
    busiest: what else ran, as "name (pid) 1.0 cores"."""

    seconds: float
    busy_s: float | None
    server_s: float | None
    readings: tuple[CpuReading, ...] = ()
    busiest: tuple[str, ...] = ()

    def within(self, start_ns: int, end_ns: int) -> CpuUse:
        """The part that falls into [start, end), by the readings in between; all of it where there are none."""
        if len(self.readings) < 2 or end_ns <= start_ns:
            return self
        moments = [reading.t_ns for reading in self.readings]

        def used(values: list[float | None]) -> float | None:
            if any(value is None for value in values):
                return None
            ends = np.interp([start_ns, end_ns], moments, np.array(values, np.float64))
            return float(ends[1] - ends[0])

        return self._replace(
            seconds=(min(end_ns, moments[-1]) - max(start_ns, moments[0])) / 1e9,
            busy_s=used([reading.busy_s for reading in self.readings]),
            server_s=used([reading.server_s for reading in self.readings]),
        )

    @property
    def busy_cores(self) -> float | None:
        """Busy cores on average."""
        return None if self.busy_s is None or self.seconds <= 0 else self.busy_s / self.seconds


class CpuMeter:
    """Reads CPU times now and then, and at the edges of an interval; a run's own record of them is too coarse for short
    loads. server_pids: the roots of the server's processes, None or nothing where they are not known."""

    def __init__(self, server_pids: int | Sequence[int] | None, *, mine: Sequence[int] = ()) -> None:
        pids = [server_pids] if isinstance(server_pids, int) else list(server_pids or ())
        self._tree = ProcessTree(pids, set()) if pids else None
        self._skip = {os.getpid(), *mine}
        self._lock = threading.Lock()
        self._readings: list[CpuReading] = [self._read()]
        self._processes = _process_times()

    def lap(self) -> CpuUse:
        """What was used since this was made, or since the last lap."""
        with self._lock:
            self._readings.append(self._read())
            readings, self._readings = tuple(self._readings), self._readings[-1:]
        processes, self._processes = self._processes, _process_times()
        first, last = readings[0], readings[-1]
        seconds = (last.t_ns - first.t_ns) / 1e9
        skip = self._skip | set(self._tree.pids if self._tree else ())
        return CpuUse(
            seconds,
            _difference(first.busy_s, last.busy_s),
            _difference(first.server_s, last.server_s),
            readings,
            _busiest(processes, self._processes, seconds, skip),
        )

    @contextmanager
    def watching(self) -> Generator[None]:
        """Read every so often within the block, from a thread of its own."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(READ_EVERY_S):
                with self._lock:
                    self._readings.append(self._read())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _read(self) -> CpuReading:
        server_s = None if self._tree is None else self._tree.cpu_s()
        return CpuReading(round(time.monotonic() * 1e9), host_busy_s(), server_s)


def _process_times(procfs: str = "/proc") -> dict[int, tuple[str, float]]:
    """Name and CPU seconds so far of each process that can be seen."""
    found: dict[int, tuple[str, float]] = {}
    try:
        entries = [entry.name for entry in os.scandir(procfs) if entry.name.isdigit()]
    except OSError:
        return found
    ticks = os.sysconf("SC_CLK_TCK")
    for name in entries:
        try:
            with open(f"{procfs}/{name}/stat", "rb", buffering=0) as file:
                text = file.read(4096)
        except OSError:
            continue
        program, _, rest = text.partition(b"(")[2].rpartition(b")")
        fields = rest.split()
        if len(fields) > 12:
            used_s = (int(fields[11]) + int(fields[12])) / ticks
            found[int(name)] = (program.decode("utf-8", "replace"), used_s)
    return found


def _busiest(
    before: Mapping[int, tuple[str, float]],
    after: Mapping[int, tuple[str, float]],
    seconds: float,
    skip: set[int],
) -> tuple[str, ...]:
    """The processes that kept the most cores busy, at most three."""
    if seconds <= 0:
        return ()
    used = [
        ((cpu_s - before.get(pid, (name, 0.0))[1]) / seconds, name, pid)
        for pid, (name, cpu_s) in after.items()
        if pid not in skip
    ]
    return tuple(
        f"{name} ({pid}) {cores:.1f} cores"
        for cores, name, pid in sorted(used, reverse=True)[:3]
        if cores >= 0.1
    )


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
    """Shares of what was used above idle: the server's, the client's, that of others; they add up to 1. others: None where
    the server's processes are not known; theirs is then in the server's."""

    server: float
    client: float
    others: float | None


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
    cpu: CpuUse | None,
    *,
    window: Window | None = None,
    grams: Callable[[Quantity], Quantity | None] | None = None,
    money: Callable[[Quantity], Quantity | None] | None = None,
) -> BenchEnergy | None:
    """Account for a load in a window of it, and from its first request to its last answer; None where nothing was measured.

    window: of the figures, None (or one whose rule says whole) takes the whole load. cpu: what was used during the load on
    the measured machine; None where that is another one than the client's, so that nothing is taken off.
    """
    sent = [record for record in load.records if record.sent_ns is not None]
    start_ns = load.started_ns
    end_ns = max([load.stopped_sending_ns, *(record.end_ns or 0 for record in load.records)])
    bounds = start_ns, max(end_ns, start_ns + 1)
    pots = _own_energies(view, load, idle, cpu, bounds)
    if pots is None:
        return None
    columns = _columns(sent)
    whole = account(columns, pots.own, grams=grams, money=money)
    serving, rule = whole, "whole"
    if window is not None and not window.rule.startswith("whole"):
        steady = _own_energies(view, load, idle, cpu, (window.start_ns, window.end_ns))
        if steady is not None:
            inside = np.array(
                [record.ok and window.start_ns <= record.scheduled_ns <= window.end_ns for record in sent],
                np.bool_,
            )
            pots, rule = steady, window.rule
            serving = account(
                columns, steady.own, costs={part.component: part.costs for part in whole.components},
                listed=whole.request_j[inside], grams=grams, money=money,
            )  # fmt: skip
    notes = list(pots.notes)
    uncounted = int(columns.all_answered.sum() - columns.all_counted.sum())
    if uncounted:
        notes.append(
            f"{uncounted} of {len(load.ok)} answers have no token counts: J/token is of the others, J/request of all (their "
            "work is estimated by their chunks)"
        )
    given_up = sum(not record.ok for record in sent)
    if given_up:
        notes.append(
            f"{given_up} failed requests or given up used energy too: it is in `given_up_j` and in no answer's "
            f"figures, as far as "
            "chunks and times tell of their work"
        )
    fitted = {f"{part.component}: {note}" for part in serving.components for note in part.costs.notes}
    return BenchEnergy(
        serving,
        pots.client_j,
        pots.others_j,
        {
            record.index: joules
            for record, joules in zip(sent, whole.request_j.tolist(), strict=True)
            if record.ok
        },
        (*(note for note in serving.notes if note not in fitted), *notes),
        whole,
        rule,
    )


class _Pots(NamedTuple):
    """The server's energies in some stretch of time, and what was taken off them."""

    own: list[IntervalEnergy]
    client_j: Quantity | None
    others_j: Quantity | None
    notes: list[str]


def _own_energies(
    view: RunView, load: LoadResult, idle: Idle | None, cpu: CpuUse | None, bounds: tuple[int, int]
) -> _Pots | None:
    """The server's part of what was measured in [start, end); None where nothing was."""
    energies = component_energies(view, *bounds)
    if not any((energy.covered_s > 0).any() for energy in energies):
        return None
    if cpu is None:
        whole = [
            replace(energy, idle_w=None if idle is None else idle.watts.get(energy.component))
            for energy in energies
        ]
        return _Pots(whole, None, None, [])
    used = cpu.within(*bounds)
    # The client's CPU time is known for the whole load; by and large it follows the time.
    part = used.seconds / cpu.seconds if cpu.seconds > 0 else 1.0
    users, notes = _users(used, load.client_cpu_s * min(1.0, part), idle)
    own: list[IntervalEnergy] = []
    taken: list[Quantity] = []
    for energy in energies:
        energy = replace(energy, idle_w=None if idle is None else idle.watts.get(energy.component))
        if users is not None and energy.component in SHARED_BY_CPU_TIME:
            energy, off = _servers_part(energy, users.server)
            taken.append(off)
        own.append(energy)
    if users is None:
        return _Pots(own, None, None, notes)
    everything = total(taken) or Quantity.exact(0.0)
    if users.others is None:
        return _Pots(own, everything, None, notes)
    rest = users.client + users.others
    return _Pots(
        own,
        everything * (users.client / rest if rest else 0.0),
        everything * (users.others / rest if rest else 0.0),
        notes,
    )


def _brief(serving: ServingEnergy) -> dict[str, Any]:
    """The whole load beside the window: what was used, and its figures."""
    data = serving.as_dict()
    names = (
        "requests",
        "output_tokens",
        "duration_s",
        "without_idle",
        "with_idle",
        "idle_share",
        "given_up_j",
    )
    return {name: data[name] for name in names}


def _users(cpu: CpuUse, client_s: float, idle: Idle | None) -> tuple[_Users | None, list[str]]:
    """Who used what is above idle: by CPU time, where others' time while idle is part of idle."""
    if cpu.busy_s is None:
        return None, ["CPU times are not told here: the client's own energy is in the server's"]
    if idle is None:  # without it no one can say what each used above it
        names = f" (beside the server: {', '.join(cpu.busiest)})" if cpu.busiest else ""
        return None, [
            "the idle watts are not known (the machine was busy, or not looked at), so the energy of the load client and of "
            f"other work is in these figures{names}: `wattmark calibrate` on the quiet machine finds them"
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
    if cpu.server_s is None:  # all that is not the client's is taken for the server's
        beside = max(0.0, cpu.busy_s - before * cpu.seconds - client_s) / max(cpu.seconds, 1e-9)
        names = f" ({', '.join(cpu.busiest)})" if cpu.busiest else ""
        notes.append(
            f"which process serves is not known, so other work is in these figures: {beside:.1f} cores were busy "
            f"beside the load "
            f"client{names}; name the server with --server-pid"
        )
        return _Users(1 - client, client, None), notes
    others = max(0.0, cpu.busy_s - known) / cpu.seconds
    if others > BUSY_CORES:
        notes.append(
            f"other work kept {others:.1f} cores busy during the load"
            + (f" ({', '.join(cpu.busiest)})" if cpu.busiest else "")
            + ": latencies and joules suffer from it"
        )
    server = cpu.server_s / active
    return _Users(server, client, max(0.0, 1 - server - client)), notes


def _servers_part(energy: IntervalEnergy, share: float) -> tuple[IntervalEnergy, Quantity]:
    """The energy with that share of what is above idle, and what was taken off."""
    idle_w = energy.idle_w or 0.0
    above = np.maximum(0.0, energy.energy_j - idle_w * energy.covered_s)
    kept = energy.energy_j - (1 - share) * above
    whole, left = float(energy.energy_j.sum()), float(kept.sum())
    measured = energy.total or Quantity.exact(whole)
    part = left / whole if whole > 0 else 1.0
    return replace(energy, energy_j=kept, total=measured * part), (measured * (1 - part)).with_unit("J")


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _columns(records: list[RequestRecord]) -> RequestColumns:
    """What attribution needs of all requests that were sent, answered or not: work was done for each.

    Where a server told no counts, chunks stand for tokens, and the length that was asked for (or the mean of the others)
    for the prompt. llama.cpp says itself how long a prompt took.
    """

    def column(values: list[int]) -> Any:
        return np.array(values, np.int64)

    counted = [each for each in records if each.input_tokens is not None and each.output_tokens is not None]
    chunks_told = sum(len(each.chunk_ns) for each in counted)
    made = sum(each.output_tokens or 0 for each in counted)
    per_chunk = made / chunks_told if chunks_told else 1.0
    usual_input = round(sum(each.input_tokens or 0 for each in counted) / len(counted)) if counted else 0
    usual_output = round(made / len(counted)) if counted else 1
    sent = column([record.sent_ns or record.released_ns for record in records])
    first = column([UNKNOWN_NS if each.first_token_ns is None else each.first_token_ns for each in records])
    start = processing_starts(sent, first)
    told = np.array([(record.timings or {}).get("prompt_ms", np.nan) for record in records], np.float64)
    known = np.isfinite(told) & (first != UNKNOWN_NS)
    start[known] = np.maximum(sent[known], first[known] - (told[known] * 1e6).astype(np.int64))
    end = column([record.last_token_ns or record.end_ns or record.released_ns for record in records])
    end = np.maximum(end, np.maximum(start, first))
    inputs = column([_prompt_tokens(each, usual_input) for each in records])
    cached = np.minimum(inputs, column([record.cached_tokens or 0 for record in records]))
    outputs = column([_answer_tokens(each, per_chunk, usual_output) for each in records])
    chunks = [np.frombuffer(record.chunk_ns, np.int64) for record in records]
    whole = bool(records) and all(len(one) for one in chunks)
    return RequestColumns(
        start, first, end, inputs, outputs, cached,
        np.concatenate(chunks) if whole else None,
        np.concatenate(([0], np.cumsum([len(one) for one in chunks]))) if whole else None,
        sent,
        np.array([record.ok for record in records], np.bool_),
        np.array([each.input_tokens is not None and each.output_tokens is not None for each in records], np.bool_),
        np.array([reasoning_part(each) for each in records], np.float64),
        starts_told=bool(known.all()),
        units=_units(records),
    )  # fmt: skip


def _units(records: list[RequestRecord]) -> dict[str, Float64]:
    """What was asked for or made beside text, by name; prompt tokens where nothing else is made of them."""
    images = [float(each.images) for each in records]
    sound = [each.audio_s or 0.0 for each in records]
    inputs = [float(each.inputs or 0) for each in records]
    tokens = [float(each.input_tokens or 0) if each.output_tokens == 0 else 0.0 for each in records]
    if all(each in (0.0, 1.0) for each in inputs):  # then an input is a request
        inputs = []
    named = (("image", images), ("second of sound", sound), ("input", inputs), ("input token", tokens))
    return {name: np.array(values, np.float64) for name, values in named if any(values)}


def _prompt_tokens(record: RequestRecord, usual: int) -> int:
    """Of an answer: told, asked for, or usual. A request that was refused at once had no work done for it."""
    if record.input_tokens is not None:
        return record.input_tokens
    if record.audio_s is not None and record.inputs is not None:  # speech: as much work as it lasts
        return max(1, round(record.audio_s * TOKENS_PER_SOUND_S))
    if not record.ok and not record.chunk_ns and record.status not in (None, 200):
        return 0
    return record.wanted_input_tokens or usual


def _answer_tokens(record: RequestRecord, per_chunk: float, usual: int) -> int:
    if record.output_tokens is not None:
        return record.output_tokens
    if record.chunk_ns:
        return max(1, round(len(record.chunk_ns) * per_chunk))
    return (record.wanted_output_tokens or usual) if record.ok else 0
