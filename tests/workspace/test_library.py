"""The public names over the store: each gives what its command gives."""

# pyright: reportGeneralTypeIssues=false
from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import wattmark as wm
from fakes.dashboard import api
from fakes.records import example_record, rapl_record
from fakes.what_if import a_run
from wattmark.errors import ConfigError, RunNotFound
from wattmark.workspace.runs import keep, store_here

BEGAN = 10**18


@pytest.fixture(autouse=True)
def store():
    """Three runs of the past and one of two years later."""
    with store_here() as store:
        for index, name in enumerate(("small", "small", "large")):
            record = rapl_record(20 * (1 + (name == "large")), seed=index)
            tags = {"model": name, "project": "p"}
            keep(
                store,
                replace(
                    record, run_id=f"r{index}", name=name, started_wall_ns=BEGAN + index * 10**12, tags=tags
                ),
            )
        yield store


def said(capsys: pytest.CaptureFixture[str], *words: str):
    """What a command writes to ``--json -``."""
    from wattmark.cli import main

    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([*words, "--json", "-"])
    assert not end.value.code
    return json.loads(capsys.readouterr().out)


def plain(data):
    """As JSON has it."""
    return json.loads(json.dumps(data))


def test_runs_are_listed_as_ls_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    runs = wm.runs()
    assert runs.to_dicts() == said(capsys, "ls")
    assert [run.id for run in runs] == ["r2", "r1", "r0"]
    assert len(runs[:2]) == 2
    assert runs[0].energy == wm.load("r2").energy
    assert runs[0].tags == {"model": "large", "project": "p"}
    assert [run.id for run in wm.runs(tag="model=small", limit=1)] == ["r1"]
    assert [run.id for run in wm.runs(name="l*")] == ["r2"]
    assert [run.id for run in wm.runs(status="failed")] == []
    assert len(wm.runs(since="2001-01-01")) == 3
    assert len(wm.runs(since="1h")) == len(wm.runs(since=timedelta(hours=1))) == 0
    frame = runs.to_pandas()
    assert frame["run_id"].tolist() == ["r2", "r1", "r0"]
    assert frame["tag.model"].tolist() == ["large", "small", "small"]
    assert (frame["cpu_j"] > 0).all()


def test_compare_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    compared = wm.compare("r0", wm.load("r2"))
    assert plain(compared.to_dict()) == said(capsys, "compare", "r0", "r2")
    assert compared.verdicts == [compared.to_dict()["rows"][1]["verdict"]]
    assert str(compared).startswith("large: ")
    frame = compared.to_pandas()
    assert set(frame["measure"]) >= {"energy_j", "duration_s", "power_w"}
    groups = wm.compare(["r0", "r1"], "r2")
    assert groups.to_dict()["rows"][0]["runs"] == ["r0", "r1"]
    repeats = wm.compare("small", "small", by="model")
    (_, row) = said(capsys, "compare", "small", "small", "--by", "model")["rows"]
    assert row["verdict"] == repeats.verdicts[0]
    assert row["runs"] == repeats.to_dict()["rows"][1]["runs"]
    with pytest.raises(ConfigError):
        wm.compare("r0")
    with pytest.raises(RunNotFound):
        wm.compare("small", "large", by="model")


def test_carbon_totals_and_health(monkeypatch: pytest.MonkeyPatch) -> None:
    run = wm.load("r0")
    assert wm.carbon(run) is None
    french = run.carbon(zone="FR")
    assert french is not None
    assert french.grams.value == wm.carbon("r0", zone="FR").grams.value
    monkeypatch.setenv("WATTMARK_ZONE", "FR")
    sums = wm.totals()
    runs = wm.runs()
    assert sums.all.runs == 3
    assert sums.all.energy.value == pytest.approx(sum(run.energy.value for run in runs))
    assert sums.all.carbon.value == pytest.approx(sum(run.carbon().grams.value for run in runs))
    by_model = {group.key: group.sum.runs for group in wm.totals(runs, by="tag:model").groups}
    assert by_model == {"small": 2, "large": 1}
    assert wm.totals([run]).all.energy.value == pytest.approx(run.energy.value)
    assert wm.health("r0").coverage == run.coverage


def test_what_if_answers_for_any_run_that_can_be_named() -> None:
    view = a_run()
    longer = wm.what_if(view, epochs=10)
    assert longer.alternative.energy_j.value > longer.original.energy_j.value
    assert wm.what_if(view, hardware="8x h100-sxm").scenario["hardware"][0]["quantity"] == 8
    moved = wm.what_if(view, zone="FR", pue=1.5)
    assert moved.alternative.carbon_g is not None
    with pytest.raises(ConfigError, match="epochs cannot be 0"):
        wm.what_if(view, epochs=0)
    with pytest.raises(ConfigError, match="Atlantis"):
        wm.what_if("r0", zone="Atlantis")


def test_changes_are_those_of_the_commands(tmp_path: Path) -> None:
    assert wm.tag("r0", "paper", lr=0.1, remove=["model"]) == {"lr": "0.1", "paper": "", "project": "p"}
    (file,) = wm.export([wm.load("r0"), "r1"], tmp_path / "runs.json")
    assert wm.remove("r0", "r1") == ["r0", "r1"]
    assert wm.import_files(file) == ["r0", "r1"]
    assert [run.id for run in wm.prune(keep=1, dry_run=True)] == ["r0", "r1"]
    assert len(wm.runs()) == 3
    assert [run.id for run in wm.prune(keep=1)] == ["r0", "r1"]
    assert [run.id for run in wm.runs()] == ["r2"]
    with pytest.raises(ConfigError):
        wm.prune()
    with pytest.raises(RunNotFound):
        wm.remove("r9")


def test_settings_are_written_and_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    assert wm.Settings.load().zone is None
    wm.Settings.set("zone", "FR")
    wm.Settings.set("sources", ["rapl", "!nvml"])
    loaded = wm.Settings.load()
    assert (loaded.zone, loaded.sources, loaded.period_s) == ("FR", ("rapl", "!nvml"), 0.1)
    wm.Settings.set("zone")
    assert wm.Settings.load().to_dict()["zone"] is None
    with pytest.raises(ConfigError):
        wm.Settings.set("zone", "Atlantis")


def test_every_surface_gives_equal_numbers(
    store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run from Python, the command, the API and the file that a browser opens."""
    monkeypatch.setenv("WATTMARK_ZONE", "FR")
    record = example_record("everything")
    keep(store, record)
    run = wm.load("everything")
    data = run.to_dict()
    assert plain(data) == said(capsys, "show", "everything")
    client = api(store)
    told = client.get("/api/v1/runs/everything").json()
    for end in ("value", "low", "high"):
        assert told["energy"][end] == pytest.approx(getattr(run.energy, end))
        assert told["carbon"][end] == pytest.approx(getattr(run.carbon().grams, end))
        assert data["energy_j"]["total"][end] == getattr(run.energy, end)
    assert told["coverage"] == pytest.approx(run.coverage)
    (row,) = [row for row in wm.runs().to_dicts() if row["run_id"] == "everything"]
    assert row["energy_j"] == run.energy.value
    page = client.get("/api/v1/export?format=html&run=everything")
    assert page.status_code == 200
    from wattmark.units import format_energy

    assert format_energy(run.energy.value) in page.text
    assert format_energy(run.energy.value) in run._repr_html_()


def test_every_command_has_its_function_in_python() -> None:
    from wattmark.cli.app import COMMANDS

    functions = {
        "run": "measure", "sources": "sources", "ls": "runs", "show": "load", "compare": "compare", "export": "export",
        "import": "import_files", "rm": "remove", "tag": "tag", "prune": "prune", "config": "Settings",
        "calibrate": "calibrate", "study": "study", "llm": "benchmark", "whatif": "what_if", "totals": "totals",
        "health": "health", "predict": "predict_llm", "calibrate --meter": "calibrate_wall", "gate": "gate",
        "show --scope wall": "at_plug", "impact": "impact", "plan": "plan",
        "cite": "cite", "note": "note", "study show": "load_results", "cycle": "cycle", "fleet": "fleet",
        "try": "try_levers", "advise": "advise", "card": "card", "skill": "skill", "edge": "edge", "stage": "stage",
    }  # fmt: skip
    screens = {"ui", "top"}
    tools = {"anatomy", "recover", "agent", "store"}
    assert set(COMMANDS) - screens - tools <= set(functions)
    assert set(functions.values()) <= set(wm.__all__)
