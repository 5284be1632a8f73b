"""Files of other tools, in the shapes that their writers have: energies by hand."""

from __future__ import annotations

import json
import os
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from wattmark.errors import ImportFileError
from wattmark.predict.hardware.devices import machine_of
from wattmark.runs.view import RunView
from wattmark.store import open_store
from wattmark.store.importing import take_in


def joules(run) -> dict[str, float]:
    return {c.channel.id: (int(c.energy_uj[-1]) - int(c.energy_uj[0])) / 1e6 for c in run.curves}


def codes(run) -> set[str]:
    return {warning.code for warning in run.warnings}


# --- nvidia-smi's CSV in more dialects


def test_a_log_with_semicolons_and_decimal_commas_is_read(imported):
    (run,) = imported(
        "timestamp; index; name; power.draw [W]; utilization.gpu [%]\n"
        + "".join(f"2024/01/01 10:00:0{s},500; 0; Tesla T4; 60,50 W; 5 %\n" for s in range(5))
    )
    assert joules(run) == {"gpu0/board": pytest.approx(242.0)}


@pytest.mark.parametrize(
    ("line", "energy", "devices"),
    [
        ("2024/01/01 10:00:{s:02}.000, {i}, NVIDIA A100-SXM4-80GB, {w}.00 W, 5 %, 2 MiB", [900, 1800], 2),
        ("2024/01/01 10:00:{s:02}.000, {w}.00 W, NVIDIA A100-SXM4-80GB", [900, 1800], 2),
        ("2024/01/01 10:00:{s:02}.000, {i}, {w}.00", [900, 1800], 2),
        (
            "{i}, GPU-1234abcd-0000-0000-0000-00000000000{i}, 2024/01/01 10:00:{s:02}.000, {w}.50",
            [904.5, 1804.5],
            2,
        ),
        ("2024/01/01 10:00:{s:02}.000, 00000000:0{i}:00.0, {w}.00 W, 300.00 W", [900, 1800], 2),
        ("2024/01/01 10:00:{s:02}.000; {i}; {w},00 W", [900, 1800], 2),
    ],
)
def test_a_log_without_a_header_is_told_by_its_cells(imported, line, energy, devices):
    rows = "".join(line.format(s=s, i=i, w=100 * (i + 1)) + "\n" for s in range(10) for i in range(devices))
    (run,) = imported(rows)
    assert list(joules(run).values()) == pytest.approx(energy)


def test_a_log_without_header_and_without_a_column_that_is_power_is_refused(imported):
    with pytest.raises(ImportFileError, match="none of the files"):
        imported("".join(f"2024/01/01 10:00:0{s}, 5, 70\n" for s in range(9)))


ERROR = "Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error\n"


def test_an_error_line_in_the_middle_is_named(imported):
    rows = [f"2024/01/01 10:00:0{s}, 0, 100.00 W\n" for s in range(9)]
    reading = imported("timestamp, index, power.draw [W]\n" + "".join([*rows[:4], ERROR, *rows[4:]]))
    assert joules(reading[0]) == {"gpu0/board": 800.0}
    assert [problem.line for problem in reading.problems] == [6]


@pytest.mark.parametrize("text", ["[Unknown Error]", "[GPU is lost]", "[N/A]", "[Insufficient Permissions]"])
def test_any_bracketed_text_is_a_hole_that_is_announced(imported, text):
    rows = [f"2024/01/01 10:00:0{s}, 0, {text if s == 4 else '100.00 W'}\n" for s in range(9)]
    reading = imported("timestamp, index, power.draw [W]\n" + "".join(rows))
    assert joules(reading[0]) == {"gpu0/board": 600.0}
    assert (reading.problems, codes(reading[0])) == ((), {"imported-failed-readings"})
    assert text in reading[0].warnings[0].message


@pytest.mark.parametrize(
    "second",
    [
        "timestamp, power.draw [W], temperature.gpu, index\n" + "2024/01/01 11:00:0{s}, 100.00 W, 60, 0\n",
        "timestamp, uuid, power.draw [W]\n" + "2024/01/01 11:00:0{s}, GPU-1, 100.00 W\n",
        "timestamp, power.draw [W]\n" + "2024/01/01 11:00:0{s}, 100.00 W\n",
    ],
)
def test_a_log_appended_to_one_with_other_columns_is_the_same_gpu(imported, second):
    header, line = second.splitlines()
    reading = imported(
        "timestamp, index, power.draw [W]\n"
        + "".join(f"2024/01/01 10:00:0{s}, 0, 200.00 W\n" for s in range(5))
        + header + "\n" + "".join(line.format(s=s) + "\n" for s in range(5))
    )  # fmt: skip
    (run,) = reading
    assert joules(run) == {"gpu0/board": 1200.0}
    assert run.curves[0].holes.tolist() == [[4 * 10**9, 3600 * 10**9]]
    assert reading.problems == ()


@pytest.mark.parametrize(
    ("column", "values"), [("index", "01"), ("pci.bus_id", ["00000000:3B:00.0", "00000000:AF:00.0"])]
)
def test_what_if_knows_the_devices_of_a_log(imported, column, values):
    rows = "".join(
        f"2024/01/01 10:00:0{s}, {v}, Tesla V100-SXM2-16GB, 100.00 W\n" for s in range(5) for v in values
    )
    (run,) = imported(f"timestamp, {column}, name, power.draw [W]\n" + rows)
    machine = machine_of(RunView(run))
    assert [(one.hardware.id, one.quantity) for one in machine.accelerators] == [("v100-sxm2-16", 2)]
    assert machine.unknown_accelerators == ()


def test_gpus_have_the_numbers_that_the_log_gives_them(imported):
    rows = "".join(f"2024/01/01 10:00:0{s}, {i}, 100.00 W\n" for s in range(5) for i in (3, 7))
    (run,) = imported("timestamp, index, power.draw [W]\n" + rows)
    assert joules(run) == {"gpu3/board": 400.0, "gpu7/board": 400.0}


def test_a_log_across_the_end_of_summer_time_keeps_its_hour(imported):
    stamps = [f"{1 + m // 60:02}:{m % 60:02}" for m in range(30, 120)]  # 01:30 to 02:59 in summer time
    stamps += [f"{2 + m // 60:02}:{m % 60:02}" for m in range(0, 91)]  # and 02:00 to 03:30 in winter time
    rows = "".join(f"2024/10/27 {stamp}:00.000, 0, 100.00 W\n" for stamp in stamps)
    (run,) = imported("timestamp, index, power.draw [W]\n" + rows, zone=ZoneInfo("Europe/Berlin"))
    assert joules(run) == {"gpu0/board": 180 * 60 * 100.0}
    assert run.warnings == ()


def test_a_log_that_has_grown_is_kept_once(imported, tmp_path):
    rows = [f"2024/01/01 10:00:{s:02}, 0, {100 + s}.00 W\n" for s in range(60)]
    header = "timestamp, index, power.draw [W]\n"
    with open_store(str(tmp_path / "store.db")) as store:
        first = take_in(store, imported(header + "".join(rows[:20])))
        second = take_in(store, imported(header + "".join(rows)))
        third = take_in(store, imported(header + "".join(rows[:30])))
        assert (second.grown, third.repeated) == (first.added, first.added)
        (stored,) = store.summaries()
        assert stored.duration_s == 59


# --- the tables of dmon

DMON = (
    "#Date       Time        gpu    pwr  gtemp  mtemp     sm    mem   mclk   pclk     fb\n"
    "#YYYYMMDD   HH:MM:SS    Idx      W      C      C      %      %    MHz    MHz     MB\n"
)


def test_nvidia_smi_dmon_with_stamps_is_integrated(imported):
    rows = "".join(
        f" 20240102   19:12:{s:02}      {g}     {100 * (g + 1)}     48      -     90      1   7000   1350    2048\n"
        + (DMON if s == 5 and g == 1 else "")
        for s in range(0, 20, 2)
        for g in (0, 1)
    )
    reading = imported(DMON + rows)
    assert joules(reading[0]) == {"gpu0/board": 1800.0, "gpu1/board": 3600.0}
    series = {data.series.id: data.values[0] for data in reading[0].series}
    assert (series["gpu0/utilisation"], series["gpu1/memory_used"]) == (90, 2**31)
    assert (reading.problems, reading[0].extra["duration_known"]) == ((), True)


@pytest.mark.parametrize("comma", [False, True])
def test_nvidia_smi_dmon_without_stamps_counts_a_second_a_sample_and_says_so(imported, comma):
    text = (
        "# gpu   pwr gtemp    sm\n# Idx     W     C     %\n"
        + "    0   100    40    50\n" * 10
        + "    0   -   40   1\n    0   100   40   1\n"
    )
    if comma:
        text = "\n".join(", ".join(line.replace("# ", "#").split()) for line in text.splitlines()) + "\n"
    (run,) = imported(text)
    assert (joules(run), run.duration_s) == ({"gpu0/board": 900.0}, 11)
    assert codes(run) == {"imported-duration", "imported-failed-readings"}
    assert run.extra["duration_known"] is False


def test_times_without_dates_go_past_midnight(imported):
    header = "#Time        gpu   pwr\n#HH:MM:SS    Idx     W\n"
    rows = "".join(f" {t}      0    100\n" for t in ("23:59:58", "23:59:59", "00:00:00", "00:00:01"))
    (run,) = imported(header + rows)
    assert (joules(run), run.duration_s) == ({"gpu0/board": 300.0}, 3)


def test_a_bad_line_of_dmon_is_named(imported):
    reading = imported(
        "# gpu   pwr\n# Idx     W\n    0   100\n    0\nError: lost\n    0  1e308\n    0   100\n    0   100\n"
    )
    assert [problem.line for problem in reading.problems] == [4, 5, 6]
    assert joules(reading[0]) == {"gpu0/board": 100.0}


def test_dcgmi_dmon_takes_the_counter_before_the_power(imported):
    header = "#Entity   POWER     TOTEC                 GPUTL\nID        W         mJ\n"
    rows = "".join(
        f"GPU 0     {100 + s}.500   {123456789 + 90_000 * s}             98\nGPU 1     N/A       N/A     0\n"
        for s in range(11)
    )
    reading = imported(header + rows + header + "GPU-I 3   12.0  1000   5\n")
    (run,) = reading
    assert joules(run) == {"gpu0/board": 900.0}
    assert run.curves[0].channel.method == "counter"
    assert {"imported-no-power", "imported-instances", "imported-duration"} <= codes(run)


@pytest.mark.parametrize(
    "stamp", ["2024-01-01T10:00:{:02}", "2024-01-01 10:00:{:02}.123", "[2024-01-01 10:00:{:02}]"]
)
def test_dcgmi_dmon_with_stamps_before_its_lines(imported, stamp):
    rows = "".join(f"{stamp.format(s)} GPU 0     100.0\n" for s in range(0, 20, 2))
    (run,) = imported(f"{stamp.format(0)} #Entity   POWER\n{stamp.format(0)} ID        W\n" + rows)
    assert (joules(run), run.duration_s) == ({"gpu0/board": 1800.0}, 18)


def test_a_counter_that_goes_back_is_a_hole(imported):
    counts = [5_000_000, 5_100_000, 0, 100_000, 200_000]
    (run,) = imported("#Entity   TOTEC\nID  mJ\n" + "".join(f"GPU 0  {count}\n" for count in counts))
    assert joules(run) == {"gpu0/board": 300.0}
    assert len(run.curves[0].holes) == 1


# --- Weights & Biases


def wandb_rows():
    for s in range(0, 100, 10):
        yield {"_timestamp": 1_700_000_000.5 + s, "_runtime": s, "_wandb": True, "system.gpu.0.powerWatts": 200.0 + s,
               "system.gpu.0.gpu": 97.0, "system.gpu.process.0.powerWatts": 200.0 + s, "system.cpu": 3.0}  # fmt: skip


@pytest.mark.parametrize("shape", ["lines", "list", "csv"])
def test_system_metrics_of_wandb_are_integrated_in_any_shape(imported, shape):
    rows = list(wandb_rows())
    if shape == "lines":
        text = "".join(json.dumps(row) + "\n" for row in rows) + '{"broken\n'
    elif shape == "list":
        text = json.dumps(rows)
    else:
        text = (
            ","
            + ",".join(rows[0])
            + "\n"
            + "".join(f"{n}," + ",".join(map(str, row.values())) + "\n" for n, row in enumerate(rows))
        )
    reading = imported(text)
    (run,) = reading
    assert joules(run) == {"gpu0/board": pytest.approx(90 * 245.0)}
    assert run.started_wall_ns == 1_700_000_000_500_000_000
    assert len(reading.problems) == (shape == "lines")


def test_the_chart_of_several_wandb_runs_is_a_run_each(imported):
    columns = [
        f"{run} - system/gpu.0.powerWatts{end}"
        for run in ("red-1", "blue-2")
        for end in ("", "__MIN", "__MAX")
    ]
    rows = "".join(f'"{s}","100","90","110","{"" if s > 50 else 200}","",""\n' for s in range(0, 100, 10))
    header = ",".join(f'"{name}"' for name in ("Relative Time (Process)", *columns)) + "\n"
    reading = imported(header + rows)
    assert {run.name: joules(run)["gpu0/board"] for run in reading} == {"red-1": 9000.0, "blue-2": 10_000.0}


# --- perun


def test_perun_csv_has_counters_and_powers_each_once(imported):
    lines = [",run id,hostname,device_group,sensor,unit,magnitude,timestep,value"]
    for s in range(11):
        for group, sensor, unit, magnitude, value in (
            ("cpu", "cpu_0_package-0", "J", 1e-06, 5_000_000 + 50_000_000 * s),
            ("gpu", "CUDA:0_POWER", "W", 0.001, 250_000),
            ("ram", "cpu_0_dram", "J", 1e-06, 4_000_000 * s),
            ("cpu", "CPU_USAGE_0", "%", 1, 7),
        ):
            lines.append(f"{len(lines) - 1},0,node1,{group},{sensor},{unit},{magnitude},{float(s)},{value}")
    reading = imported("\n".join(lines) + "\nbroken\n")
    assert joules(reading[0]) == {"cpu0/package": 500.0, "gpu0/board": 2500.0, "dram0/modules": 40.0}
    assert (reading[0].environment["host"], [p.line for p in reading.problems]) == ("node1", [46])


def test_perun_json_unwraps_its_counters(imported):
    def node(name, kind, nodes=None, **more):
        return {"id": name, "type": kind, "metadata": {}, "metrics": {}, "regions": None, "deviceType": None,
                "processed": False, "nodes": [nodes or {}], **more}  # fmt: skip

    meta = {"unit": "J", "mag": 1e-6, "dtype": "uint64", "min": 0, "max": 100_000_000, "fill": 0}
    raw = {
        "timesteps": [0.0, 1.0, 2.0],
        "values": [60_000_000, 90_000_000, 20_000_000],
        "v_md": meta,
        "t_md": meta,
    }
    bad = {"timesteps": [0.0], "values": "x", "v_md": meta, "t_md": meta}
    sensors = {"s": node("s", 6, raw_data=raw), "b": node("b", 6, raw_data=bad)}
    tree = node(
        "app",
        1,
        {"m": node("m", 2, {"0": node("0", 3, {"h": node("h", 4, {"cpu": node("cpu", 5, sensors)})})})},
    )
    reading = imported(json.dumps(tree))
    assert joules(reading[0]) == {"cpu0/package": 60.0}
    assert len(reading.problems) == 1


# --- CarbonTracker

TRACKED = """2024-03-01 10:00:00 - carbontracker version 1.2.5
2024-03-01 10:00:00 - Only predicted and actual consumptions are multiplied by a PUE coefficient of 1.58.
2024-03-01 10:00:00 - The following components were found: GPU with device(s) A100, A100. CPU with device(s) cpu:0.
2024-03-01 10:00:00 - Monitoring thread started.
2024-03-01 10:01:00 - Epoch 1:
2024-03-01 10:01:00 - Duration: 0:01:00.00
2024-03-01 10:01:00 - Average power usage (W) for gpu: [200.5
 99.5]
2024-03-01 10:01:00 - Average power usage (W) for cpu: 50.0
2024-03-01 10:02:00 - Epoch 2:
2024-03-01 10:02:00 - Duration: 0:01:00.00
2024-03-01 10:02:00 - Average power usage (W) for gpu: [100. 100.]
2024-03-01 10:02:00 - Average power usage (W) for cpu: None
"""
PRINTED = """2024-03-01 10:00:00 - CarbonTracker: The following components were found: GPU with device(s) NVIDIA A100.
2024-03-01 10:01:00 - CarbonTracker:{0}
Predicted consumption for 100 epoch(s):
\tTime:\t1:40:00
\tEnergy:\t9.9 kWh
\tCO2eq:\t1 g
2024-03-01 10:02:00 - CarbonTracker:{0}
Actual consumption for 2 epoch(s):
\tTime:\t0:02:00
\tEnergy:\t0.0157 kWh
\tCO2eq:\t1 g
"""


def test_epochs_of_carbontracker_have_their_mean_powers_and_no_pue(imported):
    (run,) = imported(TRACKED, name="7.1_2024-03-01T100000Z_carbontracker.log")
    assert joules(run) == {"carbontracker/gpu": 60 * 500.0, "carbontracker/cpu": 60 * 50.0}
    assert (run.duration_s, len(run.spans), run.started_wall_ns) == (120, 2, 1_709_287_200 * 10**9)
    cpu = next(curve for curve in run.curves if curve.channel.component == "cpu")
    assert cpu.holes.tolist() == [[60 * 10**9, 120 * 10**9]]
    assert run.environment["gpus"] == ["A100", "A100"]


def test_both_files_of_one_carbontracker_are_one_run_and_predictions_are_none(imported, tmp_path):
    with open_store(str(tmp_path / "store.db")) as store:
        output = imported(PRINTED.format(" "), name="7.1_2024-03-01T100000Z_carbontracker_output.log")
        assert joules(output[0]) == {"carbontracker/host": pytest.approx(36_000.0)}
        added = take_in(store, output).added
        assert (
            take_in(store, imported(TRACKED, name="7.1_2024-03-01T100000Z_carbontracker.log")).repeated
            == added
        )


def test_what_carbontracker_printed_on_a_terminal_is_read_too(imported):
    text = "Epoch 3\nCarbonTracker: \nActual consumption:\n\tTime:\t0:00:10\n\tEnergy:\t0.00157 kWh\n\tCO2eq:\t1 g\n"
    assert joules(imported(text)[0]) == {"carbontracker/host": pytest.approx(3600.0)}


# --- Eco2AI

ECO = (
    "id,project_name,experiment_description,epoch,start_time,duration(s),power_consumption(kWh),CO2_emissions(kg),CPU_name,"
    "GPU_name,OS,region/country,cost\n"
)


def eco(start, seconds, kwh, tracker="u1"):
    return (
        f"{tracker},mnist,net,N/A,2024-03-01 {start},{seconds},{kwh},0.1,"
        '"Intel(R) Xeon(R)/2 device(s), TDP:105.0",Tesla T4 1 device(s),Linux,RU/Moscow,0\n'
    )


def test_rows_of_eco2ai_are_runs_and_a_row_written_again_is_one(imported):
    reading = imported(
        ECO
        + eco("10:00:00", 60.5, 0.001)
        + eco("10:00:00", 120, 0.002)
        + eco("10:02:00", 60, 0.001)
        + eco("x", 1, 1)
    )
    assert [joules(run)["eco2ai/host"] for run in reading] == [7200.0, 3600.0]
    assert (reading[0].duration_s, reading[0].environment["gpu"]) == (120, "1 x Tesla T4")
    assert [problem.line for problem in reading.problems] == [5]


# --- Slurm

SACCT = "JobID|JobName|Submit|Start|Elapsed|NCPUS|TotalCPU|ReqMem|NNodes|State|ConsumedEnergyRaw|AllocTRES|\n"


def test_sacct_has_the_energy_of_jobs_or_of_their_steps_once(imported):
    reading = imported(
        SACCT
        + "1|a|2024-01-01T09:00:00|2024-01-01T10:00:00|00:10:00|4|00:20:00|8G|1|COMPLETED|60000|cpu=4|\n"
        + "1.batch|batch||2024-01-01T10:00:00|00:10:00|4|00:20:00||1|COMPLETED|59000||\n"
        + "2|b|2024-01-01T09:00:00|2024-01-01T10:00:00|1-00:00:00|4|00:20:00|8G|1|COMPLETED||cpu=4|\n"
        + "2.batch|batch||2024-01-01T10:00:00|1-00:00:00|4|00:20:00||1|COMPLETED|7000||\n"
        + "2.0|s||2024-01-01T10:00:00|00:10:00|4|00:20:00||1|COMPLETED|5000||\n"
        + "2.1|s||2024-01-01T10:00:00|00:10:00|4|00:20:00||1|COMPLETED|4000||\n"
        + "3|c|2024-01-01T09:00:00|Unknown|00:00:00|0|00:00:00|8G|1|CANCELLED|0||\n"
        + "4|d|2024-01-01T09:00:00|2024-01-01T10:00:00|soon|4|00:20:00|8G|1|COMPLETED|1||\n"
    )
    assert [(run.name, joules(run)) for run in reading] == [
        ("a", {"slurm/host": 60_000.0}),
        ("b", {"slurm/host": 9000.0}),
    ]
    assert reading[1].duration_s == 86_400
    assert [problem.line for problem in reading.problems] == [9]


@pytest.mark.parametrize("energy", ["", "0", "4294967294", "18446744073709551614"])
def test_a_job_without_energy_gets_green_algorithms_model_and_a_wide_interval(imported, energy):
    (run,) = imported(
        SACCT
        + f"1|a|2022-02-12T13:55:33||03:00:00|32|10:00:00|250Gn|1|TIMEOUT|{energy}|billing=32,cpu=32,gres/gpu=1,mem=250G|\n"
    )
    hours = {"slurm/cpu": 10 * 12.0, "slurm/gpu": 3 * 200.0, "slurm/dram": 3 * 250 * 0.3725}
    assert joules(run) == {name: pytest.approx(wh * 3600) for name, wh in hours.items()}
    assert all(
        curve.channel.method == "modelled" and curve.channel.accuracy.relative_high >= 3
        for curve in run.curves
    )


def test_files_without_dates_are_dated_by_their_own(imported, tmp_path):
    (tmp_path / "log.csv").write_text("")
    (run,) = imported("# gpu   pwr\n# Idx     W\n" + "    0   100\n" * 3)
    written = os.stat(tmp_path / "log.csv").st_mtime
    assert abs((run.started_wall_ns + run.end_ns) / 1e9 - written) < 2
    assert np.all(np.diff(run.curves[0].t_ns) == 10**9)
