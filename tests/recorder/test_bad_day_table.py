"""The table of ``docs/science/bad-days.md``: kinds of lie x sources, each cell through a recorder on a machine that lies.

Each cell says what becomes of it in one word (:data:`OUTCOMES`); the page is held to this file by a test. The cells are
measured side by side, since most of their time is sleep.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fakes.bad_days import (
    CPUS,
    DUAL,
    LAPTOP,
    NVML_CHANNEL,
    NVML_W,
    SENSORS,
    SERVER,
    Kind,
    Machine,
    Moment,
    Rule,
    half_busy,
    nvml,
    put,
    zone,
)
from wattmark.sources.base import Host
from wattmark.sources.models.cpu.names import parse_cpuinfo
from wattmark.sources.models.cpu.source import build_model

PAGE = Path(__file__).parents[2] / "docs/science/bad-days.md"
SECONDS, ONSET_S = 2.4, 0.9
START_UJ = 22_000_000_000


class Told(NamedTuple):
    """A run's JSON, and its channels by id."""

    run: dict[str, Any]

    @property
    def channels(self) -> dict[str, dict[str, Any]]:
        return {channel["id"]: channel for channel in self.run["channels"]}

    @property
    def codes(self) -> set[str]:
        return {warning["code"] for warning in self.run["warnings"]}


class Cell(NamedTuple):
    """One cell: how the machine is made, the channel, its true watts, what becomes of it, and the codes of the warnings
    of which one tells of it."""

    build: Callable[[Machine], None]
    channel: str
    watts: float
    outcome: str
    codes: frozenset[str]
    seconds: float = SECONDS
    kind: Kind = LAPTOP


def mended(told: Told, cell: Cell) -> None:
    channel = told.channels[cell.channel]
    assert channel["counted_in_total"]
    assert channel["energy_j"] == pytest.approx(cell.watts * told.run["duration_s"], rel=0.12)
    assert told.run["coverage"] > 0.97


def hole(told: Told, cell: Cell) -> None:
    """What it said is missing, or mended where a later reading told: never more than what was used."""
    energy_j = told.channels[cell.channel]["energy_j"] or 0.0
    used_j = cell.watts * told.run["duration_s"]
    assert energy_j <= 1.1 * used_j
    assert told.run["coverage"] < 0.9999 or energy_j == pytest.approx(used_j, rel=0.1)


def model(told: Told, cell: Cell) -> None:
    """Nothing that looks measured: the CPU model stands in, at least where the sensor says nothing."""
    measured = told.channels.get(cell.channel)
    modelled = [
        one for one in told.run["channels"] if one["method"] == "modelled" and one["counted_in_total"]
    ]
    assert "cpu" in {one["component"] for one in modelled}
    assert measured is None or (measured["energy_j"] or 0.0) <= 1.15 * cell.watts * told.run["duration_s"]
    assert told.run["energy_j"]["total"]["value"] > 0
    assert (
        told.run["coverage"] > 0.5
    )  # of a few seconds, about one passes until a counter is known to stand still


def sensor(told: Told, cell: Cell) -> None:
    """The power sensor of the same device stands in."""
    power = [one for one in told.run["channels"] if one["id"].startswith(cell.channel.partition("/")[0])]
    total = sum(one["energy_j"] for one in power if one["counted_in_total"])
    assert total == pytest.approx(cell.watts * told.run["duration_s"], rel=0.2)


def near_zero(told: Told, cell: Cell) -> None:
    channel = told.channels[cell.channel]
    assert channel["counted_in_total"]
    assert 0 < channel["energy_j"] < 0.5 * told.run["duration_s"]


def later(told: Told, cell: Cell) -> None:
    channel = told.channels[cell.channel]
    assert channel["counted_in_total"]
    assert 0.3 * cell.watts < channel["energy_j"] < cell.watts * (told.run["duration_s"] - 0.2)
    assert told.run["coverage"] < 0.97


def interval(told: Told, cell: Cell) -> None:
    """The CPUs' energy lies anywhere from idle to full load for as long as nobody knows."""
    channel = told.channels[cell.channel]
    assert channel["counted_in_total"]
    assert told.run["coverage"] > 0.9
    width = (channel["high"] - channel["low"]) / channel["energy_j"]
    assert width > 1.0


def gone(told: Told, cell: Cell) -> None:
    """There is no such channel, and nothing in its place."""
    assert cell.channel not in told.channels


OUTCOMES: dict[str, Callable[[Told, Cell], None]] = {
    "mended": mended,
    "hole": hole,
    "model": model,
    "its power": sensor,
    "near zero": near_zero,
    "from later on": later,
    "interval": interval,
    "left out": gone,
}


# --- what the sensors say ---


def counting(watts: float, start_uj: float = START_UJ) -> Rule:
    return lambda m: int(start_uj + watts * 1e6 * m.t_s)


def steady(watts: float) -> Rule:
    return lambda m: watts


def frozen_from(rule: Rule, work_s: float) -> Rule:
    """The rule until some time of the work; from then on what it said last."""
    last: list[object] = [None]

    def say(m: Moment) -> object:
        if m.work_s < work_s:
            last[0] = rule(m)
        return last[0]

    return say


def during(rule: Rule, lie: Callable[[Any], object], from_s: float, to_s: float = 1e9) -> Rule:
    return lambda m: lie(rule(m)) if from_s <= m.work_s < to_s else rule(m)


def at_the_end(rule: Rule, lie: Callable[[Any], object]) -> Rule:
    """A lie from the last moment of the work on; on a busy machine the recorder may see the truth come back after it."""
    since: list[float] = []

    def say(m: Moment) -> object:
        if m.ending:
            since.append(m.t_s)
        return lie(rule(m)) if since and m.t_s < since[0] + 0.5 else rule(m)

    return say


def at_the_start(rule: Rule, lie: Callable[[Any], object]) -> Rule:
    return lambda m: lie(rule(m)) if m.work_s < 0 else rule(m)


def from_zero(watts: float, work_s: float) -> Rule:
    """A counter that begins anew at some time of the work."""
    since: list[float] = []

    def say(m: Moment) -> object:
        if m.work_s < work_s:
            return int(START_UJ + watts * 1e6 * m.t_s)
        since.append(m.t_s)
        return int(watts * 1e6 * (m.t_s - since[0]))

    return say


COUNTERS = [name for name, one in SENSORS.items() if one.counter]
POWERS = [name for name, one in SENSORS.items() if not one.counter]
CPU_SENSORS = {"rapl", "hwmon energy", "hwmon power", "battery"}
CELLS: dict[tuple[str, str], Cell] = {}


def add(kind: str, source: str, rule: Rule, outcome: str, codes: str, **more: Any) -> None:
    one = SENSORS[source]

    def build(machine: Machine) -> None:
        one.build(machine, rule)
        if source not in CPU_SENSORS:
            zone(machine, 0, counting(10.0))

    CELLS[kind, source] = Cell(build, one.channel, one.watts, outcome, frozenset(codes.split()), **more)


for name in COUNTERS:
    true = counting(SENSORS[name].watts)
    nothing = "model" if name in CPU_SENSORS else "hole"
    add("reads 0", name, lambda m: 0, nothing, "silent sensor-unusable")
    add("far below idle", name, counting(0.012), nothing, "below_idle", seconds=6.0)
    add("stands still", name, frozen_from(true, ONSET_S), nothing, "stuck")
    add(
        "away for a moment",
        name,
        during(true, lambda uj: 200_000_000, 0.9, 1.1),
        "mended",
        "refused_jump blip",
    )
    add(
        "a blip too small to be impossible",
        name,
        during(true, lambda uj: uj + 6_000_000, 0.9, 1.15),
        "mended",
        "blip refused_jump",
    )
    last = at_the_end(true, lambda uj: uj + 40_000_000)
    add("a blip as the last reading", name, last, "hole", "unconfirmed refused_jump blip", seconds=1.6)
    add(
        "a blip as the first reading",
        name,
        at_the_start(true, lambda uj: uj - 40_000_000),
        "hole",
        "unconfirmed refused_jump blip",
    )
    add("begins anew", name, from_zero(SENSORS[name].watts, ONSET_S), "hole", "reset")
    add("beyond all bounds", name, during(true, lambda uj: 2**64, 0.9, 1.1), "mended", "out_of_range")
    add("no number for a while", name, during(true, lambda uj: "", 0.9, 1.3), "mended", "")
    add("vanishes", name, during(true, lambda uj: "", ONSET_S), nothing, "silent")

for name in SENSORS:
    if name != "rapl":
        nothing = "model" if name in CPU_SENSORS else "hole"
        add("no number at all", name, lambda m: "N/A", nothing, "silent")
add("no number at all", "rapl", lambda m: "", "model", "sensor-unusable")

for name in POWERS:
    true = steady(SENSORS[name].watts)
    nothing = "model" if name in CPU_SENSORS else "hole"
    add("reads 0", name, during(true, lambda w: 0.0, ONSET_S), nothing, "below_idle", seconds=7.0)
    add("far below idle", name, during(true, lambda w: 0.012, ONSET_S), nothing, "below_idle", seconds=7.0)
    add("beyond all bounds", name, during(true, lambda w: 4.29e6, 0.9, 1.1), "mended", "refused_power")
    add("a blip as the last reading", name, at_the_end(true, lambda w: 4.29e6), "mended", "")
    add("a blip as the first reading", name, at_the_start(true, lambda w: 4.29e6), "mended", "refused_power")
    add("no number for a while", name, during(true, lambda w: "", 0.9, 1.3), "mended", "")
    add(
        "vanishes",
        name,
        during(true, lambda w: "", ONSET_S),
        nothing,
        "silent stand-in not-covered",
        seconds=7.0,
    )


def gpu(*lines: str, **more: Any) -> Callable[[Machine], None]:
    """An NVIDIA GPU beside a measured package, in the states of ``lines``: ``seconds of the work: state``."""

    def build(machine: Machine) -> None:
        zone(machine, 0, counting(10.0))
        states = [line.partition("| ") for line in lines]
        fake = nvml(machine, *states[0][2].split(" ; "))
        left = [(float(at), text.split(" ; ")) for at, _, text in states[1:]]

        def follow(m: Moment) -> None:
            while left and m.work_s >= left[0][0]:
                fake.state(*left.pop(0)[1])

        machine.act(follow)

    return build


def add_nvml(kind: str, outcome: str, codes: str, *lines: str, **more: Any) -> None:
    CELLS[kind, "nvml"] = Cell(gpu(*lines), NVML_CHANNEL, NVML_W, outcome, frozenset(codes.split()), **more)


GPU = "gpu 0 watts=100 update_ms=20"
NO_ENERGY = "fail 0 nvmlDeviceGetTotalEnergyConsumption code={0} after_s=0"
NO_POWER = (
    "fail 0 nvmlDeviceGetPowerUsage code={0} after_s=0 ; fail 0 nvmlDeviceGetFieldValues code={0} after_s=0"
)
ALL_FAIL = f"{NO_ENERGY} ; {NO_POWER}"
add_nvml("stands still", "its power", "silent", f"0| {GPU} energy_mj=5000")
add_nvml("contradicts its power", "its power", "contradicted", f"0| {GPU} counter_factor=0.1")
add_nvml(
    "no number for a while", "mended", "", f"0| {GPU}", f"0.9| {GPU} ; {ALL_FAIL.format(999)}", f"1.2| {GPU}"
)
add_nvml("reads 0", "left out", "device-unmeasured", "0| gpu 0 watts=0 energy_mj=0")
add_nvml("no number at all", "left out", "device-unmeasured", f"0| {GPU} ; {ALL_FAIL.format(3)}")
add_nvml(
    "away for a moment",
    "mended",
    "blip refused_jump",
    f"0| {GPU}",
    f"0.9| {GPU} energy_mj=200",
    f"1.1| {GPU}",
)
add_nvml("not there at first", "from later on", "device-later", f"0| {GPU} ; {ALL_FAIL.format(999)}", f"0.9| {GPU}",
         seconds=4.0)  # fmt: skip
add_nvml("lost, and found again", "hole", "device-back", f"0| {GPU}", f"0.9| {GPU} lost_after_s=0", f"1.6| {GPU}",
         seconds=4.0)  # fmt: skip
add_nvml("vanishes", "hole", "device-lost", f"0| {GPU}", f"0.9| {GPU} lost_after_s=0")
add_nvml("driver gone, and back", "hole", "device-back", f"0| {GPU}", f"0.9| {GPU} ; {ALL_FAIL.format(9)}", f"1.6| {GPU}",
         seconds=4.0)  # fmt: skip


def asleep(source: str) -> Callable[[Machine], None]:
    """A card that is suspended, and whose readings would wake it: a directory in place of each file."""

    def build(machine: Machine) -> None:
        SENSORS[source].build(machine, steady(SENSORS[source].watts))
        zone(machine, 0, counting(10.0))
        device = machine.sys / "devices/0000:03:00.0"
        put(device / "power/runtime_status", "suspended")
        put(device / "power/control", "auto")

    return build


for name in ("amdgpu", "intelgpu"):
    CELLS["asleep", name] = Cell(
        asleep(name), SENSORS[name].channel, SENSORS[name].watts, "near zero", frozenset(["asleep"])
    )


def nvidia_asleep(machine: Machine) -> None:
    zone(machine, 0, counting(10.0))
    nvml(machine, GPU)
    pci = machine.sys / "bus/pci/devices/0000:01:00.0"
    for name, value in {"vendor": "0x10de", "class": "0x030200", "power/runtime_status": "suspended"}.items():
        put(pci / name, value)


CELLS["asleep", "nvml"] = Cell(nvidia_asleep, NVML_CHANNEL, NVML_W, "left out", frozenset(["asleep"]))


def power_of(source: str, **files: object) -> Callable[[Machine], None]:
    """A counter that stands still beside a power sensor of its device."""

    def build(machine: Machine) -> None:
        one = SENSORS[source]
        one.build(machine, lambda m: 7_000_000)
        if source not in CPU_SENSORS:
            zone(machine, 0, counting(10.0))
        for path in machine.sys.rglob("energy1_input"):
            put(path.with_name("power1_average"), int(one.watts * 1e6))

    return build


for name in ("intelgpu", "hwmon energy"):
    CELLS["contradicts its power", name] = Cell(
        power_of(name), SENSORS[name].channel, SENSORS[name].watts, "its power", frozenset(["silent"])
    )


def sockets_with_one_that_lies(machine: Machine) -> None:
    zone(machine, 0, counting(30.0))
    zone(machine, 1, counting(0.1))  # two of its CPUs, half busy: 0.1 W each at the least


CELLS["one socket far below what its CPUs draw", "rapl"] = Cell(
    sockets_with_one_that_lies, "cpu1/package", 0.1, "hole", frozenset(["below_idle"]), 3.4, DUAL
)


# --- models: what they are fed with lies ---


def zeros(m: Moment) -> str:
    return "\n".join(f"{cpu} 0 0 0 0 0 0 0 0 0 0" for cpu in ("cpu", *(f"cpu{n}" for n in range(CPUS))))


def stat(rule: Rule, settings: str = "") -> Callable[[Machine], None]:
    return lambda machine: machine.replace(machine.stat, rule)


MODELS = {"cpu-model": ("cpu/package-model", LAPTOP), "host-share": ("cpu/host-share-model", SERVER)}


def add_model(name: str, kind: str, rule: Rule, outcome: str, codes: str) -> None:
    channel, machine = MODELS[name]
    info = parse_cpuinfo(machine.cpuinfo())
    scope = {"cpu-model": {"scope": channel.partition("/")[2].removesuffix("-model")}}
    watts = build_model(Host("/nowhere", "/nowhere", options=scope), info).power_w(0.5)
    CELLS[kind, name] = Cell(stat(rule), channel, watts, outcome, frozenset(codes.split()), kind=machine)


for name in MODELS:
    add_model(name, "reads 0", zeros, "interval", "utilisation-unknown")
    add_model(name, "stands still", frozen_from(half_busy, ONSET_S), "interval", "utilisation-unknown")
    nonsense = during(half_busy, lambda text: re.sub(r"\d{5,}", "9" * 18, str(text)), ONSET_S)
    add_model(name, "beyond all bounds", nonsense, "interval", "utilisation-unknown")
    add_model(name, "vanishes", during(half_busy, lambda text: "", ONSET_S), "hole", "not-covered")
    add_model(name, "no number for a while", during(half_busy, lambda text: "", 0.9, 1.4), "mended", "")


def no_meminfo(machine: Machine) -> None:
    (machine.proc / "meminfo").write_text("")


def no_stat(machine: Machine) -> None:
    machine.replace(machine.stat, lambda m: "")


CELLS["no number at all", "cpu-model"] = Cell(
    no_stat, "cpu/package-model", 0.0, "left out", frozenset(["no-sensor"])
)
CELLS["no number at all", "dram-model"] = Cell(
    no_meminfo, "dram/model", 0.0, "left out", frozenset(["modelled"])
)


def key(cell: tuple[str, str]) -> str:
    return f"{cell[0]}: {cell[1]}"


class Pool:
    """The measurements of the cells that are asked for, some at a time."""

    def __init__(self, root: Path, wanted: list[tuple[str, str]]) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(6)
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], Future[Told]] = {
            one: self._pool.submit(self._measure, one) for one in wanted
        }

    def told(self, cell: tuple[str, str]) -> Told:
        return self._told[cell].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _measure(self, name: tuple[str, str]) -> Told:
        cell = CELLS[name]
        folder = self._root / re.sub(r"\W+", "-", key(name))
        folder.mkdir()
        with self._lock:  # one compiles the fake driver, for all
            machine = Machine(folder, cell.kind)
            cell.build(machine)
        with machine:
            return Told(machine.measure(cell.seconds))


@pytest.fixture(scope="module")
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    wanted = [
        item.callspec.params["cell"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    measurements = Pool(tmp_path_factory.mktemp("bad-days"), wanted)
    yield measurements
    measurements.close()


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=key)
def test_what_becomes_of_a_lie(cell: tuple[str, str], pool: Pool) -> None:
    told, expected = pool.told(cell), CELLS[cell]
    OUTCOMES[expected.outcome](told, expected)
    assert not expected.codes or expected.codes & told.codes


def test_the_page_has_the_table_and_nothing_else() -> None:
    rows = [
        [part.strip() for part in line.strip().strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").partition("What the words mean")[0].splitlines()
        if line.startswith("| ")
    ]
    head = rows[0][1:]
    shown = {
        (row[0], source): outcome
        for row in rows[1:]
        for source, outcome in zip(head, row[1:], strict=True)
        if outcome not in ("", "–") and not set(row[0]) <= {"-", " "}
    }
    assert shown == {cell: CELLS[cell].outcome for cell in CELLS}
