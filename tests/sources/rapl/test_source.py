"""RAPL on trees like those of real machines: what is found, what is counted, what is read in trouble."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fakes import powercap
from fakes.powercap import PowercapTree, Square, Writer, write_cpuinfo
from wattmark.recorder.unwrap import CounterCurve
from wattmark.sources.base import Host, Source
from wattmark.sources.rapl import source as rapl
from wattmark.sources.rapl.access import fix_script

SECOND = 1_000_000_000


@pytest.fixture
def host(tmp_path):
    write_cpuinfo(tmp_path / "proc", "GenuineIntel")
    return Host(str(tmp_path / "sys"), str(tmp_path / "proc"))


@pytest.fixture
def tree(host):
    with PowercapTree(host.sysfs) as tree:
        yield tree


def usable(host):
    (finding,) = [finding for finding in rapl.probe(host) if finding.usable]
    return finding


def by_id(host):
    return {channel.id: channel for channel in usable(host).channels}


def problems(host):
    return [finding for finding in rapl.probe(host) if finding.problem]


@pytest.fixture
def opened(host, tree):
    sources = []

    def open_source():
        sources.append(usable(host).open())
        return sources[-1]

    yield open_source
    for source in sources:
        source.close()


def test_two_packages_with_psys_count_each_joule_once(host, tree):
    tree.add_package(0, ("core", "uncore", "dram"))
    tree.add_package(1, ("core", "uncore", "dram"))
    tree.add("intel-rapl:2", "psys")
    channels = by_id(host)
    counted = {name for name, channel in channels.items() if channel.counted}
    assert counted == {"cpu0/package", "cpu0/dram", "cpu1/package", "cpu1/dram"}
    assert set(channels) - counted == {"cpu0/core", "cpu0/uncore", "cpu1/core", "cpu1/uncore", "psys"}
    assert channels["cpu1/core"].inside == ("cpu1/package",)
    assert (channels["cpu0/dram"].component, channels["psys"].component) == ("dram", "host")


def test_psys_alone_is_counted(host, tree):
    tree.add("intel-rapl:0", "psys")
    assert by_id(host)["psys"].counted


@pytest.mark.parametrize("link", [True, False])
def test_flat_and_nested_layouts_give_each_domain_once(host, tree, link):
    for zone, name in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:0:1", "dram")):
        tree.add(zone, name, link=link)
    assert [channel.id for channel in usable(host).channels] == ["cpu0/package", "cpu0/core", "cpu0/dram"]


def test_more_than_ten_packages_come_in_the_order_of_their_numbers(host, tree):
    for number in range(12):
        tree.add_package(number, ())
    assert [channel.id for channel in usable(host).channels] == [f"cpu{n}/package" for n in range(12)]


def test_the_wrap_is_the_range_and_one_step_of_the_counter(host, tree):
    tree.add_package(0, (), range_uj=262_143_328_850)
    package = by_id(host)["cpu0/package"]
    assert package.wrap_uj == 262_143_328_911  # 2^32 steps of 61.035 µJ
    assert package.resolution_uj == pytest.approx(61.035)


def test_a_range_that_may_not_be_read_means_an_unknown_wrap_and_not_a_guess(host, tree):
    os.remove(os.path.join(tree.add("intel-rapl:0", "package-0"), "max_energy_range_uj"))
    assert by_id(host)["cpu0/package"].wrap_uj is None


def test_power_limits_bound_what_is_possible_generously(host, tree):
    tree.add_package(0, (), max_power_uw=250_000_000)
    tree.add_package(1, ())
    tree.add_package(2, (), max_power_uw=4_095_000_000)
    bounds = [by_id(host)[f"cpu{n}/package"].max_power_w for n in range(3)]
    assert bounds == [1_000.0, 1_500.0, 1_500.0], "a limit of 4,095 W is none"


def test_mmio_is_the_same_counter_and_read_once(host, tree):
    tree.add_package(0, ())
    tree.add("intel-rapl-mmio:0", "package-0")
    assert list(by_id(host)) == ["cpu0/package"]
    assert "read once" in problems(host)[0].problem


@pytest.mark.parametrize("msr_exists", [True, False])
def test_mmio_is_read_where_the_msr_counter_cannot_be(host, tree, opened, msr_exists):
    tree.add("intel-rapl-mmio:0", "package-0", uj=77)
    if msr_exists:
        tree.make_unreadable(tree.add_package(0, ()))
    assert opened().read() == [77]


def test_mirrored_dies_are_counted_once_by_their_readings(host, tree):
    for die in range(4):
        tree.add_package(0, ("dram",), die=die, zone=die, uj=5_000_000_000)
    channels = by_id(host)
    assert [name for name, channel in channels.items() if channel.counted] == [
        "cpu0/die0/package",
        "cpu0/die0/dram",
    ]
    assert channels["cpu0/die3/package"].copy_of == "cpu0/die0/package"
    assert channels["cpu0/die3/dram"].copy_of == "cpu0/die0/dram"


def test_mirrored_dies_are_recognised_across_a_wrap(host, tree):
    tree.add_package(0, (), die=0, zone=0, uj=powercap.RANGE_UJ - 1_000)
    tree.add_package(0, (), die=1, zone=1, uj=5)
    assert by_id(host)["cpu0/die1/package"].copy_of == "cpu0/die0/package"


def test_real_counters_of_dies_are_all_counted(host, tree):
    tree.add_package(0, (), die=0, zone=0, uj=5_000_000_000)
    tree.add_package(0, (), die=1, zone=1, uj=9_000_000_000)
    assert all(channel.counted and not channel.copy_of for channel in by_id(host).values())


def test_two_sockets_that_read_the_same_are_two(host, tree):
    tree.add_package(0, ())
    tree.add_package(1, ())
    assert all(channel.counted for channel in by_id(host).values())


@pytest.mark.parametrize(("sockets", "copies"), [(("0", "0"), 1), (("0", "1"), 0)])
def test_two_package_names_on_one_known_socket_are_judged_like_dies(host, tree, sockets, copies):
    tree.add_package(0, ())
    tree.add_package(1, ())
    for cpu, socket in enumerate(sockets):
        folder = host.sys("devices", "system", "cpu", f"cpu{cpu}", "topology")
        os.makedirs(folder)
        with open(f"{folder}/physical_package_id", "w") as out:
            out.write(socket)
    assert sum(bool(channel.copy_of) for channel in by_id(host).values()) == copies


def record(host, tree, shares, seconds=60):
    """Curves of a run at 10 Hz on a stepwise writer, and the channels."""
    wave = Square(10, 90, 1.0)
    writer = Writer(tree, wave, shares, 1_000_000)
    writer.step(0.0)
    source = usable(host).open()
    curves = [CounterCurve(channel) for channel in source.channels]
    samples = {channel.id: [] for channel in source.channels}
    for tick in range(seconds * 10):
        writer.step(tick / 10)
        for curve, raw in zip(curves, source.read(), strict=True):
            samples[curve.channel.id].append((tick * SECOND // 10, curve.feed(tick * SECOND // 10, raw)))
    source.close()
    return source.channels, samples, writer


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "cpu0/die0/package"), (0.97, "")])
def test_the_whole_run_tells_a_mirror_from_a_twin_that_started_at_the_same_value(host, tree, share, verdict):
    tree.add_package(0, (), die=0, zone=0)
    tree.add_package(0, (), die=1, zone=1)
    channels, samples, _ = record(host, tree, {"intel-rapl:0": 1.0, "intel-rapl:1": share}, seconds=5)
    assert channels[1].copy_of == "cpu0/die0/package"  # all that could be known before
    assert rapl.judge_mirrors(channels, samples) == {"cpu0/die1/package": verdict}


def test_real_dies_that_draw_the_same_power_stay_two_because_their_values_differ(host, tree):
    for die in range(2):
        tree.add_package(0, (), die=die, zone=die)
    readings = {"intel-rapl:0": 1_000_000, "intel-rapl:1": 900_000_000}
    for zone, uj in readings.items():
        tree.set(zone, uj)
    channels = usable(host).channels
    line = [(tick * SECOND // 10, tick * 5_000_000) for tick in range(100)]
    assert all(channel.counted for channel in channels)
    assert rapl.judge_mirrors(channels, {channel.id: line for channel in channels}) == {}


def test_dies_mirrored_in_pairs_are_told_apart_by_the_run(host, tree):
    for die in range(4):
        tree.add_package(0, (), die=die, zone=die)
    shares = {f"intel-rapl:{die}": (1.0, 1.0, 0.5, 0.5)[die] for die in range(4)}
    channels, samples, _ = record(host, tree, shares, seconds=3)
    first, second, third, fourth = (f"cpu0/die{die}/package" for die in range(4))
    assert rapl.judge_mirrors(channels, samples) == {second: first, third: "", fourth: third}


def test_a_reading_torn_from_its_twin_by_the_scheduler_does_not_split_a_mirror(host, tree):
    for die in range(2):
        tree.add_package(0, (), die=die, zone=die)
    line = [(tick * SECOND // 10, tick * 5_000_000) for tick in range(10)]
    late = [*line[:4], (line[4][0], line[4][1] + 2_000_000), *line[5:]]
    channels = usable(host).channels
    curves = {"cpu0/die0/package": line, "cpu0/die1/package": late}
    assert rapl.judge_mirrors(channels, curves) == {"cpu0/die1/package": "cpu0/die0/package"}


def test_an_idle_die_beside_a_busy_one_is_no_mirror_and_two_idle_ones_tell_nothing(host, tree):
    for die in range(2):
        tree.add_package(0, (), die=die, zone=die)
    channels, samples, _ = record(host, tree, {"intel-rapl:0": 1.0, "intel-rapl:1": 0.0}, seconds=2)
    assert rapl.judge_mirrors(channels, samples) == {"cpu0/die1/package": ""}
    still = {name: [(t, 0) for t, _ in curve] for name, curve in samples.items()}
    assert rapl.judge_mirrors(channels, still) == {}


def test_known_watts_come_back_exactly_also_across_a_wrap(host, tree):
    package = tree.add_package(0, (), range_uj=2_000_000_000)
    _, samples, writer = record(host, tree, {package: 1.0}, seconds=60)
    measured = samples["cpu0/package"][-1][1]
    assert abs(measured - writer.true_uj[package]) <= 2  # one wrap, and the step of 1 µJ that it holds
    assert measured > 2_000_000_000


def test_an_open_source_fits_the_contract(opened, tree):
    tree.add_package(0)
    source = opened()
    assert isinstance(source, Source)
    assert len(source.read()) == len(source.channels) + len(source.series)
    source.close()
    source.close()


def test_torn_and_empty_texts_are_none_and_the_next_reading_is_good(opened, tree):
    zone = tree.add_package(0, (), uj=1_000)
    source = opened()
    assert source.read() == [1_000]
    path = tree.path(zone)
    for torn in ("", "12-"):
        with open(path, "w") as out:
            out.write(torn)
        assert source.read() == [None]
    with open(path, "w") as out:
        out.write("2000")
    assert source.read() == [2_000]


def test_a_negative_text_is_no_reading(opened, tree):
    zone = tree.add_package(0, (), uj=1_000)
    source = opened()
    with open(tree.path(zone), "w") as out:
        out.write("-5\n")
    assert source.read() == [None]


def test_a_file_that_is_being_rewritten_at_the_first_look_is_a_counter_all_the_same(host, tree, monkeypatch):
    path = tree.path(tree.add_package(0, (), uj=1_000))
    with open(path, "w"):
        pass
    pauses = []

    def write_meanwhile(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            with open(path, "w") as out:
                out.write("2000\n")

    monkeypatch.setattr(rapl.time, "sleep", write_meanwhile)
    assert set(by_id(host)) == {"cpu0/package"}


def test_a_replaced_file_is_followed(opened, tree):
    zone = tree.add_package(0, (), uj=1_000)
    source = opened()
    for value in (1_000, 2_000, 3_000):
        tree.replace(zone, f"{value}\n")
        source.read()
        assert source.read() == [value]


def test_a_vanished_tree_reads_none_at_once_and_comes_back(host, opened, tree, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("wattmark.sources.rapl.counter.time.monotonic", lambda: now[0])
    tree.add_package(0, (), uj=1_000)
    source = opened()
    assert source.read() == [1_000]
    tree.vanish()
    assert source.read() == [None]
    again = PowercapTree(host.sysfs)
    again.add_package(0, (), uj=5_000)
    again.close()
    assert source.read() == [None]  # not tried again within the same millisecond
    now[0] += 1.1
    assert source.read() == [5_000]


def test_a_lost_file_is_tried_at_most_once_a_second(opened, tree, monkeypatch):
    now, opens = [100.0], []
    tree.add_package(0, ())
    source = opened()
    source.read()
    tree.vanish()
    monkeypatch.setattr("wattmark.sources.rapl.counter.time.monotonic", lambda: now[0])
    real_open = os.open

    def counting_open(*args):
        opens.append(args)
        return real_open(*args)

    monkeypatch.setattr("wattmark.sources.rapl.counter.os.open", counting_open)
    for _ in range(10_000):
        assert source.read() == [None]
        now[0] += 0.001
    assert len(opens) < 22


def test_unreadable_counters_say_so_and_how_to_mend_it(host, tree):
    tree.make_unreadable(tree.add_package(0, ()))
    (finding,) = rapl.probe(host)
    assert not finding.usable
    assert "cannot be read" in finding.problem
    assert "wattmark sources --fix" in finding.fix


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root to be refused")
def test_a_file_that_only_root_may_read_is_a_problem_for_others(host, tree, tmp_path):
    zone = tree.add_package(0, ())
    os.chmod(tree.path(zone), 0o400)
    code = (
        "import os, sys; from wattmark.sources.rapl import source as rapl; from wattmark.sources.base import Host; "
        "os.setgid(65534); os.setuid(65534); "
        "print([f.problem for f in rapl.probe(Host(*sys.argv[1:]))])"
    )
    folder = tmp_path
    while folder != folder.parent and folder.stat().st_uid == os.getuid() and str(folder) != "/tmp":
        folder.chmod(0o755)
        folder = folder.parent
    done = subprocess.run(
        [sys.executable, "-c", code, host.sysfs, host.procfs], capture_output=True, text=True, check=True
    )
    assert "only root may" in done.stdout


def test_a_readable_domain_is_used_beside_an_unreadable_one(host, tree):
    top = tree.add_package(0, ("dram",))
    tree.make_unreadable(f"{top}:0")
    assert list(by_id(host)) == ["cpu0/package"]
    assert "intel-rapl:0:0 (dram)" in problems(host)[0].what


def test_a_counter_that_stays_at_zero_is_not_usable(host, tree):
    top = tree.add_package(0, ("uncore",))
    tree.set(f"{top}:0", 0)
    assert list(by_id(host)) == ["cpu0/package"]
    assert "stays at 0" in problems(host)[0].problem


def test_a_domain_without_an_enabled_power_limit_counts_all_the_same(host, tree):
    tree.add("intel-rapl:0", "package-0", enabled=False)
    assert by_id(host)["cpu0/package"].counted


@pytest.mark.parametrize(
    ("vendor", "hypervisor", "word"),
    [
        ("GenuineIntel", True, "virtual machine"),
        ("GenuineIntel", False, "module"),
        ("ARM", False, "no RAPL"),
    ],
)
def test_no_powercap_says_why(host, vendor, hypervisor, word):
    write_cpuinfo(host.procfs, vendor, hypervisor=hypervisor)
    (finding,) = rapl.probe(host)
    assert not finding.usable
    assert word in finding.problem


def test_domains_masked_by_a_container_are_told_from_absent_ones(host, tree):
    tree.add_package(0, ())
    os.rename(tree.real, tree.real + ".masked")
    (finding,) = rapl.probe(host)
    assert "container" in finding.problem


def test_nothing_at_all_is_no_crash(tmp_path):
    (finding,) = rapl.probe(Host(str(tmp_path), str(tmp_path)))
    assert finding.problem


def test_amd_is_less_certain_than_intel_and_old_zen_least(host, tree):
    tree.add_package(0, ())
    widths = []
    for vendor, family in (("GenuineIntel", 6), ("AuthenticAMD", 0x19), ("AuthenticAMD", 0x17)):
        write_cpuinfo(host.procfs, vendor, family)
        accuracy = by_id(host)["cpu0/package"].accuracy
        assert accuracy.citation
        widths.append(accuracy.relative_low + accuracy.relative_high)
    assert widths == sorted(widths)
    assert len(set(widths)) == 3


def test_the_mending_script_is_sound_shell_and_explains_itself(host):
    script = fix_script(Host())
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert "/sys/class/powercap/intel-rapl*:*/energy_uj" in script
    assert "CVE-2020-8694" in script
    assert "o+r" not in script.replace("no chmod o+r", "")


def test_the_writer_process_counts_known_watts_and_says_what_was_true(tmp_path):
    root = tmp_path / "sys"
    command = [sys.executable, powercap.__file__, str(root), "--seconds", "0.2", "--watts", "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ready, end = map(json.loads, done.stdout.splitlines())
    seconds = (end["end_ns"] - ready["start_ns"]) / 1e9
    true_uj = end["true_uj"]["intel-rapl:0"]
    assert 0 < true_uj <= 50e6 * seconds
    assert int((root / "class/powercap/intel-rapl:0/energy_uj").read_text()) == 1_000_000 + true_uj


def test_the_square_wave_is_exact():
    wave = Square(10, 90, 1.0)
    assert [round(wave.energy_uj(t) / 1e6, 6) for t in (0.25, 0.5, 0.75, 1.0, 2.5)] == [
        2.5,
        5.0,
        27.5,
        50.0,
        105.0,
    ]


def test_memory_that_is_a_domain_of_its_own_is_measured(host, tree):
    tree.add_package(0, ())
    tree.add("intel-rapl:1", "dram")
    found = by_id(host)
    assert (found["dram1/rapl"].component, found["dram1/rapl"].counted) == ("dram", True)


def test_memory_of_a_package_is_not_added_to_memory_beside_it(host, tree):
    tree.add_package(0, ("dram",))
    tree.add("intel-rapl:1", "dram")
    assert [one.id for one in by_id(host).values() if one.counted] == ["cpu0/package", "cpu0/dram"]


def test_a_domain_that_counts_and_is_not_used_is_listed_with_why(host, tree):
    tree.add_package(0, ("core", "mystery"))
    tree.add("intel-rapl:1", "accelerator")
    inner, outer = problems(host)
    assert (inner.what, inner.left_out) == ("intel-rapl:0:1 (mystery)", "")
    assert "measured as a whole" in inner.problem
    assert (outer.what, outer.left_out) == ("intel-rapl:1 (accelerator)", "zone-unused")


def test_two_packages_of_one_name_are_both_there_and_their_readings_tell_whether_they_are_one(host, tree):
    tree.add_package(0, ("core",), uj=10**9)
    tree.add_package(0, ("core",), zone=1, uj=9 * 10**10)
    found = by_id(host)
    assert list(found) == ["cpu0/package", "cpu0/core", "cpu0@intel-rapl:1/package", "cpu0@intel-rapl:1/core"]
    assert [one.counted for one in found.values()] == [True, False, True, False]
    tree.set("intel-rapl:1", 10**9)
    tree.set("intel-rapl:1:0", 10**9)
    assert by_id(host)["cpu0@intel-rapl:1/package"].copy_of == "cpu0/package"


def test_one_of_two_sockets_that_cannot_be_read_is_a_loss_and_all_of_them_are_none(host, tree):
    tree.add_package(0, ())
    tree.add_package(1, ())
    tree.make_unreadable("intel-rapl:1")
    assert [one.left_out for one in problems(host)] == ["device-unmeasured"]
    tree.make_unreadable("intel-rapl:0")
    assert [one.left_out for one in problems(host)] == [""], "then the model stands in, and says so"


@pytest.mark.parametrize(("threads", "bound_w"), [(4, 320.0), (16, 680.0), (256, 7_880.0)])
def test_a_package_is_bounded_by_its_size_where_it_has_no_limits(host, tree, threads, bound_w):
    with open(host.proc("cpuinfo"), "w") as file:
        file.write(f"processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nsiblings\t: {threads}\n\n")
    tree.add_package(0, ("dram",))
    found = by_id(host)
    assert (found["cpu0/package"].max_power_w, found["cpu0/dram"].max_power_w) == (bound_w, 500.0)
