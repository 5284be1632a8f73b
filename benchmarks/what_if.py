"""How often does the interval of "what if" hold the truth, and how wide is it?

    python benchmarks/what_if.py [--data ../shared/data] [--runs STORE.db ...]

Published measurements of the same work on several devices or under several caps are predicted one from the other.
Each row counts pairs, the share whose truth lies in the interval, the interval's width (high over low, median) and
the typical error of the value. --runs: stores with runs that have epochs; their first epochs predict the rest.
Writes benchmarks/results/what_if.json and what_if.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

import numpy as np  # noqa: E402

from wattmark.predict.extrapolate import epochs_of, future, settled_epochs  # noqa: E402
from wattmark.predict.hardware import swap  # noqa: E402
from wattmark.predict.hardware.accelerators import find, of_device  # noqa: E402
from wattmark.predict.hardware.caps import capped  # noqa: E402
from wattmark.predict.hardware.devices import Installed  # noqa: E402
from wattmark.predict.whatif.state import State, Unpredictable, Work  # noqa: E402
from wattmark.quantity import Quantity  # noqa: E402

HERE = Path(__file__).resolve().parent
GAISSA = {"NVIDIA GeForce RTX 3090": "rtx-3090", "NVIDIA GeForce RTX 3070": "rtx-3070",
          "NVIDIA GeForce GTX 750 Ti": "gtx-750-ti"}  # fmt: skip


@dataclass
class Tally:
    """Predictions of one kind against what was measured."""

    name: str
    note: str
    hits: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def add(self, predicted: Quantity, truth: float) -> bool:
        hit = predicted.low <= truth <= predicted.high
        self.hits.append(hit)
        self.widths.append(predicted.high / predicted.low if predicted.low > 0 else math.inf)
        self.errors.append(abs(math.log(truth / predicted.value)))
        return hit

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.name,
            "predictions": len(self.hits),
            "coverage": statistics.fmean(self.hits),
            "width_median": statistics.median(self.widths),
            "error_factor_median": math.exp(statistics.median(self.errors)),
            "note": self.note,
        }


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lambda_rows() -> Iterator[tuple[str, list[dict[str, str]]]]:
    for precision in ("fp32", "fp16"):
        yield precision, read(HERE / "what_if_data" / f"lambda_{precision}.csv")


def speeds() -> tuple[list[Tally], dict[str, Any]]:
    """Throughput of one device against another, same software and precision, nothing but the device between."""
    tally = Tally(
        "speed of a device (Lambda, 12 GPUs, 10 trainings, 2 precisions)", "the slack was fitted to these"
    )
    needed: list[tuple[str, str, float]] = []
    for _, rows in lambda_rows():
        single = [row for row in rows if row["count"] == "1"]
        for old, new in permutations(single, 2):
            speed = swap.device_speed(find(old["hardware"]), find(new["hardware"]))
            assert isinstance(speed, Quantity)
            for work in [name for name in old if name not in ("hardware", "count")]:
                truth = float(new[work]) / float(old[work])
                tally.add(speed, truth)
                slack = max(speed.low * swap.ROOF_SLACK / truth, truth / (speed.high / swap.ROOF_SLACK), 1.0)
                needed.append((old["hardware"], new["hardware"], slack))
    left_out: dict[str, Any] = {}
    for gpu in sorted({old for old, _, _ in needed}):
        slack = float(np.quantile([s for a, b, s in needed if gpu not in (a, b)], 0.95))
        own = [s for a, b, s in needed if gpu in (a, b)]
        left_out[gpu] = {"slack": slack, "coverage": statistics.fmean(s <= slack for s in own)}
    return [tally], left_out


def scaling() -> list[Tally]:
    tally = Tally("speed of n devices (Lambda, 1 to 2, 4 and 8)", "the exponents were fitted to these")
    for _, rows in lambda_rows():
        single = {row["hardware"]: row for row in rows if row["count"] == "1"}
        for row in rows:
            if row["count"] != "1":
                for work in [name for name in row if name not in ("hardware", "count")]:
                    truth = float(row[work]) / float(single[row["hardware"]][work])
                    tally.add(swap.count_speed(1, int(row["count"])), truth)
    return [tally]


def exchanged(
    gpu: str, target: str, seconds: float, joules: float, utilisation: float | None, work: Work = "training"
) -> tuple[Quantity, Quantity]:
    state = State(
        {"gpu": Quantity.exact(joules)},
        Quantity.exact(seconds, "s"),
        (Installed(find(gpu), 1),),
        utilisation=utilisation,
        work=work,
    )
    found = swap.swap_accelerators(state, [Installed(find(target), 1)])
    assert not isinstance(found, Unpredictable), str(found)
    assert found[0].duration_s is not None
    return found[0].duration_s, found[0].by_component["gpu"]


def zeus_curves() -> dict[tuple[str, str, str], dict[float, tuple[float, float]]]:
    curves: dict[tuple[str, str, str], dict[float, tuple[float, float]]] = {}
    for row in read(HERE / "what_if_data" / "zeus_power.csv"):
        key = row["hardware"], row["network"], row["batch_size"]
        values = float(row["time_per_epoch_s"]), float(row["mean_power_w"])
        curves.setdefault(key, {})[float(row["power_limit_w"])] = values
    return curves


def zeus_swaps() -> list[Tally]:
    note = "different hosts; utilisation not known; not used for fitting the slacks"
    time = Tally("seconds of an epoch on another GPU (Zeus, 4 GPUs)", note)
    energy = Tally("joules of an epoch on another GPU (Zeus, 4 GPUs)", note)
    curves = {key: curve[max(curve)] for key, curve in zeus_curves().items()}
    for old, new in permutations(curves, 2):
        if old[1:] == new[1:]:
            seconds, watts = curves[old]
            got_s, got_j = exchanged(old[0], new[0], seconds, seconds * watts, None)
            time.add(got_s, curves[new][0])
            energy.add(got_j, curves[new][0] * curves[new][1])
    return [time, energy]


def serving_swaps(data: Path) -> tuple[list[Tally], dict[str, Any]]:
    """ML.ENERGY's configurations that ran on both boards: same model, parallelism and largest batch."""
    by_work: dict[tuple[str, ...], dict[str, tuple[float, float]]] = {}
    for name in ("llm_text_generation", "mllm_text_generation"):
        for row in read(data / "mlenergy_v2" / f"{name}.csv"):
            part = of_device(row["GPU"])
            assert part is not None
            boards = int(row["TP"]) * int(row["PP"])
            joules = float(row["Energy/req (J)"]) / float(row["Avg Output Tokens"]) / boards
            key = "language", row["task"], row["Model"], row["TP"], row["PP"], row["Max BS (reqs)"]
            by_work.setdefault(key, {})[part.id] = 1 / float(row["Token tput (tok/s)"]), joules
    for row in read(data / "mlenergy_v2" / "diffusion.csv"):
        part = of_device(row["GPU"])
        assert part is not None
        joules = float(row["Energy/image (J)"] or row["Energy/video (J)"])
        key = "diffusion", row["task"], row["Model"], row["Batch size"], row["Denoising steps"], row["Frames"]
        by_work.setdefault(key, {})[part.id] = (
            float(row["Batch latency (s)"]) / float(row["Batch size"]),
            joules,
        )
    note = (
        "A100 and H100; full utilisation reported; the exponent and the load's factor were chosen with these"
    )
    tallies = {
        (kind, unit): Tally(f"{unit} of {kind} models on the other board (ML.ENERGY)", note)
        for kind in ("language", "diffusion")
        for unit in ("seconds", "joules")
    }
    by_tdp: list[float] = []
    residuals: dict[str, list[tuple[float, float]]] = {}
    for key, boards in by_work.items():
        for old, new in permutations(boards, 2):
            (seconds, joules), (truth_s, truth_j) = boards[old], boards[new]
            got_s, got_j = exchanged(old, new, seconds, joules, 1.0, "serving")
            tallies[key[0], "seconds"].add(got_s, truth_s)
            tallies[key[0], "joules"].add(got_j, truth_j)
            ratio = (find(new).tdp_w or 0) / (find(old).tdp_w or 1)
            by_tdp.append(abs(math.log(truth_j / joules / ratio)))
            residuals.setdefault(key[2], []).append(
                (abs(math.log(truth_s / got_s.value)), abs(math.log(truth_j / got_j.value)))
            )
    conformal = {
        "models": len(residuals),
        "tdp_ratio_error_factor_median": math.exp(statistics.median(by_tdp)),
    }
    for place, unit in enumerate(("seconds", "joules")):
        widths: list[float] = []
        held: list[bool] = []
        for model, own in residuals.items():
            others = [one[place] for name, pairs in residuals.items() if name != model for one in pairs]
            widths.append(float(np.quantile(others, 0.95)))
            held += [one[place] <= widths[-1] for one in own]
        conformal[f"{unit}_half_width_of_ln"] = statistics.median(widths)
        conformal[f"{unit}_held_models_left_out"] = statistics.fmean(held)
    return list(tallies.values()), conformal


def gaissa_swaps(data: Path) -> tuple[list[Tally], list[dict[str, Any]]]:
    """The median run on one machine predicts every run on another, per image (early stopping varies the epochs)."""
    rows = read(data / "gaissa" / "dl-training-energy-consumption-dataset.csv")
    runs: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for row in rows:
        images = float(row["total seen images"])
        seconds, joules = float(row["training duration (h)"]) * 3600, float(row["energy (MJ)"]) * 1e6
        key = GAISSA[row["gpu model"]], row["architecture"]
        runs.setdefault(key, []).append(
            (seconds / images, joules / images, float(row["gpu usage (%)"]) / 100)
        )
    note = "three whole machines: the host changes too; the slacks of load and host were chosen with these"
    time = Tally("seconds of a training on another machine (GAISSA, 3 GPUs, 5 networks)", note)
    energy = Tally("joules of a training on another machine (GAISSA)", note)
    cells: list[dict[str, Any]] = []
    for (gpu, network), own in runs.items():
        seconds, joules, busy = (statistics.median(column) for column in zip(*own, strict=True))
        for target in GAISSA.values():
            if target == gpu or (target, network) not in runs:
                continue
            got_s, got_j = exchanged(gpu, target, seconds, joules, busy)
            others = runs[target, network]
            hits_s = [time.add(got_s, one[0]) for one in others]
            hits_j = [energy.add(got_j, one[1]) for one in others]
            cells.append(
                {"from": gpu, "to": target, "network": network, "runs": len(others),
                 "seconds_covered": statistics.fmean(hits_s), "joules_covered": statistics.fmean(hits_j),
                 "seconds_truth_over_value": statistics.median(one[0] for one in others) / got_s.value,
                 "joules_truth_over_value": statistics.median(one[1] for one in others) / got_j.value}
            )  # fmt: skip
    return [time, energy], cells


def caps(data: Path) -> list[Tally]:
    note = "fitted to these traces"
    time = Tally("seconds of an epoch under a power cap (Zeus, 4 GPUs)", note)
    energy = Tally("joules of an epoch under a power cap (Zeus)", note)
    for curve in capped_curves(data):
        seconds, watts = curve[max(curve)]
        for limit, (capped_s, capped_w) in curve.items():
            if limit < max(curve):
                got_s, got_j = capped(watts, watts, 1.0, limit)
                time.add(got_s, capped_s / seconds)
                energy.add(got_j, capped_s * capped_w / (seconds * watts))
    return [time, energy]


def capped_curves(data: Path) -> list[dict[float, tuple[float, float]]]:
    """Seconds and watts of an epoch by power limit, for each board, network, batch size and optimiser."""
    curves: dict[tuple[str, ...], dict[float, tuple[float, float]]] = {}
    for path in sorted((data / "zeus_traces").glob("summary_power_*.csv")):
        for row in read(path):
            key = path.stem, row["network"], row["batch_size"], row["optimizer"]
            values = float(row["time_per_epoch"]), float(row["average_power"])
            curves.setdefault(key, {})[float(row["power_limit"])] = values
    return list(curves.values())


def idle_share(data: Path) -> dict[str, float]:
    """CodeCarbon counted 8 A100s of which one worked: an eighth of the least watts seen is what an idle one drew."""
    shares: list[float] = []
    for path in sorted((data / "power_hungry" / "data" / "emissions" / "complete").glob("*.csv")):
        board = "8 x NVIDIA A100-SXM4-80GB"
        shares += [float(row["gpu_power"]) / 8 / 400 for row in read(path) if row.get("gpu_model") == board]
    low, middle, high = (float(q) for q in np.quantile(shares, (0.025, 0.5, 0.975)))
    return {"runs": len(shares), "share_2.5": low, "share_median": middle, "share_97.5": high}


def against_mlco2(data: Path) -> list[dict[str, Any]]:
    """Where the table of mlco2/impact says something else than the data sheets."""
    found: list[dict[str, Any]] = []
    for row in read(data / "hardware" / "mlco2_impact" / "gpus.csv"):
        part = of_device(row["name"])
        if part is None or row["type"] == "cpu" or part.tdp_w is None:
            continue
        theirs = {"tdp_w": row["tdp_watts"], "fp32": row["TFLOPS32"], "fp16": row[" TFLOPS16"]}
        ours = {"tdp_w": part.tdp_w, "fp32": part.throughput.get("fp32"), "fp16": part.throughput.get("fp16")}
        for name, text in theirs.items():
            own = ours[name]
            try:
                value = float(text)
            except ValueError:
                continue
            if own and math.isfinite(value) and abs(value / own - 1) > 0.1:
                found.append({"hardware": part.id, "field": name, "data_sheet": own, "mlco2": value})
    return found


def epochs(stores: Iterable[Path]) -> list[Tally]:
    """The first k epochs of a run predict the sum of all its later ones; joules without the channel's own accuracy."""
    from wattmark.runs.view import RunView
    from wattmark.store import open_store

    tallies: dict[tuple[int, str], Tally] = {}
    runs = 0
    for path in stores:
        with open_store(str(path)) as store:
            for summary in store.summaries():
                measured = epochs_of(RunView(store.get(summary.run_id)))
                if len(measured) < 10:
                    continue
                runs += 1
                for count in (4, 6, 10, 20):
                    first = settled_epochs(measured[:count])
                    more = len(measured) - count
                    if more < 5 or len(first) < 2:
                        continue
                    for unit, of in (("J", lambda e: e.energy_j.value), ("s", lambda e: e.duration_s.value)):
                        name = f"{'joules' if unit == 'J' else 'seconds'} of all later epochs from the first {count}"
                        tally = tallies.setdefault((count, unit), Tally(name, ""))
                        seen = [Quantity.exact(of(one), unit) for one in first]
                        tally.add(future(seen, more, unit, ""), sum(of(one) for one in measured[count:]))
    for tally in tallies.values():
        tally.note = f"{runs} runs of matrix work on two cores that many others used meanwhile"
    return list(tallies.values())


def stretches(data: Path) -> list[Tally]:
    """GAISSA's traces have no epochs, but tell how steady power is: the first of 80 equal stretches predict the rest.

    The first four stretches are left out, as an epoch's span would leave out the start.
    """
    from wattmark.runs.view import RunView
    from wattmark.store import import_file

    note = "60 traces of trainings without their first 5 %; the drift was chosen with these"
    tallies = {
        count: Tally(f"joules of a trace from {count} of 80 equal stretches (GAISSA)", note)
        for count in (2, 4, 10, 20)
    }
    for path in sorted((data / "gaissa" / "raw").glob("*/*/gpu-power-*.csv.gz")):
        (record,) = import_file(path)
        edges = np.linspace(record.start_ns, record.end_ns, 81).astype(np.int64)
        joules = RunView(record).between(edges[:-1], edges[1:])["gpu"].value_j[4:-1]
        for count, tally in tallies.items():
            seen = [Quantity.exact(float(value)) for value in joules[:count]]
            tally.add(future(seen, len(joules) - count, "J", ""), float(joules[count:].sum()))
    return list(tallies.values())


def markdown(result: dict[str, Any]) -> str:
    lines = [
        "# What if: how often the interval holds",
        "",
        "Made by `python benchmarks/what_if.py`. An interval should hold the truth 95 times in 100. Width: high over low, "
        "median. Error: factor between value and truth, median.",
        "",
        "| what | predictions | held | width | error | data |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['what']} | {row['predictions']:,} | {row['coverage']:.0%} | × {row['width_median']:.1f} | "
        f"× {row['error_factor_median']:.2f} | {row['note']} |"
        for row in result["coverage"]
    ]
    left_out = result["left_out"]
    held = {gpu: one["coverage"] for gpu, one in left_out.items()}
    worst, best = min(held, key=lambda gpu: held[gpu]), max(held.values())
    idle, serving = result["idle_share"], result["serving_models_left_out"]
    lines += [
        "",
        f"Speed of a device, the slack fitted without one GPU and judged on its pairs: {held[worst]:.0%} held "
        f"({worst}) to {best:.0%}.",
        "",
        f"Serving, widths from the other {serving['models'] - 1} models in turn: joules "
        f"{serving['joules_held_models_left_out']:.0%} held within a factor of "
        f"{math.exp(serving['joules_half_width_of_ln']):.2f} either way, seconds "
        f"{serving['seconds_held_models_left_out']:.0%} within {math.exp(serving['seconds_half_width_of_ln']):.2f}; "
        f"shipped is twice that in ln. The ratio of TDPs is off by {serving['tdp_ratio_error_factor_median']:.2f}.",
        "",
        "Before: joules of serving and diffusion held 99 and 100 % at widths of 6.3 and 4.5, errors of 1.68 and 1.28; "
        "seconds of serving 0 %; joules of Zeus 100 % at a width of 14.4, error 1.34. Caps on all 1,330 Zeus points: 92 and "
        "93 %.",
        "",
        "Cells of GAISSA where fewer than 95 % of the runs lie in the interval:",
        "",
        "| from | to | network | runs | seconds held | joules held | seconds: truth over value | joules: truth over value |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {c['from']} | {c['to']} | {c['network']} | {c['runs']} | {c['seconds_covered']:.0%} | "
        f"{c['joules_covered']:.0%} | {c['seconds_truth_over_value']:.2f} | {c['joules_truth_over_value']:.2f} |"
        for c in result["gaissa_cells"]
        if min(c["seconds_covered"], c["joules_covered"]) < 0.95
    ]
    lines += [
        "",
        "The RTX 3090 of that study stands in a cloud machine whose host feeds it slowly (its GPU is busy 23 % of the "
        "time with MobileNetV2), so its joules tell little of what the work needs elsewhere.",
        "",
        f"Power Hungry Processing ran on one kind of machine, so it says nothing of a swap; its {idle['runs']:,} "
        f"runs give the watts of A100 boards of which seven in eight are idle: {idle['share_2.5']:.0%} to "
        f"{idle['share_97.5']:.0%} of TDP (median {idle['share_median']:.0%}), where the model takes 4 % to 18 % "
        "for an idle one.",
        "",
        f"The table of mlco2/impact differs from the data sheets by more than 10 % in {len(result['mlco2'])} figures: "
        + "; ".join(
            f"{m['hardware']} {m['field']} {m['mlco2']:g} (data sheet {m['data_sheet']:g})"
            for m in result["mlco2"]
        )
        + ". Some are sparse figures, some rates without tensor cores, some watts of another form factor.",
        "",
        "Not tested against measurements, for want of data: CPUs (cores, clocks and TDP; the factor for generations is an "
        "assumption), and accelerators other than NVIDIA's.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    fast, left_out = speeds()
    gaissa, cells = gaissa_swaps(given.data)
    serving, conformal = serving_swaps(given.data)
    tallies = [
        *fast,
        *scaling(),
        *zeus_swaps(),
        *serving,
        *gaissa,
        *caps(given.data),
        *stretches(given.data),
        *epochs(given.runs),
    ]
    result = {
        "coverage": [tally.as_dict() for tally in tallies],
        "left_out": left_out,
        "serving_models_left_out": conformal,
        "gaissa_cells": cells,
        "idle_share": idle_share(given.data),
        "mlco2": against_mlco2(given.data),
    }
    results = HERE / "results"
    (results / "what_if.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = markdown(result)
    (results / "what_if.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
