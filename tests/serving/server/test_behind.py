"""A server behind a proxy: found by the connections between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattmark.serving.server.behind import backends, watching

SERVER = """
import http.server, socketserver, sys, urllib.request
behind = sys.argv[1] if len(sys.argv) > 1 else None
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"ok"
        if behind:
            body = urllib.request.urlopen(behind, timeout=10).read()  # a connection for each request
        else:
            import time; time.sleep(1.5)
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture
def start() -> Iterator[object]:
    processes: list[subprocess.Popen[str]] = []

    def started(*arguments: str) -> tuple[int, str]:
        words = [sys.executable, "-c", SERVER, *arguments]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
        processes.append(process)
        assert process.stdout is not None
        return process.pid, f"http://127.0.0.1:{int(process.stdout.readline())}"

    yield started
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ask(url: str) -> None:
    """From a process of its own: what this process asks is its own business."""
    code = f"import urllib.request; urllib.request.urlopen({url!r}, timeout=10).read()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_proxy_passes_requests_on_to_is_the_server_too(start) -> None:
    model, model_url = start()
    middle, middle_url = start(model_url)
    proxy, proxy_url = start(middle_url)
    other, _ = start()
    with watching((proxy,)) as found:
        ask(proxy_url)
    assert found == {middle, model}
    assert other not in found
    assert backends((proxy,)) == ()  # its connections are closed again


def test_a_server_without_anything_behind_it_has_nothing(start) -> None:
    model, url = start()
    with watching((model,)) as found:
        ask(url)
    assert found == set()


def test_nobody_is_looked_for_behind_nobody() -> None:
    with watching(()) as found:
        pass
    assert found == set()
    assert backends((), "/nothing") == ()


def test_ipv6_leads_to_the_server_too(start) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    program = SERVER.replace("http.server.ThreadingHTTPServer((", "V6((").replace(
        "server = V6", "class V6(http.server.ThreadingHTTPServer): address_family = 10\nserver = V6"
    )
    words = [sys.executable, "-c", program, "", "::1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as model:
        assert model.stdout is not None
        line = model.stdout.readline()
        if not line:
            pytest.skip("::1 cannot be bound here")
        proxy, proxy_url = start(f"http://[::1]:{int(line)}")
        with watching((proxy,)) as found:
            ask(proxy_url)
        model.kill()
    assert found == {model.pid}


def test_the_books_of_a_proxy_are_not_served(tmp_path: Path) -> None:
    """A database that a proxy is connected to does not make tokens."""
    row = "  0: 0100007F:{here:04X} 0100007F:{there:04X} {state} 0:0 0:0 0 0 0 {inode} 1\n"
    table = "head\n" + row.format(here=40_000, there=5_432, state="01", inode=1)
    table += row.format(here=40_001, there=8_000, state="01", inode=2)
    table += row.format(here=5_432, there=0, state="0A", inode=3) + row.format(
        here=8_000, there=0, state="0A", inode=4
    )
    for pid, name, sockets in ((50, "litellm", (1, 2)), (60, "postgres", (3,)), (70, "llama-server", (4,))):
        home = tmp_path / str(pid)
        for part in ("fd", "net", "ns"):
            (home / part).mkdir(parents=True)
        (home / "net" / "tcp").write_text(table)
        (home / "stat").write_text(f"{pid} ({name}) S 1 {pid} {pid} 0 -1\n")
        (home / "comm").write_text(name + "\n")
        (home / "exe").symlink_to(f"/usr/bin/{name}")
        for inode in sockets:
            (home / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")
    (tmp_path / "self").symlink_to("50")
    assert backends((50,), str(tmp_path)) == (70,)
