"""The scripts of tools/ that a release and the check of the oldest versions depend on."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = script("release")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src/wattmark").mkdir(parents=True)
    (tmp_path / "src/wattmark/_version.py").write_text('__version__ = "1.2.3"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-11-27)\n", encoding="utf-8")
    return tmp_path


def git(status: str = "", tags: str = ""):
    return lambda command: {"status": status, "tag": tags}[command[1]]


def test_a_tree_that_is_ready_passes(tree: Path) -> None:
    release.check("1.2.3", tree, git())


@pytest.mark.parametrize(
    ("version", "status", "tags", "why"),
    [
        ("1.2", "", "", "no version"),
        ("1.2.4", "", "", "does not say 1.2.4"),
        ("1.2.3", " M x.py", "", "in no commit"),
        ("1.2.3", "", "v1.2.3\n", "there already"),
    ],
)
def test_a_tree_that_is_not_ready_says_why(
    tree: Path, version: str, status: str, tags: str, why: str
) -> None:
    with pytest.raises(release.NotReady, match=why):
        release.check(version, tree, git(status, tags))


def test_a_version_without_its_dated_changes_is_no_release(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("## 1.2.3 (unreleased)\n", encoding="utf-8")
    with pytest.raises(release.NotReady, match="no section"):
        release.check("1.2.3", tree, git())


def test_a_package_without_its_page_is_no_release() -> None:
    names = [f"wattmark-1.2.3/src/{name}" for name in release.NEEDED]
    release.inspect(names)
    with pytest.raises(release.NotReady, match="index"):
        release.inspect([name for name in names if "index.html" not in name])


def test_a_dry_run_tags_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(release, "check", lambda version: None)
    monkeypatch.setattr(release, "run", lambda command: commands.append(command) or "")
    assert release.main(["1.2.3"]) == 0
    assert commands == []
    assert "would build" in capsys.readouterr().out


def test_the_lowest_versions_are_those_that_the_project_allows() -> None:
    oldest = script("oldest")
    project = {
        "name": "p",
        "dependencies": ["numpy>=1.24", "tomli>=2; python_version < '3'"],
        "optional-dependencies": {"x": ["a[b]>=2.1,<3"], "all": ["p[x]"]},
    }
    assert oldest.lowest(oldest.requirements(project, ["all"])) == ["a==2.1", "numpy==1.24"]
    with pytest.raises(ValueError, match="no lower bound"):
        oldest.lowest(["numpy"])
