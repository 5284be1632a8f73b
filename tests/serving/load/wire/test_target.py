"""URLs as people paste them, and what goes out with every request."""

from __future__ import annotations

import asyncio

import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.load.client import (
    ClosedLoop,
    Lengths,
    Limits,
    Synthetic,
    Target,
    find_filler,
    probe,
    run_load,
)
from wattmark.serving.load.probe import Fetcher
from wattmark.testing.scripted_server import HANG, Script, ScriptedServer


@pytest.mark.parametrize(
    ("url", "path", "models"),
    [
        ("http://h:1", "/v1/chat/completions", "/v1/models"),
        ("http://h:1/v1/", "/v1/chat/completions", "/v1/models"),
        ("http://h/v1/chat/completions", "/v1/chat/completions", "/v1/models"),
        ("http://h/v1/completions", "/v1/completions", "/v1/models"),
        ("https://h/openai", "/openai/v1/chat/completions", "/openai/v1/models"),
        ("https://h/api/paas/v4", "/api/paas/v4/chat/completions", "/api/paas/v4/models"),
        ("https://h/v1beta/openai/", "/v1beta/openai/chat/completions", "/v1beta/openai/models"),
        (
            "https://h/openai/deployments/d?api-version=2024-06-01",
            "/openai/deployments/d/chat/completions?api-version=2024-06-01",
            "/openai/deployments/d/models?api-version=2024-06-01",
        ),
    ],
)
def test_a_pasted_url_leads_to_the_endpoint(url: str, path: str, models: str):
    target = Target(url)
    assert target.path == path
    assert target.path_of("/v1/models") == models


@pytest.mark.parametrize("url", ["http://h/?key=abc", "http://h/v1?api-version=1&sig=x", "http://u:p@h"])
def test_secrets_in_a_url_are_refused(url: str):
    with pytest.raises(ConfigError, match="key or password"):
        Target(url)


@pytest.mark.parametrize(("name", "value"), [("X A", "b"), ("X-A", "b\r\nHost: c"), ("", "b")])
def test_headers_that_cannot_be_sent_are_refused(name: str, value: str):
    with pytest.raises(ConfigError, match="no header"):
        Target("http://h", extra_headers={name: value})


def test_headers_and_fields_go_out_with_every_request():
    async def main() -> ScriptedServer:
        async with ScriptedServer() as server:
            at = Target(
                server.url,
                model="m",
                dialect="vllm",
                extra_headers={"X-Tenant": "a"},
                extra_body={"top_p": 0.5},
            )
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            await run_load(at, ClosedLoop.of(1), load, limits=Limits(requests=2, scrape_s=None))
            return server

    server = asyncio.run(main())
    assert [entry.headers["x-tenant"] for entry in server.log] == ["a", "a"]
    assert [entry.body["top_p"] for entry in server.log] == [0.5, 0.5]


def test_a_server_that_is_loading_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    from wattmark.serving.load import probe as module

    monkeypatch.setattr(module, "LOADING_PAUSE_S", 0.001)
    waited: list[float] = []

    async def main():
        async with ScriptedServer(loading=3) as server:
            return await probe(Target(server.url), on_wait=waited.append)

    assert asyncio.run(main()).dialect.name == "vllm"
    assert len(waited) == 3


def test_a_server_that_never_stops_loading_is_told_of(monkeypatch: pytest.MonkeyPatch):
    from wattmark.serving.load import probe as module

    monkeypatch.setattr(module, "LOADING_PAUSE_S", 0.001)

    async def main():
        async with ScriptedServer(loading=1_000_000) as server:
            await probe(Target(server.url), loading_s=0.02)

    with pytest.raises(ServerError, match="still loading"):
        asyncio.run(main())


def test_a_probe_survives_a_server_that_closes_kept_connections():
    async def main():
        async with ScriptedServer(Script(close_silently=True)) as server:
            target = Target(server.url)
            profile = await probe(target)
            filler = await find_filler(target, profile)
            async with Fetcher(target) as fetcher:
                assert (await fetcher.get("/v1/models")).status == 200
            return filler

    assert asyncio.run(main()).exact


def test_the_commonest_error_of_each_outcome_is_told():
    def script(number: int, body: dict[str, object]) -> Script:
        said = [b'{"error":"rare"}', b'{"error":"often"}', b'{"error":"often"}', b'{"error":"bad"}'][
            number % 4
        ]
        return Script(status=400 if number % 4 == 3 else 500, body=said)

    async def main():
        async with ScriptedServer(script) as server:
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=4, scrape_s=None)
            return await run_load(
                Target(server.url, model="m", dialect="vllm"), ClosedLoop.of(1), load, limits=limits
            )

    assert asyncio.run(main()).errors == {"server_error": "HTTP 500: often", "client_error": "HTTP 400: bad"}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("localhost:8000", "/v1/chat/completions"),
        (" 127.0.0.1:8000/v1\n", "/v1/chat/completions"),
        ("[::1]:8000", "/v1/chat/completions"),
        ("http://h/v1/models", "/v1/chat/completions"),
        ("http://h:8000/docs", "/v1/chat/completions"),
        ("http://h/v1/embeddings", "/v1/embeddings"),
        ("http://h/rerank", "/rerank"),
        ("http://h/v1/audio/speech", "/v1/audio/speech"),
        ("https://h/v1/ACCOUNT/GATEWAY/openai", "/v1/ACCOUNT/GATEWAY/openai/chat/completions"),
        (
            "https://h/v1/projects/p/locations/l/endpoints/openapi",
            "/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
        ),
        ("https://h/serving-endpoints", "/serving-endpoints/chat/completions"),
        (
            "http://h/api/v1/namespaces/n/services/s:8000/proxy",
            "/api/v1/namespaces/n/services/s:8000/proxy/v1/chat/completions",
        ),
        (
            "https://h/models/chat/completions?api-version=2024-05-01",
            "/models/chat/completions?api-version=2024-05-01",
        ),
    ],
)
def test_bases_of_gateways_and_pages_that_people_paste(url: str, path: str):
    assert Target(url).path == path


def test_a_server_that_gives_503_to_requests_only_is_waited_for_while_it_says_that_it_loads(
    monkeypatch: pytest.MonkeyPatch,
):
    from wattmark.serving.load import probe as module

    monkeypatch.setattr(module, "LOADING_PAUSE_S", 0.001)
    waited: list[float] = []

    def script(number: int, _body: object) -> Script:
        return Script(status=503, body=b'{"error":{"message":"Loading model"}}') if number < 3 else Script()

    async def main():
        async with ScriptedServer(script) as server:
            return await probe(Target(server.url), on_wait=waited.append)

    assert asyncio.run(main()).model == "m"
    assert len(waited) == 3


def test_a_server_that_is_named_whole_is_waited_for_where_asked(monkeypatch: pytest.MonkeyPatch):
    from wattmark.serving.load import probe as module

    monkeypatch.setattr(module, "LOADING_PAUSE_S", 0.001)
    waited: list[float] = []

    async def main():
        async with ScriptedServer(loading=2) as server:
            target = Target(server.url, model="x", dialect="tgi")
            return await probe(target, on_wait=waited.append, loading_s=60)

    assert asyncio.run(main()).model == "x"
    assert len(waited) == 2


def test_fields_that_are_refused_without_a_word_are_left_out():
    def script(_number: int, body: dict[str, object]) -> Script:
        known = {"model", "messages", "stream", "max_tokens"}
        return Script() if set(body) <= known else Script(status=400, body=b'{"error":"Bad Request"}')

    async def main():
        async with ScriptedServer(script) as server:
            profile = await probe(Target(server.url))
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=2, scrape_s=None)
            return profile, await run_load(
                Target(server.url), ClosedLoop.of(1), load, limits=limits, profile=profile
            )

    profile, result = asyncio.run(main())
    assert result.counts == {"ok": 2}
    assert any("refuses stream_options, ignore_eos, min_tokens" in text for text in profile.warnings)


def test_a_server_whose_pages_never_answer_is_loaded_all_the_same(monkeypatch: pytest.MonkeyPatch):
    from wattmark.serving.load import probe as module

    monkeypatch.setattr(module, "PROBE_S", 0.05)

    class Silent(ScriptedServer):
        """Answers requests, and no page."""

    async def main():
        async with Silent() as server:
            server.flavour = "none"
            return await probe(Target(server.url))

    from wattmark.testing import scripted_answers

    monkeypatch.setitem(scripted_answers.FLAVOURS, "none", {})
    assert asyncio.run(main()).model is None


def test_model_names_without_a_frame_are_read(monkeypatch: pytest.MonkeyPatch):
    from wattmark.testing import scripted_answers

    monkeypatch.setitem(scripted_answers.FLAVOURS, "bare", {"/v1/models": [{"id": "only"}]})  # type: ignore[dict-item]

    async def main():
        async with ScriptedServer(flavour="bare") as server:
            return await probe(Target(server.url))

    assert asyncio.run(main()).model == "only"


def test_a_server_whose_answers_never_end_is_looked_at_all_the_same(monkeypatch: pytest.MonkeyPatch):
    from wattmark.serving.load import probe as module

    monkeypatch.setattr(module, "ENOUGH_S", 0.05)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    script = Script(steps=(head, b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n', HANG))

    async def main():
        async with ScriptedServer(script) as server:
            target = Target(server.url)
            profile = await probe(target)
            filler = await find_filler(target, profile)
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=2, total_s=0.2, scrape_s=None)
            return filler, await run_load(target, ClosedLoop.of(1), load, limits=limits, profile=profile)

    filler, result = asyncio.run(main())
    assert not filler.exact
    assert result.counts == {"too_long": 2}
    assert len(result.records[0].chunk_ns) == 1
