"""Sources of other packages: entry points of the group ``wattmark.sources``, ``name = "module:probe"``.

The files are read by hand. ``importlib.metadata`` would cost the recorder more than all its own imports,
and the recorder runs without site, so that only ``sys.path`` says where packages are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from wattmark.sources.base import Finding, Host, Probe

GROUP = "wattmark.sources"


class EntryPoint(NamedTuple):
    """One announced source: its name, ``package.module:attribute``, and the package that announces it."""

    name: str
    value: str
    package: str


def entry_points(paths: Iterable[str] | None = None) -> dict[str, EntryPoint]:
    """All announced sources by name, from the metadata folders on ``sys.path``; the first of a name wins."""
    found: dict[str, EntryPoint] = {}
    for folder in dict.fromkeys(sys.path if paths is None else paths):
        try:
            with os.scandir(folder or ".") as entries:
                names = [entry.name for entry in entries]
        except OSError:
            continue  # zip files and folders that are not there
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                for point in _read(f"{folder or '.'}/{name}/entry_points.txt", name.partition("-")[0]):
                    found.setdefault(point.name, point)
    return found


def _read(path: str, package: str) -> list[EntryPoint]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []  # most packages announce nothing
    try:
        raw = os.read(fd, 1 << 20)
    except OSError:
        return []
    finally:
        os.close(fd)
    if GROUP.encode() not in raw:
        return []
    points: list[EntryPoint] = []
    inside = False
    for line in raw.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text.startswith("["):
            inside = text == f"[{GROUP}]"
        elif inside and "=" in text and not text.startswith(("#", ";")):
            name, _, value = text.partition("=")
            points.append(EntryPoint(name.strip(), value.partition("[")[0].strip(), package))
    return points


def load(point: EntryPoint) -> Probe:
    """A probe for ``point`` that never raises: whatever is wrong with the package becomes a finding."""

    def probe(host: Host) -> Sequence[Finding]:
        what = f"source {point.name} of the package {point.package}"
        try:
            # One name for one thing: what the entry point is called is what users write to choose it.
            return [one._replace(source=point.name) for one in _resolve(point)(host)]
        except Exception as error:  # noqa: BLE001 - a stranger's code may fail in any way; measuring goes on
            return [
                Finding(
                    point.name,
                    what,
                    problem=f"{point.value} failed: {type(error).__name__}: {error}.",
                    fix=f"Update or uninstall the package {point.package}, or tell its authors.",
                )
            ]

    return probe


def _resolve(point: EntryPoint) -> Probe:
    import importlib

    module, _, attribute = point.value.partition(":")
    target: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        target = getattr(target, part)
    return target
