"""The process that serves one GGUF model with llama.cpp: ``python -m wattmark.serving.server.process JSON``.

It writes one JSON line with its address to standard output when it is ready, and ends when its standard input is
closed: whatever happens to the process that started it, the server does not outlive it.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any, NoReturn


def parameters(xllamacpp: Any, options: dict[str, Any]) -> Any:
    """llama.cpp's parameters for options as :class:`~wattmark.serving.server.local.ServerOptions` sends them."""
    chosen: Any = xllamacpp.CommonParams()
    chosen.model.path = options["model"]
    chosen.model_alias = {options["alias"]}
    chosen.port = options["port"]
    chosen.hostnames = ["127.0.0.1"]
    chosen.cpuparams.n_threads = options["threads"]
    chosen.cpuparams_batch.n_threads = options["threads"]
    chosen.n_parallel = options["slots"]
    chosen.n_ctx = options["slots"] * options["context"]
    # Every prompt is worked through whole, so that energy depends on lengths and not on what came before.
    chosen.cache_prompt = options["prompt_cache"]
    if not options["prompt_cache"]:
        chosen.cache_ram_mib = 0
        chosen.cache_idle_slots = False
        chosen.n_ctx_checkpoints = 0
    # The given context holds; llama.cpp would shrink it to fit.
    chosen.fit_params = False
    chosen.endpoint_metrics = True
    chosen.endpoint_slots = False
    chosen.ui = False
    # A page in a browser must not reach the server: it answers without a key.
    chosen.cors_origins = "http://127.0.0.1"
    chosen.verbosity = 2
    return chosen


def main(arguments: list[str]) -> NoReturn:
    """Serve until standard input is closed."""
    xllamacpp: Any = import_module("xllamacpp")
    options: dict[str, Any] = json.loads(arguments[0])
    server: Any = xllamacpp.Server(parameters(xllamacpp, options))
    ready = json.dumps({"url": server.listening_address, "build": str(xllamacpp.__version__)})
    os.write(1, ready.encode() + b"\n")
    while os.read(0, 4096):
        pass
    # At once: llama.cpp would finish the answers that it is writing, for readers that are gone.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
