"""A proxy for tests: takes whole URLs and CONNECT, leads everything to one server, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import contextlib


class ForwardingProxy:
    """Listens on 127.0.0.1 while in its ``async with`` block. to: where everything is led. refuse: the status line that all
    tunnels and requests get instead, ``407 Proxy Authentication Required`` say.

    asked: the first lines of the requests; heads: their headers, by lower-case name.
    """

    def __init__(self, to: tuple[str, int], *, refuse: str | None = None) -> None:
        self.asked: list[str] = []
        self.heads: list[dict[str, str]] = []
        self._to, self._refuse = to, refuse
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> ForwardingProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = [writer]
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._lead(reader, writer, ends)
        finally:
            for end in ends:
                end.close()

    async def _lead(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.StreamWriter]
    ) -> None:
        back: asyncio.Task[None] | None = None
        onward: asyncio.StreamWriter | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                self.asked.append(first)
                self.heads.append(headers)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if self._refuse is not None:
                    writer.write(f"HTTP/1.1 {self._refuse}\r\nContent-Length: 0\r\n\r\n".encode())
                    await writer.drain()
                    continue
                if onward is None:
                    answers, onward = await asyncio.open_connection(*self._to)
                    ends.append(onward)
                    if first.startswith("CONNECT "):
                        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = asyncio.create_task(_pipe(answers, writer))
                if first.startswith("CONNECT "):
                    await _pipe(reader, onward)
                    return
                method, url, version = first.split(" ")
                path = "/" + url.split("/", 3)[3] if "://" in url else url
                own = "\r\n".join([f"{method} {path} {version}", *lines])
                onward.write(own.encode("latin-1") + b"\r\n\r\n" + body)
        finally:
            if back is not None:
                back.cancel()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
