"""Which server is asked, and how: URL, model, endpoint, TLS, and a key that is never shown or kept."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from wattmark.errors import ConfigError
from wattmark.redact import GONE
from wattmark.serving.load.wire.connection import Address
from wattmark.serving.load.wire.endpoints import (
    CONTENT_TYPES,
    ENDPOINTS,
    GENERATING,
    JSON_TYPE,
    PAGES,
    Endpoint,
)
from wattmark.serving.load.wire.proxy import Proxy, proxy_for
from wattmark.serving.prompts.template import ChatTemplate

API_VERSION = "api-version"
_VERSIONED = re.compile(
    r"/v\d+[a-z]*\d*$|/v\d+[a-z]*\d*(/.*)?/open(ai|api)$|/deployments/[^/]+$|/serving-endpoints$"
)
"""Bases that are whole: with a version at the end, or before what gateways put after it; Azure's, Databricks'."""
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d+(/.*)?|localhost(/.*)?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """An OpenAI-compatible server.

    url: ``http://host:port`` with or without ``/v1`` (``host:port`` is plain HTTP). models: shares of the requests by
    model, as LoRA adapters are asked for. chat_template: makes a text of messages for ``/v1/completions``. dialect: a name
    of :data:`.dialects.DIALECTS`,
    or ``auto``. api_key_env and api_key_file *name* where the key is; the key itself is read when a connection is
    opened and is in no record, message or file. extra_body: fields added to every request. extra_headers: headers likewise;
    no secrets, they are shown. A base that ends in a version of its own (``/api/paas/v4``, ``/v1beta/openai``) is
    taken as it is, as is the whole path of an endpoint (``.../chat/completions``); of a query only Azure's
    ``api-version`` is taken.
    """

    url: str
    model: str | None = None
    dialect: str = "auto"
    endpoint: Endpoint = "chat"
    stream: bool = True
    api_key_env: str | None = None
    api_key_file: str | None = None
    ca_file: str | None = None
    verify_tls: bool = True
    extra_body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    models: Mapping[str, float] = field(default_factory=dict[str, float])
    chat_template: ChatTemplate | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", with_scheme(self.url))
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{shown_url(self.url)!r} is no URL of a server", hint="use http://HOST:PORT or https://HOST"
            )
        for name, ending in ENDPOINTS.items():
            if parts.path.rstrip("/").endswith(ending):  # pasted whole
                object.__setattr__(self, "endpoint", name)
                break
        for name, value in self.extra_headers.items():
            if not _HEADER.fullmatch(name) or not (value.isascii() and value.isprintable()):
                raise ConfigError(
                    f"{name!r} is no header that can be sent", hint="write Name: value, in plain text"
                )
        if self.models and not all(share > 0 for share in self.models.values()):
            raise ConfigError(
                "each model needs a share of the requests above 0", hint="write --model a=0.7,b=0.3"
            )
        if self.chat_template is not None and self.endpoint != "completions":
            raise ConfigError(
                "a chat template is for /v1/completions", hint="add --completions, or leave it out"
            )
        named = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        if parts.username or parts.password or named - {API_VERSION}:
            raise ConfigError(
                "a key or password in the server's URL would be kept with the results",
                hint="name an environment variable or a file that holds the key instead",
            )
        try:
            _ = parts.port
        except ValueError as error:
            raise ConfigError(f"{self.url!r} has no valid port: {error}") from None

    @property
    def streams(self) -> bool:
        """Whether answers come token by token."""
        return self.stream and self.endpoint in GENERATING

    @property
    def base(self) -> str:
        """The path below which the endpoints are: with the version, ``/v1`` unless the URL names another."""
        path = urlsplit(self.url).path.rstrip("/")
        for ending in ENDPOINTS.values():
            if path.endswith(ending):
                return path.removesuffix(ending)
        for page in PAGES:
            path = path.removesuffix(page)
        return path if _VERSIONED.search(path) else path + "/v1"

    @property
    def prefix(self) -> str:
        """The path before ``/v1``, below which servers have their own pages (``/metrics``)."""
        return self.base.removesuffix("/v1")

    @property
    def path(self) -> str:
        """The path that requests are posted to."""
        return self.path_of("/v1" + ENDPOINTS[self.endpoint])

    def path_of(self, path: str) -> str:
        """A path of the server as this URL has it: those of ``/v1`` below the base, others below the prefix."""
        query = urlsplit(self.url).query
        whole = self.base + path.removeprefix("/v1") if path.startswith("/v1/") else self.prefix + path
        return whole + (f"?{query}" if query else "")

    def address(self) -> Address:
        """Host, port and TLS settings. Raises ConfigError if the certificate file cannot be read."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        tls = self._tls() if parts.scheme == "https" else None
        return Address(parts.hostname, parts.port or (443 if tls else 80), tls, self.proxy)

    @property
    def proxy(self) -> Proxy | None:
        """The proxy that the environment names for this URL; None if requests go straight. Raises ConfigError."""
        return proxy_for(self.url, os.environ)

    def api_key(self) -> str | None:
        """The key, or None if none is named. Raises ConfigError if it is not where it should be."""
        if self.api_key_file is not None:
            try:
                with open(self.api_key_file, encoding="utf-8") as file:
                    key = file.read().strip()
            except OSError as error:
                raise ConfigError(
                    f"the API key cannot be read from {self.api_key_file}: {error.strerror}"
                ) from None
        elif self.api_key_env is not None:
            key = os.environ.get(self.api_key_env, "").strip()
        else:
            return None
        where = self.api_key_file or f"environment variable {self.api_key_env}"
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigError(
                f"there is no usable API key in {where}", hint=f"set it: one line of plain text in {where}"
            )
        return key

    def head(self, *, key: str | None, path: str, method: str = "POST") -> bytes:
        """The request's head without its last headers (a number, a length) and the blank line."""
        parts = urlsplit(self.url)
        host, proxy = parts.netloc, self.proxy if parts.scheme == "http" else None
        lines = [
            f"{method} {path if proxy is None else f'http://{host}{path}'} HTTP/1.1",
            f"Host: {host}",
            "User-Agent: wattmark",
            "Accept: */*",
            "Accept-Encoding: identity",
        ]
        if method == "POST":
            lines.append(f"Content-Type: {CONTENT_TYPES.get(self.endpoint, JSON_TYPE)}")
        lines += [f"{name}: {value}" for name, value in self.extra_headers.items()]
        if key is not None:
            lines.append(f"Authorization: Bearer {key}")
            if API_VERSION in parts.query:  # Azure OpenAI, REST reference
                lines.append(f"api-key: {key}")
        return ("\r\n".join(lines) + "\r\n" + (proxy.header if proxy else "")).encode("latin-1")

    def warnings(self) -> list[str]:
        """What a user should know before the key or the traffic goes out."""
        parts = urlsplit(self.url)
        warnings: list[str] = []
        keyed = self.api_key_env is not None or self.api_key_file is not None
        if keyed and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            warnings.append("the API key is sent over plain HTTP: anyone on the way can read it")
        if parts.scheme == "https" and not self.verify_tls:
            warnings.append("the server's certificate is not checked")
        if (proxy := self.proxy) is not None:
            warnings.append(
                f"requests go through the proxy {proxy} ({proxy.variable}), and its time is in the latencies; "
                "NO_PROXY names hosts that are asked straight"
            )
        return warnings

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the certificates in {self.ca_file} cannot be used: {error}") from None
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def without_key(text: str, key: str | None) -> str:
    """``text`` with the key taken out: servers like to echo it in their errors (also shortened, or quoted)."""
    if not key:
        return text
    text = text.replace(key, GONE)
    for size in range(len(key) - 1, 7, -1):  # "Incorrect API key provided: sk-abcdefgh***wxyz"
        text = text.replace(key[:size], GONE)
    return text


def with_scheme(url: str) -> str:
    """``host:port`` as the URL of plain HTTP; all else as it is."""
    url = url.strip()
    return f"http://{url}" if _HOST_AND_PORT.fullmatch(url) else url


def shown_url(url: str) -> str:
    """A URL as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else "that"
