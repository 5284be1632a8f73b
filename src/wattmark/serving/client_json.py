"""JSON for the hot path: orjson where it is installed, the standard library otherwise."""

from __future__ import annotations

import json
from typing import Any

try:
    from orjson import dumps, loads
except ModuleNotFoundError:
    loads = json.loads

    def dumps(data: Any, /) -> bytes:
        """Compact UTF-8, as orjson writes it."""
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


__all__ = ["dumps", "loads"]
