"""Proxies of the environment: which one, when none, and what it is asked."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, probe, run_load
from wattmark.serving.load.records import LoadResult
from wattmark.serving.load.wire.proxy import proxy_for
from wattmark.testing.forwarding_proxy import ForwardingProxy
from wattmark.testing.scripted_server import ScriptedServer

PROXY = {"http_proxy": "http://p:3128"}
EVERY = {
    "HTTP_PROXY": "http://p:3128",
    "HTTPS_PROXY": "http://s:3129",
    "NO_PROXY": "own.example, .dot.example,10.0.0.0/8",
}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("http://far.example/v1", PROXY, "p:3128"),
        ("https://far.example/v1", PROXY, None),
        ("https://far.example/v1", EVERY, "s:3129"),
        ("https://far.example/v1", {"ALL_PROXY": "a:81"}, "a:81"),
        ("http://far.example", {"http_proxy": "low:1", "HTTP_PROXY": "up:2"}, "low:1"),
        ("http://far.example", {"http_proxy": "", "HTTP_PROXY": "up:2"}, None),
        ("http://localhost:8000", EVERY, None),
        ("http://127.0.0.5:8000", EVERY, None),
        ("http://[::1]:8000", EVERY, None),
        ("http://0.0.0.0:8000", EVERY, None),
        ("http://own.example", EVERY, None),
        ("http://sub.own.example", EVERY, None),
        ("http://notown.example", EVERY, "p:3128"),
        ("http://sub.dot.example", EVERY, None),
        ("http://10.1.2.3:9", EVERY, None),
        ("http://11.1.2.3:9", EVERY, "p:3128"),
        ("http://far.example:8080", {**PROXY, "no_proxy": "far.example:8080"}, None),
        ("http://far.example:8081", {**PROXY, "no_proxy": "far.example:8080"}, "p:3128"),
        ("http://far.example", {**PROXY, "no_proxy": "*"}, None),
        ("http://far.example", {}, None),
    ],
)
def test_which_proxy_a_url_goes_through(url: str, environ: dict[str, str], proxy: str | None):
    found = proxy_for(url, environ)
    assert (None if found is None else str(found)) == proxy


@pytest.mark.parametrize("text", ["socks5://p:1", "https://p:1", "http://p:port", "http://"])
def test_proxies_that_cannot_be_used_are_told_with_the_variable(text: str):
    with pytest.raises(ConfigError, match="http_proxy names no proxy"):
        proxy_for("http://far.example", {"http_proxy": text})


def run(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    tls: ssl.SSLContext | None = None,
    refuse: str | None = None,
    **target: object,
) -> tuple[LoadResult, ForwardingProxy, ScriptedServer]:
    """A load on a server whose name only the proxy knows."""

    async def main() -> tuple[LoadResult, ForwardingProxy, ScriptedServer]:
        async with ScriptedServer(tls=tls) as server:
            where = urlsplit(server.url)
            async with ForwardingProxy((where.hostname or "", where.port or 0), refuse=refuse) as proxy:
                user = proxy.url.replace("http://", "http://me:se%20cret@")
                for name in ("http_proxy", "https_proxy"):
                    monkeypatch.setenv(name, user)
                at = Target(url, **target)  # type: ignore[arg-type]
                profile = await probe(at)
                limits = Limits(requests=6, scrape_s=None)
                load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
                return (
                    await run_load(at, ClosedLoop.of(2), load, limits=limits, profile=profile),
                    proxy,
                    server,
                )

    return asyncio.run(main())


def test_plain_http_is_asked_for_by_its_whole_url(monkeypatch: pytest.MonkeyPatch):
    result, proxy, server = run("http://server.test:8000", monkeypatch)
    assert result.counts == {"ok": 6}
    assert "GET http://server.test:8000/v1/models HTTP/1.1" in proxy.asked
    assert proxy.asked[-1] == "POST http://server.test:8000/v1/chat/completions HTTP/1.1"
    assert proxy.heads[-1]["host"] == "server.test:8000"
    expected = base64.b64encode(b"me:se cret").decode()
    assert {head["proxy-authorization"] for head in proxy.heads} == {f"Basic {expected}"}
    assert len(server.log) >= 6
    (warning,) = [text for text in result.warnings if "proxy" in text]
    assert "http_proxy" in warning
    assert "cret" not in warning


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=server.test",
    ]
    command += ["-addext", "subjectAltName=DNS:server.test", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_https_goes_through_a_tunnel_and_the_certificate_is_the_servers(
    monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    monkeypatch.setenv("KEY_OF_TEST", "sk-key")
    result, proxy, server = run(
        "https://server.test", monkeypatch, tls=context, ca_file=str(certificate[0]), api_key_env="KEY_OF_TEST",
    )  # fmt: skip
    assert result.counts == {"ok": 6}
    assert set(proxy.asked) == {"CONNECT server.test:443 HTTP/1.1"}
    assert all("authorization" not in head for head in proxy.heads)
    assert server.log[-1].headers["authorization"] == "Bearer sk-key"
    assert "proxy-authorization" not in server.log[-1].headers


@pytest.mark.parametrize("url", ["http://server.test", "https://server.test"])
def test_a_proxy_that_says_no_is_named(monkeypatch: pytest.MonkeyPatch, url: str):
    with pytest.raises(ServerError, match="407") as told:
        run(url, monkeypatch, refuse="407 Proxy Authentication Required")
    assert "cret" not in f"{told.value} {told.value.hint}"


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ServerError, match=r"the proxy 127.0.0.1:9 \(https_proxy\)"):
        asyncio.run(probe(Target("https://server.test")))
