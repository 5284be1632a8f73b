"""What becomes of a session's notes and curves when they are read back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from wattmark.recorder import journal
from wattmark.runs.energy import CurveEnergy
from wattmark.runs.health import run_health
from wattmark.runs.reading.session import SessionData
from wattmark.runs.view import RunView
from wattmark.sources.base import Accuracy, Channel
from wattmark.sources.plausibility import FINDINGS
from wattmark.store import open_store

SECOND = 10**9
PACKAGE = Channel("cpu0/package", "cpu", "rapl", "counter", "x", "counter", Accuracy(0.05, 0.05, 1, "a test"))


def write_session(
    folder: Path,
    energies_uj: list[int],
    notes: list[dict[str, Any]] | None = None,
    channel: Channel = PACKAGE,
) -> str:
    """A session of one channel read once a second, with one run over all of it."""
    folder.mkdir(parents=True)
    pid = os.getpid()
    group = {"index": 0, "source": "rapl", "period_s": 1.0, "channels": [channel.to_dict()], "series": []}
    header = {
        "role": "recorder",
        "session": "s",
        "host": "elsewhere",
        "boot_id": "x",
        "pid": pid,
        "period_s": 1.0,
    }
    recorder = journal.SegmentWriter(str(folder), "recorder", {**header, "groups": [group]})
    for second, energy in enumerate(energies_uj):
        body = journal.SAMPLE_HEAD.pack(0, second * SECOND, 0) + energy.to_bytes(8, "little")
        recorder.append(journal.encode(journal.SAMPLE, body))
    for note in notes or ():
        recorder.append(journal.encode_json(journal.NOTE, note))
    recorder.append(journal.encode(journal.ANCHOR, journal.ANCHOR_BODY.pack(0, 0, 0)))
    recorder.close()
    events = journal.SegmentWriter(str(folder), f"events-{pid}", {**header, "role": "events"})
    end_ns = (len(energies_uj) - 1) * SECOND
    run = {"run_id": "r", "name": "r", "t_ns": 0, "wall_ns": 0, "span": 1, "tags": {}}
    events.append(journal.encode_json(journal.RUN_OPEN, run))
    events.append(
        journal.encode_json(journal.RUN_CLOSE, {"run_id": "r", "status": "completed", "t_ns": end_ns})
    )
    events.close()
    return str(folder)


def covered_s(session: SessionData, seconds: int) -> float:
    import numpy as np

    (curve,) = session._curves
    return float(CurveEnergy(curve).between(np.array([0]), np.array([seconds * SECOND])).covered_s[0])


@pytest.mark.parametrize(("energies", "covered"), [([0] * 6, 0.0), ([0, 50, 100, 100, 100, 100, 100], 2.0)])
def test_a_counter_that_never_moves_again_is_a_hole_and_not_zero_watts(
    tmp_path: Path, energies: list[int], covered: float
) -> None:
    session = SessionData(write_session(tmp_path / "s", [10**6 * energy for energy in energies]))
    assert covered_s(session, len(energies) - 1) == pytest.approx(covered)


def test_a_counter_that_catches_up_is_covered_all_along(tmp_path: Path) -> None:
    session = SessionData(write_session(tmp_path / "s", [0, 0, 0, 0, 0, 0, 300_000_000, 350_000_000]))
    assert covered_s(session, 7) == pytest.approx(7.0)


def test_many_notes_of_one_kind_are_a_few_warnings(tmp_path: Path) -> None:
    notes = [
        {"code": "reset", "t_ns": at * SECOND, "message": f"reset {at}", "channel": "cpu0/package"}
        for at in range(5)
    ]
    session = SessionData(write_session(tmp_path / "s", [0, 1, 2, 3, 4, 5], notes))
    (run,) = session.runs()
    told = [warning.message for warning in run.warnings if warning.code == "reset"]
    assert len(told) == 4
    assert told[-1] == "cpu0/package: reset 4 (and 1 more like this)"


def test_what_a_counter_said_while_it_was_away_is_dropped_with_its_holes_and_the_energy_stays(
    tmp_path: Path,
) -> None:
    said = {"channel": "cpu0/package", "message": "cpu0/package was somewhere"}
    notes = [
        {"code": "reset", "t_ns": 2 * SECOND, **said},
        {"code": "hole", "t_ns": 2 * SECOND, "from_ns": SECOND, "to_ns": 2 * SECOND, **said},
        {"code": "blip", "t_ns": 4 * SECOND, "from_ns": SECOND, "to_ns": 4 * SECOND, **said},
        {"code": "reset", "t_ns": 5 * SECOND, **said},
    ]
    joules = [0, 50, 50 + 700, 50 + 750, 200, 250]
    session = SessionData(write_session(tmp_path / "s", [10**6 * energy for energy in joules], notes))
    (run,) = session.runs()
    assert covered_s(session, 5) == pytest.approx(5.0)
    assert run.curves[0].energy_uj.tolist() == [0, 50_000_000, 200_000_000, 250_000_000]
    assert [warning.code for warning in run.warnings if warning.code in ("blip", "reset")] == [
        "blip",
        "reset",
    ]


def test_what_is_no_file_is_no_journal(tmp_path: Path) -> None:
    folder = Path(write_session(tmp_path / "s", [0, 1]))
    os.mkfifo(folder / "events-99.wmj")
    (folder / "recorder-000009.wmj").mkdir()
    assert len(list(SessionData(str(folder)).runs())) == 1


def test_constant_watts_of_memory_are_said_to_go_with_the_seconds(tmp_path: Path) -> None:
    memory = PACKAGE._replace(
        id="dram/model", component="dram", source="dram-model", method="modelled", kind="energy"
    )
    session = SessionData(write_session(tmp_path / "s", [0, 8_000_000, 16_000_000], channel=memory))
    (record,) = session.runs()
    (warning,) = [one for one in record.warnings if one.code == "by-duration"]
    assert "100 % of these joules are DRAM's, counted as 8 W times seconds" in warning.message


def test_joules_of_a_counter_are_not_said_to_go_with_the_seconds(tmp_path: Path) -> None:
    (record,) = SessionData(write_session(tmp_path / "s", [0, 8_000_000, 16_000_000])).runs()
    assert "by-duration" not in {one.code for one in record.warnings}


def energy_j(session: SessionData, seconds: int) -> float:
    import numpy as np

    (curve,) = session._curves
    return float(CurveEnergy(curve).between(np.array([0]), np.array([seconds * SECOND])).value_j[0])


LAPTOP = PACKAGE._replace(max_power_w=320.0)


@pytest.mark.parametrize(
    ("joules", "covered", "energy"),
    [
        ([0, 6, 12, 18, 24, 30, 36, 42 + 696], 6.0, 36.0),  # the last reading
        ([0, 6, 12, 18, 24, 30, 36 + 696, 42 + 696], 6.0, 36.0),  # one reading before it
        (
            [0, 6 + 696, 12 + 696, 18 + 696, 24 + 696, 30 + 696, 36 + 696, 42 + 696],
            6.0,
            36.0,
        ),  # the first was too low
        (
            [0, 6, 12, 18, 24, 30, 36, 42 + 60],
            6.0,
            36.0,
        ),  # possible, but eleven times all others without more work
    ],
)
def test_a_step_at_an_end_that_nothing_confirms_is_not_counted(
    tmp_path: Path, joules: list[int], covered: float, energy: float
) -> None:
    folder = write_session(tmp_path / "s", [10**6 * one for one in joules], channel=LAPTOP)
    session = SessionData(folder)
    assert covered_s(session, 7) == pytest.approx(covered)
    assert energy_j(session, 7) == pytest.approx(energy)
    (run,) = session.runs()
    assert "unconfirmed" in [warning.code for warning in run.warnings]


@pytest.mark.parametrize(
    "joules",
    [
        [0, 6, 12, 18, 24, 30, 36, 50],  # not so unlike
        [0, 6, 12, 60, 66, 72, 120, 170],  # as it was before
        [0, 0, 0, 0, 5_000],  # a plug that counts in steps of 3.6 kJ
    ],
)
def test_a_step_at_an_end_like_others_before_is_counted(tmp_path: Path, joules: list[int]) -> None:
    coarse = len(joules) == 5
    channel = LAPTOP._replace(resolution_uj=3.6e9, max_power_w=20_000.0) if coarse else LAPTOP
    session = SessionData(write_session(tmp_path / "s", [10**6 * one for one in joules], channel=channel))
    assert "unconfirmed" not in [note["code"] for note in session._notes]


def test_a_step_at_the_end_counts_where_the_cpus_were_busier(tmp_path: Path) -> None:
    import numpy as np

    from wattmark.runs.reading.plausible import unconfirmed
    from wattmark.runs.record import Curve

    t_ns = np.arange(8) * SECOND
    curve = Curve(LAPTOP, t_ns, np.array([0, 6, 12, 18, 24, 30, 36, 106]) * 10**6)
    idle = np.column_stack((t_ns.astype(float), np.arange(8) * 0.1))
    busy = idle.copy()
    busy[-1, 1] += 3.0
    assert [note["code"] for note in unconfirmed(curve, idle, False)] == ["unconfirmed"]
    assert unconfirmed(curve, busy, False) == []
    elsewhere = Curve(LAPTOP, t_ns, np.array([0, 6, 12, 18, 88, 94, 100, 106]) * 10**6)
    assert [note["code"] for note in unconfirmed(elsewhere, idle, False)] == ["unconfirmed"]
    assert unconfirmed(elsewhere, None, False) == []  # who knows how busy the CPUs were?
    busy_then = np.column_stack((t_ns.astype(float), np.array([0, 0.1, 0.2, 0.3, 3.3, 3.4, 3.5, 3.6])))
    assert unconfirmed(elsewhere, busy_then, False) == []
    impossible = Curve(LAPTOP, t_ns, np.array([0, 6, 12, 18, 24, 30, 36, 300]) * 10**6)
    assert [note["code"] for note in unconfirmed(impossible, busy, False)] == ["unconfirmed"]


def test_what_was_refused_at_the_very_end_is_told(tmp_path: Path) -> None:
    refused = {
        "code": "refused_jump",
        "t_ns": 5 * SECOND + 3_000_000,
        "since_ns": 4 * SECOND,
        "channel": PACKAGE.id,
        "message": "cpu0/package stepped too far",
    }
    session = SessionData(write_session(tmp_path / "s", [10**6 * n for n in range(6)], [refused]))
    (run,) = session.runs()
    assert "refused_jump" in [warning.code for warning in run.warnings]


def test_what_a_curve_says_in_a_hole_is_in_no_sum() -> None:
    import numpy as np

    from wattmark.runs.reading.plausible import flattened
    from wattmark.runs.record import Curve

    curve = Curve(PACKAGE, np.arange(6) * SECOND, np.arange(6) * 10**8)
    held = flattened(curve, [(SECOND // 2, 2 * SECOND), (9 * SECOND // 2, 5 * SECOND)])
    got = CurveEnergy(held).between(np.array([0, 0]), np.array([5 * SECOND, 2 * SECOND]))
    assert got.value_j.tolist() == pytest.approx([300.0, 50.0])
    assert got.covered_s.tolist() == pytest.approx([3.0, 0.5])
    assert flattened(held, []).energy_uj.tolist() == held.energy_uj.tolist()


def test_where_a_model_did_not_know_its_interval_runs_from_idle_to_full(tmp_path: Path) -> None:
    model = PACKAGE._replace(
        id="cpu/package-model", source="cpu-model", method="modelled", kind="energy", curve_w=(10.0, 20.0, 50.0),
        accuracy=Accuracy(0.0, 0.0, 0.0, "a test"), resolution_uj=0.0, update_period_s=0.0,
    )  # fmt: skip
    told = {"channel": model.id, "message": "the CPU times do not add up"}
    begins = {"code": "utilisation-unknown", "t_ns": 3 * SECOND, "from_ns": 2 * SECOND, **told}
    ends = {
        "code": "utilisation-known",
        "t_ns": 5 * SECOND,
        "from_ns": 2 * SECOND,
        "to_ns": 4 * SECOND,
        **told,
    }
    watts = [20, 20, 30, 30, 20, 20]
    joules = [sum(watts[:n]) * 10**6 for n in range(7)]
    for notes, unknown_s in (([begins, ends], 2.0), ([begins], 4.0)):
        session = SessionData(write_session(tmp_path / str(unknown_s), joules, notes, model))
        (run,) = session.runs()
        (quantity,) = RunView(run).energy_by_channel.values()
        assert quantity.value == pytest.approx(140.0)
        assert quantity.low == pytest.approx(140.0 - 20.0 * unknown_s, abs=0.5)
        assert quantity.high == pytest.approx(140.0 + 20.0 * unknown_s, abs=0.5)
        assert "utilisation-unknown" in [warning.code for warning in run.warnings]


@pytest.mark.parametrize("code", FINDINGS)
def test_health_names_each_kind_when_it_happens(
    tmp_path: Path, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from fakes.dashboard import api
    from wattmark.cli.store.health import _render

    channel = PACKAGE._replace(stands_in_for=("gpu9/board",)) if code == "stand-in" else PACKAGE
    told = {"t_ns": 3 * SECOND, "from_ns": 2 * SECOND, "to_ns": 3 * SECOND, "channel": channel.id}
    notes = [{"code": code, "message": FINDINGS[code], **told}]
    if code == "silent":  # of a sensor that missed nothing it is not told
        notes.append({"code": "hole", "message": "", **told})
    if code == "utilisation-unknown":
        del notes[0]["from_ns"]  # as it was from the beginning
    session = SessionData(
        write_session(tmp_path / "s", [10**6 * n for n in (0, 5, 10, 15, 20)], notes, channel)
    )
    (run,) = session.runs()
    _render(run_health(RunView(run)))
    assert f"! {code}: " in " ".join(capsys.readouterr().out.split())
    with open_store(str(tmp_path / "store.db")) as store:
        store.add(run)
        answer = api(store).get(f"/api/v1/runs/{run.run_id}/health").json()
    assert code in [warning["code"] for warning in answer["warnings"]]
