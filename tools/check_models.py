# ruff: noqa: D103
# pyright: basic
"""Holds the rows of the shipped table of models against shapes that others wrote down from the same files, and marks
those that agree.

    pip download --no-deps litgpt && unzip litgpt-*.whl litgpt/config.py
    python tools/check_models.py litgpt/config.py "litgpt 0.5.13"

Layers, hidden size, heads, key-value heads, head size, vocabulary (or its padded size), width of the feed-forward part,
and experts must all be the same. Rows that are not in there stay unmarked, rows that differ are printed. Only the mark
goes into the table (Lightning AI, litgpt, Apache-2.0).
"""

from __future__ import annotations

import csv
import sys
import types
from pathlib import Path

TABLE = Path(__file__).parents[1] / "src/wattmark/predict/llm/data/models.csv"


def shapes(path: Path) -> dict:
    """From a name on Hugging Face to litgpt's Config of it."""
    text = path.read_text(encoding="utf-8")
    text = text.replace("import yaml", "").replace(
        "from typing_extensions import Self", "from typing import Any as Self"
    )
    module = types.ModuleType("litgpt_config")
    sys.modules[module.__name__] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    found = {}
    for row in module.configs:
        found[f"{row['hf_config']['org']}/{row['hf_config']['name']}".casefold()] = module.Config(**row)
    return found


def differences(row: dict[str, str], shape) -> dict[str, tuple]:
    theirs = {
        "layers": shape.n_layer, "hidden": shape.n_embd, "heads": shape.n_head, "kv_heads": shape.n_query_groups,
        "head_dim": shape.head_size,
    }  # fmt: skip
    if row["experts"]:
        width = shape.moe_intermediate_size or shape.intermediate_size
        theirs |= {
            "experts": shape.n_expert,
            "experts_per_token": shape.n_expert_per_token,
            "expert_intermediate": width,
        }
    else:
        theirs["intermediate"] = shape.intermediate_size
    found: dict[str, tuple[object, ...]] = {
        name: (row[name], value) for name, value in theirs.items() if row[name] != str(value)
    }
    if int(row["vocabulary"]) not in (shape.vocab_size, shape.padded_vocab_size):
        found["vocabulary"] = (row["vocabulary"], shape.vocab_size, shape.padded_vocab_size)
    return found


def main() -> None:
    known, name = shapes(Path(sys.argv[1])), sys.argv[2]
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["checked"] = ""
        repository = row["hf_id"].casefold()
        shape = known.get(repository) or known.get(repository.replace("/llama-3.1", "/meta-llama-3.1"))
        if shape is None:
            continue
        wrong = differences(row, shape)
        if wrong:
            print(row["id"], wrong)
        else:
            row["checked"] = name
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{sum(bool(row['checked']) for row in rows)} of {len(rows)} rows are the same there")


if __name__ == "__main__":
    main()
