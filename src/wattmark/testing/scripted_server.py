"""A model server that does exactly what it is told, well or badly, and logs its own times.

For tests and benchmarks of load clients: raw asyncio, standard library only, a few tens of microseconds a request. In
a test: ``async with ScriptedServer(script) as server: ... server.url ... server.log``. As a process of its own, for
benchmarks: ``python -m wattmark.testing.scripted_server --ttft-ms 5 --gap-ms 1 --log times.jsonl``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Any

from wattmark.testing.scripted_answers import (
    CLOSE,
    FLAVOURS,
    HANG,
    REFUSED_BY,
    RESET,
    Logged,
    PrefixCache,
    Script,
    Step,
    other_answer,
    tokens_of,
    usage_of,
)
from wattmark.testing.served_metrics import ServedMetrics

__all__ = ["CLOSE", "HANG", "RESET", "Logged", "PrefixCache", "Script", "ScriptedServer", "Step"]

Choose = Callable[[int, dict[str, Any]], Script]
"""From the number of the completion request and its body to the answer."""


class ScriptedServer:
    """Listens on 127.0.0.1 while in its ``async with`` block. ``script``: one for all, or chosen per request.
    ``loading``: so many times ``/health`` says 503, as servers do while they load a model. ``slots``: requests that it works
    on at once, the others wait their turn; ``live_metrics``: ``/metrics`` tells what goes on, in vLLM's names."""

    def __init__(
        self,
        script: Script | Choose | None = None,
        *,
        flavour: str = "vllm",
        tls: ssl.SSLContext | None = None,
        metrics: str | None = None,
        port: int = 0,
        keep_log: bool = True,
        log_chunks: bool = True,
        loading: int = 0,
        slots: int | None = None,
        live_metrics: bool = False,
    ) -> None:
        chosen = script or Script()
        self.choose: Choose = chosen if callable(chosen) else lambda _number, _body: chosen
        self.flavour, self.metrics, self.keep_log, self.log_chunks = flavour, metrics, keep_log, log_chunks
        self.loading = loading
        self.told, self.live_metrics = ServedMetrics(slots), live_metrics
        self.queue: deque[Callable[[], None]] = deque()
        self.log: list[Logged] = []
        self.connections = 0
        self.requests = 0
        self.open: set[_Session] = set()
        self._tls, self._port = tls, port
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> ScriptedServer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Session(self), "127.0.0.1", self._port, ssl=self._tls, backlog=4096
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for session in list(self.open):
            session.cut()
        await self._server.wait_closed()
        await asyncio.sleep(0)


class _Session(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._buffer = b""
        self._transport: Any = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.connections += 1
        self._server.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self)
        if self._task is not None:
            self._task.cancel()

    def cut(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns()
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            if not rest.endswith(b"0\r\n\r\n"):
                return
            rest, size = (
                b"".join(rest.split(b"\r\n")[1:-3:2]),
                None,
            )  # sizes and pieces in turn; JSON holds no line ends
            self._buffer = b""
        else:
            size = int(headers.get("content-length", 0))
            if len(rest) < size:
                return
            self._buffer = rest[size:]
        if method == "GET":
            self._get(path)
        else:
            kind = headers.get("content-type", "application/json")
            body = json.loads(rest[:size] or b"{}") if "json" in kind else {"form": rest[:size]}
            logged = Logged(headers.get("x-request-id", ""), path, now, headers, body)
            self._post(logged)

    def _get(self, path: str) -> None:
        text = self._server.told.text() if self._server.live_metrics else self._server.metrics
        if path == "/metrics" and text is not None:
            self._write(200, text.encode(), "text/plain; version=0.0.4")
            return
        if path == "/health" and self._server.loading > 0:
            self._server.loading -= 1
            self._write(503, b'{"error":{"message":"Loading model","type":"unavailable_error"}}')
            return
        answer = {"status": "ok"} if path == "/health" else FLAVOURS[self._server.flavour].get(path)
        self._write(200 if answer else 404, json.dumps(answer or {"error": "not found"}).encode())

    def _post(self, logged: Logged) -> None:
        server, body = self._server, logged.body
        path = logged.path.partition("?")[0]
        if not path.endswith(
            ("/completions", "/embeddings", "/rerank", "/audio/speech", "/audio/transcriptions")
        ):
            self._write(404, b'{"error":"not found"}')
            return
        number, server.requests = server.requests, server.requests + 1
        if server.keep_log:
            server.log.append(logged)
        refused = [name for name in REFUSED_BY.get(server.flavour, ()) if name in body]
        if refused:
            self._write(422, json.dumps({"detail": f"Unexpected fields in the request: {refused}"}).encode())
            return
        script = server.choose(number, body)
        if script.steps is not None:
            self._task = asyncio.get_running_loop().create_task(self._play(script.steps))
        elif script.status != 200 or script.body is not None:
            self._write(script.status, script.body or b"{}", "application/json", script.headers)
            self._ended(script)
        else:
            self._in_turn(lambda: self._begin(script, logged))

    def _in_turn(self, begin: Callable[[], None]) -> None:
        """Now, or once there is a slot."""
        told = self._server.told
        if told.slots is not None and told.running >= told.slots:
            told.waiting += 1
            self._server.queue.append(begin)
            return
        told.running += 1
        begin()

    def _begin(self, script: Script, logged: Logged) -> None:
        other = other_answer(script, logged.path.partition("?")[0], logged.body)
        if other is not None:
            asyncio.get_running_loop().call_later(script.ttft_s, self._other, *other, script, logged)
            return
        if logged.body.get("stream"):
            _Stream(self, script, logged).start()
            return
        loop = asyncio.get_running_loop()
        delay_s = script.ttft_s + script.gap_s * max(0, tokens_of(script, logged.body) - 1)
        loop.call_later(delay_s, self._whole, script, logged) if delay_s else self._whole(script, logged)

    def leave(self) -> None:
        """Give the slot to the next in the queue."""
        server = self._server
        server.told.running -= 1
        if server.queue:
            server.told.waiting -= 1
            server.told.running += 1
            server.queue.popleft()()

    async def _play(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, bytes):
                self._transport.write(step)
            elif isinstance(step, (int, float)):
                await asyncio.sleep(step)
            elif step == CLOSE:
                self._transport.close()
            elif step == RESET:
                sock = self._transport.get_extra_info("socket")
                sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: close by reset
                self._transport.abort()
            else:
                await asyncio.get_running_loop().create_future()

    def _other(self, kind: str, data: bytes, script: Script, logged: Logged) -> None:
        self._write(200, data, kind)
        self._finished(script, logged)

    def _whole(self, script: Script, logged: Logged) -> None:
        said = script.text * tokens_of(script, logged.body)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
        choice |= (
            {"message": {"role": "assistant", "content": said}}
            if "messages" in logged.body
            else {"text": said}
        )
        data: dict[str, Any] = {"id": "x", "choices": [choice]}
        if (usage := usage_of(script, logged.body)) is not None:
            data["usage"] = usage
        if script.timings:
            data["timings"] = script.timings
        self._write(200, json.dumps(data).encode())
        self._finished(script, logged)

    def _write(
        self, status: int, body: bytes, kind: str = "application/json", headers: Sequence[str] = ()
    ) -> None:
        lines = [
            f"HTTP/1.1 {status} Scripted",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def write_chunk(self, data: bytes) -> None:
        """One piece of a chunked body."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def write_raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._transport.write(data)

    def _finished(self, script: Script, logged: Logged) -> None:
        logged.end_ns = monotonic_ns()
        told = self._server.told
        told.whole((logged.end_ns - logged.received_ns) / 1e9, tokens_of(script, logged.body))
        self._ended(script)
        self.leave()

    def _ended(self, script: Script) -> None:
        if script.close_silently or not script.keep:
            self._transport.close()

    finished = _finished

    @property
    def closing(self) -> bool:
        """Whether the client has gone."""
        return self._transport.is_closing()


class _Stream:
    """One streamed answer, driven by timers; a chunk is a template with the text in the middle."""

    def __init__(self, session: _Session, script: Script, logged: Logged) -> None:
        self._session, self._script, self._logged = session, script, logged
        self._left = tokens_of(script, logged.body)
        self._loop = asyncio.get_running_loop()
        self._chat = "messages" in logged.body
        self._log_chunks = session._server.log_chunks  # pyright: ignore[reportPrivateUsage]

    def start(self) -> None:
        self._session.write_raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        if self._script.ttft_s:
            self._loop.call_later(self._script.ttft_s, self._next)
        else:
            self._next()

    def _next(self) -> None:
        script, session = self._script, self._session
        while self._left > 0:
            if session.closing:
                session.leave()
                return
            size = min(script.merge, self._left)
            self._left -= size
            self._token(script.text * size)
            if script.gap_s and self._left:
                self._loop.call_later(script.gap_s, self._next)
                return
        self._end()

    def _token(self, text: str) -> None:
        choice = {"index": 0, "delta": {"content": text}} if self._chat else {"index": 0, "text": text}
        data = b'data: {"id":"x","object":"chunk","choices":[%b]}\n\n' % json.dumps(choice).encode()
        now = monotonic_ns()
        if self._logged.first_token_ns is None:
            self._logged.first_token_ns = now
            self._session._server.told.first_token((now - self._logged.received_ns) / 1e9)  # pyright: ignore[reportPrivateUsage]
        if self._log_chunks:
            self._logged.chunk_ns.append(now)
        self._session.write_chunk(data)

    def _end(self) -> None:
        script = self._script
        rest: dict[str, Any] = {"index": 0, "finish_reason": "length"} | (
            {"delta": {}} if self._chat else {"text": ""}
        )
        last: dict[str, Any] = {"id": "x", "choices": [rest]}
        if script.timings:
            last["timings"] = script.timings
        events = [last]
        wanted = self._logged.body.get("stream_options", {}).get("include_usage")
        if (wanted or not script.done) and (usage := usage_of(script, self._logged.body)) is not None:
            events.append({"id": "x", "choices": [], "usage": usage})
        data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
        self._session.write_chunk(data + (b"data: [DONE]\n\n" if script.done else b""))
        self._session.write_raw(b"0\r\n\r\n")
        self._session.finished(script, self._logged)


async def serve(
    script: Script, log: str | None, port: int, chunks: bool, slots: int | None = None, metrics: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT, then write the log."""
    async with ScriptedServer(
        script, port=port, keep_log=log is not None, log_chunks=chunks, slots=slots, live_metrics=metrics
    ) as server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        end = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, end.set)
        await end.wait()
    if log is not None:
        with open(log, "w", encoding="utf-8") as file:
            for entry in server.log:
                row = (
                    entry.request_id,
                    entry.received_ns,
                    entry.first_token_ns,
                    entry.end_ns,
                    entry.chunk_ns,
                )
                file.write(json.dumps(row) + "\n")


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description="A model server that does as it is told.")
    parser.add_argument("--ttft-ms", type=float, default=0.0)
    parser.add_argument("--gap-ms", type=float, default=0.0)
    parser.add_argument("--merge", type=int, default=1, help="tokens in a chunk")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", help="file for its own times, one JSON list a request")
    parser.add_argument("--no-chunks", action="store_true", help="do not log every chunk")
    parser.add_argument("--slots", type=int, help="requests at once; the others wait their turn")
    parser.add_argument("--metrics", action="store_true", help="serve /metrics in the names of vLLM")
    args = parser.parse_args()
    script = Script(ttft_s=args.ttft_ms / 1e3, gap_s=args.gap_ms / 1e3, merge=args.merge)
    work = serve(script, args.log, args.port, not args.no_chunks, args.slots, args.metrics)
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(work)
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
