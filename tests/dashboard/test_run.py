from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakes.dashboard import api
from fakes.records import example_record, rapl_record, shared_record, spans_record
from wattmark.dashboard import run_cache as one_run
from wattmark.dashboard.context import Options
from wattmark.runs.attribution import attributed
from wattmark.runs.record import Spans
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import open_store
from wattmark.workspace.runs import keep

HARMFUL = "</script><!--<img src=x onerror=alert(1)>"


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "store.db")) as store:
        yield store


def get(store, path: str):
    answer = api(store).get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_run_is_told_with_its_energies_and_its_equation(store, monkeypatch):
    monkeypatch.setenv("WATTMARK_ZONE", "FR")
    record = example_record("r1")
    keep(store, record)
    told = get(store, "runs/r1")
    view = RunView(record)
    assert told["energy"]["value"] == pytest.approx(view.energy.value)
    assert [term["key"] for term in told["equation"]["terms"]] == ["energy", "pue", "intensity"]
    grams = told["energy"]["value"] / 3.6e6 * told["equation"]["terms"][2]["amount"]["value"]
    assert told["carbon"]["value"] == pytest.approx(grams)
    assert told["modelled"] == ["dram"]
    assert told["measured"] == ["cpu"]


def test_a_window_is_drawn_and_its_energy_is_exact(store):
    record = rapl_record(3_000)
    keep(store, record)
    told = get(store, "runs/ab12/power?from_s=50&to_s=150&width=100")
    (line,) = told["lines"]
    view = RunView(record)
    got = view.between(np.array([record.start_ns + 50 * 10**9]), np.array([record.start_ns + 150 * 10**9]))[
        "cpu"
    ]
    assert told["energy"]["value"] == pytest.approx(float(got.value_j[0]))
    assert told["energy"]["low"] == pytest.approx(float(got.low_j[0]))
    assert sum(line["mean_w"]) * 1.0 == pytest.approx(
        float(got.value_j[0]), rel=1e-4
    )  # a hundred columns of a second
    assert all(
        low <= mean <= high
        for low, mean, high in zip(line["low_w"], line["mean_w"], line["high_w"], strict=True)
    )


def test_a_hole_is_drawn_as_one(store):
    keep(store, example_record("r1"))
    told = get(store, "runs/r1/power?width=50")
    cpu = next(line for line in told["lines"] if line["component"] == "cpu")
    assert cpu["holes"] == [pytest.approx((1.0, 2.0), abs=1e-6)]
    assert None in cpu["mean_w"]
    assert cpu["mean_w"][30] is not None


def test_a_long_run_read_in_parts_answers_as_the_whole_one_does(store, monkeypatch):
    record = rapl_record(200_000, channels=2)
    gap = (record.start_ns + 10**12, record.start_ns + 10**12 + 10**10)
    first = replace(record.curves[0], holes=np.array([gap], np.int64))
    record = replace(record, curves=(first, record.curves[1]))
    keep(store, record)
    windows = [(0.0, 20_000.0), (10.05, 10.31), (995.0, 1_015.0), (6_553.55, 6_553.62), (19_000.0, 20_000.0)]
    asked = [f"energy?from_s={a}&to_s={b}" for a, b in windows]
    asked += [f"power?from_s={a}&to_s={b}&width=7" for a, b in windows[1:]]
    whole = [get(store, f"runs/ab12/{path}") for path in asked]
    monkeypatch.setattr(one_run, "LONG", 1_000)
    monkeypatch.setattr("wattmark.store.store.Store.get", None)  # it must do without the whole run
    client = api(store)
    for path, expected in zip(asked, whole, strict=True):
        told = client.get(f"/api/v1/runs/ab12/{path}").json()
        assert told["energy"]["value"] == pytest.approx(expected["energy"]["value"], rel=1e-9)
        assert told["energy"]["low"] == pytest.approx(expected["energy"]["low"], rel=1e-4)
        assert told["energy"]["high"] == pytest.approx(expected["energy"]["high"], rel=1e-4)
        if "lines" in told:
            drawn, wanted = (np.array(one["lines"][0]["mean_w"], float) for one in (told, expected))
            np.testing.assert_allclose(drawn, wanted, rtol=0.02)  # of bins, but for their edges
    far = client.get("/api/v1/runs/ab12/power?width=10").json()
    assert far["lines"][0]["high_w"][3] == pytest.approx(
        get(store, "runs/ab12/power?width=10")["lines"][0]["high_w"][3], rel=1e-4
    )


def test_spans_of_one_path_have_the_energies_of_the_runs_result_also_where_it_is_read_in_parts(
    store, monkeypatch
):
    record = rapl_record(60_000, channels=2)
    edges = record.start_ns + np.linspace(0, record.end_ns - record.start_ns, 41).astype(np.int64)
    spans = Spans(
        ("train", "epoch"), np.array([0] + [1] * 40, np.int32), np.r_[edges[0], edges[:-1]], np.r_[edges[-1], edges[1:]],
        np.array([-1] + [0] * 40, np.int32), np.full(41, 1), np.full(41, 1), np.zeros(41, np.bool_), {},
    )  # fmt: skip
    record = replace(record, spans=spans)
    keep(store, record)
    result = summarise(RunView(record)).to_dict()["span_groups"]
    whole = get(store, "runs/ab12/span-groups")
    monkeypatch.setattr(one_run, "LONG", 1_000)
    monkeypatch.setattr("wattmark.store.store.Store.get", None)
    told = get(store, "runs/ab12/span-groups")
    assert told["paths"] == 2
    for group, other, expected in zip(told["groups"], whole["groups"], result, strict=True):
        assert {key: group[key] for key in ("path", "depth", "times", "duration_s")} == {
            key: expected[key] for key in ("path", "depth", "times", "duration_s")
        }
        for end in ("value", "low", "high"):
            assert group["energy"][end] == pytest.approx(expected["energy_j"][end], rel=1e-6)
            assert other["energy"][end] == pytest.approx(expected["energy_j"][end], rel=1e-9)
    most = get(store, "runs/ab12")["energy"]["high"]
    rows = get(store, "runs/ab12/spans")["spans"]
    assert max(row["energy"]["high"] for row in rows) <= most * (1 + 1e-9)
    assert told["groups"][1]["energy"]["high"] <= most * (1 + 1e-9)  # forty edges within cancel


def test_of_very_many_paths_those_come_that_took_the_most_time(store):
    s = 10**9
    length = np.array([3, 1, 2], np.int64) * s
    record = rapl_record(101)
    spans = Spans(
        ("a", "b", "c"), np.arange(3, dtype=np.int32), np.full(3, record.start_ns), record.start_ns + length,
        np.full(3, -1, np.int32), np.full(3, 1), np.full(3, 1), np.zeros(3, np.bool_), {},
    )  # fmt: skip
    groups = one_run.OneRun.of_view(RunView(replace(record, spans=spans)), running=False).span_groups(2)
    assert [group.path for group in groups] == ["a", "c"]


def test_where_others_were_busy_the_process_tree_comes_first_and_its_errors_are_told(store):
    keep(store, shared_record("busy", others=10.0))
    keep(store, shared_record("quiet", others=0.0))
    told = get(store, "runs/busy")
    assert told["headline"]["scope"] == "tree"
    assert told["headline"]["energy"]["value"] == pytest.approx(told["attributed"]["value"])
    assert told["headline"]["energy"]["value"] == pytest.approx(told["energy"]["value"] / 2)
    assert told["others_busy"] == pytest.approx(0.5, abs=0.01)
    sizes = [row["below"] + row["above"] for row in told["budget"]]
    assert sizes == sorted(sizes, reverse=True)
    assert {"scale", "share"} <= {row["kind"] for row in told["budget"]}
    assert all(row["words"] and row["remedy"] for row in told["budget"])
    alone = get(store, "runs/quiet")
    assert (alone["headline"]["scope"], alone["headline"]["energy"]) == ("machine", alone["energy"])
    table = get(store, "runs")
    tree = dict(zip(table["id"], table["tree"]["value"], strict=True))
    assert tree["quiet"] is None
    assert tree["busy"] == pytest.approx(told["headline"]["energy"]["value"], rel=1e-5)


def test_carbon_power_and_selections_of_a_disturbed_run_are_the_process_trees(store, monkeypatch):
    monkeypatch.setenv("WATTMARK_ZONE", "FR")
    record = shared_record("busy", others=10.0)
    keep(store, record)
    told = get(store, "runs/busy")
    tree, machine = told["attributed"]["value"], told["energy"]["value"]
    assert tree < 0.75 * machine
    assert told["headline"]["mean_power_w"] == pytest.approx(tree / 10)
    assert told["mean_power_w"] == pytest.approx(machine / 10)
    kwh = told["equation"]["terms"][0]["amount"]["value"] / 3.6e6
    assert kwh == pytest.approx(tree / 3.6e6)
    intensity = told["equation"]["terms"][-1]["amount"]["value"]
    assert told["carbon"]["value"] == pytest.approx(kwh * intensity)
    assert "this process tree" in told["equation"]["formula"]
    part = get(store, "runs/busy/energy?from_s=2&to_s=7")
    assert part["scope"] == "tree"
    share = attributed(RunView(record), 2 * 10**9, 7 * 10**9)
    assert share is not None
    assert part["headline"]["value"] == pytest.approx(share.energy.value)
    assert (part["headline"]["low"], part["headline"]["high"]) == pytest.approx(share.energy.interval())
    assert part["headline_power_w"] == pytest.approx(part["headline"]["value"] / 5)
    assert part["energy"]["value"] == pytest.approx(machine / 2, rel=0.01)
    assert part["carbon"]["value"] == pytest.approx(part["headline"]["value"] / 3.6e6 * intensity)
    keep(store, shared_record("quiet", others=0.0))
    quiet = get(store, "runs/quiet/energy")
    assert (quiet["scope"], quiet["headline"]) == ("machine", quiet["energy"])
    sums = api(store).post("/api/v1/runs/totals", json={"ids": ["busy"]}).json()["all"]
    assert sums["energy"]["value"] == pytest.approx(tree)
    assert sums["carbon"]["value"] == pytest.approx(told["carbon"]["value"])
    assert sums["trees"] == 1


def test_counts_are_those_of_the_innermost_spans_and_cut_pro_rata(store):
    s = 10**9
    spans = Spans(
        ("epoch", "step"), np.array([0, 1, 1], np.int32), np.array([0, 0, 5 * s]), np.array([10 * s, 5 * s, 10 * s]),
        np.array([-1, 0, 0], np.int32), np.full(3, 1), np.full(3, 1), np.zeros(3, np.bool_),
        {row: {"counts": {"samples": count}} for row, count in enumerate((100, 60, 40))},
    )  # fmt: skip
    record = rapl_record(101)
    start = record.start_ns
    spans = replace(spans, start_ns=spans.start_ns + start, end_ns=spans.end_ns + start)
    keep(store, replace(record, spans=spans))
    (whole,) = get(store, "runs/ab12/energy")["counts"]
    assert whole["value"] == pytest.approx(100, rel=0.01)
    (cut,) = get(store, "runs/ab12/energy?from_s=0&to_s=7.5")["counts"]
    assert cut["value"] == pytest.approx(80)
    assert not cut["exact"]
    assert cut["per_joule"]["value"] * cut["joules_per"]["value"] == pytest.approx(1)
    (exact,) = get(store, "runs/ab12/energy?from_s=0&to_s=5")["counts"]
    assert (exact["value"], exact["exact"]) == (60, True)


def test_many_spans_are_joined_to_bands_and_come_in_pages(store):
    keep(store, spans_record(5_000))
    bands = get(store, "runs/cd34/bands?width=300")
    assert bands["joined"]
    assert bands["spans"] == 5_000
    assert len(bands["bands"]) < 1_500
    assert sum(band["spans"] for band in bands["bands"]) == 5_000
    page = get(store, "runs/cd34/spans?limit=10")
    assert page["total"] == 50
    assert page["spans"][0]["children"] == 100
    steps = get(store, "runs/cd34/spans?parent=0&offset=95&limit=10")
    assert [span["attrs"]["step"] for span in steps["spans"]] == [96, 97, 98, 99, 100]
    chain = get(store, "runs/cd34/span?row=96")
    assert [span["name"] for span in chain] == ["epoch", "step"]
    assert get(store, "runs/cd34/span?row=99999999") == []


def test_side_series_leave_gaps_where_nothing_was_read(store):
    keep(store, example_record("r1"))
    (line,) = get(store, "runs/r1/series?width=10")["lines"]
    assert line["unit"] == "%"
    assert line["low"][2] <= line["mean"][2] <= line["high"][2]


@pytest.mark.parametrize(
    "query", ["from_s=4&to_s=3", "from_s=nan", "from_s=1e300", "width=0", "width=1e9", "from_s=100&to_s=200"]
)
def test_a_window_that_is_none_is_refused_in_words(store, query):
    keep(store, example_record("r1"))
    answer = api(store).get(f"/api/v1/runs/r1/power?{query}")
    assert answer.status_code == 422
    assert answer.json()["message"]


def test_an_unknown_run_is_told_with_the_next_step(store):
    answer = api(store).get("/api/v1/runs/nothing")
    assert answer.status_code == 404
    assert answer.json()["hint"]


def test_a_run_without_anything_is_told_all_the_same(store):
    record = replace(rapl_record(2), run_id="cd34", curves=())
    keep(store, record)
    told = get(store, "runs/cd34")
    assert told["energy"] is None
    assert told["carbon"] is None
    assert get(store, "runs/cd34/power?width=5")["lines"] == []
    assert get(store, "runs/cd34/energy")["energy"] is None
    assert get(store, "runs/cd34/bands") == {"bands": [], "depths": 0, "spans": 0, "joined": False}
    assert get(store, "runs/cd34/health")["channels"] == []


def test_health_tells_coverage_gaps_and_sensors_that_disagree(store):
    keep(store, example_record("r1"))
    told = get(store, "runs/r1/health")
    package = next(one for one in told["channels"] if one["id"] == "cpu0/package")
    assert package["coverage"] == pytest.approx(0.8, abs=0.01)
    assert len(package["holes"]) == 1
    assert package["wraps"] == 0
    assert told["advice"]
    record = rapl_record(100, channels=2)
    liar = replace(
        record.curves[1],
        channel=record.curves[1].channel._replace(counted=False),
        energy_uj=record.curves[1].energy_uj * 3,
    )
    keep(store, replace(record, curves=(record.curves[0], liar)))
    (pair,) = get(store, "runs/ab12/health")["agreements"]
    assert not pair["agrees"]
    assert pair["ratio"] == pytest.approx(3, rel=0.2)


def test_health_of_the_machine_says_what_would_help(store, monkeypatch, tmp_path):
    monkeypatch.setenv("WATTMARK_SYSFS", str(tmp_path / "nothing"))
    keep(store, rapl_record(50))
    told = get(store, "health")
    assert any("zone" in (one["how"] or "") for one in told["advice"])
    assert any(one["source"] == "rapl" for one in told["found"])
    assert told["recent"][0]["run_id"] == "ab12"


def test_one_page_holds_the_run_and_nothing_that_could_run(store, tmp_path):
    keep(store, replace(example_record("r1"), name=HARMFUL))
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "assets/a.js").write_text("window.told = '</script>'")
    (static / "assets/a.css").write_text("body { color: red }")
    (static / "saved.html").write_text(
        '<!doctype html><html><head><meta charset="utf-8" />'
        '<script type="module" crossorigin src="./assets/a.js"></script>'
        '<link rel="stylesheet" crossorigin href="./assets/a.css"></head><body><div id="app"></div></body></html>'
    )
    answer = api(store, Options(static=static)).get("/api/v1/runs/r1/page")
    assert answer.headers["content-disposition"].startswith("attachment")
    page = answer.text
    assert HARMFUL not in page
    assert "<img" not in page
    assert page.count("</script>") == 3
    assert "src=" not in page.split("<body>")[0]
    data = json.loads(re.search(r'id="wattmark-data">(.*?)</script>', page)[1])
    assert data["api/v1/runs/r1"]["name"] == HARMFUL
    assert data["api/v1/runs/r1/power"]["lines"]


def test_a_page_that_was_not_built_is_told(store, tmp_path):
    keep(store, example_record("r1"))
    (tmp_path / "empty").mkdir()
    answer = api(store, Options(static=Path(tmp_path / "empty"))).get("/api/v1/runs/r1/page")
    assert answer.status_code == 422
    assert "built" in answer.json()["message"]


def test_tags_are_those_of_now(store):
    keep(store, example_record("r1"))
    client = api(store)
    before = client.get("/api/v1/runs/r1").json()["tags"]
    store.tag("r1", {"later": "yes"})
    assert client.get("/api/v1/runs/r1").json()["tags"] == {**before, "later": "yes"}


def test_a_benchmark_of_a_server_has_one_answer_whatever_page_asks(store):
    """The whole run holds idle seconds and the load client, too; the figure is the benchmark's own."""
    record, spans = rapl_record(200), spans_record(1).spans
    spans = replace(spans, start_ns=spans.start_ns + record.start_ns, end_ns=spans.end_ns + record.start_ns)
    figure = {"value": 0.934, "low": 0.9, "high": 0.97}
    costs = {"j_per_request": figure, "j_per_output_token": None}
    served = {"energy": {"with_idle": costs}}
    details = {0: {"counts": {"requests": 20, "prompt_tokens": 640}, "attrs": {}}}
    keep(
        store, replace(record, run_id="s1", spans=replace(spans, details=details), extra={"serving": served})
    )
    keep(store, replace(record, run_id="p1", spans=replace(spans, details=details)))
    told = get(store, "runs/s1/energy")
    counts = {one["name"]: one for one in told["counts"]}
    assert counts["requests"]["joules_per"]["value"] == 0.934
    assert counts["requests"]["joules_per"]["high"] == 0.97
    assert counts["requests"]["per_joule"]["value"] == pytest.approx(1 / 0.934)
    assert counts["prompt_tokens"]["joules_per"] is None  # the benchmark has no figure for them
    assert "steady window" in told["counts_rule"]
    plain = {one["name"]: one for one in get(store, "runs/p1/energy")["counts"]}
    assert plain["requests"]["joules_per"]["value"] != pytest.approx(0.934)
    part = get(store, "runs/s1/energy?from_s=0&to_s=5")
    assert "load client" in part["counts_rule"]
