from __future__ import annotations

import hashlib
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from wattmark.errors import ConfigError, MissingExtra
from wattmark.serving.server import gguf as gguf_models
from wattmark.serving.server.gguf import (
    architecture_for,
    ascii_vocabulary,
    ensure_model,
    parse_size,
    random_weights,
    size_name,
    write_llama,
)

needs_gguf = pytest.mark.skipif(
    importlib.util.find_spec("gguf") is None, reason="gguf is not installed (extra llm)"
)


@pytest.mark.parametrize(
    ("text", "size"), [("1m", 1_000_000), ("10M", 10_000_000), ("1.5b", 1_500_000_000), ("2000k", 2_000_000)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int):
    assert parse_size(text) == size
    assert parse_size(size_name(size)) == size


@pytest.mark.parametrize("text", ["", "big", "10", "-1m", "0.5m", "10mm"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(ConfigError):
        parse_size(text)


@pytest.mark.parametrize(
    "parameters", [10**6, 3 * 10**6, 10**7, 5 * 10**7, 10**8, 10**9, 7 * 10**9, 7 * 10**10]
)
def test_a_shape_has_the_size_that_was_asked_for_and_heads_that_divide(parameters: int):
    shape = architecture_for(parameters)
    assert shape.parameters == pytest.approx(parameters, rel=0.05)
    assert shape.heads % shape.kv_heads == 0
    # q8_0 packs rows of 32
    assert shape.width % 32 == 0
    assert shape.ff % 32 == 0
    assert 2 <= shape.layers <= 100


def test_the_count_of_parameters_is_that_of_the_tensors():
    shape = architecture_for(10**7)
    assert shape.parameters == sum(math.prod(size) for size in shape.tensor_shapes().values())


def test_larger_sizes_are_wider_or_deeper():
    shapes = [architecture_for(size * 10**6) for size in (1, 3, 10, 30, 100, 300)]
    work = [shape.layers * shape.width for shape in shapes]
    assert work == sorted(work)


def test_the_vocabulary_has_one_token_for_every_printable_character_and_every_byte():
    vocabulary = ascii_vocabulary()
    normal = {
        token.decode() for token, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True) if kind == 1
    }
    assert normal == {"\u2581", *(chr(code) for code in range(33, 127))}
    assert sum(kind == 6 for kind in vocabulary.kinds) == 256
    assert len(set(vocabulary.tokens)) == len(vocabulary) == 384


def test_weights_depend_on_the_seed_and_the_tensor_only():
    shape = architecture_for(10**6)
    first, again, other = random_weights(shape, 1), random_weights(shape, 1), random_weights(shape, 2)
    name, size = "blk.0.ffn_up.weight", (64, 128)
    assert np.array_equal(first(3, name, size), again(3, name, size))
    assert not np.array_equal(first(3, name, size), other(3, name, size))
    assert not np.array_equal(first(3, name, size), first(4, name, size))


def test_no_layer_writes_to_the_constant_dimension_that_keeps_bytes_from_being_drawn():
    make = random_weights(architecture_for(10**6), 0)
    assert (make(5, "blk.0.attn_output.weight", (128, 128))[0] == 0).all()
    assert (make(9, "blk.0.ffn_down.weight", (128, 352))[0] == 0).all()
    assert (make(0, "token_embd.weight", (384, 128))[:, 0] > 0).all()
    kinds = np.array(ascii_vocabulary().kinds)
    assert (make(47, "output.weight", (384, 128))[kinds != 1, 0] < -10).all()


def test_a_model_that_memory_cannot_hold_is_refused_before_anything_is_written(data_dir: Path):
    with pytest.raises(ConfigError, match="memory"):
        ensure_model("900b")
    assert not (data_dir / "models").exists()


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(MissingExtra) as caught:
        ensure_model("1m")
    assert caught.value.hint == "pip install 'wattmark[llm]'"


@needs_gguf
@pytest.mark.parametrize("number_format", gguf_models.NUMBER_FORMATS)
def test_a_file_holds_the_shape_and_says_that_its_text_is_noise(number_format: gguf_models.NumberFormat):
    from gguf import GGUFReader

    path = ensure_model("1m", number_format)
    reader = GGUFReader(path)
    shape = architecture_for(10**6)
    assert sum(int(tensor.n_elements) for tensor in reader.tensors) == shape.parameters
    assert {
        tensor.name: tuple(map(int, reversed(tensor.shape))) for tensor in reader.tensors
    } == shape.tensor_shapes()
    assert "noise" in reader.fields["general.description"].contents()
    size = path.stat().st_size
    assert size == pytest.approx(shape.parameters * gguf_models.BYTES_PER_WEIGHT[number_format], rel=0.05)


@needs_gguf
def test_the_same_seed_gives_the_same_file_and_it_is_written_once(tmp_path: Path):
    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    path = ensure_model("1m")
    written = path.stat().st_mtime_ns
    assert ensure_model("1m") == path
    assert path.stat().st_mtime_ns == written
    elsewhere = ensure_model("1m", environ={"WATTMARK_DATA_DIR": str(tmp_path / "other")})
    assert digest(elsewhere) == digest(path)
    assert digest(ensure_model("1m", seed=1)) != digest(path)


@needs_gguf
def test_a_write_that_fails_leaves_no_file(tmp_path: Path):
    shape = architecture_for(10**6)
    with pytest.raises(ValueError, match="has the shape"):
        write_llama(tmp_path / "broken.gguf", shape, lambda index, name, size: np.zeros((1, 1), np.float32))
    assert list(tmp_path.glob("broken*")) == []


def test_a_folder_that_cannot_be_made_is_a_setting_to_mend(tmp_path: Path):
    pytest.importorskip("gguf", reason="gguf is not installed (extra llm)")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_llama(
            tmp_path / "file" / "m.gguf",
            architecture_for(10**6),
            random_weights(architecture_for(10**6), 0),
        )


@needs_gguf
def test_progress_is_told_while_a_model_is_written_and_not_when_it_is_there():
    shares: list[float] = []
    path = ensure_model("1m", seed=7, on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) == len(architecture_for(10**6).tensor_shapes())
    written = path.stat().st_mtime_ns
    shares.clear()
    assert ensure_model("1m", seed=7, on_progress=shares.append).stat().st_mtime_ns == written
    assert shares == []
