"""What the head is held against: the base commit measured beside it, runs of the store, or figures in a file."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wattmark.advise.gate.repeat import EXACT, Machine, measured_joules
from wattmark.errors import ConfigError, RunNotFound
from wattmark.limits.record import lock
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import Store
from wattmark.workspace.runs import find_run, store_here

FEWEST = 3
_HOME = "wattmark-base-"
FORMAT = "wattmark gate figures 1"


@dataclass(frozen=True, slots=True)
class Figures:
    """Repeats that were measured before: metric -> values, and the machine that they are of. label: where they come from."""

    label: str
    values: Mapping[str, Sequence[float]]
    machine: Machine


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of this repository, to be measured in the same session. root: of the repository; inside: our folder in it."""

    label: str
    commit: str
    root: str
    inside: str

    @contextmanager
    def tree(self, setup: str | None = None) -> Generator[str]:
        """The commit in a folder of its own, which is removed afterwards; our folder in it. setup: a shell command run
        there once."""
        self._clear_up()
        home = tempfile.mkdtemp(prefix=_HOME)
        tree = str(Path(home, "tree"))
        held = lock(home)
        try:
            added = _git(self.root, "worktree", "add", "--detach", "--quiet", tree, self.commit)
            if added.returncode != 0:
                raise ConfigError(f"git cannot check {self.label} out: {added.stderr.strip()[:300]}")
            folder = str(Path(tree, self.inside))
            if not Path(folder).is_dir():
                raise ConfigError(
                    f"{self.label} has no folder {self.inside}",
                    hint="run the gate from a folder that both commits have",
                )
            prepare(folder, setup)
            yield folder
        finally:
            _git(self.root, "worktree", "remove", "--force", tree)
            shutil.rmtree(home, ignore_errors=True)
            _git(self.root, "worktree", "prune")
            if held is not None:
                os.close(held)

    def _clear_up(self) -> None:
        """Remove the trees of gates that were killed: nobody holds their lock."""
        for line in _git(self.root, "worktree", "list", "--porcelain").stdout.splitlines():
            tree = Path(line.removeprefix("worktree "))
            if not line.startswith("worktree ") or not tree.parent.name.startswith(_HOME):
                continue
            with contextlib.suppress(OSError):  # of another user, or gone
                held = lock(str(tree.parent))
                if held is not None:
                    _git(self.root, "worktree", "remove", "--force", str(tree))
                    shutil.rmtree(tree.parent, ignore_errors=True)
                    os.close(held)


Baseline = Figures | Commit


def find_baseline(name: str, metric: str, folder: str = ".") -> Baseline:
    """``figures.json``, ``run:REF``, ``tag:K[=V]``, a commit, branch or tag of git, or the name of runs in the store;
    in this order.

    Raises ConfigError, which says what each of them lacks.
    """
    path = Path(folder, name)
    if path.is_file():
        return read_figures(str(path))
    if name.endswith(".json"):
        raise ConfigError(
            f"there is no file {name}", hint="wattmark gate --save figures.json -- CMD writes one"
        )
    if name.startswith(("run:", "tag:")):
        with store_here() as store:
            return _of_store(store, name, metric)
    commit = _commit(name, folder)
    if commit is not None:
        return commit
    try:
        with store_here() as store:
            return _of_store(store, f"name:{name}", metric)
    except RunNotFound as error:
        raise ConfigError(
            f"there is no baseline {name!r}: no file, no commit of a repository here, no run in the store",
            hint="--baseline main in a git repository (in CI: fetch it first), a file of --save, tag:K=V or run:REF",
        ) from error


def read_figures(path: str) -> Figures:
    """What :func:`save_figures` wrote. Raises ConfigError."""
    try:
        data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise KeyError("format")
        values = {str(name): [float(value) for value in row] for name, row in data["values"].items()}
        if not all(math.isfinite(value) and value > 0 for row in values.values() for value in row):
            raise ValueError("a value is no number above zero")
        return Figures(path, values, Machine.from_dict(data["machine"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{path} holds no figures of a gate: {error}", hint="wattmark gate --save writes such a file"
        ) from error


def save_figures(path: str, values: Mapping[str, Sequence[float]], machine: Machine) -> None:
    """Write figures that later gates can be held against. Raises ConfigError."""
    data = {
        "format": FORMAT,
        "values": {name: list(row) for name, row in values.items()},
        "machine": asdict(machine),
    }
    try:
        Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def prepare(folder: str, setup: str | None) -> None:
    """Run the user's own preparation in a tree. Raises ConfigError."""
    if not setup:
        return
    done = subprocess.run(setup, shell=True, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S602  # the user's own
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ConfigError(
            f"--setup ended with {done.returncode} in {folder}: {said[0][:300] if said else ''}"
        )


def _of_store(store: Store, name: str, metric: str) -> Figures:
    kind, _, word = name.partition(":")
    if kind == "run":
        views = [find_run(store, word)]
    else:
        found = store.summaries(
            status="completed",
            tag=word if kind == "tag" else (),
            name=word if kind == "name" else None,
            limit=50,
        )
        views = [RunView(store.get(one.run_id)) for one in found]
    if not views:
        raise RunNotFound(f"no completed run has {kind} {word!r}", hint="wattmark ls")
    if metric in EXACT and metric != "duration_s":
        raise ConfigError(
            f"runs in the store have no {metric} that is exact enough",
            hint="--baseline main measures the base commit beside the head",
        )
    values: list[float] = []
    machine: Machine | None = None
    for view in views:
        run = summarise(view)
        methods: dict[str, str] = {}
        if metric == "duration_s":
            values.append(run.duration_s)
        else:
            measured, methods = measured_joules(run, metric)
            if metric not in measured:
                raise ConfigError(f"{run.name} has no {metric}; there is {', '.join(sorted(measured))}")
            values.append(measured[metric])
        machine = Machine.of_facts(view.record.host, view.record.environment, methods)
    assert machine is not None
    return Figures(name.removeprefix("name:"), {metric: values}, machine)


def _commit(name: str, folder: str) -> Commit | None:
    root = _git(folder, "rev-parse", "--show-toplevel")
    if root.returncode != 0 or name.startswith("-"):
        return None
    for ref in (name, f"origin/{name}"):
        found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if found.returncode == 0:
            inside = _git(folder, "rev-parse", "--show-prefix").stdout.strip()
            return Commit(name, found.stdout.strip(), root.stdout.strip(), inside)
    return None


def _git(folder: str, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(words, 127, "", str(error))
