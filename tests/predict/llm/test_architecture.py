"""The table of models and the reader of ``config.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.predict.llm.architecture import find, of_config, rows, table

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32,
    "intermediate_size": 14336, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip


def test_the_table_has_more_than_150_models_each_with_its_source() -> None:
    assert len(table()) == len(rows()) >= 150
    assert all(row["source"].startswith("https://huggingface.co/") for row in rows())


@pytest.mark.parametrize("row", rows(), ids=[row["id"] for row in rows()])
def test_a_row_reproduces_its_published_parameters(row: dict[str, str]) -> None:
    model = table()[row["id"]]
    assert model.parameters / 1e9 == pytest.approx(float(row["params_b"]), rel=0.02)
    if row["active_b"]:
        # Some publish it with both token tables, some with one, some with none.
        counts = [model.active + n * model.embedding for n in (-1, 0, 1)]
        assert min(abs(count / 1e9 / float(row["active_b"]) - 1) for count in counts) < 0.12


def test_a_config_says_the_same_as_the_table(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    read, known = find(str(tmp_path)), find("meta-llama/Llama-3.1-8B-Instruct")
    for field in ("parameters", "active", "layers", "kv_heads", "head_dim", "vocabulary"):
        assert getattr(read, field) == getattr(known, field)


def test_a_mixture_with_latent_attention_is_read() -> None:
    config = {
        "model_type": "deepseek_v3", "hidden_size": 7168, "num_attention_heads": 128, "num_hidden_layers": 61,
        "intermediate_size": 18432, "num_key_value_heads": 128, "vocab_size": 129280, "tie_word_embeddings": False,
        "n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1,
        "first_k_dense_replace": 3, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 128, "v_head_dim": 128,
    }  # fmt: skip
    read, known = of_config(config), find("deepseek-v3")
    assert (read.parameters, read.active) == (known.parameters, known.active)
    assert read.cache_elements(100) == known.cache_elements(100)


def test_the_language_part_of_a_multimodal_model_is_read() -> None:
    assert of_config({"model_type": "llava", "text_config": LLAMA}).parameters == of_config(LLAMA).parameters


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "rwkv"}, "architecture 'rwkv' is not understood"),
        ({"model_type": None}, "model_type"),
        ({"hidden_size": None}, "no field 'hidden_size'"),
        ({"num_hidden_layers": "many"}, "num_hidden_layers"),
        ({"vocab_size": -5}, "vocab_size"),
        ({"intermediate_size": None}, "intermediate_size"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
    ],
)
def test_a_config_that_does_not_say_enough_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        of_config({**LLAMA, **change})


def test_no_such_model_names_near_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        find("lama-3.1-8b")
    assert "llama-3.1-8b" in str(error.value.hint)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ConfigError, match="no object"):
        find(str(tmp_path / "config.json"))
    with pytest.raises(ConfigError, match="cannot be read"):
        find(str(tmp_path / "none.json"))


def test_experts_that_a_batch_meets() -> None:
    model = find("mixtral-8x7b")
    assert model.touched(1) == pytest.approx(model.active)
    assert model.touched(1) < model.touched(4) < model.touched(64) <= model.parameters
