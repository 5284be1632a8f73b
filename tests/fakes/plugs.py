"""A machine of known power behind a plug of known losses: records of it, and meters on loopback that say its watts."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from wattmark.runs.record import Curve, RunRecord
from wattmark.runs.view import RunView
from wattmark.sources.base import Accuracy, Channel

CONSTANT_W, SLOPE, CURVE_PER_W = 22.0, 1.08, 0.0006
STARTED_NS = 1_790_000_000 * 10**9
STAIRS = (10.0, 95.0, 50.0, 28.0, 70.0, 10.0, 60.0, 95.0, 35.0)


def plug_w(power_w: float) -> float:
    """The truth."""
    return CONSTANT_W + SLOPE * power_w + CURVE_PER_W * power_w**2


def machine(
    levels: Sequence[float] = STAIRS,
    each_s: float = 30.0,
    *,
    seed: int = 0,
    run_id: str = "stairs",
    host: str = "node1",
    accuracy: Accuracy | None = None,
) -> RunView:
    """A run that draws these watts one after the other, read ten times a second, with the noise of real work."""
    rng = np.random.default_rng(seed)
    count = int(len(levels) * each_s * 10)
    power = np.repeat(levels, int(each_s * 10)) * (1 + rng.normal(0, 0.02, count))
    t_ns = np.arange(count + 1, dtype=np.int64) * 10**8
    energy_uj = np.concatenate(([0.0], np.cumsum(power * 0.1))) * 1e6
    channel = Channel(
        "cpu0/package",
        "cpu",
        "rapl",
        "counter",
        "package",
        "counter",
        accuracy or Accuracy(0.02, 0.02, 0.0, "made up"),
    )
    record = RunRecord(
        run_id,
        run_id,
        "completed",
        0,
        STARTED_NS,
        0,
        int(t_ns[-1]),
        curves=(Curve(channel, t_ns, energy_uj.astype(np.int64)),),
        environment={"host": host, "process": {"command": ["train", run_id]}},
    )
    return RunView(record)


def said(view: RunView, every_s: float = 1.0, *, noise_w: float = 0.3, seed: int = 1) -> tuple[Any, Any]:
    """What a meter at its plug says: times in ns since 1970, and the watts of the second before each."""
    rng = np.random.default_rng(seed)
    count = int(view.record.duration_s / every_s)
    edges = np.linspace(0, count * every_s * 1e9, count + 1).astype(np.int64)
    power = view.curves[0].mean_power_w(edges)
    watts = np.array([plug_w(one) for one in power]) + rng.normal(0, noise_w, count)
    middle = (edges[1:] + edges[:-1]) // 2
    return middle + view.record.started_wall_ns, watts


Answer = Callable[[str, dict[str, str]], tuple[int, dict[str, str], Any]]


@contextmanager
def device(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A device on loopback: its address, and the paths that it was asked for. ``answer(path, headers)`` gives status,
    headers, body."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, body = answer(
                self.path, {key.lower(): value for key, value in self.headers.items()}
            )
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def strip(answer: Callable[[bytes], bytes | None]) -> Iterator[int]:
    """Something that speaks UDP on loopback: its port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                message, sender = sock.recvfrom(4096)
            except TimeoutError:
                continue
            reply = answer(message)
            if reply is not None:
                sock.sendto(reply, sender)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        over.set()
        thread.join()
        sock.close()
