from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wattmark.errors import ConfigError, MissingExtra, SourceEnded, SourceGone
from wattmark.sources import replay
from wattmark.sources.base import Host


class Clock:
    """Nanoseconds that pass when told to."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> int:
        return round(self.s * 1e9)


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "wave.csv"
    path.write_text(text)
    return str(path)


def played(path: str, clock: Clock, **options: object) -> replay.ReplaySource:
    host = Host(options={"replay": {"path": path, "clock": clock, **options}})
    (finding,) = replay.probe(host)
    assert finding.open is not None, finding.problem
    source = finding.open()
    assert isinstance(source, replay.ReplaySource)
    return source


def test_nothing_is_played_unless_asked_for() -> None:
    assert replay.probe(Host()) == []


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "t_s,power_w\n0,50\n1,50\n")
    host = Host(environ={"WATTMARK_REPLAY": path})
    (channel,) = replay.probe(host)[0].channels
    assert (channel.id, channel.component, channel.kind) == ("replay", "host", "power")


def test_a_power_holds_until_the_next_row_and_ends_after_the_last(tmp_path: Path) -> None:
    clock = Clock()
    source = played(written(tmp_path, "t_s,power_w\n10,10\n11,90\n12,20\n"), clock)
    assert source.read() == [10]
    clock.s += 0.999
    assert source.read() == [10]
    clock.s += 0.002
    assert source.read() == [90]
    clock.s += 0.999
    assert source.read() == [20]
    clock.s += 0.01
    with pytest.raises(SourceEnded):
        source.read()


def test_an_energy_is_joined_by_lines_and_starts_at_zero(tmp_path: Path) -> None:
    clock = Clock()
    source = played(written(tmp_path, "t_s,cpu0/package:energy_j\n0,100\n2,200\n"), clock)
    assert source.channels[0].component == "cpu"
    assert source.channels[0].kind == "energy"
    assert source.read() == [0]
    clock.s += 0.5
    assert source.read() == [25_000_000]
    assert isinstance(source.read()[0], int)
    clock.s += 1.5
    assert source.read() == [100_000_000]


def test_a_loop_goes_on_and_its_energy_keeps_growing(tmp_path: Path) -> None:
    clock = Clock()
    text = "t_s,gpu0/board:power_w,dram:energy_j\n0,5,0\n1,7,3\n"
    source = played(written(tmp_path, text), clock, loop=True)
    clock.s += 2.5
    assert source.read() == [5, 7_500_000]


def test_an_empty_cell_is_a_failed_reading(tmp_path: Path) -> None:
    clock = Clock()
    source = played(written(tmp_path, "t_s,cpu:power_w,dram:energy_j\n0,,0\n1,2,\n2,3,4\n"), clock)
    assert source.read() == [None, None]
    clock.s += 1
    assert source.read() == [2, None]


def test_a_function_is_played(tmp_path: Path) -> None:
    clock = Clock()
    options = {
        "function": lambda t: 10 + t,
        "component": "gpu",
        "duration_s": 5.0,
        "id": "gpu0",
        "clock": clock,
    }
    (finding,) = replay.probe(Host(options={"replay": options}))
    assert finding.open is not None
    source = finding.open()
    assert source.channels[0].component == "gpu"
    clock.s += 3
    assert source.read() == [pytest.approx(13)]
    clock.s += 3
    with pytest.raises(SourceEnded):
        source.read()
    source.close()
    with pytest.raises(SourceGone):
        source.read()


def test_a_function_without_duration_never_ends() -> None:
    clock = Clock()
    source = replay.ReplaySource([replay.from_function(lambda t: 1.0)], clock=clock)
    clock.s += 1e6
    assert source.read() == [1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t_s"),
        ("t_s,power_w\n0,1\n", "two rows"),
        ("t_s,power_w\n0,1\n0,2\n", "rising"),
        ("t_s,power_w\n0,1\n,2\n", "filled"),
        ("t_s,power_w\n0,1\n1\n", "line 3 has 1 cells"),
        ("t_s,power_w\n0,1\n1,x\n", "line 3: 'x' is no number"),
        ("t_s,power_w\n0,1\n1,-2\n", "below 0"),
        ("t_s,power_w\n0,1\n1,nan\n", "not finite"),
        ("t_s,energy_j\n0,2\n1,1\n", "falls"),
        ("t_s,watts\n0,2\n1,1\n", "neither power_w nor energy_j"),
        ("t_s,power_w,power_w\n0,2,2\n1,1,1\n", "same name"),
        ("time,power_w\n0,2\n1,1\n", "column t_s"),
    ],
)
def test_a_bad_file_is_explained_and_never_raises_in_the_probe(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=message):
        replay.from_file(path)
    (finding,) = replay.probe(Host(environ={"WATTMARK_REPLAY": path}))
    assert not finding.usable
    assert message in (finding.problem or "")


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    (finding,) = replay.probe(Host(environ={"WATTMARK_REPLAY": str(tmp_path / "no.csv")}))
    assert "no.csv" in (finding.problem or "")


def test_parquet_plays_like_csv(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = str(tmp_path / "wave.parquet")
    parquet.write_table(pa.table({"t_s": [0.0, 1.0], "cpu:power_w": [10.0, None]}), path)
    clock = Clock()
    source = played(path, clock)
    assert source.read() == [10.0]
    clock.s += 1
    assert source.read() == [None]


def test_parquet_that_is_none_is_explained(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "wave.parquet"
    path.write_text("no")
    with pytest.raises(ConfigError, match=r"wave\.parquet"):
        replay.from_file(str(path))


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = str(tmp_path / "wave.parquet")
    with pytest.raises(MissingExtra):
        replay.from_file(path)
    (finding,) = replay.probe(Host(environ={"WATTMARK_REPLAY": path}))
    assert "pip install" in (finding.fix or "")
