"""Studies on disk as a runner would have left them, from made-up results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fakes.studies import study
from fakes.vision_study import vision_study
from wattmark.studies.designs.builtin import builtin_text
from wattmark.studies.designs.design import parse_design
from wattmark.studies.execution.state import DESIGN, TRIALS
from wattmark.studies.results import StudyResults

SIZES = {"1m": 1e6, "5m": 5e6, "20m": 2e7}
RATES = [1.0, 3.0, 6.0, 12.0]


def write_study(root: Path, name: str, results: StudyResults, design: str) -> Path:
    """``root/name`` with the design's text and the results' trials."""
    folder = root / name
    (folder / "logs").mkdir(parents=True)
    (folder / DESIGN).write_text(parse_design(design, "study.toml").as_toml(), encoding="utf-8")
    lines = "".join(f"{trial.to_json()}\n" for trial in results.trials)
    (folder / TRIALS).write_text(lines, encoding="utf-8")
    return folder


def vision(root: Path) -> Path:
    """Fourteen networks, two batch sizes, three repeats; the last trial ran out of memory."""
    results = vision_study(batches=(32, 128), started_at="2026-11-01T10:00:00+00:00")
    factors = "model = " + str(list(dict.fromkeys(t.factors["model"] for t in results.trials)))
    text = f'name = "vision"\ntitle = "Fourteen image classifiers"\nworkload = "vision"\nrepeats = 3\n[factors]\n{factors}\n'
    return write_study(root, "vision", results, f"{text}batch_size = [32, 128]\n".replace("'", '"'))


def serving(root: Path) -> Path:
    """Three sizes at four loads: idle watts shared by the load, and what each token costs on top; reasoning besides."""

    def metrics(levels: Mapping[str, object]) -> dict[str, float]:
        size, rate = SIZES[str(levels["model"])], float(str(levels["rate"]))
        own = 2e-3 * (size / 1e6) ** 0.5
        joules, ttft = 10 / (16 * rate) + own, 0.005 * (size / 1e6) ** 0.5 * (1 + rate / 12)
        found = {
            "j_per_token": joules, "j_per_token_low": joules * 0.9, "j_per_token_high": joules * 1.1,
            "j_per_request": 16 * joules, "j_per_request_low": 14 * joules, "j_per_request_high": 18 * joules,
            "idle_share": 10 / (16 * rate) / joules, "serving_w": 10 + own * 16 * rate, "in_flight": rate * ttft * 4,
            "requests_per_s": rate, "goodput": rate, "parameters": size, "output_tokens_per_s": 16 * rate,
        }  # fmt: skip
        for at, factor in (("50", 1.0), ("95", 2.0), ("99", 3.0)):
            found |= {f"request_j_p{at}": 16 * own * factor, f"ttft_p{at}_s": ttft * factor,
                      f"tpot_p{at}_s": ttft * factor / 4, f"e2e_p{at}_s": ttft * factor * 5}  # fmt: skip
        return found

    made = study({"model": list(SIZES), "rate": RATES}, 2, metrics=metrics)
    when = "2026-11-02T10:00:00+00:00"
    trials = [
        replace(t, methods={"cpu": "modelled", "gpu": "modelled"}, stages=(), started_at=when)
        for t in made.trials
    ]
    return write_study(root, "genops-quick", replace(made, trials=trials), builtin_text("genops-quick"))


def both(root: Path) -> None:
    """Both made-up studies, where they are not there yet."""
    for name, make in (("vision", vision), ("genops-quick", serving)):
        if not (root / name).exists():
            make(root)
