from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest

from fakes.records import assert_same_record, example_record, example_summary, rapl_record
from wattmark.errors import ConfigError, ImportFileError, MissingExtra, StoreError
from wattmark.store import export, export_name, import_file
from wattmark.store.importing import summaries_in


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["runs.json", "runs.json.gz"])
def test_a_json_export_is_read_back_equal(tmp_path, name):
    records = [
        example_record(),
        rapl_record(50),
        example_record("e0", curves=(), series=(), tree_cpu=np.empty((0, 3))),
    ]
    path = tmp_path / name
    assert export(records, path, summaries={"ab12": example_summary()}) == [str(path)]
    for before, after in zip(records, import_file(path), strict=True):
        assert_same_record(after, before)
    assert summaries_in(path) == {"ab12": example_summary()}


def test_a_json_export_is_strict_json(tmp_path):
    odd = {"nan": float("nan"), "inf": [np.float64("inf")], 3: {"x": (1, np.int32(2))}, "name": "\udcff"}
    export(example_record(extra=odd), tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    data = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert data["runs"][0]["extra"] == {"nan": None, "inf": [None], "3": {"x": [1, 2]}, "name": "\udcff"}


def test_csv_tables_say_what_was_used_when(tmp_path):
    run = example_record()
    summary = example_summary() | {
        "spans": [{"energy_j": {"value": v}} for v in (5.0, 1.0)] + [{"energy_j": None}]
    }
    files = export([run, example_record("b2", name="=cmd()")], tmp_path / "out", "csv", {run.run_id: summary})
    assert [path.rsplit("/", 1)[1] for path in files] == ["runs.csv", "spans.csv", "power.csv"]
    runs, spans, power = map(read_csv, files)
    assert (runs[0]["energy_j"], runs[0]["cpu_energy_j"], runs[0]["gpu_energy_j"]) == ("100.0", "100.0", "")
    assert (runs[1]["run_id"], runs[1]["energy_j"]) == ("b2", "")
    assert runs[0]["started_at"].startswith("2023-11-14T22:13:20")
    assert [(row["name"], row["parent"], row["energy_j"]) for row in spans[:3]] == [
        ("epoch", "-1", "5.0"),
        ("step", "0", "1.0"),
        ("step", "0", ""),
    ]
    assert json.loads(spans[0]["counts"]) == {"samples": 50_000}
    first = [row for row in power if row["run_id"] == run.run_id and row["channel"] == "cpu0/package"]
    assert len(first) == 50
    assert (first[0]["power_w"], first[0]["energy_j"]) == ("", "0.0")
    assert float(first[1]["power_w"]) == pytest.approx(10.00003)
    assert [row["power_w"] == "" for row in first[9:22]] == [False] * 2 + [True] * 10 + [False]
    assert first[0]["time"] == "2023-11-14T22:13:20.123456Z"


def test_parquet_tables_are_exact_and_typed(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    records = [example_record(name="\udcff"), rapl_record(30)]
    files = export(records, tmp_path / "out", "parquet", {"ab12": example_summary(7.0)})
    runs, spans, power = (parquet.read_table(path).to_pylist() for path in files)
    assert [row["energy_j"] for row in runs] == [None, 7.0]
    assert spans[0]["name"] == "epoch"
    assert spans[0]["open"] is True
    rapl = [row["energy_uj"] for row in power if row["run_id"] == "ab12"]
    np.testing.assert_array_equal(rapl, records[1].curves[0].energy_uj)
    assert power[0]["time"].isoformat() == "2023-11-14T22:13:20.123456+00:00"
    assert power[0]["power_w"] is None


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra) as missing:
        export(example_record(), tmp_path / "x", "parquet")
    assert "wattmark[pandas]" in missing.value.hint


def test_no_runs_make_tables_without_rows(tmp_path):
    for path in export([], tmp_path / "out", "csv"):
        assert read_csv(path) == []


def test_unknown_formats_and_places_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="xlsx"):
        export(example_record(), tmp_path / "run.xlsx")
    with pytest.raises(StoreError, match="cannot write"):
        export(example_record(), tmp_path / "no" / "folder" / "run.json")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "etc-passwd-a1"),
        ("CON\0 a/b\\c", "CON-a-b-c-a1"),
        ("żółć", "a1"),
        ("x" * 99, "x" * 48 + "-a1"),
    ],
)
def test_file_names_are_safe_whatever_a_run_is_called(name, expected):
    result = export_name(example_record("a1", name=name))
    assert result.replace("-", "").isascii()
    assert not set(result) & set("./\\\0")
    if "ż" not in name:
        assert result == expected


def damaged(change):
    def apply(run):
        change(run)

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.pop("curves"), "misses 'curves'"),
        (lambda run: run["curves"][0]["energy_uj"].reverse(), "never goes back"),
        (lambda run: run["curves"][0]["t_ns"].pop(), "differ in number"),
        (lambda run: run["curves"][0]["t_ns"].__setitem__(0, 2**70), "too"),
        (lambda run: run["curves"][0]["channel"].pop("id"), "id"),
        (lambda run: run["series"][0]["values"].pop(), "differ in number"),
        (lambda run: run["spans"]["open"].pop(), "differ"),
        (lambda run: run["spans"]["name_ids"].__setitem__(0, 7), "has no name"),
        (lambda run: run["spans"]["parents"].__setitem__(0, 2), "encloses"),
        (lambda run: run.update(run_id=3), "texts"),
        (lambda run: run.update(status="odd"), "no status"),
        (lambda run: run.update(start_ns=1.5), "whole nanoseconds"),
        (lambda run: run.update(end_ns=0), "ends before"),
    ],
)
def test_an_export_that_was_tampered_with_is_refused(tmp_path, change, message):
    path = tmp_path / "run.json"
    export(example_record(), path)
    data = json.loads(path.read_text())
    change(data["runs"][0])
    path.write_text(json.dumps(data))
    with pytest.raises(ImportFileError, match=r"run 1 .*" + message):
        import_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "other"}', "no export of Wattmark"),
        ("[1, 2]", "no export of Wattmark"),
        ('{"format": "wattmark-run",\n "runs": [}', "line 2"),
        ('{"format": "wattmark-run", "version": 99, "runs": []}', "later"),
        ("[" * 200_000, "nested|no JSON"),
    ],
)
def test_other_json_is_refused(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ImportFileError, match=message):
        import_file(tmp_path / "x.json")


def test_what_a_run_is_called_is_no_formula_in_a_table(tmp_path):
    record = example_record("a1", name='=HYPERLINK("http://x","y")', tags={"@sum": "-1"})
    for path in export(record, tmp_path / "out", "csv"):
        for row in read_csv(path):
            texts = [value for value in row.values() if value[:1] in "=+-@\t\r" and value]
            assert all(float(value) <= 0 for value in texts)
    (row,) = read_csv(tmp_path / "out" / "runs.csv")
    assert row["name"] == '\'=HYPERLINK("http://x","y")'
