from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from fakes.hosts import host_record
from wattmark.runs.hosts.merging import merged, overlap
from wattmark.runs.record import RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import open_store


def energy_j(record: RunRecord) -> float:
    energy = RunView(record).energy
    assert energy is not None
    return energy.value


def codes(record: RunRecord) -> set[str]:
    return {warning.code for warning in record.warnings}


@pytest.mark.parametrize("seed", range(8))
def test_the_whole_is_the_sum_of_its_hosts_wherever_their_clocks_stand(seed):
    rng = random.Random(seed)
    parts = [
        host_record(
            f"n{number}",
            node=number,
            hosts=5,
            start_s=rng.uniform(0, 30),
            end_s=rng.uniform(40, 120),
            watts=rng.uniform(0, 500),
            wave_w=rng.uniform(0, 300),
            offset_s=rng.choice([0, 0.01, -3, 3600, -86_400]),
            drift=rng.uniform(-2e-4, 2e-4),
            mono0=rng.randrange(10**15),
        )
        for number in range(5)
    ]
    rng.shuffle(parts)
    whole = merged(parts, "job-1")
    assert energy_j(whole) == pytest.approx(sum(map(energy_j, parts)), rel=1e-9)
    result = summarise(RunView(whole))
    assert sum(host["energy_j"]["value"] for host in result.hosts) == pytest.approx(energy_j(whole), rel=1e-9)
    assert "host-missing" not in codes(whole)


def test_the_interval_of_the_whole_is_that_of_the_sum():
    parts = [host_record(f"n{number}", node=number) for number in range(2)]
    one, other = (RunView(part).energy for part in parts)
    assert one is not None
    assert other is not None
    summed = one + other
    whole = RunView(merged(parts, "job-1")).energy
    assert whole is not None
    assert (whole.low, whole.high) == pytest.approx((summed.low, summed.high), rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_joules_of_short_spans_hold_the_truth_though_clocks_are_off(seed):
    """Wall clocks agree within their stated 50 ms; the other host's power is a square wave."""
    rng = random.Random(seed)
    parts = [
        host_record("n0", node=0, watts=20),
        host_record(
            "n1",
            node=1,
            watts=20,
            wave_w=200,
            offset_s=rng.uniform(-0.09, 0.09),
            drift=rng.uniform(-1e-5, 1e-5),
        ),
    ]
    whole = merged(parts, "job-1")
    view = RunView(whole)
    for _ in range(40):
        begin = rng.uniform(1, 90)
        end = begin + rng.uniform(0.05, 2.0)
        true_wave = 200 * (
            math.floor(end) * 0.5 + min(end % 1, 0.5) - math.floor(begin) * 0.5 - min(begin % 1, 0.5)
        )
        true = (40 * (end - begin) + true_wave) * 1.2
        first_s = (parts[0].start_ns - whole.start_ns) / 1e9  # the first host's zero
        got = view.energy_between(first_s + begin, first_s + end)
        assert got is not None
        assert got.low - 1e-3 <= true <= got.high + 1e-3


def test_meetings_lay_a_clock_that_is_an_hour_off_upon_the_first():
    meets = tuple(float(t) for t in range(5, 95, 5))
    parts = [
        host_record("n0", node=0, watts=20, meets_s=meets, wait_s=0.004),
        host_record(
            "n1", node=1, watts=20, wave_w=200, offset_s=3600.0, drift=5e-5, meets_s=meets, wait_s=0.003
        ),
    ]
    whole = merged(parts, "job-1")
    assert whole.duration_s == pytest.approx(100.0, abs=0.1)
    clock = summarise(RunView(whole)).hosts[1]["clock"]
    assert clock["ahead_s"] == pytest.approx(3600.0, abs=0.01)
    assert clock["drift"] == pytest.approx(5e-5, abs=2e-5)
    assert clock["within_s"] < 0.008
    assert "clock-off" in codes(whole)
    got = RunView(whole).energy_between(10.0, 10.5)  # the wave's high half
    assert got is not None
    assert got.value == pytest.approx((40 * 0.5 + 100) * 1.2, abs=3.0)


def test_a_clock_an_hour_off_without_a_meeting_is_said_and_the_sum_stands():
    parts = [host_record("n0", node=0), host_record("n1", node=1, offset_s=3600.0)]
    whole = merged(parts, "job-1")
    assert "clock-off" in codes(whole)
    assert whole.duration_s == pytest.approx(100.0, abs=1.0)
    assert energy_j(whole) == pytest.approx(sum(map(energy_j, parts)), rel=1e-9)
    short = RunView(whole).energy_between(10.0, 10.1)
    assert short is not None
    assert short.high >= 12.0


def test_hosts_that_come_late_go_early_and_never_report_are_holes_with_names():
    parts = [
        host_record("n0", node=0, hosts=4),
        host_record("n1", node=1, hosts=4, start_s=30.0),
        host_record("n2", node=2, hosts=4, end_s=60.0, status="interrupted", exit_code=None),
    ]
    whole = merged(parts, "job-1")
    said = " ".join(warning.message for warning in whole.warnings)
    assert "n1 came 30.0 s after" in said
    assert "n2 ended 40.0 s before the last (it was interrupted)" in said
    assert "node-3 has not reported" in said
    assert whole.status == "interrupted"
    assert energy_j(whole) == pytest.approx(60 * (100 + 70 + 60), rel=1e-3)
    assert RunView(whole).coverage == pytest.approx((1 + 0.7 + 0.6 + 0) / 4, abs=0.01)


def test_slurm_names_the_host_that_never_reports():
    part = host_record("gpu01", hosts=3)
    job = {**part.extra["job"], "names": ["gpu01", "gpu02", "gpu07"]}  # type: ignore[dict-item]
    whole = merged([replace(part, extra={"job": job})], "job-1")
    assert {w.message.split()[0] for w in whole.warnings if w.code == "host-missing"} == {"gpu02", "gpu07"}


def test_two_hosts_of_one_name_are_two():
    parts = [host_record("node", node=0, boot="a"), host_record("node", node=1, boot="b", watts=70)]
    whole = merged([replace(part, run_id=f"r{n}") for n, part in enumerate(parts)], "job-1")
    assert [host["host"] for host in summarise(RunView(whole)).hosts] == ["node", "node~2"]
    assert energy_j(whole) == pytest.approx(sum(map(energy_j, parts)), rel=1e-9)


def test_a_host_that_was_measured_twice_at_a_time_counts_once():
    one = host_record("n0", node=0)
    again = replace(host_record("n0", node=0, start_s=50.0, end_s=120.0), run_id="again")
    other = host_record("n1", node=1)
    whole = merged([one, again, other], "job-1")
    assert "host-twice" in codes(whole)
    assert energy_j(whole) == pytest.approx(60 * (120 + 100), rel=1e-3)


def test_pods_of_one_machine_count_its_cpu_once():
    pod: dict[str, Any] = {"virtualisation": {"container": "kubernetes"}}
    parts = [
        replace(part, environment={**part.environment, **pod})
        for part in (host_record("pod-a", node=0, boot="m"), host_record("pod-b", node=1, boot="m"))
    ]
    assert energy_j(merged(parts, "job-1")) == pytest.approx(60 * 100, rel=1e-3)


def test_a_job_id_that_comes_again_is_another_job():
    morning = [host_record(f"n{n}", node=n, unique=False) for n in range(2)]
    evening = [host_record(f"n{n}", node=n, unique=False, start_s=40_000.0, end_s=40_100.0) for n in range(2)]
    at_once = [host_record(f"n{n}", node=n, unique=False, start_s=110.0, end_s=150.0) for n in range(2)]
    groups = overlap([*evening, *morning, *at_once])
    assert [[part.run_id for part in group] for group in groups] == [
        ["run-n0-0", "run-n1-0"], ["run-n0-110", "run-n1-110"], ["run-n0-40000", "run-n1-40000"],
    ]  # fmt: skip


def test_a_run_over_hosts_survives_store_and_export(tmp_path):
    whole = merged(
        [host_record("n0", node=0), host_record("n1", node=1, start_s=10.0, offset_s=0.02)], "job-1"
    )
    with open_store(str(tmp_path / "s.db")) as store:
        store.add(whole, summarise(RunView(whole)))
        back = store.get("job-1")
        assert energy_j(back) == pytest.approx(energy_j(whole), rel=1e-6)
        assert [curve.part for curve in back.curves] == [curve.part for curve in whole.curves]
        stored = store.part("job-1")
        assert stored.curve(0).part == whole.curves[0].part
    from wattmark.store.portable import from_plain, to_plain

    assert energy_j(from_plain(to_plain(whole))) == energy_j(whole)


def test_the_order_in_which_parts_come_changes_nothing():
    parts = [host_record(f"n{n}", node=n, hosts=3, start_s=float(n)) for n in range(3)]
    forward, backward = merged(parts, "job-1"), merged(parts[::-1], "job-1")
    assert summarise(RunView(forward)).to_dict() == summarise(RunView(backward)).to_dict()


def test_nothing_is_no_run():
    with pytest.raises(ValueError, match="needs a part"):
        merged([], "job-1")
