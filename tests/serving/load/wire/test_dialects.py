"""Servers are told apart, and asked only for what they know."""

from __future__ import annotations

import asyncio

import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, probe, run_load
from wattmark.serving.load.wire.dialects import DIALECTS, Clue, choose_model, named, recognise, refused_fields
from wattmark.testing.scripted_server import Script, ScriptedServer

SHORT = Synthetic(Lengths.fixed(8), Lengths.fixed(3))


def found(flavour: str, **target: str):
    async def main():
        async with ScriptedServer(flavour=flavour) as server:
            return await probe(Target(server.url, **target)), server.log

    return asyncio.run(main())


@pytest.mark.parametrize(
    "flavour", ["vllm", "llama.cpp", "sglang", "tgi", "ollama", "transformers", "compatible"]
)
def test_each_kind_of_server_is_recognised_and_answers(flavour: str):
    async def main():
        script = Script(done=flavour != "transformers")
        async with ScriptedServer(script, flavour=flavour) as server:
            result = await run_load(
                Target(server.url), ClosedLoop.of(2), SHORT, limits=Limits(requests=4, scrape_s=None)
            )
            return result, server.log[-1].body

    result, body = asyncio.run(main())
    assert result.dialect == flavour
    assert result.counts == {"ok": 4}
    assert [record.output_tokens for record in result.records] == [3] * 4
    assert body.get("ignore_eos", False) is (flavour in ("vllm", "llama.cpp", "sglang"))
    assert ("min_tokens" in body) is (flavour in ("vllm", "sglang"))
    assert ("stream_options" in body) is (flavour != "transformers")


def test_an_unknown_server_is_said_to_be_one():
    profile, _ = found("compatible")
    assert "not recognised" in profile.warnings[0]


def test_a_named_dialect_and_model_cost_no_request():
    profile, log = found("vllm", dialect="tgi", model="m")
    assert profile.dialect.name == "tgi"
    assert log == []


def test_fields_that_a_server_refuses_are_left_out():
    profile, _ = found("transformers", dialect="vllm")
    assert not profile.dialect.ignore_eos
    assert not profile.dialect.stream_options
    assert "ignore_eos" in profile.warnings[0]
    body = {"model": "m", "max_tokens": 3, "temperature": 0}
    assert refused_fields(400, "Unsupported parameter: 'max_tokens'", body) == ["max_tokens"]
    assert refused_fields(500, "temperature of the GPU", body) == []
    assert named("vllm").without(["max_tokens"]).max_tokens == "max_completion_tokens"
    assert "temperature" not in named("vllm").without(["temperature"]).extra


def test_hosted_services_are_told_by_their_host():
    dialect = recognise(
        "api.openai.com", {"/v1/models": Clue(200, {"data": [{"id": "m", "owned_by": "openai"}]})}
    )
    assert dialect is DIALECTS["hosted"]
    body = dialect.body(model="m", prompt={"messages": []}, output_tokens=5, stream=True, extra={"seed": 1})
    assert body == {
        "model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True},
        "max_completion_tokens": 5, "seed": 1,
    }  # fmt: skip


def test_models_and_names_that_are_not_clear_are_errors():
    with pytest.raises(ServerError, match="2 models: a, b"):
        choose_model(None, [{"id": "a"}, {"id": "b"}])
    assert choose_model("c", [{"id": "a"}, {"id": "b"}]) == "c"
    assert choose_model(None, []) is None
    with pytest.raises(ConfigError, match="no server dialect"):
        named("nonsense")
