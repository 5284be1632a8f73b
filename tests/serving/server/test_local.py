from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from wattmark.errors import ConfigError, MissingExtra, ServerError
from wattmark.serving.server.local import RunningServer, ServerOptions, default_threads, open_server

needs_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("gguf") is None,
    reason="xllamacpp and gguf are not installed (extra llm)",
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environ = {"WATTMARK_DATA_DIR": str(tmp_path_factory.mktemp("llm"))}
    with open_server("local:1m", ServerOptions(slots=2, context=256), environ) as opened:
        yield opened


def post(url: str, body: dict[str, Any]) -> str:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return read(request)


def read(request: str | urllib.request.Request) -> str:
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_a_url_is_taken_as_it_is():
    with open_server("http://example.org:8000/v1/") as target:
        assert target.base_url == "http://example.org:8000"
        assert not target.noise
        assert target.as_dict()["local"] is False


@pytest.mark.parametrize("where", ["10m", "ftp://host", "local:", "local:huge", "local:/nowhere/model.gguf"])
def test_what_is_no_server_is_refused_with_a_sentence(where: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattmark.serving.server.local.find_spec", lambda name: object())
    with pytest.raises(ConfigError), open_server(where):
        pass


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattmark.serving.server.local.find_spec", lambda name: object())
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match="not a GGUF file"), open_server(f"local:{path}"):
        pass


def test_a_missing_backend_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattmark.serving.server.local.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught, open_server("local:1m"):
        pass
    assert "llm" in (caught.value.hint or "")


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"context": 0}, {"threads": 0}, {"number_format": "q3"}])
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ConfigError):
        ServerOptions(**wrong)


def test_a_core_is_left_to_the_client(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert default_threads() == 7
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert default_threads() == 1


@needs_llama
def test_a_chat_answer_has_exactly_the_tokens_that_were_asked_for(target: RunningServer):
    for _ in range(2):
        answer = json.loads(
            post(
                f"{target.base_url}/v1/chat/completions",
                {"messages": [{"role": "user", "content": "a" * 20}], "max_tokens": 9, "ignore_eos": True},
            )
        )
        # 20 characters and the beginning of the sequence; nothing from a cache, also the second time
        assert answer["usage"]["prompt_tokens"] == 21
        assert answer["usage"]["completion_tokens"] == 9
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
        assert answer["timings"]["prompt_n"] == 21
        assert len(answer["choices"][0]["message"]["content"]) == 9


@needs_llama
def test_a_streamed_completion_sends_one_character_per_token(target: RunningServer):
    body = {"prompt": "count: ", "max_tokens": 12, "stream": True, "stream_options": {"include_usage": True}}
    lines = [
        line.removeprefix("data: ")
        for line in post(f"{target.base_url}/v1/completions", body).splitlines()
        if line
    ]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    texts = [choice["text"] for chunk in chunks for choice in chunk["choices"] if choice["text"]]
    assert len(texts) == 12
    assert all(len(text) == 1 and text.isascii() for text in texts)
    assert chunks[-1]["usage"]["completion_tokens"] == 12


@needs_llama
def test_the_target_says_that_the_text_is_noise(target: RunningServer):
    assert target.noise
    assert "noise" in target.description
    assert target.as_dict()["text_is_noise"] is True
    assert target.as_dict()["options"]["threads"] == default_threads()
    models = json.loads(read(f"{target.base_url}/v1/models"))
    assert models["data"][0]["id"] == target.model == "local:1m"


@needs_llama
def test_metrics_of_the_server_can_be_read(target: RunningServer):
    text = read(f"{target.base_url}/metrics")
    assert "llamacpp:prompt_tokens_total" in text


@needs_llama
def test_no_process_is_left_when_the_block_ends_even_by_an_error():
    pids: list[int] = []

    def fail_inside():
        with open_server("local:1m-q8_0", ServerOptions(slots=1, context=64)) as target:
            assert target.pid is not None
            pids.append(target.pid)
            assert os.getpgid(target.pid) == target.pid
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert not psutil.pid_exists(pids[0])


@needs_llama
def test_a_server_in_the_middle_of_an_answer_goes_without_being_killed(monkeypatch: pytest.MonkeyPatch):
    def killed(group: int, number: int):
        pytest.fail("the server had to be killed")

    monkeypatch.setattr("wattmark.serving.server.local.os.killpg", killed)
    with open_server("local:1m", ServerOptions(slots=1, context=30_000)) as target:
        body = json.dumps({"prompt": "a", "max_tokens": 29_000, "stream": True}).encode()
        request = urllib.request.Request(
            f"{target.base_url}/v1/completions", body, {"Content-Type": "application/json"}
        )
        answer = urllib.request.urlopen(request, timeout=30)
        assert answer.readline().startswith(b"data: ")
    answer.close()
    assert target.pid
    assert not psutil.pid_exists(target.pid)


@needs_llama
def test_the_server_ends_when_its_parent_is_killed(data_dir: Path):
    code = (
        "from wattmark.serving.server.local import open_server\n"
        "with open_server('local:1m') as target:\n"
        "    print(target.pid, flush=True)\n"
        "    input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    assert parent.stdin
    server = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    deadline = time.monotonic() + 20
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.01)


@needs_llama
def test_a_file_that_llama_cannot_load_is_an_error_with_its_last_words(tmp_path: Path):
    path = tmp_path / "torn.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    log = tmp_path / "server.log"
    with (
        pytest.raises(ServerError, match="did not start") as caught,
        open_server(f"local:{path}", ServerOptions(log_path=str(log))),
    ):
        pass
    assert str(log) in (caught.value.hint or "")
    assert log.stat().st_size > 0
