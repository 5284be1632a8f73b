"""A fuzzer that is guided by coverage: whatever a file holds, importing gives runs that hold, or our own error."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from datetime import timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from fakes.records import example_record
from wattmark.errors import ImportFileError
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import importing
from wattmark.store.importing import reading_of
from wattmark.store.importing.reading import TextFile
from wattmark.store.portable import FORMAT, VERSION, from_plain, to_plain

SECONDS = float(os.environ.get("LOOP_SECONDS", "6"))
ZONES = (timezone.utc, ZoneInfo("Europe/Berlin"))
POISON = (
    "1e308", "-1e308", "nan", "inf", "-1", "0", "", "[N/A]", "9999-12-31 23:59:59", "0001-01-01 00:00:00", "=1",
    "99999999999999999999", "2024-10-27 02:30:00", '"', "'", ";", "|", "\t", "#", "{", "[", "null", "true",
    "1e-320", "\ud800", "\0", "٣", "２", "[" * 2000, "x" * 5000, "1" * 5000, "00:00:00", "GPU 0", "GPU-I 1",
    "0x10", "1,5", "1_0", " ", "\x0c", "\u2028", "\r",
)  # fmt: skip
LEAVES = (
    None, True, -1, 0, 1.5, 1e308, float("nan"), float("inf"), 2**63, 2**70, -(2**63), "x", "", "\ud800", [], {},
    [[]], [None], {"a": {}},
)  # fmt: skip


def seeds() -> list[str]:
    stamps = [f"2024/10/27 02:{m:02}:0{s}.000" for m in (58, 59) for s in range(3)]
    smi = "".join(f"{t}, {i}, Tesla T4, 70.5 W, 5 %, 100 MiB\n" for t in stamps for i in (0, 1))
    plain = to_plain(example_record())
    rows = [
        {"_timestamp": 1.7e9 + s, "system.gpu.0.powerWatts": 200.0, "system.gpu.0.gpu": 5} for s in range(4)
    ]
    meta = {"unit": "J", "mag": 1e-6, "max": 1e9}
    raw = {"timesteps": [0.0, 1.0], "values": [0, 5_000_000], "v_md": meta}
    leaf = {"id": "s", "type": 6, "metadata": {}, "nodes": [{}], "processed": False, "raw_data": raw}
    tree = {**leaf, "id": "cpu", "type": 5, "nodes": [{"s": leaf}]}
    profile = {"serverData": {"cpu": {"epoch": [0.1, 0.2]}, "gpu": {"epoch": [0.1, 0.2]}}, "PUE": 1.5}
    return [
        "timestamp, index, name, power.draw [W], utilization.gpu [%], memory.used [MiB]\n" + smi,
        smi,
        smi.replace(",", ";"),
        "timestamp,project_name,run_id,duration,emissions,cpu_energy,energy_consumed,pue\n"
        + "".join(f"2024-10-27T0{h}:00:00,p,r,{3600 * h},1,0.00{h},0.00{h},1.1\n" for h in range(1, 5)),
        "id,project_name,start_time,duration(s),power_consumption(kWh),GPU_name,CPU_name\n"
        "u,p,2024-01-01 10:00:00,60.5,0.001,T4 1 device(s),X/2 device(s)\n",
        "#Date Time gpu pwr sm\n#YYYYMMDD HH:MM:SS Idx W %\n"
        + "".join(f" 20240101 10:00:0{s} 0 70 5\n" for s in range(5)),
        "#Time gpu pwr\n" + "".join(f" 23:59:5{s} 0 70\n" for s in range(5)),
        "# gpu pwr\n# Idx W\n 0 70\n 0 71\n",
        "#Entity POWER TOTEC\nID W mJ\nGPU 0 70.5 1000\nGPU 0 71.5 72000\nGPU-I 1 N/A N/A\n",
        "2024-01-01 10:00:00 - carbontracker version 1.2\n"
        "2024-01-01 10:00:00 - The following components were found: GPU with device(s) A, B.\n"
        "2024-01-01 10:01:00 - Epoch 1:\n2024-01-01 10:01:00 - Duration: 0:01:00.00\n"
        "2024-01-01 10:01:00 - Average power usage (W) for gpu: [1. 2.]\n",
        "CarbonTracker: \nActual consumption for 1 epoch(s):\n\tTime:\t0:00:10\n\tEnergy:\t0.001 kWh\n\tCO2eq:\t1 g\n",
        ",run id,hostname,device_group,sensor,unit,magnitude,timestep,value\n"
        + "".join(
            f"{s},0,n,cpu,p,J,1e-06,{s}.0,{s * 5_000_000}\n0,0,n,gpu,g,W,1,{s}.0,5\n" for s in range(4)
        ),
        json.dumps(tree),
        "".join(json.dumps(row) + "\n" for row in rows),
        json.dumps(rows),
        '"Relative Time (Process)","a - system/gpu.0.powerWatts"\n"0","5"\n"9","5"\n',
        "JobID|JobName|Submit|Elapsed|NCPUS|TotalCPU|ReqMem|ConsumedEnergyRaw|AllocTRES\n"
        "1|a|2024-01-01T10:00:00|1-00:00:01|4|00:10:00|4Gn|5000|gres/gpu=1\n1.0|b|2024-01-01T10:00:00|00:01|1|00:01|||\n"
        "2|a|2024-01-01T10:00:00|00:10:00|4|00:10:00|4Gc||gres/gpu=1\n",
        json.dumps(profile),
        json.dumps({"format": FORMAT, "version": VERSION, "runs": [plain]}),
    ]


def mutated(text: str, corpus: list[str], draw: random.Random) -> str:
    """One or a few changes: of a cell, a line, a stretch of text, a value of JSON, or a splice with another text."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        kind = draw.randrange(6)
        lines = text.split("\n")
        at = draw.randrange(len(lines))
        if kind == 0:
            sign = draw.choice(",;| \t:")
            cells = lines[at].split(sign)
            cells[draw.randrange(len(cells))] = draw.choice(POISON)
            lines[at] = sign.join(cells)
            text = "\n".join(lines)
        elif kind == 1:
            change = draw.choice(("drop", "twice", "glue", "swap"))
            if change == "drop":
                del lines[at]
            elif change == "twice":
                lines.insert(draw.randrange(len(lines)), lines[at])
            elif change == "glue" and at + 1 < len(lines):
                lines[at] += lines.pop(at + 1)
            else:
                other = draw.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            text = "\n".join(lines)
        elif kind == 2:
            start = draw.randrange(len(text) + 1)
            text = text[:start] + draw.choice(POISON) + text[start + draw.randrange(4) :]
        elif kind == 3:
            text = text[: draw.randrange(len(text) + 1)]
        elif kind == 4:
            other = draw.choice(corpus)
            text = text[: draw.randrange(len(text) + 1)] + other[draw.randrange(len(other) + 1) :]
        else:
            try:
                text = json.dumps(changed(json.loads(text), draw))
            except (ValueError, RecursionError):
                text = text.replace(draw.choice("0123456789"), draw.choice(POISON), draw.randrange(1, 4))
        text = text[:200_000] or "\n"
    return text


def changed(data, draw: random.Random):
    """A JSON value with one leaf or branch in it replaced."""
    if isinstance(data, dict) and data and draw.random() < 0.9:
        key = draw.choice(list(data))
        return {**data, key: changed(data[key], draw)}
    if isinstance(data, list) and data and draw.random() < 0.9:
        at = draw.randrange(len(data))
        return [*data[:at], changed(data[at], draw), *data[at + 1 :]]
    return draw.choice(LEAVES)


def check(text: str, zone) -> None:
    try:
        reading = reading_of(TextFile("log.csv", text), zone)
    except ImportFileError:
        return
    for record in reading:
        for curve in record.curves:
            assert np.all(np.diff(curve.energy_uj) >= 0)
            assert np.all(np.diff(curve.t_ns) > 0)
        summary = summarise(RunView(record))
        json.dumps(summary, default=str)
        from_plain(json.loads(json.dumps(to_plain(record))))


def test_every_seed_is_imported_whole():
    for text in seeds():
        reading = reading_of(TextFile("log.csv", text), ZONES[0])
        assert (len(reading) > 0, reading.problems) == (True, ()), text[:80]


@pytest.mark.slow
def test_whatever_a_file_holds_nothing_but_our_own_errors_comes_out():
    draw = random.Random(20241027)
    corpus = seeds()
    folder = importing.__path__[0]
    covered: set[tuple[str, int]] = set()
    fresh = False

    def trace(frame, event, _argument):
        nonlocal fresh
        name = frame.f_code.co_filename
        if not (name.startswith(folder) or name.endswith("portable.py")):
            return None
        place = (name, frame.f_lineno)
        if place not in covered:
            covered.add(place)
            fresh = True
        return trace

    end = time.monotonic() + SECONDS
    before = sys.gettrace()
    rounds = 0
    while time.monotonic() < end:
        text = (
            corpus[rounds % len(corpus)]
            if rounds < len(corpus)
            else mutated(draw.choice(corpus), corpus, draw)
        )
        rounds += 1
        fresh = False
        sys.settrace(trace)
        try:
            check(text, draw.choice(ZONES))
        except Exception as error:
            raise AssertionError(
                f"round {rounds}: {type(error).__name__}: {error} from\n{text[:3000]!r}"
            ) from error
        finally:
            sys.settrace(before)
        if fresh and len(text) < 20_000:
            corpus.append(text)
    assert len(corpus) > len(seeds())
