"""A model server that is always at hand: llama.cpp through the ``xllamacpp`` wheel, in a process of its own.

``open_server("local:10m")`` stands wherever a URL is asked for: it writes a model of that size with random weights if
need be, serves it on the loopback interface, and takes it down again. The text of such a model is noise; every
description says so. Needs the extra ``[llm]``; a URL given instead needs nothing.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, MissingExtra, ServerError
from wattmark.paths import data_dir
from wattmark.serving.server.gguf import NOISE_NOTE, NUMBER_FORMATS, NumberFormat, ensure_model
from wattmark.serving.server.hub import hub_file, is_hub_name

LOCAL = "local:"
_STOP_S = 5.0
_LOG_TAIL = 2_000


def default_threads() -> int:
    """One thread less than this process may use cores: with a busy neighbour on one of them, llama.cpp's threads wait
    for the slowest at every layer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a local server runs.

    slots: requests served at once. context: tokens per slot, prompt and answer. threads: None for
    :func:`default_threads`. number_format and seed: of a model with random weights. prompt_cache: whether a prefix seen
    before is not worked through again. port: 0 takes a free one. log_path: where llama.cpp's words go, None for a new
    file in the data folder. ready_s: how long loading may take.
    """

    slots: int = 4
    context: int = 2_048
    threads: int | None = None
    number_format: NumberFormat = "f16"
    seed: int = 0
    prompt_cache: bool = False
    port: int = 0
    log_path: str | None = None
    ready_s: float = 120.0

    def __post_init__(self) -> None:
        for name in ("slots", "context"):
            if getattr(self, name) < 1:
                raise ConfigError(f"a server needs at least 1 for {name}, not {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"a server needs at least 1 thread, not {self.threads}")
        if self.number_format not in NUMBER_FORMATS:
            raise ConfigError(f"{self.number_format!r} is no number format here", hint="use f16 or q8_0")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server to send requests to.

    base_url: without a trailing slash and without ``/v1``. model: the name that requests carry, None where the
    server must be asked. noise: whether the text means nothing (random weights). pid: of a local server, else None.
    """

    base_url: str
    description: str
    model: str | None = None
    noise: bool = False
    pid: int | None = None
    log_path: str | None = None
    options: ServerOptions | None = None

    def as_dict(self) -> dict[str, Any]:
        """What a run keeps about the server; no path and no key."""
        options = self.options
        return {
            "base_url": self.base_url,
            "description": self.description,
            "model": self.model,
            "text_is_noise": self.noise,
            "local": self.pid is not None,
            "options": None
            if options is None
            else {
                "slots": options.slots,
                "context": options.context,
                "threads": options.threads or default_threads(),
                "prompt_cache": options.prompt_cache,
            },
        }


@contextmanager
def open_server(
    where: str,
    options: ServerOptions | None = None,
    environ: Mapping[str, str] | None = None,
    on_writing: Callable[[float], None] | None = None,
) -> Generator[RunningServer]:
    """The server at a URL, or one of our own for as long as the block runs.

    where: ``http://...`` or ``https://...``; ``local:SIZE`` (``local:10m``, ``local:10m-q8_0``) for random weights;
    ``local:PATH`` for any GGUF file; ``local:OWNER/NAME[:FILE]`` for one of Hugging Face. on_writing: told the share
    (0..1) of a random model that is written, if it has to be.

    Raises:
        ConfigError: none of these, or a file or size that cannot be used.
        MissingExtra: ``xllamacpp`` or ``gguf`` is not installed.
        ServerError: the server did not start; the end of its log is in the message.
    """
    if where.startswith(("http://", "https://")):
        yield RunningServer(where.rstrip("/").removesuffix("/v1"), f"server at {where}")
        return
    if not where.startswith(LOCAL):
        raise ConfigError(
            f"{where!r} is no server",
            hint="give a URL, local:10m for a random model, local:PATH for a GGUF file or local:OWNER/NAME of Hugging Face",
        )
    options = options or ServerOptions()
    if find_spec("xllamacpp") is None:
        raise MissingExtra("xllamacpp", "llm")
    path, noise = _model(where.removeprefix(LOCAL), options, environ, on_writing)
    process = _start(path, where, options, environ)
    try:
        yield process.target(noise)
    finally:
        process.stop()


def _model(
    name: str,
    options: ServerOptions,
    environ: Mapping[str, str] | None,
    on_writing: Callable[[float], None] | None,
) -> tuple[Path, bool]:
    """Path of the GGUF file, and whether its text is noise."""
    if is_hub_name(name):
        return hub_file(name), False
    if name.endswith(".gguf") or os.sep in name:
        path = Path(name).expanduser().absolute()
        if not path.is_file():
            raise ConfigError(f"there is no GGUF file {path}")
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ConfigError(f"{path} is not a GGUF file")
        return path, path.name.startswith("random-llama-")
    size, number_format = name, options.number_format
    for choice in NUMBER_FORMATS:
        if name.endswith(f"-{choice}"):
            size, number_format = name.removesuffix(f"-{choice}"), choice
    return ensure_model(size, number_format, options.seed, environ, on_writing), True


class _ServerProcess:
    """llama.cpp in a session of its own, so that the terminal's signals go to the load client only."""

    def __init__(
        self, process: subprocess.Popen[bytes], alias: str, options: ServerOptions, log_path: str
    ) -> None:
        self._process = process
        self._alias = alias
        self._options = options
        self._log_path = log_path
        self._ready: dict[str, Any] = {}

    def wait_ready(self) -> None:
        """Until the child says its address; raises ServerError if it ends or takes too long."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + self._options.ready_s
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self.stop()
                raise ServerError(
                    f"the model server was not ready within {self._options.ready_s:g} s",
                    hint=f"see {self._log_path}",
                )
            piece = os.read(self._process.stdout.fileno(), 4096)
            if not piece:
                self.stop()
                raise ServerError(
                    f"the model server did not start: {self._last_words()}", hint=f"see {self._log_path}"
                )
            line += piece
        self._ready = json.loads(line)

    def target(self, noise: bool) -> RunningServer:
        """What a client needs to know."""
        options = self._options
        threads = options.threads or default_threads()
        description = (
            f"llama.cpp (xllamacpp {self._ready['build']}), {self._alias}, {options.slots} slots of {options.context} "
            f"tokens, {threads} thread{'s' if threads > 1 else ''}"
        )
        if noise:
            description += f"; {NOISE_NOTE}"
        return RunningServer(
            self._ready["url"].rstrip("/"),
            description,
            self._alias,
            noise,
            self._process.pid,
            self._log_path,
            options,
        )

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            # The child leads its group, so that its helpers, if any, go with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _last_words(self) -> str:
        with open(self._log_path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LOG_TAIL))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return (
            lines[-1].strip() if lines else f"it ended with code {self._process.returncode} and said nothing"
        )


def _start(
    path: Path, where: str, options: ServerOptions, environ: Mapping[str, str] | None
) -> _ServerProcess:
    alias = where if os.sep not in where else LOCAL + path.name
    sent = {
        "model": str(path),
        "alias": alias,
        "port": options.port,
        "threads": options.threads or default_threads(),
        "slots": options.slots,
        "context": options.context,
        "prompt_cache": options.prompt_cache,
    }
    log_path = options.log_path or _new_log(environ)
    with open(log_path, "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "wattmark.serving.server.process", json.dumps(sent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    process = _ServerProcess(child, alias, options, log_path)
    try:
        process.wait_ready()
    except BaseException:
        process.stop()
        raise
    return process


def _new_log(environ: Mapping[str, str] | None) -> str:
    folder = Path(data_dir(environ)) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix="model-server-", suffix=".log", dir=folder)
    os.close(handle)
    return path
