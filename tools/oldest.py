"""The lowest versions that pyproject.toml allows, as constraints for pip: what ``make test-oldest`` installs.

``python tools/oldest.py EXTRA...`` prints ``name==version`` of the base dependencies and of the extras named (extras that
an extra names included), for the running Python; a dependency without a lower bound is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def requirements(project: dict[str, Any], extras: Iterable[str]) -> list[str]:
    """The base dependencies and those of ``extras``, as they are written. Raises KeyError for an extra that is not there."""
    lines = list(project["dependencies"])
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            own = re.fullmatch(rf"{project['name']}\[(.+)\]", line)
            lines += requirements(project, own[1].split(",")) if own else [line]
    return list(dict.fromkeys(lines))


def lowest(lines: Iterable[str]) -> list[str]:
    """``name==version`` of each requirement that applies to this Python. Raises ValueError where there is no lower bound."""
    pins: list[str] = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        bounds = [part.version for part in requirement.specifier if part.operator in (">=", "==", "~=")]
        if not bounds:
            raise ValueError(f"{line}: no lower bound")
        pins.append(f"{requirement.name}=={max(bounds)}")
    return sorted(set(pins))


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(lowest(requirements(project, sys.argv[1:]))))
