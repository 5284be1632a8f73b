"""Writes docs/reference/openapi.json, the description of the dashboard's API. ``python tools/openapi.py``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from wattmark.dashboard.app import create_app
from wattmark.store import open_store

TARGET = Path(__file__).parents[1] / "docs/reference/openapi.json"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/store.db") as store:
        TARGET.write_text(json.dumps(create_app(store).openapi(), indent=1) + "\n", encoding="utf-8")
    print(TARGET)
