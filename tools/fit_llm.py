"""Fit the factors that wattmark.predict.llm ships: ``python tools/fit_llm.py FOLDER`` with ML.ENERGY's CSV files."""

from __future__ import annotations

import sys
from pathlib import Path

from wattmark.predict.llm.mlenergy import observations
from wattmark.predict.llm.predictor import LlmPredictor, as_shipped

ATTRIBUTION = (
    "Fitted on the measurements of the ML.ENERGY leaderboard v2 (github.com/ml-energy/leaderboard-v2, commit c3af7f31, "
    "Apache-2.0): GPU energy by Zeus, vLLM 0.5, A100-SXM4-40GB and H100 80GB HBM3, 2024."
)

if __name__ == "__main__":
    rows = observations(Path(sys.argv[1]))
    target = Path(__file__).parents[1] / "src/wattmark/predict/llm/data/coefficients.json"
    target.write_text(
        as_shipped(LlmPredictor.fit(rows, "ML.ENERGY leaderboard v2"), ATTRIBUTION), encoding="utf-8"
    )
