"""A record for every request, as JSON lines and as Parquet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.loads import S, record, result
from wattmark.errors import ConfigError, MissingExtra
from wattmark.serving.load.records import RequestRecord
from wattmark.serving.results import requests


def test_a_row_has_times_tokens_and_joules_with_their_interval() -> None:
    first, second = requests.rows([(4.0, result(record(0), record(1, outcome="stalled"), joules={0: 1.0}))])
    assert (first["load"], first["run_id"], first["index"]) == (4.0, "r1", 0)
    assert (first["ttft_s"], first["answer_s"], first["e2e_s"]) == (0.25, 0.5, 0.75)
    assert first["tpot_s"] == pytest.approx(0.25)
    assert first["reasoning_part"] == pytest.approx(1 / 3)
    assert first["energy_j"] == pytest.approx(1.0)
    # the sensor's 10 % and the rule's 20 % are independent
    assert first["energy_low_j"] == pytest.approx(1 - (0.1**2 + 0.2**2) ** 0.5)
    assert first["energy_high_j"] == pytest.approx(1 + (0.1**2 + 0.2**2) ** 0.5)
    assert first["in_window"] is True
    assert second["energy_j"] is second["energy_low_j"] is None
    assert second["outcome"] == "stalled"


def test_a_request_without_an_answer_is_a_row_with_holes(tmp_path: Path) -> None:
    bare = RequestRecord(3, 3, 0, 0, 0, error="no route", outcome="refused")
    path = tmp_path / "r.jsonl"
    requests.write(str(path), [(1.0, result(record(0), bare))])
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["index"] for row in rows] == [0, 3]
    assert rows[1]["ttft_s"] is rows[1]["energy_j"] is rows[1]["output_tokens"] is None
    assert rows[1]["error"] == "no route"


def test_parquet_has_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    points = [
        (1.0, result(record(0), record(1), joules={0: 1.0, 1: 2.0})),
        (2.0, result(RequestRecord(0, 0, 0, 0, 0, outcome="refused"))),
    ]
    path = tmp_path / "requests.parquet"
    requests.write(str(path), points)
    rows = parquet.read_table(path).to_pylist()
    assert len(rows) == 3
    plain = list(requests.rows(points))
    for row, wanted in zip(rows, plain, strict=True):
        wanted["timings"] = list((wanted["timings"] or {}).items()) or None
        assert row == wanted
    assert rows[0]["chunk_ns"] == [S // 4, S // 2, 3 * S // 4]
    assert parquet.ParquetFile(path).num_row_groups == 2


def test_what_cannot_be_written_is_told_before_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        requests.check(str(tmp_path / "none" / "r.jsonl"))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="pyarrow") as raised:
        requests.check(str(tmp_path / "r.parquet"))
    assert raised.value.hint == "pip install 'wattmark[pandas]'"
    requests.check(str(tmp_path / "r.jsonl"))
