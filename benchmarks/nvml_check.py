"""Check the nvml source on a real GPU: counter, integrated power and nvidia-smi, update periods, lag.

    python benchmarks/nvml_check.py [--gpu 0] [--seconds 20] [--wave 1.0] [--output nvml.json]

Three phases: idle, a constant load and a square wave of matrix products (both need PyTorch with CUDA, in a
child process that says when it was busy, on CLOCK_MONOTONIC). In each, the energy counter, the instantaneous
power and nvidia-smi's own log are taken side by side. Without a GPU it says so and ends.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import SourceError
from wattmark.sources.base import Host, Source
from wattmark.sources.nvml.probe import NAME, probe

Float64 = NDArray[np.float64]
READ_EVERY_S = 0.002
SETTLE_S = 3.0
SMI_PERIOD_MS = 100


class Trace(NamedTuple):
    """One channel's readings: t_s (n,) seconds of CLOCK_MONOTONIC, values (n,) in J or W."""

    t_s: Float64
    values: Float64


# --- analysis: pure functions ---


def integrate(trace: Trace) -> float:
    """Joules under a trace of watts (trapezoids)."""
    gaps = np.diff(trace.t_s)
    return float(np.sum((trace.values[1:] + trace.values[:-1]) * gaps / 2))


def update_period_s(trace: Trace) -> float | None:
    """Seconds between renewals of the value, or None where it is new at every reading or hardly ever.

    A renewal by the same value is not seen, so the gaps between changes are whole multiples of the period.
    """
    changes = np.flatnonzero(np.diff(trace.values)) + 1
    if len(changes) < 4 or 2 * len(changes) > len(trace.values):
        return None
    gaps = np.diff(trace.t_s[changes])
    periods = np.maximum(1, np.round(gaps / np.percentile(gaps, 25)))
    return float(np.sum(gaps) / np.sum(periods))


def counter_span(trace: Trace) -> tuple[float, float, float] | None:
    """(from_s, to_s, joules) between the first and the last renewal of a counter: no step is cut in half."""
    steps = np.flatnonzero(np.diff(trace.values)) + 1
    if len(steps) < 2:
        return None
    first, last = steps[0], steps[-1]
    return float(trace.t_s[first]), float(trace.t_s[last]), float(trace.values[last] - trace.values[first])


def between(trace: Trace, from_s: float, to_s: float) -> Trace:
    """The readings within an interval, with both ends interpolated."""
    inside = (trace.t_s > from_s) & (trace.t_s < to_s)
    ends = np.interp([from_s, to_s], trace.t_s, trace.values)
    t_s = np.concatenate(([from_s], trace.t_s[inside], [to_s]))
    return Trace(t_s, np.concatenate((ends[:1], trace.values[inside], ends[1:])))


def power_from_counter(trace: Trace) -> Trace:
    """Mean watts of each step of a counter, at the step's middle."""
    steps = np.flatnonzero(np.diff(trace.values)) + 1
    t_s, joules = trace.t_s[steps], trace.values[steps]
    return Trace((t_s[1:] + t_s[:-1]) / 2, np.diff(joules) / np.diff(t_s))


def lag_s(trace: Trace, edges: Sequence[tuple[float, bool]]) -> float | None:
    """Median seconds from an edge of the load (time, upwards) until the power is half-way there."""
    if len(edges) < 3 or not len(trace.values):
        return None
    low, high = np.percentile(trace.values, [10, 90])
    if high - low < 0.1 * high:  # no square wave is to be seen
        return None
    half = (low + high) / 2
    lags: list[float] = []
    for (start, upwards), (end, _) in pairwise(edges):
        inside = (trace.t_s >= start) & (trace.t_s < end)
        crossed = (trace.values > half) == upwards
        hits = np.flatnonzero(inside & crossed)
        if len(hits):
            lags.append(float(trace.t_s[hits[0]] - start))
    return float(np.median(lags)) if lags else None


def smi_watts(lines: Iterable[str]) -> list[float]:
    """The watts in the output of nvidia-smi --query-gpu=power.draw...; rows without a number are left out."""
    watts: list[float] = []
    for row in csv.reader(lines):
        text = row[0].strip().removesuffix("W").strip() if row else ""
        if text.replace(".", "", 1).isdigit():
            watts.append(float(text))
    return watts


def ratio(part: float | None, whole: float | None) -> float | None:
    """part / whole where both are known and the second is not zero."""
    return part / whole if part is not None and whole else None


def analyse(
    counter: Trace | None, power: Trace | None, smi: Sequence[float], edges: Sequence[tuple[float, bool]]
) -> dict[str, Any]:
    """One phase's numbers; None where something was not there."""
    span = counter_span(counter) if counter else None
    counter_w = ratio(span[2], span[1] - span[0]) if span else None
    power_w = smi_w = same_time_j = None
    if power is not None and len(power.t_s) > 1:
        power_w = integrate(power) / float(power.t_s[-1] - power.t_s[0])
        same_time_j = integrate(between(power, span[0], span[1])) if span else None
    if smi:
        smi_w = float(np.mean(smi))
    return {
        "counter_mean_w": counter_w,
        "power_mean_w": power_w,
        "nvidia_smi_mean_w": smi_w,
        "counter_j": span[2] if span else None,
        "integrated_j_in_the_same_time": same_time_j,
        "counter_to_integrated": ratio(span[2] if span else None, same_time_j),
        "counter_to_nvidia_smi": ratio(counter_w, smi_w),
        "power_to_nvidia_smi": ratio(power_w, smi_w),
        "counter_update_period_s": update_period_s(counter) if counter else None,
        "power_update_period_s": update_period_s(power) if power else None,
        "counter_lag_s": lag_s(power_from_counter(counter), edges) if counter and edges else None,
        "power_lag_s": lag_s(power, edges) if power and edges else None,
        "readings": len(power.t_s) if power else len(counter.t_s) if counter else 0,
    }


# --- measuring ---


def open_gpu(gpu: int, method: str, environ: Mapping[str, str]) -> Source | None:
    """The nvml source of one board with one method, or None where the board has not got it."""
    host = Host(environ=environ, options={NAME: {"devices": str(gpu), "method": method}})
    for finding in probe(host):
        if finding.source == NAME and finding.open:
            return finding.open()
    return None


def sample(sources: Mapping[str, Source], seconds: float) -> dict[str, Trace]:
    """Read each source's one channel every READ_EVERY_S; counters come back in joules."""
    times: dict[str, list[float]] = {name: [] for name in sources}
    values: dict[str, list[float]] = {name: [] for name in sources}
    end = time.monotonic() + seconds
    due = time.monotonic()
    while due < end:
        for name, source in sources.items():
            before = time.monotonic()
            value = source.read()[0]
            if value is not None:
                times[name].append((before + time.monotonic()) / 2)
                values[name].append(value / 1e6 if source.channels[0].kind == "counter" else value)
        due += READ_EVERY_S
        time.sleep(max(0.0, due - time.monotonic()))
    return {name: Trace(np.array(times[name]), np.array(values[name])) for name in sources}


def start_load(gpu: int, seconds: float, wave_s: float) -> subprocess.Popen[str]:
    """The child that burns: ``wave_s`` 0 for a constant load."""
    command = [sys.executable, __file__, f"--burn={seconds}", f"--wave={wave_s}"]
    environ = {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(gpu)}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


def burn(seconds: float, wave_s: float) -> None:
    """Matrix products on the first visible GPU; prints "ready", then a line "time 1|0" for each edge."""
    import torch  # pyright: ignore[reportMissingImports]

    size = 8192
    left = torch.randn(size, size, device="cuda", dtype=torch.float16)
    right = torch.randn(size, size, device="cuda", dtype=torch.float16)
    out = left @ right
    torch.cuda.synchronize()
    print("ready", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        half_end = time.monotonic() + wave_s / 2 if wave_s else end
        print(time.monotonic(), 1, flush=True)
        while time.monotonic() < half_end:
            torch.matmul(left, right, out=out)
            torch.cuda.synchronize()
        if wave_s:
            print(time.monotonic(), 0, flush=True)
            time.sleep(wave_s / 2)


def start_smi(gpu: int) -> subprocess.Popen[str] | None:
    """nvidia-smi logging instantaneous power (its own choice of field where the driver is too old)."""
    if shutil.which("nvidia-smi") is None:
        return None
    known = subprocess.run(
        ["nvidia-smi", "--help-query-gpu"], capture_output=True, text=True, check=False
    ).stdout
    field = "power.draw.instant" if "power.draw.instant" in known else "power.draw"
    command = ["nvidia-smi", f"--id={gpu}", f"--query-gpu={field}", "--format=csv,noheader"]
    return subprocess.Popen([*command, f"-lms={SMI_PERIOD_MS}"], stdout=subprocess.PIPE, text=True)


def run_phase(
    gpu: int, sources: Mapping[str, Source], seconds: float, wave_s: float | None
) -> dict[str, Any] | None:
    """One phase; ``wave_s`` None is idle, 0 a constant load. None where the load could not run."""
    load = None
    if wave_s is not None:
        load = start_load(gpu, seconds + 2 * SETTLE_S, wave_s)
        assert load.stdout is not None
        if load.stdout.readline().strip() != "ready":
            load.wait()
            return None
    time.sleep(SETTLE_S)
    smi = start_smi(gpu)
    traces = sample(sources, seconds)
    smi_lines: list[str] = []
    if smi is not None:
        smi.terminate()
        smi_lines = smi.communicate()[0].splitlines()
    edges: list[tuple[float, bool]] = []
    if load is not None:
        rows = [line.split() for line in load.communicate()[0].splitlines()]
        start, end = next(iter(traces.values())).t_s[[0, -1]]
        edges = [(float(at), up == "1") for at, up in rows if start <= float(at) <= end] if wave_s else []
    return analyse(traces.get("counter"), traces.get("power"), smi_watts(smi_lines), edges)


def has_torch() -> bool:
    """Whether a child could burn: PyTorch is there and sees CUDA (asked in a child)."""
    code = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 1)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the phases and write the JSON; 0 also where there is no GPU to check."""
    parser = argparse.ArgumentParser(description="Check the nvml source on a real GPU.")
    parser.add_argument("--gpu", type=int, default=0, help="index as nvidia-smi counts")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each phase")
    parser.add_argument("--wave", type=float, default=1.0, help="period of the square wave in seconds")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results") / "nvml.json")
    parser.add_argument("--idle-only", action="store_true", help="make no load, even where PyTorch is there")
    parser.add_argument("--burn", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.burn is not None:
        burn(options.burn, options.wave)
        return 0
    findings = probe(Host(environ=dict(os.environ), options={NAME: {"devices": "all"}}))
    if not any(finding.usable for finding in findings):
        reasons = " ".join(finding.problem for finding in findings if finding.problem)
        print(f"No NVIDIA GPU that could be checked here. {reasons or 'There is no NVIDIA driver.'}")
        return 0
    opened = {name: open_gpu(options.gpu, name, os.environ) for name in ("counter", "power")}
    sources = {name: source for name, source in opened.items() if source is not None}
    if not sources:
        print(f"GPU {options.gpu} can be read neither by counter nor by power.", file=sys.stderr)
        return 1
    phases: dict[str, float | None] = {"idle": None}
    if not options.idle_only:
        if has_torch():
            phases |= {"constant": 0.0, "square_wave": options.wave}
        else:
            print("No PyTorch with CUDA: only the idle phase is run.")
    result: dict[str, Any] = {
        "gpu": next(iter(sources.values())).channels[0].label,
        "what": next((finding.what for finding in findings if finding.usable), ""),
        "channels": {name: source.channels[0].to_dict() for name, source in sources.items()},
        "seconds": options.seconds,
        "wave_s": options.wave,
        "phases": {},
    }
    try:
        for name, wave_s in phases.items():
            result["phases"][name] = run_phase(options.gpu, sources, options.seconds, wave_s)
            print(name, json.dumps(result["phases"][name]))
    except SourceError as error:
        print(f"{error}. {error.hint or ''}", file=sys.stderr)
        return 1
    finally:
        for source in sources.values():
            source.close()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
