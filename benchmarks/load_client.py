"""What the load client itself costs, against a server that logs its own times; guidellm and aiperf beside it.

``python benchmarks/load_client.py [--peers] [--quick]`` writes results/load_client.json. Peers are run from their own
environments (.bench/aiperf, .bench/guidellm; install them there with pip). All traffic stays on 127.0.0.1.
``--soak-s 1800`` does the soak alone, at 200 requests/s, and writes results/load_soak.json: memory over time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "load_client.json"
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
TARGETS = {
    "cpu_us_per_request": 80,
    "cpu_us_per_chunk": 40,
    "peak_rss_mib": 60,
    "start_s": 0.3,
    "ttft_overhead_ms_median": 1.0,
}

CLIENT = """
import json, resource, sys, time
from wattmark.serving.load.client import *
url, job = sys.argv[1], json.loads(sys.argv[2])
memory, most = [], 0
def look(progress):
    global most
    most = max(most, progress.in_flight)
    if not memory or progress.elapsed_s - memory[-1][0] >= job["look_s"]:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        memory.append((progress.elapsed_s, pages * resource.getpagesize() / 2**20, most))
        most = 0
arrivals = OpenLoop.at(job["rate"]) if "rate" in job else ClosedLoop.of(job["concurrency"])
result = run_load_blocking(Target(url, model="m", dialect="vllm", stream=job["stream"]), arrivals,
    Synthetic(Lengths.fixed(job["input"]), Lengths.fixed(job["output"])),
    limits=Limits(requests=job["requests"], scrape_s=None, keep_records=job.get("keep", True),
    processes=job.get("processes", 1),
    progress_s=0.25), on_progress=look if "look_s" in job else None)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rows = [
    (f"wattmark-{r.index}", r.sent_ns, r.first_token_ns, len(r.chunk_ns), r.released_ns - r.scheduled_ns)
    for r in result.records
]
print(json.dumps({
    "ok": result.counts["ok"], "all": sum(result.counts.values()), "cpu_s": result.client_cpu_s, "peak_rss_mib": peak,
    "seconds": (result.ended_ns - result.started_ns) / 1e9, "rows": rows, "warnings": result.warnings,
    "memory": memory, "outcomes": dict(result.counts),
}))
"""

FIXED = """
import asyncio, json, sys, uvloop
BODY = json.dumps({"id": "x", "choices": [{"index": 0, "finish_reason": "length", "message":
    {"role": "assistant", "content": "a "}}], "usage": {"prompt_tokens": 64, "completion_tokens": 1}}).encode()
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(BODY), BODY)
class Session(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        if data.endswith(b"}"):
            self.transport.write(ANSWER)
async def main():
    listening = await asyncio.get_running_loop().create_server(Session, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""
"""A server that reads nothing and always says the same: it takes less of the two cores than the client does."""


@contextlib.contextmanager
def server(*arguments: str, fixed: bool = False) -> Iterator[str]:
    command = [sys.executable, "-m", "wattmark.testing.scripted_server", *arguments]
    if fixed:
        command = [sys.executable, "-c", FIXED]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def client(url: str, **job: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, url, json.dumps(job)],
        env=ENV,
        check=True,
        capture_output=True,
        text=True,
        timeout=300 + job["requests"] / job.get("rate", 100),
    )
    found = json.loads(done.stdout)
    if "look_s" not in job:  # a soak tells its outcomes as they are
        assert found["ok"] == found["all"] == job["requests"], (found["ok"], found["all"], found["warnings"])
    return found


def start(repeats: int) -> list[float]:
    """From starting the interpreter to the server having the first request."""
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with server("--log", str(log)) as url:
                begun = time.monotonic_ns()
                client(url, requests=1, concurrency=1, stream=True, input=16, output=1)
            found.append((json.loads(log.read_text().splitlines()[0])[1] - begun) / 1e9)
    return found


def per_request(repeats: int, requests: int) -> list[dict[str, Any]]:
    with server() as url:
        return [
            client(url, requests=requests, concurrency=16, stream=False, input=64, output=1)
            for _ in range(repeats)
        ]


def throughput(repeats: int, requests: int) -> dict[str, Any]:
    """As many requests as go, one token each, not streamed, client and server on the same cores."""
    found: dict[str, Any] = {}
    with server(fixed=True) as url:
        for processes in (1, 2):
            runs = [
                client(
                    url, requests=requests, concurrency=32, stream=False, input=64, output=1, processes=processes,
                    keep=False,
                )
                for _ in range(repeats)
            ]  # fmt: skip
            cpu_us = [run["cpu_s"] * 1e6 / requests for run in runs]
            found[f"{processes}_process{'es' if processes > 1 else ''}"] = {
                "requests_per_s": statistics.median(requests / run["seconds"] for run in runs),
                "cpu_us_per_request": statistics.median(cpu_us),
                "requests_per_client_cpu_s": 1e6 / statistics.median(cpu_us),
                "runs_requests_per_s": [requests / run["seconds"] for run in runs], "runs_cpu_us": cpu_us,
            }  # fmt: skip
    return found


def per_chunk(repeats: int, requests: int, tokens: int, request_us: float) -> list[float]:
    """CPU of streams beyond that of their requests, over the chunks; chunks come one by one (gap 4 ms x 16 streams)."""
    with server("--gap-ms", "4", "--no-chunks") as url:
        runs = [
            client(url, requests=requests, concurrency=16, stream=True, input=64, output=tokens)
            for _ in range(repeats)
        ]
    return [(run["cpu_s"] * 1e6 - requests * request_us) / (requests * tokens) for run in runs]


def overhead(repeats: int, requests: int) -> list[list[float]]:
    """TTFT as the client saw it minus TTFT by the server's own log, request by request, in ms."""
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with server("--ttft-ms", "20", "--gap-ms", "5", "--log", str(log)) as url:
                run = client(url, requests=requests, concurrency=8, stream=True, input=64, output=16)
            own = {row[0]: (row[2] - row[1]) / 1e6 for row in map(json.loads, log.read_text().splitlines())}
        found.append([(first - sent) / 1e6 - own[name] for name, sent, first, *_ in run["rows"]])
    return found


def open_loop(rate: float, requests: int) -> dict[str, float]:
    with server("--ttft-ms", "20", "--gap-ms", "5", "--no-chunks") as url:
        run = client(url, requests=requests, rate=rate, stream=True, input=64, output=8)
    late = sorted(row[4] / 1e6 for row in run["rows"])
    return {
        "rate": rate,
        "requests": requests,
        "lateness_ms_median": statistics.median(late),
        "lateness_ms_p99": late[int(len(late) * 0.99)],
    }


def soak(rate: float, seconds: float) -> dict[str, Any]:
    """Resident memory of the client over one long test at one rate; records are handled and dropped."""
    with server("--ttft-ms", "5", "--gap-ms", "2", "--no-chunks") as url:
        run = client(
            url, requests=int(rate * seconds), rate=rate, stream=True, input=64, output=8, keep=False,
            look_s=max(1.0, seconds / 60),
        )  # fmt: skip
    warm = [mib for at_s, mib, _ in run["memory"] if at_s >= seconds / 10]
    return {
        "rate": rate, "seconds": run["seconds"], "requests": run["all"], "outcomes": run["outcomes"],
        "warnings": run["warnings"], "client_cpu_s": run["cpu_s"], "peak_rss_mib": run["peak_rss_mib"],
        "rss_mib_after_a_tenth": warm[0], "rss_mib_at_the_end": warm[-1], "growth_mib": warm[-1] - warm[0],
        "columns": ["seconds", "rss_mib", "most_in_flight_since_the_last"],
        "rss_mib_over_time": [[round(at_s, 1), round(mib, 2), most] for at_s, mib, most in run["memory"]],
    }  # fmt: skip


def peer(name: str, command: list[str], log: Path, requests: int, folder: Path) -> dict[str, Any]:
    """One run of another tool: wall and CPU seconds of it and its children, largest process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as words:
        running = psutil.Popen(
            command, stdout=words, stderr=words, cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
        peak = 0
        while running.poll() is None:
            if time.monotonic() - begun > 240:
                for one in (*running.children(recursive=True), running):
                    one.kill()
                running.wait()
                return {"error": "not done within 240 s"}
            with contextlib.suppress(psutil.Error):
                tree = (running, *running.children(recursive=True))
                peak = max(peak, sum(one.memory_info().rss for one in tree))
            time.sleep(0.1)
        words.seek(0)
        output = words.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if running.returncode:
        said = [line for line in output.splitlines() if "ERROR" in line or "Error" in line]
        return {"error": " ".join(said[:1])[:400] or f"exit {running.returncode}"}
    return {
        "requests": requests,
        "wall_s": time.monotonic() - begun,
        "cpu_s": cpu_s,
        "cpu_ms_per_request": cpu_s * 1e3 / requests,
        "peak_rss_mib": peak / 2**20,
    }


WORDS_TOKENIZER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import PreTrainedTokenizerFast
letters = "abcdefghijklmnopqrstuvwxyz"
names = ["<unk>", "<s>", "</s>"] + [a + b + c for a in letters for b in letters for c in letters]
one = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
one.pre_tokenizer = pre_tokenizers.Whitespace()
fast = PreTrainedTokenizerFast(tokenizer_object=one, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
fast.save_pretrained(sys.argv[1])
open(sys.argv[1] + "/config.json", "w").write('{"model_type": "llama"}')
"""
"""The peers want a tokenizer, and theirs would have to be downloaded: one of three-letter words does as well."""


def peers(requests: int) -> dict[str, Any]:
    """Each tool once, the same load: 8 at a time, 64 tokens in, 16 out, streamed; Wattmark among them."""
    words = tempfile.mkdtemp(prefix="words-")
    maker = ROOT / ".bench/guidellm/bin/python"
    if maker.exists():
        subprocess.run([str(maker), "-c", WORDS_TOKENIZER, words], check=True, capture_output=True)
    job = json.dumps({"requests": requests, "concurrency": 8, "stream": True, "input": 64, "output": 16})
    tools = {
        "wattmark": lambda url: [sys.executable, "-c", CLIENT, url, job],
        "aiperf": lambda url: [
            str(ROOT / ".bench/aiperf/bin/aiperf"), "profile", "--model", "m", "--url", url, "--endpoint-type", "chat",
            "--streaming", "--concurrency", "8", "--request-count", str(requests), "--synthetic-input-tokens-mean", "64",
            "--output-tokens-mean", "16", "--tokenizer", words, "--ui", "none",
        ],
        "guidellm": lambda url: [
            str(ROOT / ".bench/guidellm/bin/guidellm"), "run", "--backend", f"kind=openai_http,target={url},model=m",
            "--profile", "kind=concurrent,streams=8", "--constraint", f"kind=max_requests,count={requests}",
            "--tokenizer", f"kind=hf_auto,model={words}",
            "--data", "kind=synthetic_text,prompt_tokens=64,output_tokens=16", "--disable-console",
        ],
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, command in tools.items():
        ask = f"from importlib.metadata import version; print(version('{name}'))"
        python = ROOT / f".bench/{name}/bin/python"
        version = "this tree" if name == "wattmark" else ""
        if python.exists() and not version:
            version = subprocess.run([str(python), "-c", ask], capture_output=True, text=True).stdout.strip()
        if not version:
            found[name] = {"error": "not installed in .bench"}
            continue
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with server("--ttft-ms", "20", "--gap-ms", "5", "--log", str(log)) as url:
                os.environ.update(PYTHONPATH=ENV["PYTHONPATH"] if name == "wattmark" else "")
                found[name] = {"version": version} | peer(name, command(url), log, requests, Path(folder))
            served = len(log.read_text().splitlines())
        found[name]["requests_served"] = served
        print(name, found[name], file=sys.stderr)
    return found


def with_ratios(found: dict[str, Any]) -> dict[str, Any]:
    """How many times the wall and CPU time of ours the others took, start and end of the tool included."""
    ours = found["wattmark"]
    for name, one in found.items():
        if name != "wattmark" and "cpu_s" in one:
            one["times_ours"] = {
                figure: one[figure] / ours[figure] for figure in ("wall_s", "cpu_s", "peak_rss_mib")
            }
    return found


def machine() -> dict[str, Any]:
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "cpu": next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), ""),
        "cores": os.cpu_count(), "python": platform.python_version(), "load_before": os.getloadavg(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="What the load client costs.")
    parser.add_argument("--quick", action="store_true", help="for a look, not for a claim")
    parser.add_argument("--peers", action="store_true", help="run guidellm and aiperf, too")
    parser.add_argument("--soak-s", type=float, help="only a soak of this length at 200 requests/s")
    args = parser.parse_args()
    if args.soak_s:
        report = {"machine": machine(), **soak(200, args.soak_s), "load_after": os.getloadavg()}
        RESULT.with_name("load_soak.json").write_text(json.dumps(report, indent=1) + "\n")
        return
    repeats, scale = (2, 1) if args.quick else (5, 4)
    found = machine()
    requests = per_request(repeats, 1_000 * scale)
    request_us = [run["cpu_s"] * 1e6 / len(run["rows"]) for run in requests]
    chunk_us = per_chunk(repeats, 40 * scale, 100, statistics.median(request_us))
    overheads = overhead(repeats, 100 * scale)
    starts = start(repeats * 2)
    measured = {
        "cpu_us_per_request": statistics.median(request_us),
        "cpu_us_per_chunk": statistics.median(chunk_us),
        "peak_rss_mib": max(run["peak_rss_mib"] for run in requests),
        "start_s": statistics.median(starts),
        "ttft_overhead_ms_median": statistics.median(statistics.median(run) for run in overheads),
    }
    flat = sorted(value for run in overheads for value in run)
    report = {
        "what": "CPU of the client process; overhead: client's TTFT minus the server's own, same request",
        "machine": found | {"load_after": os.getloadavg()},
        "measured": measured,
        "targets": TARGETS,
        "met": {name: measured[name] < target for name, target in TARGETS.items()},
        "ttft_overhead_ms_p95": flat[int(len(flat) * 0.95)],
        "requests_per_s_one_process": statistics.median(len(run["rows"]) / run["seconds"] for run in requests),
        "runs": {
            "cpu_us_per_request": request_us, "cpu_us_per_chunk": chunk_us, "start_s": starts,
            "ttft_overhead_ms_median": [statistics.median(run) for run in overheads],
        },
        "requests_per_client_cpu_s": 1e6 / statistics.median(request_us),
        "throughput": throughput(repeats, 5_000 * scale),
        "open_loop": open_loop(200, 400 * scale),
        "soak": soak(200, 60.0),
        "peers": with_ratios(peers(200)) if args.peers else None,
    }  # fmt: skip
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({key: value for key, value in report.items() if key != "runs"}, indent=1))


if __name__ == "__main__":
    main()
