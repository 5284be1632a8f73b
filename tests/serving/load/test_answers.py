"""Endpoints that make no tokens: what is asked, what is read of the answers, and what is wrong with bad ones."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from wattmark.errors import ServerError
from wattmark.serving.asked import Asked
from wattmark.serving.load.answers import read_answer
from wattmark.serving.load.client import ClosedLoop, Limits, Target, find_filler, probe, run_load
from wattmark.serving.load.records import LoadResult, RequestRecord
from wattmark.serving.load.wire.endpoints import Endpoint
from wattmark.serving.prompts.media import wav_head
from wattmark.serving.prompts.synthetic import OfUnits
from wattmark.testing.scripted_server import Script, ScriptedServer


def load(
    endpoint: Endpoint,
    script: Script | None = None,
    body: dict[str, Any] | None = None,
    path: str = "",
    **asked: Any,
) -> tuple[LoadResult, ScriptedServer]:
    """What ``wattmark llm bench --endpoint ...`` sends to a server, three requests."""

    async def main() -> tuple[LoadResult, ScriptedServer]:
        async with ScriptedServer(script or Script(ttft_s=0.002)) as server:
            target = Target(server.url + path, endpoint=endpoint, extra_body=body or {})
            profile = await probe(target)
            found = Asked(endpoint=endpoint, **asked).load("concurrency", 1.0, None)
            assert found.workload is not None
            assert isinstance(found.workload, OfUnits)
            workload = found.workload.with_filler(await find_filler(target, profile))
            limits = Limits(requests=3, scrape_s=None, keep_text=True)
            return await run_load(target, ClosedLoop.of(1), workload, limits=limits, profile=profile), server

    return asyncio.run(main())


def test_texts_are_embedded_and_their_tokens_counted():
    result, server = load("embeddings", input="12", batch=4)
    assert result.counts == {"ok": 3}
    assert {entry.path for entry in server.log} == {"/v1/embeddings"}
    sent = server.log[-1].body
    assert set(sent) == {"model", "input"}
    assert [len(text.split()) for text in sent["input"]] == [12] * 4
    assert [(each.input_tokens, each.output_tokens, each.inputs) for each in result.records] == [
        (48, 0, 4)
    ] * 3
    assert len({entry.body["input"][0] for entry in server.log[-3:]}) == 3


def test_documents_are_ranked_for_a_query():
    result, server = load("rerank", input="10", batch=3, body={"top_n": 2})
    assert result.counts == {"ok": 3}
    sent = server.log[-1].body
    assert (len(sent["documents"]), sent["top_n"]) == (3, 2)
    assert len(sent["query"].split()) == 9  # a token of the probe's is the frame around a document
    assert len({entry.body["query"] for entry in server.log[-3:]}) == 3
    assert {each.inputs for each in result.records} == {3}
    assert {each.input_tokens for each in result.records} == {54}


def test_speech_is_told_by_its_seconds():
    result, server = load("speech", input="6", body={"voice": "mine"})
    assert result.counts == {"ok": 3}
    sent = server.log[-1].body
    assert (sent["voice"], sent["response_format"]) == ("mine", "wav")
    record = result.records[-1]
    assert record.audio_s == pytest.approx(len(sent["input"]) / 10)
    assert record.first_token_ns is not None
    assert record.output_tokens is None


def test_sound_is_sent_as_a_form_and_written_down():
    result, server = load(
        "transcriptions", Script(text="what was said"), audio="2.5", body={"language": "en"}
    )
    assert result.counts == {"ok": 3}
    entry = server.log[-1]
    kind = entry.headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    parts = entry.body["form"].split(b"--" + kind.partition("boundary=")[2].encode())
    assert parts[-1] == b"--\r\n"
    names = [part.partition(b'name="')[2].partition(b'"')[0] for part in parts[1:-1]]
    assert names == [b"model", b"language", b"file"]
    sound = parts[-2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    assert len(sound) == 44 + 2 * 16_000 * 2.5
    assert [(each.audio_s, each.text) for each in result.records] == [(2.5, "what was said")] * 3


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1"])
def test_an_endpoint_may_be_pasted(path: str):
    result, server = load("embeddings", path=path, input="4")
    assert result.counts == {"ok": 3}
    assert server.log[-1].path == "/v1/embeddings"


def test_a_ranker_that_calls_documents_texts_is_asked_so():
    def script(_number: int, body: dict[str, Any]) -> Script:
        if "texts" not in body:
            return Script(status=422, body=b'{"error":"missing field `texts`"}')
        return Script(body=json.dumps([{"index": 0, "score": 0.5}]).encode())

    async def main() -> LoadResult:
        async with ScriptedServer(script) as server:
            target = Target(server.url + "/rerank")
            found = Asked(endpoint=target.endpoint, input="5", batch=1).load("concurrency", 1.0, None)
            assert found.workload is not None
            return await run_load(
                target, ClosedLoop.of(1), found.workload, limits=Limits(requests=2, scrape_s=None)
            )

    assert asyncio.run(main()).counts == {"ok": 2}


@pytest.mark.parametrize(
    ("endpoint", "body", "outcome", "said"),
    [
        ("embeddings", b'{"data": []}', "malformed", "nothing in it that is a vector"),
        ("embeddings", b'{"data": [{"embedding": [1]}]}', "malformed", "1 vectors for 2 inputs"),
        ("embeddings", b'{"error": {"message": "too long"}}', "server_error", "too long"),
        ("embeddings", b"<html>", "malformed", ""),
        ("rerank", b"[]", "malformed", "no documents"),
        ("speech", b'{"error": "no such voice"}', "server_error", "no such voice"),
    ],
)
def test_answers_that_are_none_are_failures(endpoint: Endpoint, body: bytes, outcome: str, said: str):
    def script(number: int, _body: dict[str, Any]) -> Script:
        return Script() if number == 0 else Script(body=body)  # the look at the server goes well

    more = {"batch": 2} if endpoint != "speech" else {}
    result, _ = load(endpoint, script, **more)  # type: ignore[arg-type]
    assert {each.outcome for each in result.records} == {outcome}
    assert said in (result.records[0].error or "")


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_that_has_no_such_endpoint_is_told_before_the_load(status: int):
    with pytest.raises(ServerError, match=f"HTTP {status}: .*no such thing"):
        load("embeddings", Script(status=status, body=b'{"error":"no such thing"}'))


def frame(kbit_place: int) -> bytes:
    return bytes([0xFF, 0xFB, kbit_place << 4, 0])


@pytest.mark.parametrize(
    ("data", "kind", "seconds"),
    [
        (wav_head(32_000, 16_000) + bytes(32_000), "audio/wav", 1.0),
        (wav_head(0xFFFFFFFF - 36, 24_000) + bytes(24_000), "audio/wav", 0.5),
        (bytes(96_000), "audio/pcm", 2.0),
        (frame(9) + bytes(15_996), "audio/mpeg", 1.0),
        (b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + frame(9) + bytes(31_996), "audio/mpeg", 2.0),
        (b"OggS" + bytes(100), "audio/ogg", None),
    ],
)
def test_how_long_sound_lasts_is_told_by_its_bytes(data: bytes, kind: str, seconds: float | None):
    record = RequestRecord(0, 0, 0, 0, 0)
    read_answer("speech", record, data, kind)
    assert record.audio_s == (None if seconds is None else pytest.approx(seconds, rel=1e-3))
