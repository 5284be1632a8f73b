from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.sources import plugins
from wattmark.sources.base import Host

MODULE = """
from wattmark.sources.base import Finding

class Holder:
    @staticmethod
    def probe(host):
        return [Finding("whatever", "a meter", problem="It is asleep.", fix="Wake it.")]

def raises(host):
    raise RuntimeError("boom")

def strays(host):
    return ["no finding"]
"""


def installed(
    folder: Path, package: str, *lines: str, group: str = "wattmark.sources", kind: str = "dist-info"
) -> None:
    metadata = folder / f"{package}-1.0.{kind}"
    metadata.mkdir()
    text = f"[console_scripts]\nx = y:z\n\n[{group}]\n" + "\n".join(lines) + "\n\n[other]\na = b:c\n"
    (metadata / "entry_points.txt").write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder on sys.path with a module of its own name, so that imports do not meet across tests."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"mod_{request.node.name}.py").write_text(MODULE)
    return tmp_path


def test_only_the_group_of_sources_is_read(tmp_path: Path) -> None:
    installed(tmp_path, "meters", "# a comment", "tpu = meters.tpu:probe [extra]", "npu=meters.npu:probe")
    installed(tmp_path, "strangers", "nope = a:b", group="somebody.else")
    (tmp_path / "bare-1.0.dist-info").mkdir()
    found = plugins.entry_points([str(tmp_path), str(tmp_path / "missing"), "/proc/version"])
    assert found == {
        "tpu": plugins.EntryPoint("tpu", "meters.tpu:probe", "meters"),
        "npu": plugins.EntryPoint("npu", "meters.npu:probe", "meters"),
    }


def test_the_first_on_the_path_wins(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        installed(tmp_path / name, name, f"tpu = {name}:probe", kind="egg-info")
    paths = [str(tmp_path / "b"), str(tmp_path / "a")]
    assert plugins.entry_points(paths)["tpu"].package == "b"


def test_sys_path_is_scanned_by_default(site: Path) -> None:
    installed(site, "meters", "tpu = meters.tpu:probe")
    assert plugins.entry_points()["tpu"].value == "meters.tpu:probe"


def test_a_plugin_is_probed_under_its_own_name(site: Path, request: pytest.FixtureRequest) -> None:
    point = plugins.EntryPoint("tpu", f"mod_{request.node.name}:Holder.probe", "meters")
    (finding,) = plugins.load(point)(Host())
    assert finding.source == "tpu"
    assert finding.problem == "It is asleep."


@pytest.mark.parametrize("attribute", ["raises", "strays", "missing", ""])
def test_a_broken_plugin_becomes_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = f"broken_{attribute or 'none'}"
    (tmp_path / f"{module}.py").write_text(MODULE)
    (finding,) = plugins.load(plugins.EntryPoint("tpu", f"{module}:{attribute}", "meters"))(Host())
    assert not finding.usable
    assert module in (finding.problem or "")
    assert "meters" in (finding.fix or "")


def test_a_plugin_that_cannot_be_imported_becomes_a_finding() -> None:
    (finding,) = plugins.load(plugins.EntryPoint("tpu", "no_such_module:probe", "meters"))(Host())
    assert "ModuleNotFoundError" in (finding.problem or "")


def test_two_hundred_packages_are_scanned_with_one_open_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(200):
        (tmp_path / f"package{index}-1.0.dist-info").mkdir()
    installed(tmp_path, "meters", "tpu = meters:probe")
    opened: list[str] = []
    real = plugins.os.open

    def counting(path: str, flags: int) -> int:
        opened.append(path)
        return real(path, flags)

    monkeypatch.setattr(plugins.os, "open", counting)
    assert list(plugins.entry_points([str(tmp_path)])) == ["tpu"]
    assert len(opened) == 201
