"""Comparison over the API: the rule of the command line, refusals, what differs, aligned curves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from fakes.records import rapl_record
from wattmark.dashboard.app import create_app
from wattmark.runs.record import Spans
from wattmark.store import open_store
from wattmark.workspace.runs import keep

HARMFUL = "</script><img src=x onerror=alert(1)>"


def record(run_id: str, watts: float, seconds: int = 10, components=("cpu",), method="counter", **changes):
    """A run of constant power; its two epochs begin after ``seconds / 5``."""
    base = rapl_record(3)
    t_ns = np.arange(seconds + 1, dtype=np.int64) * 10**9
    curves = tuple(
        replace(
            base.curves[0],
            channel=base.curves[0].channel._replace(id=f"{name}0", component=name, method=method),
            t_ns=t_ns,
            energy_uj=(t_ns // 1000 * watts).astype(np.int64),
        )
        for name in components
    )
    start = np.array([seconds // 5, seconds // 2], np.int64) * 10**9
    spans = Spans(
        ("epoch",), np.zeros(2, np.int32), start, start + 10**9, np.full(2, -1, np.int32),
        np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(2, np.bool_),
        {0: {"counts": {"samples": 100}}, 1: {"counts": {"samples": 100}, "attrs": {"accuracy": 0.8}}},
    )  # fmt: skip
    values = {
        "environment": {"host": "node1"},
        "name": run_id,
        "start_ns": 0,
        "end_ns": seconds * 10**9,
        "spans": spans,
    }
    return replace(base, run_id=run_id, curves=curves, **{**values, **changes})


@pytest.fixture
def store(data_dir):
    with open_store() as store:
        keep(store, record("small", 50))
        keep(
            store,
            record(
                "large", 90, environment={"host": "node2", "packages": {"torch": "2.5"}}, tags={"model": "l"}
            ),
        )
        keep(store, record("nearly", 50.5))
        keep(store, record("wide", 50, components=("cpu", "gpu"), name=HARMFUL))
        yield store


@pytest.fixture
def client(store):
    return TestClient(create_app(store), base_url="http://localhost")


def compare(client, *runs, **query):
    answer = client.get("/api/v1/compare", params={"run": list(runs), **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_verdict_is_that_of_the_command_line(client, capsys):
    from wattmark.cli import main

    found = compare(client, "small", "large", "nearly")
    with pytest.raises(SystemExit):
        main(["compare", "small", "large", "nearly", "--json", "-"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    for entry, row in zip(found["entries"][1:], rows[1:], strict=True):
        value = entry["values"]["energy_j"]
        assert value["verdict"] == row["verdict"]
        assert value["difference"]["value"] == pytest.approx(row["difference"]["energy_j"]["value"])
        assert value["difference"]["low"] == pytest.approx(row["difference"]["energy_j"]["low"])
    assert [entry["values"]["energy_j"]["verdict"].rpartition(": ")[2] for entry in found["entries"]] == [
        "the baseline", "more, clearly", "not distinguishable",
    ]  # fmt: skip
    assert "large used 1.80 times [" in found["entries"][1]["sentence"]
    assert "not distinguishable" in found["entries"][2]["sentence"]


def test_measures_are_offered_where_all_know_them_and_else_say_why(client, store):
    keep(store, record("bare", 50, spans=Spans.empty()))
    why = {one["id"]: one["why"] for one in compare(client, "small", "bare")["measures"]}
    assert why["energy_j"] is None
    assert why["energy_j/samples"] == "not known in bare"
    assert "counts them" in why["energy_j/tokens"]
    found = compare(client, "small", "large")
    why = {one["id"]: one["why"] for one in found["measures"]}
    assert [why[f"energy_j/{name}"] for name in ("samples", "epochs", "accuracy points")] == [None] * 3
    values = found["entries"][0]["values"]
    assert values["energy_j/samples"]["amount"]["value"] == pytest.approx(500 / 200, rel=0.01)
    assert values["energy_j/epochs"]["amount"]["value"] == pytest.approx(500 / 2, rel=0.01)
    assert values["energy_j/accuracy points"]["amount"]["value"] == pytest.approx(500 / 80, rel=0.01)


def test_runs_that_counted_different_components_are_refused_in_words(client):
    found = compare(client, "small", "wide")
    entry = found["entries"][1]
    assert entry["refused"] == "gpu counted only in this"
    assert "cannot be compared" in entry["sentence"]
    assert entry["values"]["energy_j"]["difference"] is None
    assert found["shared"] == ["cpu"]
    cut = compare(client, "small", "wide", only="cpu")
    assert cut["entries"][1]["refused"] is None
    assert cut["entries"][1]["values"]["energy_j"]["verdict"].endswith("not distinguishable")
    assert cut["entries"][1]["measured"]["value"] == pytest.approx(500, rel=0.01)


def test_modelled_against_measured_is_noted_and_kept_apart(client, store):
    keep(store, record("model", 50, method="modelled"))
    entry = compare(client, "small", "model")["entries"][1]
    assert entry["measured"] is None
    assert entry["modelled"]["value"] == pytest.approx(500, rel=0.01)
    assert "cpu is modelled here and counter in the reference" in entry["notes"]


def test_another_baseline(client):
    found = compare(client, "small", "large", baseline="large")
    assert found["baseline"] == "large"
    assert found["entries"][0]["values"]["energy_j"]["difference"]["value"] == pytest.approx(-400, rel=0.01)
    assert found["entries"][1]["values"]["energy_j"]["verdict"] == "the baseline"


def test_repeats_of_one_configuration_are_one_entry_and_are_tested(client, store):
    for name, base in (("one", 50), ("two", 55)):
        for seed in range(3):
            keep(
                store,
                record(f"{name}{seed}", base + seed, name=name, tags={"model": name, "seed": str(seed)}),
            )
    ids = [f"{name}{seed}" for seed in range(3) for name in ("one", "two")]
    found = compare(client, *ids, repeats=True)
    assert [(entry["label"], len(entry["runs"])) for entry in found["entries"]] == [("one", 3), ("two", 3)]
    assert found["entries"][1]["values"]["energy_j"]["verdict"].endswith("more, clearly")
    assert len(compare(client, *ids)["entries"]) == 6


def test_what_differs_is_listed_and_what_is_the_same_is_counted(client):
    found = compare(client, "small", "large")
    rows = {(row["group"], row["name"]): row["values"] for row in found["differs"]}
    assert rows["machine", "host"] == ["node1", "node2"]
    assert rows["software", "packages torch"] == [None, "2.5"]
    assert rows["tags", "model"] == [None, "l"]
    assert found["same"] > 0
    assert ("measurement", "cpu") not in rows


def test_new_tags_are_seen_at_once(client, store):
    compare(client, "small", "nearly")
    store.tag("small", {"fresh": "yes"})
    rows = {row["name"]: row["values"] for row in compare(client, "small", "nearly")["differs"]}
    assert rows["fresh"] == ["yes", None]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"run": ["nope"]}, 404),
        ({}, 422),
        ({"run": ["small"], "baseline": "large"}, 422),
        ({"run": ["small"], "only": "soc"}, 422),
        ({"run": ["small"] * 61}, 422),
    ],
)
def test_what_cannot_be_compared_is_told(client, query, status):
    answer = client.get("/api/v1/compare", params=query)
    assert answer.status_code == status
    assert answer.json()["message"]


def curves(client, *runs, **query):
    answer = client.get("/api/v1/compare/curves", params={"run": list(runs), **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_curves_on_one_axis_give_the_power_and_the_energy_of_each(client, store):
    keep(store, record("long", 20, seconds=20))
    found = curves(client, "small", "long", width=20)
    assert (found["x"][0], found["x"][-1], found["unit"]) == (0.5, 19.5, "s")
    small, long = found["lines"]
    assert small["measured_w"][:10] == pytest.approx([50] * 10, rel=0.01)
    assert small["measured_w"][10:] == [None] * 10
    assert long["measured_w"] == pytest.approx([20] * 20, rel=0.01)
    assert small["measured_j"][9] == pytest.approx(500, rel=0.01)
    assert small["modelled_w"] == []


def test_curves_by_share_have_the_same_length(client, store):
    keep(store, record("long", 20, seconds=20))
    found = curves(client, "small", "long", width=10, align="share")
    assert found["unit"] == "share"
    assert all(None not in line["measured_w"] for line in found["lines"])


def test_curves_by_a_span_begin_there_and_name_the_runs_without_it(client, store):
    keep(store, record("long", 20, seconds=20))
    keep(store, record("bare", 50, spans=Spans.empty()))
    found = curves(client, "small", "long", "bare", width=20, align="span", span="epoch")
    assert found["without"] == ["bare"]
    assert found["x"][0] == pytest.approx(-3.5)  # the long run's first epoch begins after four seconds
    assert found["lines"][0]["measured_w"][:2] == [None, None]
    assert client.get("/api/v1/compare/curves", params={"run": "small", "align": "span"}).status_code == 422
    assert curves(client, "bare", align="span", span="epoch")["lines"] == []


def test_only_some_components(client):
    both, one = (curves(client, "wide", width=4, **query)["lines"][0] for query in ({}, {"only": "gpu"}))
    assert both["measured_w"] == pytest.approx([100] * 4, rel=0.01)
    assert one["measured_w"] == pytest.approx([50] * 4, rel=0.01)
