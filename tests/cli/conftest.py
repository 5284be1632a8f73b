from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wattmark.store import open_store

REPO = Path(__file__).parents[2]
BOOT = "import sys; from wattmark.cli import main; main()"


class Cli:
    """``wattmark`` as a user has it: processes of their own, over a data folder and a fake /sys of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        self.data = folder / "data"
        self.sysfs = folder / "sys"
        self.command = [sys.executable, "-c", BOOT]
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("WATTMARK_")},
            "PYTHONPATH": str(REPO / "src"),
            "WATTMARK_DATA_DIR": str(self.data),
            "WATTMARK_SYSFS": str(self.sysfs),
            "NO_COLOR": "1",
            "COLUMNS": "120",
        }

    def start(self, *arguments: str, **more) -> subprocess.Popen:
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.folder} | more
        self.processes.append(subprocess.Popen([*self.command, *arguments], env=self.env, **more))
        return self.processes[-1]

    def __call__(self, *arguments: str, **more) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run_json(self, *arguments: str):
        """``wattmark run --json -``: exit code, object, standard error."""
        done = self("run", "--json", "-", *arguments)
        return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """A store without runs, made once: migrations take longer than most tests here."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    with open_store(str(path)):
        return path


@pytest.fixture
def cli(tmp_path: Path, empty_store: Path):
    (tmp_path / "sys").mkdir()
    (tmp_path / "data").mkdir()
    shutil.copy(empty_store, tmp_path / "data/store.db")
    (tmp_path / "data/zone-asked").touch()  # no test waits for an answer that nobody gives
    cli = Cli(tmp_path)
    yield cli
    for process in cli.processes:
        process.kill()
        process.communicate()


@pytest.fixture
def powercap(cli: Cli):
    """Starts the writer of a fake powercap tree, 50 W unless told otherwise; ended with the test."""
    writers: list[subprocess.Popen] = []

    def start(*arguments: str) -> subprocess.Popen:
        writer = subprocess.Popen(
            [sys.executable, str(REPO / "tests/fakes/powercap.py"), str(cli.sysfs), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        writers.append(writer)
        assert writer.stdout is not None
        assert json.loads(writer.stdout.readline())["event"] == "ready"
        return writer

    yield start
    for writer in writers:
        writer.terminate()
        writer.communicate(timeout=10)


@pytest.fixture
def here(cli: Cli, monkeypatch, capsys):
    """``wattmark`` in this process: exit code, standard output, standard error."""
    for key in list(os.environ):
        if key.startswith("WATTMARK_"):
            monkeypatch.delenv(key)
    for key in ("WATTMARK_DATA_DIR", "WATTMARK_SYSFS", "NO_COLOR", "COLUMNS"):
        monkeypatch.setenv(key, cli.env[key])
    monkeypatch.chdir(cli.folder)

    def run(*arguments: str) -> tuple[int, str, str]:
        from wattmark.cli import main

        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


@pytest.fixture
def read(here):
    """What a command that must succeed writes to ``--json -``, in this process."""

    def run(*arguments: str):
        code, out, err = here(*arguments, "--json", "-")
        assert code == 0, err
        return json.loads(out)

    return run
