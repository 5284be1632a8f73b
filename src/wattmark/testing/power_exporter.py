"""An exporter of power whose boards draw known watts: gauges and counters with the names of DCGM's.

In a test: ``with PowerExporter(watts=(100.0, 150.0)) as exporter: ... exporter.url``. As a process of its own:
``python -m wattmark.testing.power_exporter --watts 100,150 --port 9400``.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PowerExporter:
    """Listens on 127.0.0.1 while in its ``with`` block. Board n draws ``watts[n]`` all the time.

    names: which metrics it has, ``energy`` (a counter in mJ), ``power`` (a gauge in W). renewed_s: its values are this old
    at most, as those of an exporter that reads its boards now and then; 0 reads them when asked. page: instead of all that.
    """

    def __init__(
        self,
        watts: Sequence[float] = (100.0, 150.0),
        *,
        names: Sequence[str] = ("power", "energy"),
        renewed_s: float = 0.0,
        port: int = 0,
        host: str = "node-a",
        page: Callable[[], str | None] | None = None,
    ) -> None:
        self.watts, self.names, self.renewed_s, self.host = tuple(watts), tuple(names), renewed_s, host
        self.page = page
        """Instead of the boards' text; None from it answers 503."""
        self.scrapes = 0
        self._began_s = time.monotonic()
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            """One page."""

            def do_GET(self) -> None:
                """Answer with the page."""
                exporter.scrapes += 1
                text = exporter.page() if exporter.page is not None else exporter.text()
                body = (text or "").encode()
                self.send_response(200 if text is not None else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Its page."""
        return f"http://{self.address}/metrics"

    def text(self) -> str:
        """All boards, as of the last renewal."""
        seconds = time.monotonic() - self._began_s
        if self.renewed_s:
            seconds -= seconds % self.renewed_s
        lines: list[str] = []
        for board, watts in enumerate(self.watts):
            labels = f'{{gpu="{board}",UUID="GPU-{board}",Hostname="{self.host}"}}'
            if "power" in self.names:
                lines.append(f"DCGM_FI_DEV_POWER_USAGE{labels} {watts}")
            if "energy" in self.names:
                lines.append(
                    f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{labels} {watts * seconds * 1e3 + 5e9:.3f}"
                )
        return "\n".join(lines) + "\n"

    def __enter__(self) -> PowerExporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description="An exporter whose boards draw known watts.")
    parser.add_argument("--watts", default="100,150", help="of each board")
    parser.add_argument("--names", default="power,energy")
    parser.add_argument("--renewed", type=float, default=0.0, help="seconds between new values")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    watts = [float(part) for part in args.watts.split(",")]
    with PowerExporter(
        watts, names=args.names.split(","), renewed_s=args.renewed, port=args.port
    ) as exporter:
        sys.stdout.write(exporter.url + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
