"""Each lever applies where it can act, and says why where it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wattmark.advise.levers.catalogue import levers_for
from wattmark.advise.levers.lever import Lever, command_under, together
from wattmark.advise.levers.subject import Computer, Network, Subject

COMPUTER = Computer((0, 1, 2, 3), (0, 1), {"jemalloc": "/lib/libjemalloc.so.2"}, (2, 36), True, None, False)
NETWORK = Network(
    "2.5", False, 10, 5, 5, frozenset({"Conv2d", "Linear"}), frozenset({"cpu"}), frozenset({"float32"}), (0,)
)


def known(subject: Subject, computer: Computer = COMPUTER) -> dict[str, Lever]:
    return {lever.name: lever for lever in levers_for(subject, computer)}


def test_a_training_on_a_cpu_has_more_than_eight_levers() -> None:
    subject = Subject(("python", "t.py", "--batch-size=64"), frozenset({"torch", "numpy"}), True, {}, NETWORK)
    levers = known(subject)
    on = {name for name, lever in levers.items() if lever.off is None}
    assert {
        "one thread", "2 threads", "threads that sleep", "one core", "one thread a core", "few arenas", "memory kept",
        "jemalloc", "torch.compile", "bf16 autocast", "channels last", "inference mode", "int8 weights", "fused optimizer",
        "batch size 128", "batch size 32", "2 loader workers",
    } <= on  # fmt: skip
    assert levers["0 loader workers"].off == "as it is"
    assert levers["tcmalloc"].off == "libtcmalloc is not installed"
    assert levers["TF32"].off == "no network was on a GPU"
    assert command_under(levers["batch size 128"], subject.command) == ["python", "t.py", "--batch-size=128"]


def test_a_program_that_is_no_python_has_those_of_the_process_only() -> None:
    levers = known(Subject(("./a.out",)))
    assert levers["memory kept"].off is None
    assert levers["rare garbage collection"].off == "no Python process of the command was seen"
    assert levers["torch.compile"].off == "no Python process of the command was seen"


@pytest.mark.parametrize(
    ("change", "name", "why"),
    [
        ({"cpus": (3,), "cores": (3,)}, "one core", "one CPU only"),
        ({"cores": (0, 1, 2, 3)}, "one thread a core", "no sibling threads"),
        ({"glibc": None}, "memory kept", "not the GNU one"),
        ({"glibc": (2, 31)}, "huge pages", "2.35"),
        ({"compiler": False}, "torch.compile", "no C++ compiler"),
    ],
)
def test_what_this_machine_lacks_is_the_reason(change: dict[str, object], name: str, why: str) -> None:
    subject = Subject(("python",), frozenset({"torch"}), True, {}, NETWORK)
    off = known(subject, replace(COMPUTER, **change))[name].off  # type: ignore[arg-type]
    assert off is not None
    assert why in off


def test_what_the_network_lacks_is_the_reason() -> None:
    plain = replace(
        NETWORK, layers=frozenset({"Embedding"}), inference_calls=0, graph_in_inference=0, loader_workers=()
    )
    levers = known(Subject(("python",), frozenset({"torch"}), True, {}, plain))
    for name in ("channels last", "inference mode", "int8 weights", "2 loader workers"):
        assert levers[name].off, name
    silent = replace(NETWORK, training_calls=0, inference_calls=0)
    assert (
        known(Subject(("python",), frozenset({"torch"}), True, {}, silent))["bf16 autocast"].off
        == "no network was called"
    )


def test_levers_of_the_script_and_of_its_arguments() -> None:
    subject = Subject(
        ("t.py", "-b", "8", "--num-workers", "3"),
        frozenset(),
        True,
        {"fast": (False,), "batch_size": (16,), "dt": ("a", "b")},
    )
    levers = known(subject)
    assert levers["fast True"].values == {"fast": True}
    assert levers["dt b"].values == {"dt": "b"}
    assert {"batch_size 8", "batch_size 32", "batch_size 64"} <= set(levers)
    assert command_under(levers["batch size 16"], subject.command)[2] == "16"
    assert {"--num-workers 0", "--num-workers 4"} <= set(levers)


def test_together_they_do_what_each_does() -> None:
    levers = known(Subject(("t.py", "-b", "8"), frozenset({"torch"}), True, {}, NETWORK))
    joint = together(
        [levers["one thread"], levers["bf16 autocast"], levers["batch size 16"], levers["one core"]]
    )
    assert joint.environ["OMP_NUM_THREADS"] == "1"
    assert joint.hook == {"autocast": True}
    assert joint.words == {2: "16"}
    assert joint.cpus == (0,)
    assert joint.may_change
    assert len(joint.permanent.splitlines()) == 4


def test_this_machine_is_read_from_its_files(tmp_path: Path) -> None:
    here = Computer.here()
    assert here.cores
    assert set(here.cores) <= set(here.cpus)
    for cpu in here.cpus:
        base = tmp_path / f"sys/devices/system/cpu/cpu{cpu}"
        (base / "topology").mkdir(parents=True)
        (base / "cpufreq").mkdir()
        (base / "topology/thread_siblings_list").write_text("0-1\n")
        (base / "cpufreq/scaling_governor").write_text("performance\n")
    (tmp_path / "usr/lib64").mkdir(parents=True)
    (tmp_path / "usr/lib64/libmimalloc.so.2").write_text("")
    fake = Computer.here(str(tmp_path))
    assert fake.cores == here.cpus[:1]
    assert fake.governor == "performance"
    assert list(fake.allocators) == ["mimalloc"]
