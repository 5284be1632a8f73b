from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from wattmark.store import open_store

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/llm-bench.schema.json").read_text())
needs_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("gguf") is None,
    reason="xllamacpp and gguf are not installed (extra llm)",
)


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a scripted server: 1 ms to the first token, 1 ms a token."""
    words = [sys.executable, "-m", "wattmark.testing.scripted_server", "--ttft-ms", "1", "--gap-ms", "1"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.fixture
def replayed(cli, tmp_path: Path):
    """The command on a machine that draws 40 W."""
    wave = tmp_path / "wave.csv"
    wave.write_text("t_s,cpu0/package:power_w\n0,40\n600,40\n", encoding="utf-8")
    cli.env["WATTMARK_REPLAY"] = str(wave)
    return cli


def bench(cli, *words: str):
    done = cli("llm", "bench", *words, "--baseline", "0.2", "--json", "-")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    jsonschema.validate(data, SCHEMA)
    return data, done.stderr


def test_a_load_is_measured_shown_and_kept(replayed, server: str) -> None:
    data, shown = bench(
        replayed, server, "-c", "2", "-n", "10", "--input", "8", "--output", "5", "--tag", "try=1"
    )
    assert data["load"]["outcomes"] == {"ok": 10}
    assert data["energy"]["output_tokens"] == pytest.approx(
        50, abs=5
    )  # the steady window may end within an answer
    assert data["energy"]["measured_j"]["value"] <= 41 * data["energy"]["duration_s"]
    assert data["energy"]["modelled_j"] is None
    assert "output token" in shown
    assert "measured by a counter" not in shown  # the replayed channel is a power sensor's
    with open_store(str(replayed.data / "store.db")) as store:
        record = store.get(data["run_id"])
    assert record.tags == {"kind": "serving", "concurrency": "2", "try": "1"}
    assert record.extra["serving"]["energy"]["requests"] == 10
    names = [record.spans.names[index] for index in record.spans.name_ids]
    assert names.count("request") == 10
    rows = [row for row, name in enumerate(names) if name == "request"]
    assert {int(record.spans.parents[row]) for row in rows} == {names.index("load")}
    details = [record.spans.details[row] for row in rows]
    assert all(one.get("counts", {})["output_tokens"] == 5 for one in details)
    given = sum(float(str(one.get("attrs", {})["attributed_j"])) for one in details)
    assert given == pytest.approx(data["energy"]["without_idle"]["energy_j"]["value"])


def test_a_sweep_has_a_row_for_each_load(replayed, server: str) -> None:
    data, shown = bench(replayed, server, "--sweep", "concurrency:1,2", "-n", "6", "--output", "4")
    assert [point["at"] for point in data["points"]] == [1.0, 2.0]
    assert data["points"][0]["run_id"] != data["points"][1]["run_id"]
    assert "TTFT p95" in shown


def test_a_rate_and_limits(replayed, server: str) -> None:
    words = ("--rate", "50", "--arrivals", "constant", "--seconds", "0.2", "--ttft", "5", "--output", "4")
    data, shown = bench(replayed, server, *words)
    assert data["load"]["arrivals"] == "open loop, constant, 50 requests/s"
    assert data["metrics"]["good"] == data["metrics"]["ok"] > 0
    assert "meet the limits" in shown


def test_ctrl_c_keeps_what_was_measured(replayed, server: str) -> None:
    path = replayed.folder / "out.json"
    words = ("--seconds", "50", "-c", "2", "--output", "4", "--baseline", "0", "--json", str(path))
    process = replayed.start("llm", "bench", server, *words)
    journals = replayed.data / "journals"
    deadline = time.monotonic() + 30
    while not list(journals.glob("*/events-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    data = json.loads(path.read_text())
    jsonschema.validate(data, SCHEMA)
    assert data["load"]["interrupted"] is True
    assert data["load"]["outcomes"]["ok"] > 0
    with open_store(str(replayed.data / "store.db")) as store:
        assert store.get(data["run_id"]).status == "interrupted"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("http://127.0.0.1:9",), "127.0.0.1"),
        (("10m",), "local:10m"),
        (("http://127.0.0.1:9", "--sweep", "speed:1-4"), "concurrency:1-32"),
        (("http://127.0.0.1:9", "--rate", "1", "-c", "2"), "exclude each other"),
        (("http://127.0.0.1:9", "--input", "many"), "length in tokens"),
        (("http://127.0.0.1:9", "--rate", "1", "--arrivals", "poison"), "poisson"),
        (("http://127.0.0.1:9", "--number-format", "q2"), "q8_0"),
        (("http://127.0.0.1:9", "--api-key-env", "NO_SUCH_KEY"), "NO_SUCH_KEY"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line_or_two(cli, words: tuple[str, ...], said: str) -> None:
    done = cli("llm", "bench", *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_serve_needs_one_model(cli) -> None:
    for words in ((), ("--size", "1m", "--gguf", "x.gguf")):
        done = cli("llm", "serve", *words)
        assert done.returncode == 2
        assert "--size 10m" in done.stderr


@needs_llama
def test_a_random_model_is_served_until_ctrl_c_and_told_to_be_noise(cli) -> None:
    process = cli.start("llm", "serve", "--size", "1m", "--port", "0", "--context", "128")
    line = process.stdout.readline()
    url = line.split()[0]
    assert "noise" in line
    with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/health", timeout=5)


@needs_llama
def test_the_thin_path_from_a_fresh_install(replayed) -> None:
    data, shown = bench(replayed, "local:1m", "--concurrency", "2", "--requests", "20")
    assert data["server"]["text_is_noise"] is True
    assert data["metrics"]["input_tokens"]["least"] == data["metrics"]["input_tokens"]["most"] == 64
    assert "noise" in shown


def test_a_dataset_headers_fields_and_records(replayed, server: str, tmp_path: Path) -> None:
    talks = [
        {"conversations": [{"from": "human", "value": f"question {n}"}, {"from": "gpt", "value": "so it is"}]}
        for n in range(3)
    ]
    path = tmp_path / "sharegpt.json"
    path.write_text(json.dumps(talks), encoding="utf-8")
    lines = tmp_path / "requests.jsonl"
    words = (
        "-n", "6", "-c", "2", "--data", f"sharegpt:{path}", "--body", '{"temperature": 0.7}', "--header", "X-Tenant: a",
        "--records", str(lines), "--e2e", "30",
    )  # fmt: skip
    data, _ = bench(replayed, server, *words)
    assert data["load"]["workload"] == "sharegpt.json, 3 conversations"
    assert data["metrics"]["judged"] == data["metrics"]["good"] == 6
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(rows) == 6
    assert all(row["outcome"] == "ok" and row["energy_j"] is not None for row in rows)


def test_a_trace_brings_its_own_arrivals(replayed, server: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    rows = [{"timestamp": 100 * n, "input_length": 20, "output_length": 3, "hash_ids": []} for n in range(4)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data, _ = bench(replayed, server, "--data", f"trace:{path}", "--speed", "10")
    assert data["load"]["arrivals"] == "trace.jsonl, 4 arrivals at 10 x speed"
    assert data["load"]["outcomes"] == {"ok": 4}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--body", "{"), "no JSON"),
        (("--body", "[1]"), "no JSON object"),
        (("--header", "X-Tenant"), "a name and a value"),
        (("--data", "csv:x"), "there is no file x"),
        (("--stages", "rate:1@"), "rate:1-20@60"),
        (("--endpoint", "vectors"), "no endpoint"),
        (("--model", "a=0.5,b"), "no share"),
        (("--images", "big"), "no such folder"),
        (("--chat-template", "chatml"), "/v1/completions"),
        (("--server-pid", "4000000"), "no process"),
    ],
)
def test_options_that_cannot_be_used_are_told(cli, server: str, words: tuple[str, ...], said: str) -> None:
    done = cli("llm", "bench", server, *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_end_of_a_load_of_given_seconds_is_bounded() -> None:
    from wattmark.serving.loads import LoadSeries

    ask = LoadSeries("concurrency", (16.0,))
    assert ask.plan(16.0).limits.requests == 161
    assert ask.plan(4.0).limits.requests == 100
    from dataclasses import replace

    assert replace(ask, seconds=3.0).plan(16.0).limits.drain_s == 5.0
    assert replace(ask, seconds=30.0).plan(16.0).limits.drain_s == 30.0


def write(path: Path, *rows: object) -> str:
    path.write_text(
        "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8"
    )
    return str(path)


def test_prompts_of_a_file_are_sent_and_its_bad_rows_named(replayed, server: str, tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", {"prompt": "one"}, "{torn", {"prompt": "two", "max_tokens": 3})
    data, shown = bench(replayed, server, "--data", file, "-n", "4", "-c", "1", "--output", "5")
    assert data["load"]["outcomes"] == {"ok": 4}
    assert data["energy"]["output_tokens"] == 16
    assert any("1 of 3 rows of p.jsonl were left out (line 2: not JSON" in text for text in data["warnings"])
    assert "line 2" in shown


def test_a_trace_brings_its_arrivals_and_ends_by_itself(replayed, server: str, tmp_path: Path) -> None:
    rows = [{"timestamp": 100 * n, "input_length": 10 + n, "output_length": 2} for n in range(5)]
    file = write(tmp_path / "t.jsonl", *rows)
    data, _ = bench(replayed, server, "--data", file, "--speed", "2")
    assert data["load"]["outcomes"] == {"ok": 5}
    assert "5 arrivals at 2 x speed" in data["load"]["arrivals"]
    assert data["energy"]["input_tokens"] == sum(10 + n for n in range(5))


def test_images_stages_and_warm_up(replayed, server: str) -> None:
    words = ("--images", "32x32", "--stages", "concurrency:1@0.2,2@0.2", "--warm-up", "3", "--output", "2")
    data, shown = bench(replayed, server, *words)
    assert "concurrency 1 then 2" in data["load"]["arrivals"]
    costs = data["energy"]["with_idle"]
    assert costs["j_per_unit"]["image"]["value"] == pytest.approx(costs["j_per_request"]["value"])
    assert "image" in shown


def test_texts_are_embedded(replayed, server: str) -> None:
    data, shown = bench(
        replayed, server, "--endpoint", "embeddings", "--batch", "2", "-n", "6", "--input", "8"
    )
    costs = data["energy"]["with_idle"]
    assert data["energy"]["input_tokens"] == 6 * 2 * 8
    assert costs["j_per_output_token"] is None
    assert costs["j_per_unit"]["input token"]["value"] == pytest.approx(costs["j_per_request"]["value"] / 16)
    assert "input tokens/s" in shown
    assert "output token" not in shown


def test_requests_are_shared_out_among_adapters(replayed, server: str) -> None:
    data, shown = bench(replayed, server, "--model", "base=0.75,lora=0.25", "-n", "20", "--output", "2")
    models = data["load"]["models"]
    assert {name: part["ok"] for name, part in models.items()} == {"base": 15, "lora": 5}
    assert models["lora"]["output_tokens"] == 10
    given = (
        15 * models["base"]["mean_j"] + 5 * models["lora"]["mean_j"]
    )  # the replayed machine draws the same at rest
    assert given == pytest.approx(data["energy"]["without_idle"]["energy_j"]["value"], abs=1e-9)
    assert "lora: 5 answers of 5" in shown


def test_fields_of_a_file_and_failed_requests_against_the_limits(
    replayed, server: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "body.json", {"n": 1, "response_format": {"type": "json_object"}})
    data, shown = bench(replayed, server, "--body", f"@{file}", "-n", "4", "--ttft", "5")
    assert data["metrics"]["judged"] == 4
    assert "4 of 4 requests meet the limits" in shown


def test_a_server_that_is_not_there_yet_is_waited_for(replayed, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    running = replayed.start(
        "llm", "bench", f"127.0.0.1:{port}", "--wait", "60", "-n", "2", "--output", "2", "--baseline", "0"
    )
    assert "it is waited for" in running.stderr.readline()
    words = [sys.executable, "-m", "wattmark.testing.scripted_server", "--port", str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as late:
        _, shown = running.communicate(timeout=50)
        late.terminate()
    assert running.returncode == 0, shown
