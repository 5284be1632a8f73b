"""Files of W&B, TensorBoard and MLflow: powers become runs; what is damaged, empty or ours becomes none."""

from __future__ import annotations

import json
import sqlite3
import struct

import pytest

from wattmark.errors import ImportFileError
from wattmark.runs.view import RunView
from wattmark.store import import_file

T0 = 1_764_300_000


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | float | bytes | str) -> bytes:
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def wandb_file(records: list[bytes]) -> bytes:
    """Records in blocks of 32 KiB, cut where a block ends."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        rest, first = record, True
        while rest or first:
            room = 32_768 - len(out) % 32_768
            if room < 7:
                out += bytes(room)
                continue
            part, rest = rest[: room - 7], rest[room - 7 :]
            kind = (1 if not rest else 2) if first else (4 if not rest else 3)
            out += bytes(4) + struct.pack("<HB", len(part), kind) + part
            first = False
    return bytes(out)


def wandb_run(count: int = 3000, watts: str = "200.0") -> list[bytes]:
    run = field(17, field(1, "abc") + field(3, "mine") + field(8, "brave-fog-1"))

    def stats(second: int) -> bytes:
        items = (
            ("gpu.0.powerWatts", watts),
            ("gpu.1.powerWatts", "100"),
            ("gpu.process.0.powerWatts", "9"),
            ("cpu", "3"),
        )
        rows = b"".join(field(3, field(1, key) + field(16, value)) for key, value in items)
        return field(7, field(2, field(1, T0 + second) + field(2, 500)) + rows)

    return [run, *(stats(2 * place) for place in range(count))]


def tfevents(rows: list[tuple[float, str, bytes]]) -> bytes:
    events = [field(1, float(T0)) + field(3, "brain.Event:2")]
    events += [field(1, T0 + t_s) + field(5, field(1, field(1, tag) + value)) for t_s, tag, value in rows]
    return b"".join(struct.pack("<Q", len(event)) + bytes(4) + event + bytes(4) for event in events)


def simple(value: float) -> bytes:
    return varint(2 << 3 | 5) + struct.pack("<f", value)


def joules(reading) -> list[float]:
    return [RunView(record).energy.value for record in reading]


def test_the_file_of_a_wandb_run_is_read_over_its_blocks(imported):
    reading = imported(wandb_file(wandb_run()), "run-abc.wandb")
    (record,) = reading
    assert (record.name, record.tags, reading.problems) == ("brave-fog-1", {"imported": "wandb"}, ())
    assert joules(reading) == [pytest.approx(2 * 2999 * 300)]
    assert record.started_wall_ns == T0 * 10**9 + 500


def test_tensorboards_scalars_of_power_are_read_in_both_shapes(imported):
    tensor = field(8, field(1, 1) + field(4, struct.pack("<f", 50.0)))
    rows = [(float(t), "system/gpu_0_power_watts", simple(100.0)) for t in range(10)]
    rows += [(float(t), "system/cpu_power_watts", tensor) for t in range(10)]
    rows += [(float(t), "energy/power_w", simple(7.0)) for t in range(10)]
    reading = imported(tfevents(rows), "events.out.tfevents.1.host.2.0")
    assert joules(reading) == [pytest.approx(9 * 150)]
    parts = RunView(reading[0]).energy_by_component
    assert {name: round(part.value) for name, part in parts.items()} == {"gpu": 900, "cpu": 450}
    assert parts["cpu"].high / parts["cpu"].value > 1.3 > parts["gpu"].high / parts["gpu"].value


def mlflow_store(path, rows, *, stage="active", tags=()):
    db = sqlite3.connect(path)
    db.executescript(
        "create table runs (run_uuid text, name text, experiment_id int, lifecycle_stage text, start_time int);"
        "create table tags (key text, value text, run_uuid text);"
        "create table metrics (key text, value real, timestamp int, run_uuid text, step int, is_nan int);"
    )
    db.execute("insert into runs values ('r1', '=cmd()', 1, ?, 1)", (stage,))
    db.executemany("insert into tags values (?, 'x', 'r1')", [(tag,) for tag in tags])
    db.executemany("insert into metrics values (?, ?, ?, 'r1', 0, ?)", rows)
    db.commit()
    db.close()
    return path


def points(name="system/gpu_0_power_usage_watts", watts=100.0, count=10):
    return [(name, watts, (T0 + t) * 1000, 0) for t in range(count)]


def test_mlflows_store_is_read_and_left_as_it_was(tmp_path):
    rows = [
        *points(),
        *points("system/gpu_1_power_usage_watts", 50.0),
        *points("system/gpu_0_power_usage_percentage"),
    ]
    path = mlflow_store(tmp_path / "mlflow.db", rows)
    before = path.read_bytes()
    reading = import_file(path)
    assert joules(reading) == [pytest.approx(9 * 150)]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stage": "deleted"}, "no series of power"),
        ({"tags": ("wattmark.run_id",)}, "was measured by Wattmark"),
    ],
)
def test_runs_of_mlflow_that_are_deleted_or_ours_are_not_taken(tmp_path, options, words):
    with pytest.raises(ImportFileError, match=words):
        import_file(mlflow_store(tmp_path / "mlflow.db", points(), **options))


def test_impossible_readings_are_named_and_missing_ones_are_holes(tmp_path):
    rows = points()
    rows[3] = (rows[3][0], 1e300, rows[3][2], 0)
    rows[4] = (rows[4][0], -5.0, rows[4][2], 0)
    rows[7] = (rows[7][0], 0.0, rows[7][2], 1)
    rows.append((rows[0][0], 100.0, 2**62, 0))
    reading = import_file(mlflow_store(tmp_path / "mlflow.db", rows))
    assert "3 readings" in str(reading.problems[0])
    assert joules(reading) == [pytest.approx(700)]  # without the two seconds around the hole
    (curve,) = reading[0].curves
    assert len(curve.holes) == 1


def test_another_database_is_refused(tmp_path):
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("create table x (y int)")
    db.commit()
    db.close()
    with pytest.raises(ImportFileError, match="no store of MLflow"):
        import_file(tmp_path / "other.db")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes((tmp_path / "other.db").read_bytes()[:20])
    with pytest.raises(ImportFileError, match="no store of MLflow"):
        import_file(damaged)


@pytest.mark.parametrize("kind", ["wandb", "tensorboard"])
def test_cut_off_and_damaged_files_give_no_more_than_the_whole(imported, kind):
    rows = [(float(t), "gpu_0_power_watts", simple(100.0)) for t in range(30)]
    name = "run-a.wandb" if kind == "wandb" else "events.out.tfevents.1"
    data = wandb_file(wandb_run(30)) if kind == "wandb" else tfevents(rows)
    whole = joules(imported(data, name))[0]
    for place in range(70, len(data), 37):
        for bad in (data[:place], data[:place] + b"\xff\xff\xff\xff\xff" + data[place + 5 :]):
            try:
                reading = imported(bad, name)
            except ImportFileError:
                continue
            assert sum(joules(reading)) <= whole * 1.001 or reading.problems, place


def test_a_file_without_powers_says_what_was_looked_for(imported):
    with pytest.raises(ImportFileError, match="no series of power") as told:
        imported(wandb_file([field(17, field(1, "abc"))]), "run-a.wandb")
    assert "powerWatts" in str(told.value.hint)
    with pytest.raises(ImportFileError, match="is no record"):
        imported(wandb_file([b"\xff\xff"]), "run-a.wandb")
    assert json.dumps(imported(wandb_file([*wandb_run(2), b"\xff"]), "run-a.wandb").problems)
