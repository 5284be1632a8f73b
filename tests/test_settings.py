"""Settings: who wins, and what is said about a wrong one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wattmark import settings
from wattmark.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is the working folder; nothing above it is looked at."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write_user_file(data_dir: Path, text: str) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "config.toml").write_text(text)


def test_defaults(project: Path):
    assert settings.load() == {}
    assert settings.recorder_settings({}) == {"period_s": 0.1}


def test_the_stronger_place_wins(project: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    write_user_file(data_dir, 'period_s = 1\nzone = "FR"\n')
    assert settings.recorder_settings({})["period_s"] == 1.0
    (project / "pyproject.toml").write_text("[tool.wattmark]\nperiod_s = 2\n")
    assert settings.recorder_settings({})["period_s"] == 2.0
    monkeypatch.setenv("WATTMARK_PERIOD_S", "3")
    assert settings.recorder_settings({})["period_s"] == 3.0
    assert settings.recorder_settings({"period_s": 4})["period_s"] == 4.0
    assert settings.load()["zone"] == "FR", "what the stronger places leave open stays"


def test_options_are_merged_one_by_one(project: Path, data_dir: Path):
    write_user_file(data_dir, "[options.cpu-model]\ntdp_w = 100\nscope = 'package'\n[options.rapl]\na = 1\n")
    (project / "pyproject.toml").write_text("[tool.wattmark.options.cpu-model]\ntdp_w = 200\n")
    chosen = settings.recorder_settings({"options": {"nvml": {"b": 2}}})
    assert chosen["options"] == {
        "cpu-model": {"tdp_w": 200, "scope": "package"},
        "rapl": {"a": 1},
        "nvml": {"b": 2},
    }


def test_sources_of_the_environment_are_split_at_commas(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATTMARK_SOURCES", " rapl, !nvml ,")
    assert settings.recorder_settings({})["wanted"] == ["rapl", "!nvml"]


def test_empty_variables_set_nothing(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATTMARK_PERIOD_S", " ")
    assert settings.load() == {}


def test_what_code_gives_for_others_is_left_out(project: Path):
    assert settings.recorder_settings({"precise": True, "sync": False}) == {"period_s": 0.1}


@pytest.mark.parametrize("value", ["0", "11", "nan", "-1", "often", "inf"])
def test_bad_period(project: Path, monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv("WATTMARK_PERIOD_S", value)
    with pytest.raises(
        ConfigError, match=r"WATTMARK_PERIOD_S: period_s must be a number between 0\.001 and 10"
    ):
        settings.recorder_settings({})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("period_s = true", "period_s must be a number"),
        ("pue = 0.9", "pue must be a number between 1 and 100"),
        ("sources = 3", "sources must be a list"),
        ("sources = ['rapl', 1]", "sources must be a list"),
        ("options = ['a']", "options must be a table of tables"),
        ("options = {tdp_w = 3}", "options must be a table of tables"),
        ("zone = 33", "zone must be text"),
    ],
)
def test_values_of_the_wrong_kind_are_named_with_their_file(project: Path, line: str, says: str):
    (project / "pyproject.toml").write_text(f"[tool.wattmark]\n{line}\n")
    with pytest.raises(ConfigError, match=says) as caught:
        settings.load()
    assert str(project / "pyproject.toml") in str(caught.value)


def test_a_misspelt_name_is_answered_with_the_near_one(project: Path):
    (project / "pyproject.toml").write_text("[tool.wattmark]\nperiods = 1\n")
    with pytest.raises(ConfigError, match="unknown setting 'periods'") as caught:
        settings.load()
    assert caught.value.hint == "did you mean 'period_s'?"


def test_a_strange_name_is_answered_with_all_names(project: Path, data_dir: Path):
    write_user_file(data_dir, "xyzzy = 1\n")
    with pytest.raises(ConfigError, match="unknown setting") as caught:
        settings.load()
    assert all(name in (caught.value.hint or "") for name in settings.KNOWN)


@pytest.mark.parametrize("data", [b"period_s = \n", b"zone = '\xff'\n", b"zone = 'a'\nzone = 'b'\n"])
def test_broken_toml(project: Path, data_dir: Path, data: bytes):
    data_dir.mkdir()
    (data_dir / "config.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=r"config\.toml is not valid TOML"):
        settings.load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_no_missing_file(project: Path):
    (project / "pyproject.toml").write_text("[tool.wattmark]\n")
    (project / "pyproject.toml").chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        settings.load()


def test_a_folder_in_place_of_the_file_is_said(project: Path, data_dir: Path):
    (data_dir / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        settings.load()


@pytest.mark.parametrize(
    "text",
    [
        "[tool.wattmark]\nzone = 'FR'\n",
        "[tool]\nwattmark = {zone = 'FR'}\n",
        "tool.wattmark.zone = 'FR'\n",
        "[ tool . \"wattmark\" ]\nzone = 'FR'\n",
    ],
)
def test_every_way_to_write_the_table(project: Path, text: str):
    (project / "pyproject.toml").write_text(text)
    assert settings.load() == {"zone": "FR"}


@pytest.mark.parametrize(
    "text", ["tool = 3\n", "[tool]\nother = 1\n", "[project]\ndependencies = ['wattmark']\n"]
)
def test_projects_without_the_table(project: Path, text: str):
    (project / "pyproject.toml").write_text(text)
    assert settings.load() == {}


def test_the_table_must_be_a_table(project: Path):
    (project / "pyproject.toml").write_text("[tool]\nwattmark = 3\n")
    with pytest.raises(ConfigError, match=r"tool\.wattmark must be a table"):
        settings.load()


def test_broken_files_of_projects_that_only_depend_on_it_do_not_matter(project: Path):
    (project / "pyproject.toml").write_text("[project\ndependencies = [\n  'wattmark',\n")
    assert settings.load() == {}


def test_the_nearest_project_file_counts(project: Path):
    (project / "pyproject.toml").write_text("[tool.wattmark]\nzone = 'FR'\n")
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    assert settings.find_pyproject(str(inner)) == str(project / "pyproject.toml")
    (inner.parent / "pyproject.toml").write_text("")
    assert settings.find_pyproject(str(inner)) == str(inner.parent / "pyproject.toml")


def test_the_search_ends_at_the_work_tree_and_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pyproject.toml").write_text("[tool.wattmark]\nzone = 'FR'\n")
    tree = tmp_path / "tree" / "src"
    tree.mkdir(parents=True)
    assert settings.find_pyproject(str(tree)) == str(tmp_path / "pyproject.toml")
    (tree.parent / ".git").write_text("gitdir: elsewhere\n")
    assert settings.find_pyproject(str(tree)) is None
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert settings.find_pyproject(str(home)) is None


def test_a_removed_working_folder_is_no_error(tmp_path: Path, data_dir: Path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        "import os, sys; from wattmark import settings; os.rmdir(os.getcwd());"
        "assert settings.recorder_settings({}) == {'period_s': 0.1}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=gone, check=True, env={**os.environ, **source_path()})


def source_path() -> dict[str, str]:
    """The environment in which a child finds this package, however the tests were started."""
    return {"PYTHONPATH": str(Path(settings.__file__).parent.parent)}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("runs.db", "{folder}/runs.db"),
        ("sqlite:///runs.db", "sqlite:///{folder}/runs.db"),
        ("/a/runs.db", "/a/runs.db"),
        ("sqlite:////a/runs.db", "sqlite:////a/runs.db"),
        ("postgresql://host/runs", "postgresql://host/runs"),
    ],
)
def test_a_store_in_a_file_is_meant_from_the_folder_of_that_file(
    project: Path, data_dir: Path, given: str, meant: str
):
    (project / "pyproject.toml").write_text(f'[tool.wattmark]\nstore = "{given}"\n')
    assert settings.load()["store"] == meant.format(folder=project)
    (project / "pyproject.toml").unlink()
    write_user_file(data_dir, f'store = "{given}"\n')
    assert settings.load()["store"] == meant.format(folder=data_dir)


def test_the_unit_of_energies_is_one_that_there_is(monkeypatch, data_dir):
    monkeypatch.setenv("WATTMARK_ENERGY_UNIT", "kWh")
    assert settings.load()["energy_unit"] == "kWh"
    monkeypatch.setenv("WATTMARK_ENERGY_UNIT", "calories")
    with pytest.raises(ConfigError, match="auto, J, Wh, kWh"):
        settings.load()
