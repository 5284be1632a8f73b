"""One run and one comparison on two surfaces: the API and the command line give equal numbers and equal verdicts."""

from __future__ import annotations

import json

import pytest

from fakes.dashboard import api
from fakes.records import shared_record
from wattmark.cli import main
from wattmark.quantity import KINDS
from wattmark.store import open_store
from wattmark.workspace.runs import keep

ENDS = ("value", "low", "high")


@pytest.fixture
def client(data_dir):
    with open_store() as store:
        keep(store, shared_record("busy", others=10.0))
        keep(store, shared_record("quiet", others=0.0))
        keep(store, shared_record("large", others=0.5, level_w=90.0))
        yield api(store)


def told(capsys, *arguments: str):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json", "-"])
    assert not ended.value.code
    return json.loads(capsys.readouterr().out)


def same(shown, said) -> None:
    assert [shown[end] for end in ENDS] == pytest.approx([said[end] for end in ENDS], rel=1e-9)


@pytest.mark.parametrize("name", ["busy", "quiet"])
def test_a_run(client, capsys, name: str):
    shown, said = client.get(f"/api/v1/runs/{name}").json(), told(capsys, "show", name)
    assert shown["headline"]["scope"] == said["headline"]["scope"]
    same(shown["headline"]["energy"], said["headline"]["energy_j"])
    same(shown["energy"], said["energy_j"]["total"])
    assert shown["others_busy"] == pytest.approx(said["others_busy"])
    kinds = {name.partition("/")[0] for name in said["headline"]["energy_j"]["terms"]}
    assert {row["kind"] for row in shown["budget"]} == kinds


@pytest.mark.parametrize("pair", [("quiet", "large"), ("quiet", "busy"), ("large", "busy")])
def test_a_comparison(client, capsys, pair: tuple[str, str]):
    shown = client.get("/api/v1/compare", params={"run": pair}).json()
    said = told(capsys, "compare", *pair)["rows"]
    assert shown["scope"] == said[1]["scope"] == ("tree" if "busy" in pair else "machine")
    for entry, row in zip(shown["entries"], said, strict=True):
        for measure, value in entry["values"].items():
            same(value["amount"], row[measure])
    value, row = shown["entries"][1]["values"]["energy_j"], said[1]
    assert value["verdict"] == row["verdict"]
    gap, difference = value["difference"], row["difference"]["energy_j"]
    same(gap, difference)
    same(gap["ratio"], difference["ratio"])
    assert gap["clear"] == difference["clear"]
    assert gap["rests_on"] == difference["rests_on"]
    assert gap["common"] == [KINDS[kind][0] for kind in difference["common"]]
