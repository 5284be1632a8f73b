"""Cheap facts about this process, captured as a run begins; secrets are redacted before anything is written."""

from __future__ import annotations

import os
import sys
from typing import Any

from wattmark.redact import redact_arguments, redact_environment

_PACKAGES = (
    "torch", "numpy", "scipy", "sklearn", "jax", "tensorflow", "keras", "transformers", "lightning", "xgboost",
    "lightgbm", "onnxruntime", "vllm", "cupy", "accelerate", "deepspeed", "datasets", "pandas",
)  # fmt: skip
_LONGEST_WORD = 4096
_MOST_WORDS = 1000
_cached: dict[str, Any] | None = None


def process_facts() -> dict[str, Any]:
    """Command line, working folder, Python and the chosen environment variables of this process (computed once)."""
    global _cached
    if _cached is None:
        _cached = {
            "command": _command(),
            "cwd": _folder(),
            "python": sys.version.split()[0],
            "executable": sys.executable or "",
            "user_id": os.getuid(),
            "environment": redact_environment(os.environ),
        }
    return _cached


def module_versions() -> dict[str, str]:
    """Versions of the well-known packages that this process has loaded; nothing is imported for it."""
    versions: dict[str, str] = {}
    for name in _PACKAGES:
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            versions[name] = version
    return versions


def _command() -> list[str]:
    """The command line as it was typed, interpreter options included; redacted, and cut where it is very long."""
    words = redact_arguments((sys.orig_argv or [sys.executable or "python", *sys.argv])[:_MOST_WORDS])
    return [word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}…" for word in words]


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
