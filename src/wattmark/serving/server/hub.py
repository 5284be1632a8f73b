"""GGUF files of Hugging Face by name: ``owner/name``, ``owner/name:Q4_K_M`` or ``owner/name:file.gguf``.

What lies in the cache of ``huggingface_hub`` already is used without asking the network. That package is not among
our dependencies: nothing here needs it but this. A token is its own business (``HF_TOKEN``, ``hf auth login``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, ServerError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[^:]+)?")
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
PROBE_S = 10.0
MOST_SHOWN = 12
BY_HAND = "download the file by other means and give local:PATH"


def is_hub_name(name: str) -> bool:
    """Whether this is a name of Hugging Face, and no path: one slash, nothing here of that path, no ``.gguf``."""
    return (
        _NAME.fullmatch(name) is not None
        and not name.partition(":")[0].endswith(".gguf")
        and not Path(name).exists()
    )


def hub_file(name: str) -> Path:
    """The path of the model's file (the first of several parts), downloaded if it is not in the cache.

    Raises:
        ConfigError: ``huggingface_hub`` is not installed, or the name fits no file or more than one.
        ServerError: Hugging Face cannot be reached or does not give the file out.
    """
    repo, _, wanted = name.partition(":")
    hub = _hub()
    cached = _cached(hub, repo)
    if cached is not None:
        there = sorted(str(path.relative_to(cached)) for path in cached.rglob("*.gguf"))
        parts = _matching(there, wanted)
        if len(parts) == 1 and _whole(parts[0]):
            return cached / parts[0][0]
    wrong = failures(hub)
    try:
        siblings = hub.HfApi().model_info(repo, timeout=PROBE_S).siblings or ()
        parts = _chosen(repo, [str(sibling.rfilename) for sibling in siblings], wanted)
        paths = [hub.hf_hub_download(repo, part) for part in parts]
        return Path(paths[0])
    except wrong as error:
        raise ServerError(
            f"{repo} cannot be had from Hugging Face: {said(error)}",
            hint=f"is the name right, and is there a network? Else {BY_HAND}",
        ) from error


def _chosen(repo: str, files: list[str], wanted: str) -> list[str]:
    models = [file for file in files if file.endswith(".gguf")]
    if not models:
        raise ConfigError(f"{repo} has no GGUF file", hint=f"take a repository of GGUF files, or {BY_HAND}")
    parts = _matching(models, wanted)
    if len(parts) == 1:
        return parts[0]
    names = [group[0] for group in (parts or _matching(models, ""))]
    few = ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")
    which = f"{len(parts)} GGUF files" if parts else "no such GGUF file"
    raise ConfigError(
        f"{repo} has {which}{f' like {wanted}' if wanted else ''}: {few}",
        hint=f"name one: local:{repo}:{names[0]}",
    )


def _matching(files: Iterable[str], wanted: str) -> list[list[str]]:
    """The models that fit, each a list of its parts in order. Projectors of images (mmproj) are no models."""
    groups: dict[str, list[str]] = {}
    for file in sorted(files):
        groups.setdefault(_PART.sub("", file), []).append(file)
    models = {name: parts for name, parts in groups.items() if not Path(name).name.startswith("mmproj")}
    exact = [parts for name, parts in models.items() if wanted in (name, *parts)]
    return exact or [parts for name, parts in models.items() if wanted.lower() in name.lower()]


def _whole(parts: list[str]) -> bool:
    number = re.search(r"-of-(\d{5})\.gguf$", parts[0])
    return len(parts) == (int(number[1]) if number else 1)


def _cached(hub: Any, repo: str) -> Path | None:
    try:
        return Path(hub.snapshot_download(repo, local_files_only=True))
    except (OSError, ValueError):
        return None


def failures(hub: Any) -> tuple[type[BaseException], ...]:
    """What it raises when the network or the site is in the way; its errors are those of its HTTP library, too."""
    http: type[BaseException] = hub.errors.HfHubHTTPError
    return (OSError, ValueError, http, *http.__bases__)


def said(error: BaseException) -> str:
    """An error of theirs in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ConfigError(
            "names of Hugging Face need the package huggingface_hub",
            hint=f"pip install huggingface_hub; or {BY_HAND}",
        ) from error
