"""``wattmark calibrate --meter`` from end to end: asked over loopback beside a replayed machine, and from a file beside
a kept run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wattmark as wm
from fakes.plugs import device, machine, plug_w, said
from wattmark.errors import ConfigError
from wattmark.runs.wall.model import load_wall
from wattmark.workspace.meters import load
from wattmark.workspace.meters.calibration import calibrate_wall, load_run
from wattmark.workspace.runs import keep, store_here

REPO = Path(__file__).parents[3]
BOOT = "import sys; from wattmark.cli import main; main()"


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith("WATTMARK_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def wattmark(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(REPO / "src"), "NO_COLOR": "1", "COLUMNS": "150", **environ}
    return subprocess.run(
        [sys.executable, "-c", BOOT, *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def kept_run(**changes: object) -> str:
    import dataclasses

    view = machine(host=os.uname().nodename)
    record = dataclasses.replace(view.record, **changes)  # type: ignore[arg-type]
    with store_here(ingest=False) as store:
        keep(store, record)
    return record.run_id


def file_of(tmp_path: Path, scale: float = 1.0) -> str:
    t_ns, watts = said(machine())
    path = tmp_path / "plug.csv"
    path.write_text(
        "time,power_w\n"
        + "".join(f"{t / 1e9:.3f},{w * scale:.2f}\n" for t, w in zip(t_ns, watts, strict=True))
    )
    return str(path)


def test_from_a_file_to_runs_at_the_plug_on_every_surface(tmp_path: Path) -> None:
    run_id = kept_run()
    before = wattmark("show", run_id, "--scope", "wall")
    assert before.returncode == 2
    assert "was not calibrated against a meter" in before.stderr
    assert "wattmark calibrate --meter" in before.stderr

    done = wattmark("calibrate", "--meter", file_of(tmp_path), "--meter-accuracy", "1", "--json", "-")
    assert done.returncode == 0, done.stderr
    model = json.loads(done.stdout)
    assert model["slope"] == pytest.approx(1.08, abs=0.08)
    assert model["meter_share"] == 0.01

    truth = sum(plug_w(watts) for watts in (10, 95, 50, 28, 70, 10, 60, 95, 35)) * 30
    shown = wattmark("show", run_id, "--scope", "wall")
    assert "At the plug:" in shown.stdout
    assert "scale of the wall meter" in shown.stdout
    assert "what lies between the sensors and the plug" in shown.stdout
    wall = json.loads(wattmark("show", run_id, "--json", "-").stdout)["wall"]
    assert (wall["scope"], wall["kind"]) == ("wall", "calibrated")
    assert wall["energy_j"]["value"] == pytest.approx(truth, rel=0.005)
    assert wall["energy_j"]["low"] <= truth <= wall["energy_j"]["high"]
    told = wm.at_plug(run_id)
    assert not isinstance(told, str)
    assert told.energy.value == pytest.approx(wall["energy_j"]["value"])
    assert wm.load(run_id).to_dict()["wall"]["energy_j"] == wall["energy_j"]
    assert wm.load(run_id).energy.value < truth, "the components stay apart"  # type: ignore[union-attr]

    off = wattmark("show", run_id, "--json", "-", WATTMARK_WALL="off")
    assert json.loads(off.stdout)["wall"] is None


def test_without_a_calibration_the_default_is_off_until_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = kept_run()
    assert wm.load(run_id).to_dict()["wall"] is None
    monkeypatch.setenv("WATTMARK_WALL", "default")
    wall = wm.load(run_id).to_dict()["wall"]
    assert wall["kind"] == "default"
    assert wall["energy_j"]["high"] > 2 * wall["energy_j"]["low"]
    monkeypatch.setenv("WATTMARK_WALL", "perhaps")
    with pytest.raises(ConfigError, match="wall must be one of calibrated, default, off"):
        wm.load(run_id).to_dict()


def test_a_file_in_the_wrong_unit_is_told_and_mended(tmp_path: Path) -> None:
    kept_run()
    path = file_of(tmp_path, 1e-3)
    done = wattmark("calibrate", "--meter", path)
    assert done.returncode == 2
    assert "look like kW" in done.stderr
    assert "--meter-unit kW" in done.stderr
    assert load_wall(os.uname().nodename) is None
    assert wattmark("calibrate", "--meter", path, "--meter-unit", "kW").returncode == 0


def test_readings_of_no_run_say_how_to_make_one(tmp_path: Path) -> None:
    kept_run(started_wall_ns=10**18)
    done = wattmark("calibrate", "--meter", file_of(tmp_path))
    assert done.returncode == 2
    assert "no run of this machine is of the time" in done.stderr
    assert "calibrate --load" in done.stderr


def test_options_of_a_meter_need_one(tmp_path: Path) -> None:
    done = wattmark("calibrate", "--meter-unit", "kW")
    assert done.returncode == 2
    assert "--meter-unit is of a meter's readings" in done.stderr
    with pytest.raises(ConfigError, match="says nothing of an earlier run"):
        calibrate_wall("shelly://127.0.0.1", run="last")
    with pytest.raises(ConfigError, match="no time zone"):
        calibrate_wall(file_of(tmp_path), timezone="Mars/Base")


LEVELS = (10.0, 90.0, 40.0, 20.0, 70.0, 10.0, 55.0, 90.0)
EACH_S = 3.0


@pytest.mark.slow
def test_a_plug_that_is_asked_beside_a_replayed_machine(tmp_path: Path) -> None:
    begin = time.time()

    def power_at(moment: float) -> float:
        place = int((moment - begin) / EACH_S)
        return LEVELS[place % len(LEVELS)]

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], object]:
        if path == "/shelly":
            return 200, {}, {"gen": 2}
        return 200, {}, {"apower": plug_w(power_at(time.time())), "aenergy": {"total": 1.0}}

    script = (
        "from wattmark.workspace.meters.calibration import calibrate_wall\n"
        "import sys\n"
        "model = calibrate_wall(sys.argv[1], seconds=30, load=False)\n"
        "print(model.slope, model.constant_w, model.wall_w(60.0))\n"
    )
    wave = tmp_path / "wave.csv"
    with wave.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["t_s", "cpu0/package:power_w"])
        for step in range(600):
            rows.writerow([step * 0.1, LEVELS[int(step * 0.1 / EACH_S) % len(LEVELS)]])
    with device(answer) as (where, asked):
        env = {**os.environ, "PYTHONPATH": str(REPO / "src"), "WATTMARK_REPLAY": str(wave)}
        begin = time.time()
        done = subprocess.run(
            [sys.executable, "-c", script, f"shelly://{where}"],
            env=env,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert len(asked) > 20
    at_60 = float(done.stdout.split()[2])
    assert at_60 == pytest.approx(plug_w(60.0), rel=0.15), "three seconds a level, asked once a second"
    kept = load_wall(os.uname().nodename)
    assert kept is not None
    assert kept.meter == f"shelly://{where}"


def test_a_plug_that_is_not_there_costs_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "work", lambda *_, **__: pytest.fail("it began to work"))
    with pytest.raises(ConfigError, match="does not answer"):
        calibrate_wall("tasmota://127.0.0.1:9")


def test_the_load_has_its_levels_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = tmp_path / "wave.csv"
    wave.write_text("t_s,power_w\n0,40\n60,40\n")
    monkeypatch.setattr(load, "LEVELS", (0.0, 0.5))
    told: list[str] = []
    busy = time.process_time() + sum(os.times()[2:4])
    load.work(0.6, (0.0, 1.0), told.append)
    assert told == ["0 % of every CPU for 0 s", "100 % of every CPU for 0 s"]
    assert time.process_time() + sum(os.times()[2:4]) > busy, "somebody worked"
    with pytest.raises(ConfigError, match="10 to 7200"):
        load_run(1.0)
