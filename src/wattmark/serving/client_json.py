"""JSON for the hot path: orjson where it is installed, the standard library otherwise."""

from __future__ import annotations

import json
from typing import Any

try:
    from orjson import dumps, loads
except ModuleNotFoundError:

    def loads(data: bytes | str, /) -> Any:
        """Parse; ValueError for whatever is wrong with the text, also if it is nested too deeply."""
        try:
            return json.loads(data)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def dumps(data: Any, /) -> bytes:
        """Compact UTF-8, as orjson writes it."""
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


__all__ = ["dumps", "loads"]
