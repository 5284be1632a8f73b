"""Builds, checks and tags a release: ``python tools/release.py VERSION`` says what it would do, ``--really`` does it.

The version lives in src/wattmark/_version.py alone. A release needs a clean tree, that version there, and a dated section
of it in CHANGELOG.md; then the wheel and the source archive are built, looked into, and the commit is tagged
``vVERSION``. Nothing is pushed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = ("wattmark/_version.py", "wattmark/py.typed", "wattmark/dashboard/static/index.html", "LICENSE")
"""What a wheel without is broken: files by the ends of their names."""
Run = Callable[[list[str]], str]


class NotReady(Exception):
    """Why there can be no release now."""


def run(command: list[str]) -> str:
    """Standard output of a command in the repository. Raises NotReady where it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReady(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def check(version: str, root: Path = ROOT, run: Run = run) -> None:
    """Whether this tree can become that version. Raises NotReady."""
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        raise NotReady(f"{version} is no version (1.2.3, 1.2.3rc1)")
    source = (root / "src/wattmark/_version.py").read_text(encoding="utf-8")
    if f'"{version}"' not in source:
        raise NotReady(f"src/wattmark/_version.py does not say {version}")
    if not re.search(
        rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$",
        (root / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    ):
        raise NotReady(f"CHANGELOG.md has no section '## {version} (YEAR-MONTH-DAY)'")
    if run(["git", "status", "--porcelain"]).strip():
        raise NotReady("the tree has changes that are in no commit")
    if run(["git", "tag", "--list", f"v{version}"]).strip():
        raise NotReady(f"v{version} is there already")


def inspect(names: list[str]) -> None:
    """Whether an archive holds what a user needs. Raises NotReady."""
    lacking = [needed for needed in NEEDED if not any(name.endswith(needed) for name in names)]
    if lacking:
        raise NotReady(f"the package lacks {', '.join(lacking)}")


def names_in(archive: Path) -> list[str]:
    """The files of a wheel or of a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as source:
        return source.getnames()


def main(arguments: list[str] | None = None) -> int:
    """The release, or what it would be; 1 where it cannot be."""
    parser = argparse.ArgumentParser(description="Build, check and tag a release.")
    parser.add_argument("version")
    parser.add_argument("--really", action="store_true", help="build and tag; without it only the checks run")
    options = parser.parse_args(arguments)
    try:
        check(options.version)
        if not options.really:
            print(f"ready: would build dist/ and tag v{options.version}")
            return 0
        run([sys.executable, "-m", "hatchling", "build", "-d", "dist"])
        archives = [path for path in (ROOT / "dist").iterdir() if f"-{options.version}" in path.name]
        for archive in archives:
            inspect(names_in(archive))
        run(["git", "tag", "--annotate", f"v{options.version}", "--message", f"Wattmark {options.version}"])
    except NotReady as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    print(
        f"tagged v{options.version}: {', '.join(path.name for path in archives)}; push the tag, upload dist/"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
