"""Bodies written from a template are those that the dialect makes."""

from __future__ import annotations

import json

import pytest

from wattmark.serving.load.wire import body as client_body
from wattmark.serving.load.wire.body import BodyWriter
from wattmark.serving.load.wire.dialects import DIALECTS
from wattmark.serving.load.wire.target import Target

PROMPTS = [
    (
        "messages",
        [{"role": "user", "content": 'say "é\x00\\ ☕" %d {}'}, {"role": "assistant", "content": ""}],
    ),
    ("prompt", "a\nb"),
    ("prompt", (1, 2, 3)),
]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("extra", [{}, {"temperature": 0.5, "tools": [{"a": 1}]}])
@pytest.mark.parametrize("model", ["org/m", None])
def test_every_field_is_as_the_dialect_has_it(dialect, extra, model):
    for stream in (True, False):
        target = Target("http://x", stream=stream, extra_body=extra)
        writer = BodyWriter(target, dialect, model)
        for output_tokens in (7, None, 8, 7):
            for name, prompt in PROMPTS:
                whole = dialect.body(
                    model=model,
                    prompt={name: prompt},
                    output_tokens=output_tokens,
                    stream=stream,
                    extra=extra,
                )
                assert json.loads(writer.write(name, prompt, output_tokens)) == json.loads(json.dumps(whole))


def test_a_prompt_of_the_users_own_in_extra_body_wins():
    writer = BodyWriter(Target("http://x", extra_body={"prompt": "mine"}), DIALECTS["vllm"], "m")
    assert json.loads(writer.write("prompt", "theirs", 3))["prompt"] == "mine"


def test_templates_of_many_lengths_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_body, "MOST_TEMPLATES", 4)
    writer = BodyWriter(Target("http://x"), DIALECTS["vllm"], "m")
    for tokens in range(1, 50):
        assert json.loads(writer.write("prompt", "x", tokens))["max_tokens"] == tokens
        assert len(writer._templates) <= 4
