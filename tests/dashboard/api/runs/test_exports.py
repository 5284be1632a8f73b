"""Runs as files from the page, and equivalents that say where they are from."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from starlette.testclient import TestClient

from fakes.records import assert_same_record, example_record
from wattmark.dashboard.app import create_app
from wattmark.impact.equivalents import EQUIVALENTS
from wattmark.store import import_file, open_store
from wattmark.workspace.runs import keep

HARMFUL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def store(data_dir):
    with open_store() as store:
        keep(store, example_record("a1"))
        keep(store, example_record("b2", name=HARMFUL))
        yield store


@pytest.fixture
def client(store):
    return TestClient(create_app(store), base_url="http://localhost")


def export(client, *runs, format="csv"):
    return client.get("/api/v1/export", params={"run": list(runs), "format": format})


def test_csv_is_three_tables_in_a_zip_with_a_harmless_name(client):
    answer = export(client, "b2")
    assert 'filename="script-img-src-x-onerror-alert-1-b2.csv.zip"' in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = {name.rpartition("/")[2]: name for name in archive.namelist()}
    assert set(names) == {"runs.csv", "spans.csv", "power.csv"}
    (row,) = csv.DictReader(io.TextIOWrapper(archive.open(names["runs.csv"]), "utf-8"))
    assert row["name"] == HARMFUL
    assert float(row["energy_low_j"]) <= float(row["energy_j"]) <= float(row["energy_high_j"])


def test_json_comes_back_as_it_was(client, store, tmp_path):
    answer = export(client, "a1", "b2", "a1", format="json")
    assert 'filename="wattmark-2-runs.json"' in answer.headers["content-disposition"]
    file = tmp_path / "runs.json"
    file.write_bytes(answer.content)
    first, second = import_file(file)
    assert_same_record(first, store.get("a1"))
    assert second.name == HARMFUL


def test_parquet_holds_every_run(client):
    parquet = pytest.importorskip("pyarrow.parquet")
    archive = zipfile.ZipFile(io.BytesIO(export(client, "a1", "b2", format="parquet").content))
    (name,) = [name for name in archive.namelist() if name.endswith("runs.parquet")]
    assert parquet.read_table(io.BytesIO(archive.read(name))).column("run_id").to_pylist() == ["a1", "b2"]


def test_a_page_to_mail_escapes_names_and_loads_nothing(client):
    text = export(client, "a1", "b2", format="html").text
    assert HARMFUL not in text
    assert "&lt;/script&gt;&lt;img" in text
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert "dram modelled" in text


def test_what_cannot_be_exported_is_told(client):
    assert export(client, "nope").status_code == 404
    assert export(client).status_code == 422
    assert export(client, "a1", format="xml").status_code == 422
    assert export(client, *["a1"] * 501).status_code == 422


def test_every_equivalent_has_its_source_and_year(client):
    told = client.get("/api/v1/equivalents").json()
    assert {one["of"] for one in told} == {"J", "g"}
    for one in told:
        assert one["url"].startswith("https://")
        assert one["source"]
        assert 2000 < one["year"] <= 2026
    amounts = {one.name.split()[0]: one.amount for one in EQUIVALENTS}
    assert amounts["km"] == pytest.approx(249, abs=1)  # about 400 g a mile
    assert amounts["charges"] == pytest.approx(11.6 * 3600)
    assert amounts["litres"] == pytest.approx(334_400)
