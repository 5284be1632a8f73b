"""The published description is the program's, and no request that fits it, or nearly does, ends in a 500."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from fakes.dashboard import api
from fakes.records import example_record, rapl_record, spans_record
from wattmark.dashboard.app import create_app
from wattmark.store import open_store
from wattmark.workspace.runs import keep

PUBLISHED = Path(__file__).parents[2] / "docs/reference/openapi.json"
EXAMPLES = 30 if os.environ.get("WATTMARK_LONG_TESTS") else 3
MODES = (
    (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if os.environ.get("WATTMARK_LONG_TESTS")
    else (GenerationMode.NEGATIVE,)
)
"""The gate tries what does not quite fit: what fits is tried by the tests of each route."""
STREAMS = "/events$"
"""Streams never end by themselves; they have tests of their own."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory):
    """The dashboard over a store with a run of each kind."""
    folder = tmp_path_factory.mktemp("openapi")
    with open_store(str(folder / "store.db")) as store, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTMARK_DATA_DIR", str(folder))
        for record in (example_record("r1"), rapl_record(50), spans_record(300)):
            keep(store, record)
        yield create_app(store)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_request_ends_in_a_500(app) -> None:
    local = {"Host": "localhost", "X-Wattmark": "1"}
    found = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=local)
    tried = 0
    for operation in found.exclude(path_regex=STREAMS).get_all_operations():
        attempt(operation.ok(), local)
        tried += 1
    assert tried > 15


def attempt(operation, headers: dict[str, str]) -> None:
    """Some requests that fit the description, and some that do not quite."""

    def send(case) -> None:
        answer = case.call(headers=headers)
        assert answer.status_code < 500 or answer.status_code in (501, 503), (
            case.as_curl_command(),
            answer.text,
        )

    chosen = settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    for mode in MODES:
        strategy = operation.as_strategy(generation_mode=mode)
        with suppress(Unsatisfiable):  # nothing about a request without parameters can be wrong
            chosen(given(case=strategy)(send))()


def test_the_published_description_is_the_programs(app) -> None:
    told = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(app.openapi())), "run: python tools/openapi.py"


def test_every_answer_is_described(app) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method, told in methods.items():
            assert told["summary"], (method, path)
            assert told["tags"], (method, path)
            assert any(code.startswith("2") for code in told["responses"]), (method, path)


def test_the_description_is_served(app, tmp_path) -> None:
    with open_store(str(tmp_path / "s.db")) as store:
        assert api(store).get("/api/v1/openapi.json").json()["info"]["title"] == "Wattmark"
