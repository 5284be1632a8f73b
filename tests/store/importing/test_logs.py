from __future__ import annotations

import gzip
import re
import tracemalloc
from datetime import timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from wattmark.errors import ImportFileError
from wattmark.store import import_file, open_store

HEADER_WITH_UNITS = (
    "timestamp, name, utilization.gpu [%], memory.used [MiB], power.draw [W], temperature.gpu\n"
)
CARBON_V2 = (
    "timestamp,project_name,run_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,cpu_energy,gpu_energy,"
    "ram_energy,energy_consumed,country_name,country_iso_code,codecarbon_version,gpu_count,ram_total_size,tracking_mode,pue\n"
)
CARBON_ROW = (
    "2023-09-08T12:50:09,bert,7397b210,12.5,0.0008,6e-05,42.5,534.1,430.7,0.0003,0.003,0.002,0.0053,"
    "United States,USA,2.3.1,8,1148.7,machine,1.0\n"
)


def energy_j(curve):
    return (curve.energy_uj[-1] - curve.energy_uj[0]) / 1e6


def test_a_log_with_units_and_slashes_is_integrated_over_its_real_stamps(imported):
    (run,) = imported(
        HEADER_WITH_UNITS
        + "2022/12/06 03:12:27.000, NVIDIA GeForce RTX 3070, 0 %, 1024 MiB, 100.00 W, 41\n"
        + "2022/12/06 03:12:28.500, NVIDIA GeForce RTX 3070, 50 %, 2048 MiB, 200.00 W, [N/A]\n"
        + "2022/12/06 03:12:29.000, NVIDIA GeForce RTX 3070, 100 %, 2048 MiB, 200.00 W, 43\n"
    )
    (curve,) = run.curves
    np.testing.assert_array_equal(curve.t_ns, [0, 1_500_000_000, 2_000_000_000])
    np.testing.assert_array_equal(curve.energy_uj, [0, 225_000_000, 325_000_000])
    assert (curve.channel.method, curve.channel.component, len(curve.holes)) == ("integrated", "gpu", 0)
    assert run.started_wall_ns == 1_670_296_347 * 10**9
    series = {data.series.id: (data.series.unit, data.values.tolist()) for data in run.series}
    assert series["gpu0/utilisation"] == ("%", [0, 50, 100])
    assert series["gpu0/memory_used"] == ("B", [2**30, 2**31, 2**31])
    assert series["gpu0/temperature"][1][::2] == [41, 43]
    assert np.isnan(series["gpu0/temperature"][1][1])


def test_a_log_with_dashes_and_renamed_columns_is_read_too(imported):
    (run,) = imported(
        "timestamp,gpu_name,gpu_usage,gpu_power_draw,gpu_max_power,gpu_temperature\n"
        "2022-12-06 07:12:27.992,NVIDIA GeForce RTX 3090,0 %,10.36 W,350.00 W,31\n"
        "2022-12-06 07:12:28.992,NVIDIA GeForce RTX 3090,3 %,119.17 W,350.00 W,31\n"
    )
    assert energy_j(run.curves[0]) == pytest.approx((10.36 + 119.17) / 2)
    assert run.environment["gpus"] == ["NVIDIA GeForce RTX 3090"]


def test_nounits_utf16_gzip_and_a_byte_order_mark_are_no_obstacle(imported):
    text = "timestamp, power.draw [W]\r\n2022/12/06 03:12:27, 50.5\r\n2022/12/06 03:12:29, 49.5\r\n"
    ids = set()
    for data in (
        text.encode(),
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        gzip.compress(text.encode()),
    ):
        (run,) = imported(data)
        assert energy_j(run.curves[0]) == 100.0
        ids.add(run.run_id)
    assert len(ids) == 1


def test_several_gpus_are_told_apart_by_their_id(imported):
    rows = "".join(
        f"2022/12/06 03:12:{second:02}.{index * 20:03}, {index}, GPU-{index}, {100 * (index + 1)}.00 W\n"
        for second in range(10)
        for index in range(3)
    )
    (run,) = imported("timestamp, index, uuid, power.draw [W]\n" + rows)
    assert [curve.channel.id for curve in run.curves] == ["gpu0/board", "gpu1/board", "gpu2/board"]
    assert [energy_j(curve) for curve in run.curves] == pytest.approx([900, 1800, 2700])


def test_equal_gpus_without_an_id_are_told_apart_by_equal_stamps_or_refused(imported):
    same = "".join(f"2022/12/06 03:12:{s:02}, A100, {w} W\n" for s in range(10) for w in (100, 300))
    (run,) = imported("timestamp, name, power.draw [W]\n" + same)
    assert [energy_j(curve) for curve in run.curves] == [900, 2700]
    near = "".join(
        f"2022/12/06 03:12:{s:02}.{ms}, A100, {w} W\n"
        for s in range(10)
        for ms, w in (("001", 1), ("009", 9))
    )
    with pytest.raises(ImportFileError, match="several GPUs") as refusal:
        imported("timestamp, name, power.draw [W]\n" + near)
    assert "index" in refusal.value.hint


@pytest.mark.parametrize(
    "tail",
    [
        "2023/03/09 09:07:31.",
        "2023/03/09 09",
        "2023/03/09 09:07:32.000, 3",
        "2023/03/09 09:07:32.000, 330.61",
    ],
)
def test_a_last_line_that_was_cut_off_is_left_out_and_said(imported, tail):
    (run,) = imported(
        "timestamp, power.draw [W]\n2023/03/09 09:07:30.000, 330.61 W\n2023/03/09 09:07:31.000, 331.61 W\n"
        + tail
    )
    assert len(run.curves[0].t_ns) == 2
    assert [warning.code for warning in run.warnings] == ["imported-truncated"]


def test_a_last_line_without_its_newline_is_kept_where_its_power_is_whole(imported):
    (run,) = imported(
        "timestamp, power.draw [W], temperature.gpu\n"
        "2023/03/09 09:07:30.000, 330.00 W, 64\n2023/03/09 09:07:31.000, 330.00 W, 6"
    )
    assert energy_j(run.curves[0]) == 330.0
    assert np.isnan(run.series[0].values[-1])
    assert run.warnings == ()


def test_readings_that_failed_and_long_silences_are_holes(imported):
    seconds = [0, 1, 2, 3, 4, 60, 61]
    power = ["100 W", "100 W", "[N/A]", "100 W", "100 W", "100 W", "100 W"]
    rows = "".join(
        f"2023/03/09 09:{s // 60:02}:{s % 60:02}, {p}\n" for s, p in zip(seconds, power, strict=True)
    )
    (run,) = imported("timestamp, power.draw [W]\n" + rows)
    (curve,) = run.curves
    np.testing.assert_array_equal(curve.holes / 1e9, [[1, 3], [4, 60]])
    assert energy_j(curve) == 300.0


def test_a_clock_that_goes_back_does_not_make_energy(imported):
    rows = "".join(f"2023/03/09 09:07:{s:02}, 100 W\n" for s in (0, 1, 2, 1, 2, 3))
    (run,) = imported("timestamp, power.draw [W]\n" + rows)
    assert energy_j(run.curves[0]) == 300.0
    assert "left out: 2" in run.warnings[0].message


def test_a_gpu_without_power_is_left_out_and_said(imported):
    rows = "".join(
        f"2023/03/09 09:07:{s:02}, {i}, {p}\n" for s in (0, 1) for i, p in ((0, "[N/A]"), (1, "70 W"))
    )
    (run,) = imported("timestamp, index, power.draw [W]\n" + rows)
    assert [energy_j(curve) for curve in run.curves] == [70.0]
    assert [warning.code for warning in run.warnings] == ["imported-no-power"]


def test_stamps_without_a_zone_take_the_one_that_is_given(imported):
    log = "timestamp, power.draw [W]\n2022-12-06T03:12:27{0}, 1 W\n2022-12-06T03:12:28{0}, 1 W\n"
    east = timezone(timedelta(hours=2))
    starts = [
        imported(log.format(z), zone=east)[0].started_wall_ns // 10**9 for z in ("", "Z", "+02:00", "-0130")
    ]
    assert [start - starts[0] for start in starts] == [0, 7200, 0, 7200 + 5400]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2023/03/09 09:07:32, 100 W, 7", "line 3: 3 values where the header has 2"),
        ("2023/13/09 09:07:32, 100 W", "line 3: .* is no date"),
        ("yesterday, 100 W", "line 3: 'yesterday' is no date"),
        ("2023/03/09 09:07:32, much", "line 3: 'much' is no number"),
        ("2023/03/09 09:07:32, 100 V", "line 3: '100 V' is no power"),
        ("2023/03/09 09:07:32, -5 W", "line 3: .* is no power"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_taken_in(imported, line, message):
    reading = imported(
        f"timestamp, power.draw [W]\n2023/03/09 09:07:31, 1 W\n{line}\n2023/03/09 09:07:33, 1 W\n2023/03/09 09:07:34, 1 W\n"
    )
    (problem,) = reading.problems
    assert re.match(message, str(problem))
    (curve,) = reading.runs[0].curves
    assert energy_j(curve) in (1.0, 3.0)  # 1 W, and the two seconds around a reading that failed are a hole


@pytest.mark.parametrize(
    "text", ["", "\n\n", "a,b\n1,2\n", "timestamp, name\n1,2\n", b"\x89PNG\r\n\x1a\n\0\0\xff", "\x1f"]
)
def test_other_files_are_refused_with_what_could_be_imported(imported, text):
    with pytest.raises(ImportFileError, match="none of the files") as refusal:
        imported(text)
    assert "emissions.csv" in refusal.value.hint


def test_files_that_cannot_be_read_are_an_error(imported, tmp_path):
    with pytest.raises(ImportFileError, match="cannot read"):
        import_file(tmp_path / "missing.csv")
    with pytest.raises(ImportFileError, match="damaged"):
        imported(gzip.compress(b"timestamp" * 1000)[:-20])
    with pytest.raises(ImportFileError, match="fewer than two"):
        imported("timestamp, power.draw [W]\n2023/03/09 09:07:31, 1 W\n")


def test_codecarbon_rows_become_runs_with_wide_intervals_that_say_imported(imported):
    (run,) = imported(CARBON_V2 + CARBON_ROW)
    assert (run.name, run.duration_s, run.status) == ("bert", 12.5, "completed")
    assert run.started_wall_ns == 1_694_177_409 * 10**9 - 12_500_000_000
    assert {c.channel.component: energy_j(c) for c in run.curves} == {
        "cpu": 1080.0,
        "gpu": 10_800.0,
        "dram": 7_200.0,
    }
    for curve in run.curves:
        assert (curve.channel.method, curve.channel.label) == ("modelled", "imported")
        assert curve.channel.accuracy.relative_low > 0.25
    assert run.extra["codecarbon"]["country_iso_code"] == "USA"
    assert {"imported-codecarbon", "imported-whole-machine"} == {warning.code for warning in run.warnings}


def test_codecarbons_pue_is_taken_out_again(imported):
    (run,) = imported(CARBON_V2 + CARBON_ROW.replace("machine,1.0", "process,1.5"))
    assert sum(energy_j(curve) for curve in run.curves) == pytest.approx(0.0053 * 3.6e6 / 1.5)
    assert "imported-pue" in {warning.code for warning in run.warnings}


def test_the_first_versions_of_codecarbon_have_a_total_only(imported):
    runs = imported(
        "timestamp,experiment_id,project_name,duration,emissions,energy_consumed,country_name,on_cloud\n"
        "2021-03-01T10:00:00,e1,mnist,0,0.001,0.002,France,N\n"
        "2021-03-01T10:00:00,e1,mnist,0,0.001,0.002,France,N\n"
        "2021-03-01T10:00:09,e1,mnist,9.0,0.001,0.002,France,N\n"
    )
    (curve,) = runs[0].curves
    assert (curve.channel.component, energy_j(curve)) == ("host", 7200.0)
    assert curve.t_ns[1] > curve.t_ns[0]
    assert runs[0].run_id == runs[1].run_id != runs[2].run_id
    assert "imported-repeated-run" in {warning.code for warning in runs[2].warnings}


def test_what_codecarbon_did_not_track_is_missing_and_not_zero(imported):
    (run,) = imported(CARBON_V2 + CARBON_ROW.replace(",0.003,", ",0.0,"))
    assert {curve.channel.component for curve in run.curves} == {"cpu", "dram"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("12.5,", "long,", "line 2: 'long' is no number"),
        ("12.5,", ",", "line 2: the duration"),
        (",0.0003,0.003,0.002,0.0053,", ",,,,,", "line 2: there is no energy"),
        ("0.0003", "-0.0003", "line 2: cpu_energy is negative"),
        (",machine,1.0", "", "line 2: 18 values where the header has 20"),
    ],
)
def test_a_row_of_codecarbon_that_cannot_be_read_is_named(imported, old, new, message):
    with pytest.raises(ImportFileError, match=message):
        imported(CARBON_V2 + CARBON_ROW.replace(old, new))


def test_importing_a_file_twice_keeps_its_runs_once(imported, tmp_path):
    with open_store(str(tmp_path / "store.db")) as store:
        added = [store.add(run) for _ in range(2) for run in imported(CARBON_V2 + CARBON_ROW)]
        assert added == [True, False]


GAISSA = Path(__file__).parents[4] / "shared" / "data" / "gaissa" / "raw"


@pytest.mark.skipif(not GAISSA.is_dir(), reason="the published traces are not at hand")
def test_published_traces_of_both_dialects_are_read():
    for folder in ("cloud/mobilenet_v2", "cloud/resnet50", "local-v2/resnet50"):
        path = min((GAISSA / folder).glob("gpu-power-*.csv.gz"))
        (run,) = import_file(path)
        assert 20 < energy_j(run.curves[0]) / run.duration_s < 350
        assert len(run.series) == 4


def test_a_file_that_unpacks_to_hundreds_of_times_its_size_is_refused_before_it_is_unpacked(imported):
    bomb = gzip.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    for data in (bomb, gzip.compress(b"timestamp") + bomb):
        with pytest.raises(ImportFileError, match="unpacks to"):
            imported(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


def test_members_of_gzip_one_after_the_other_and_padding_are_read(imported):
    log = "timestamp, power.draw [W]\n" + "".join(f"2024/01/01 10:00:0{s}, 50 W\n" for s in range(9))
    (run,) = imported(gzip.compress(log[:100].encode()) + gzip.compress(log[100:].encode()) + bytes(512))
    assert energy_j(run.curves[0]) == 400.0
