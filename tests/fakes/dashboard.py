"""The dashboard for tests: its API in this process, with a name that the guard knows and the header of changes."""

from __future__ import annotations

from starlette.testclient import TestClient

from wattmark.dashboard.app import create_app
from wattmark.dashboard.context import Options
from wattmark.store import Store


def api(store: Store, options: Options | None = None, **more) -> TestClient:
    """A client that is allowed everything; paths begin with /api/v1."""
    return TestClient(
        create_app(store, options), base_url="http://localhost", headers={"X-Wattmark": "1"}, **more
    )
