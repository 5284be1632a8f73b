"""What a language model is made of, as far as its energy goes: from a shipped table, or from its ``config.json``.

Every row of ``data/models.csv`` names the ``config.json`` that it describes; its shape gives its own stated number of
parameters within 2 % (tests/predict/llm/test_architecture.py). The rows were written down, not read from those files; those
with ``checked`` were held against what others wrote down of them (tools/check_models.py).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, cast

from wattmark.errors import ConfigError

_TABLE = Path(__file__).parent / "data" / "models.csv"
_GATED = frozenset(
    (
        "llama", "mistral", "mixtral", "gemma", "gemma2", "gemma3", "gemma3_text", "qwen2", "qwen2_moe", "qwen3",
        "qwen3_moe", "phi3", "phimoe", "deepseek", "deepseek_v2", "deepseek_v3", "kimi_k2", "glm", "glm4", "glm4_moe",
        "gpt_oss", "olmo", "olmo2", "olmo3", "olmoe", "stablelm", "internlm2", "internlm3", "baichuan", "cohere",
        "cohere2", "granite", "granitemoe", "exaone", "exaone4", "seed_oss", "ernie4_5", "ernie4_5_moe", "minicpm",
        "smollm3", "mistral3", "ministral", "dots1", "dbrx", "yi", "helium", "arcee", "hunyuan_v1_dense",
    )
)  # fmt: skip
_PLAIN = frozenset(
    ("gpt2", "gpt_neox", "gptj", "opt", "bloom", "falcon", "starcoder2", "phi", "mpt", "nemotron")
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder-only transformer. ``mlp_matrices``: 3 with a gate, else 2. ``dense_layers``: layers of a mixture that have
    no experts. ``kv_rank``, ``rope_dim``, ``q_rank``: of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), 0
    elsewhere. ``window``: tokens that a layer looks back, 0 for all; with ``full_every`` n, one layer in n looks at
    all. ``checked``: what its shape was held against and is the same in; empty for rows that were only written down."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    intermediate: int = 0
    tied: bool = False
    mlp_matrices: int = 3
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    shared_intermediate: int = 0
    dense_layers: int = 0
    kv_rank: int = 0
    rope_dim: int = 0
    q_rank: int = 0
    window: int = 0
    full_every: int = 0
    source: str = ""
    checked: str = ""

    @property
    def embedding(self) -> int:
        """Parameters of the token table."""
        return self.vocabulary * self.hidden

    @property
    def attention(self) -> int:
        """Parameters of attention, all layers."""
        h = self.hidden
        if self.kv_rank:
            key = self.head_dim + self.rope_dim
            query = h * self.q_rank + self.q_rank * self.heads * key if self.q_rank else h * self.heads * key
            latent = h * (self.kv_rank + self.rope_dim) + 2 * self.kv_rank * self.heads * self.head_dim
            return self.layers * (query + latent + self.heads * self.head_dim * h)
        return self.layers * 2 * h * self.head_dim * (self.heads + self.kv_heads)

    @property
    def parameters(self) -> int:
        """All that must be in memory: matrices, without norms and biases (below 0.2 %)."""
        return self._with_experts(self.experts) + self.embedding * (1 if self.tied else 2)

    @property
    def active(self) -> int:
        """Parameters that one token is multiplied with: the token table is looked up, the head is multiplied."""
        return self._with_experts(self.experts_per_token) + self.embedding

    def touched(self, batch: float) -> float:
        """Parameters read in a step of ``batch`` tokens: of E experts, k a token, by chance E (1 - (1 - k/E)^batch)."""
        if not self.experts:
            return float(self.active)
        met = self.experts * (1 - (1 - self.experts_per_token / self.experts) ** batch)
        return self._with_experts(max(met, float(self.experts_per_token))) + self.embedding

    def _with_experts(self, experts: float) -> Any:
        h = self.hidden
        if not self.experts:
            return self.attention + self.layers * self.mlp_matrices * h * self.intermediate
        sparse = self.layers - self.dense_layers
        return (
            self.attention
            + self.dense_layers * 3 * h * self.intermediate
            + sparse
            * (3 * h * (experts * self.expert_intermediate + self.shared_intermediate) + h * self.experts)
        )

    def cache_elements(self, context: float) -> float:
        """Numbers of the key-value cache that one token reads at this context."""
        width = self.kv_rank + self.rope_dim if self.kv_rank else 2 * self.kv_heads * self.head_dim
        return width * self.attended(context)

    def attended(self, context: float) -> float:
        """Positions that one token attends to, summed over the layers."""
        if not self.window:
            return self.layers * context
        full = self.layers / self.full_every if self.full_every else 0.0
        return full * context + (self.layers - full) * min(context, self.window)


@cache
def table() -> Mapping[str, Architecture]:
    """The shipped models by id."""
    return {row["id"]: _architecture(row) for row in rows()}


@cache
def rows() -> tuple[Mapping[str, str], ...]:
    """The lines of the table as they are written."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def find(name: str) -> Architecture:
    """A model by its id, its name on Hugging Face, or the path of a ``config.json`` or of the folder that holds it.

    Raises:
        ConfigError: no such model, an architecture that is not understood, or fields that are missing.
    """
    path = Path(name)
    if path.is_dir() and (path / "config.json").is_file():
        path = path / "config.json"
    if path.suffix == ".json":
        return _of_file(path)
    part = _names().get(name.casefold())
    if part is None:
        near = get_close_matches(name.casefold(), list(_names()), 3, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "give the path of its config.json"
        raise ConfigError(
            f"no model is called {name!r}", hint=f"{hint} (any config.json of Hugging Face will do)"
        )
    return table()[part]


@cache
def _names() -> Mapping[str, str]:
    names: dict[str, str] = {}
    for row in rows():
        for name in (row["id"], row["hf_id"], row["hf_id"].rpartition("/")[2], *row["aliases"].split(";")):
            if name:
                names.setdefault(name.casefold(), row["id"])
    return names


def _architecture(row: Mapping[str, str]) -> Architecture:
    def number(field: str) -> int:
        return int(row[field] or 0)

    return Architecture(
        row["id"], number("layers"), number("hidden"), number("heads"), number("kv_heads"), number("head_dim"),
        number("vocabulary"), number("intermediate"), row["tied"] == "1", number("mlp_matrices"), number("experts"),
        number("experts_per_token"), number("expert_intermediate"), number("shared_intermediate"),
        number("dense_layers"), number("kv_rank"), number("rope_dim"), number("q_rank"), number("window"),
        number("full_every"), row["source"], row["checked"],
    )  # fmt: skip


def _of_file(path: Path) -> Architecture:
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}", hint="take config.json of the model") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is no config.json of a model: it holds no object")
    return of_config(cast("dict[str, Any]", config), str(path))


def of_config(config: Mapping[str, Any], source: str = "config.json") -> Architecture:
    """A model from what its ``config.json`` says (of a multimodal model, its language part).

    Raises ConfigError for an architecture that is not understood, and for fields that are missing or no numbers.
    """
    inner = config.get("text_config")
    if isinstance(inner, Mapping):
        merged = {**config, **cast("Mapping[str, Any]", inner)}
        return of_config({k: v for k, v in merged.items() if k != "text_config"}, source)
    kind = str(config.get("model_type") or "")
    if kind not in _GATED | _PLAIN:
        raise ConfigError(
            f"{source}: the architecture {kind!r} is not understood"
            if kind
            else f"{source} has no field 'model_type'",
            hint="a decoder-only transformer is; name a model of a like shape instead, or measure it: wattmark llm bench",
        )
    fields = _Fields(config, source)
    hidden = fields.number("hidden_size", "n_embd", "d_model")
    heads = fields.number("num_attention_heads", "n_head", "n_heads", "num_heads")
    layers = fields.number("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    experts = fields.number(
        "n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts", default=0
    )
    kv_rank = fields.number("kv_lora_rank", default=0)
    every_head = 1 if config.get("multi_query") else heads
    kv_heads = fields.number("num_key_value_heads", "num_kv_heads", default=every_head)
    if kind == "falcon" and not config.get("new_decoder_architecture") and config.get("multi_query"):
        kv_heads = 1
    head_dim = fields.number("v_head_dim", "head_dim", default=hidden // max(heads, 1)) if kv_rank else (
        fields.number("head_dim", default=hidden // max(heads, 1))
    )  # fmt: skip
    plain = kind in _PLAIN
    ffn = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
    wide = fields.number(*ffn, default=4 * hidden) if plain else 0
    if not plain:
        wide = fields.number(*ffn, default=0 if experts else None)
    each = fields.number("moe_intermediate_size", default=wide) if experts else 0
    shared = fields.number("shared_expert_intermediate_size", default=0)
    if experts and not shared:
        shared = each * fields.number("n_shared_experts", "moe_num_shared_experts", default=0)
    window = fields.number("sliding_window", default=0)
    if config.get("use_sliding_window") is False:
        window = 0
    pattern = {"gemma2": 2, "gpt_oss": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4}.get(kind, 0)
    tied_by_default = kind.startswith(
        ("gemma", "cohere", "gpt2", "opt", "bloom", "falcon", "starcoder2", "mpt")
    )
    return Architecture(
        str(config.get("_name_or_path") or Path(source).parent.name or source),
        layers,
        hidden,
        heads,
        kv_heads,
        head_dim,
        fields.number("vocab_size"),
        wide,
        bool(config.get("tie_word_embeddings", tied_by_default)),
        2 if plain else 3,
        experts,
        fields.number("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_top_k") if experts else 0,
        each,
        shared if experts else 0,
        fields.number("first_k_dense_replace", default=0) if experts else 0,
        kv_rank,
        fields.number("qk_rope_head_dim", default=0) if kv_rank else 0,
        fields.number("q_lora_rank", default=0) if kv_rank else 0,
        window,
        fields.number("sliding_window_pattern", default=pattern),
        source,
        source,
    )


@dataclass(frozen=True, slots=True)
class _Fields:
    config: Mapping[str, Any]
    source: str

    def number(self, *names: str, default: int | None = None) -> int:
        """The first of these fields that is there; a whole number that is not negative."""
        for name in names:
            value = self.config.get(name)
            if value is None:
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, int)
                or value < 0
                or (value == 0 and default is None)
            ):
                raise ConfigError(f"{self.source}: {name!r} is {value!r}, not a number above zero")
            return value
        if default is None:
            raise ConfigError(
                f"{self.source} has no field {names[0]!r}", hint="take the config.json as it is published"
            )
        return default
