"""Rows of ML.ENERGY's leaderboard v2 (Apache-2.0) as observations: to fit, to judge, to add to."""

from __future__ import annotations

import csv
from pathlib import Path

from wattmark.predict.hardware.accelerators import of_device
from wattmark.predict.llm.architecture import find
from wattmark.predict.llm.predictor import Observation
from wattmark.predict.llm.subject import Serving

PROMPTS = {"chat": 190.0, "code": 170.0}
"""Tokens of a prompt by task: not published with the data; of the order of ShareGPT's and EvalPlus' prompts."""
QUESTION = 50.0
IMAGE_TOKENS = {
    "llava-hf/llava-1.5-7b-hf": 576,
    "llava-hf/llava-1.5-13b-hf": 576,
    "llava-hf/llama3-llava-next-8b-hf": 2200,
    "microsoft/Phi-3-vision-128k-instruct": 1900,
    "facebook/chameleon-7b": 1024,
    "facebook/chameleon-30b": 1024,
}
"""Tokens of one image, from the models' cards; those of tiled ones depend on the picture."""


def observations(folder: Path) -> list[Observation]:
    """The 356 rows of language models."""
    rows: list[Observation] = []
    for name in ("llm_text_generation.csv", "mllm_text_generation.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows.extend(_observation(row) for row in csv.DictReader(file))
    return rows


def _observation(row: dict[str, str]) -> Observation:
    hardware = of_device(row["GPU"])
    if hardware is None:
        raise ValueError(f"{row['GPU']} is in no table")
    image = IMAGE_TOKENS.get(row["Model"])
    prompt = PROMPTS[row["task"].rpartition("/")[2]] if image is None else QUESTION + image
    output = float(row["Avg Output Tokens"])
    subject = Serving(
        find(row["Model"]), hardware, prompt, output, float(row["Avg BS (reqs)"]),
        int(row["TP"]), int(row["PP"]), engine="vllm-0.5",
    )  # fmt: skip
    return Observation(subject, float(row["Energy/req (J)"]) / output, 1 / float(row["Token tput (tok/s)"]))
