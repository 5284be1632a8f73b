"""Tests of integrations against the real frameworks: ``python tools/integrations.py [--lowest] [NAME...]``.

Each has an environment of its own below ``.venv-integrations``: what its extra asks for, newest or (``--lowest``) the lowest
that pyproject.toml allows, over the packages of ``.venv`` (PyTorch, pytest). What passed is kept, with versions, in
``benchmarks/results/integrations.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import sysconfig
from datetime import date
from pathlib import Path

import oldest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/integrations.json"
TESTS = ROOT / "tests/integrations"
TARGETS: dict[str, tuple[list[str], list[str]]] = {
    "lightning": (["lightning"], ["training/test_lightning.py"]),
    "transformers": (
        ["transformers", "accelerate", "tensorboard"],
        ["training/test_transformers.py", "training/test_accelerate.py"],
    ),
    "keras": (["keras"], ["training/test_keras.py"]),
    "mlflow": (["mlflow"], ["trackers/test_mlflow.py"]),
    "wandb": (["wandb"], ["trackers/test_wandb.py"]),
    "tensorboard": (["tensorboard"], ["trackers/test_tensorboard.py"]),
    "notebook": (["notebook"], ["test_notebook.py"]),
    "dvc": (["dvc"], ["pipelines/test_dvc.py"]),
    "kedro": (["kedro"], ["pipelines/test_kedro.py"]),
    "prefect": (["prefect"], ["pipelines/test_prefect.py"]),
    "airflow": (["airflow"], ["pipelines/test_airflow.py"]),
    "otel": (["otel"], ["test_opentelemetry.py"]),
    "sklearn": (["sklearn"], ["training/test_sklearn.py"]),
}
"""Name -> the extras that its environment has, and its tests."""


def environment(name: str, extras: list[str], *, lowest: bool) -> Path:
    """Make it, and give its Python. Raises CalledProcessError where pip finds no way."""
    folder = ROOT / ".venv-integrations" / (f"{name}-lowest" if lowest else name)
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    own = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (own / "_shared.pth").write_text(
        f"{ROOT / 'src'}\n{sysconfig.get_paths()['purelib']}\n", encoding="utf-8"
    )
    project = oldest.tomllib.loads(oldest.PYPROJECT.read_text(encoding="utf-8"))["project"]
    base = set(project["dependencies"])
    lines = [line for line in oldest.requirements(project, extras) if line not in base]
    wanted = [f"{line}" for line in (oldest.lowest(lines) if lowest else lines)]
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True
    )
    return python


def versions(python: Path, extras: list[str]) -> dict[str, str]:
    """Of the packages that the extras name, as they are installed."""
    project = oldest.tomllib.loads(oldest.PYPROJECT.read_text(encoding="utf-8"))["project"]
    names = [
        re.split(r"[\[<>=~!; ]", line)[0]
        for extra in extras
        for line in project["optional-dependencies"][extra]
    ]
    names = [name for name in names if name != "wattmark"]
    code = "import sys, json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    done = subprocess.run([python, "-c", code, *names], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def tested(name: str, *, lowest: bool) -> bool:
    """Run its tests, and keep the outcome."""
    extras, files = TARGETS[name]
    python = environment(name, extras, lowest=lowest)
    every = [str(TESTS / file) for file in (*files, "test_pages.py")]
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-o", "timeout=900", *every]
    if lowest:
        command += ["-o", "filterwarnings=default"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-4000:])
    counts = {
        word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)
    }
    if not counts.get("passed"):
        print(f"{name}: nothing was tested\n{done.stderr[-2000:]}")
        return False
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept[f"{name}{' (lowest)' if lowest else ''}"] = {
        "versions": versions(python, extras), "python": platform.python_version(),
        "date": date.today().isoformat(), **counts,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")
    return done.returncode == 0


def main() -> int:
    """All that are named, or all there are; 1 where one did not pass."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *TARGETS], metavar="NAME")
    parser.add_argument("--lowest", action="store_true")
    given = parser.parse_args()
    failed = [name for name in given.names or TARGETS if not tested(name, lowest=given.lowest)]
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
