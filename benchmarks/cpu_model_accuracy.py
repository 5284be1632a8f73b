"""How far is the CPU model from RAPL on CPUs that it has not seen?

    python benchmarks/cpu_model_accuracy.py

Leave one CPU out: the parameters are refitted without any reading of the CPU that is judged, then the model sees only its
``/proc/cpuinfo`` and its utilisation. Beside it: CodeCarbon's load model (``estimated_energy`` of the same rows), a linear
model (utilisation x TDP), and the shipped parameters (fitted with the CPU: not a test, shown for comparison).
Coverage counts how often the channel's interval holds the reading. Writes benchmarks/results/cpu_model_accuracy.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]

import fit_cpu_curves as fitting  # noqa: E402

from wattmark.sources.models.cpu import curves as cpu_curves  # noqa: E402
from wattmark.sources.models.cpu.names import identify  # noqa: E402


def inside(part: Any, model_w: float, truth_w: float, sockets: int) -> bool:
    low, high, absolute_w = cpu_curves.package_spread(part)
    absolute_w *= sockets
    return model_w * (1 - low) - absolute_w <= truth_w <= model_w * (1 + high) + absolute_w


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def judge(name: str, points: list[fitting.Point]) -> dict[str, Any]:
    unseen = fitting.fit([p for p in points if p.cpu.name != name])
    own = [p for p in points if p.cpu.name == name]
    part = identify(own[0].cpu)
    sockets = own[0].cpu.sockets
    left_out = [cpu_curves.curve_power_w(unseen[part.curve], part, p.utilisation) * sockets for p in own]
    shipped = [cpu_curves.package_power_w(part, p.utilisation).value * sockets for p in own]
    linear = [p.utilisation * part.tdp_w * sockets for p in own]

    def error(values: list[float]) -> float | None:
        return mean([abs(v / p.power_w - 1) for v, p in zip(values, own, strict=True)])

    codecarbon = [p.codecarbon_w for p in own if p.codecarbon_w is not None]
    return {
        "cpu": part.label,
        "kind": part.curve,
        "readings": len(own),
        "error_left_out": error(left_out),
        "error_shipped": error(shipped),
        "error_codecarbon": error(codecarbon) if codecarbon else None,
        "error_linear_tdp": error(linear),
        "energy_error_left_out": sum(left_out) / sum(p.power_w for p in own) - 1,
        "inside": sum(inside(part, v, p.power_w, sockets) for v, p in zip(left_out, own, strict=True)),
        "sources": sorted({p.source for p in own}),
    }


def main() -> None:
    points = fitting.all_points()
    names = sorted({p.cpu.name for p in points})
    results = [judge(name, points) for name in names]
    percent = lambda v: "     -" if v is None else f"{100 * v:5.1f}%"  # noqa: E731
    print(
        f"{'CPU':32} {'n':>3} {'left out':>9} {'shipped':>8} {'CodeCarbon':>10} {'u x TDP':>8} {'inside':>7}"
    )
    for r in results:
        print(
            f"{r['cpu']:32} {r['readings']:3d} {percent(r['error_left_out']):>9} {percent(r['error_shipped']):>8} "
            f"{percent(r['error_codecarbon']):>10} {percent(r['error_linear_tdp']):>8} {r['inside']:3d}/{r['readings']:<3d}"
        )
    curves = [r for r in results if r["error_codecarbon"] is not None]
    single = [r for r in results if r["error_codecarbon"] is None]
    readings = sum(r["readings"] for r in results)
    summary = {
        "load_curves": {
            key: mean([r[key] for r in curves])
            for key in ("error_left_out", "error_shipped", "error_codecarbon", "error_linear_tdp")
        },
        "published_readings": {
            key: mean([r[key] for r in single])
            for key in ("error_left_out", "error_shipped", "error_linear_tdp")
        },
        "interval_coverage_by_reading": sum(r["inside"] for r in results) / readings,
        "interval_coverage_by_cpu": mean([r["inside"] / r["readings"] for r in results]),
    }
    print(
        "\nmean over CPUs with load curves:  "
        + ", ".join(f"{k} {percent(v)}" for k, v in summary["load_curves"].items())
    )
    print(
        "mean over published readings:     "
        + ", ".join(f"{k} {percent(v)}" for k, v in summary["published_readings"].items())
    )
    print(
        f"intervals hold {percent(summary['interval_coverage_by_reading'])} of readings, "
        f"{percent(summary['interval_coverage_by_cpu'])} averaged over CPUs (aim: 90 %)"
    )
    out = ROOT / "benchmarks/results/cpu_model_accuracy.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"summary": summary, "cpus": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
