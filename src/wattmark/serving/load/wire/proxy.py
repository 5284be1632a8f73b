"""Proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, and NO_PROXY for what goes straight.

As curl and Python's urllib read them: the variable of the URL's scheme, lower case first, then ``ALL_PROXY``. NO_PROXY lists
hosts (their sub-domains with them), addresses, networks (``10.0.0.0/8``), each with a port if wanted, or ``*``. What is
on this machine's loopback never goes through a proxy. Plain HTTP is asked for by the whole URL (RFC 9112, 3.2.2), HTTPS
through a tunnel (``CONNECT``, RFC 9110, 9.3.6).
"""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from wattmark.errors import ConfigError

DEFAULT_PORT = 80


class Proxy(NamedTuple):
    """Where a proxy is. variable: that named it. credentials: as its header has them; never shown."""

    host: str
    port: int
    variable: str
    credentials: str | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def header(self) -> str:
        """The line of its head that it wants for itself, with its end; empty without credentials."""
        return f"Proxy-Authorization: Basic {self.credentials}\r\n" if self.credentials else ""


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy that requests to a URL go through; None if they go straight. Raises ConfigError."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if not host or is_loopback(host):
        return None
    found = _named(f"{parts.scheme}_proxy", environ) or _named("all_proxy", environ)
    if found is None or _goes_straight(host, parts.port or (443 if parts.scheme == "https" else 80), environ):
        return None
    variable, text = found
    return _parsed(variable, text)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine itself, whatever the network."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _named(name: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    for variable in (name, name.upper()):
        if variable in environ:
            text = environ[variable].strip()
            return (variable, text) if text else None  # empty: none, whatever the other says
    return None


def _parsed(variable: str, text: str) -> Proxy:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(
            f"{variable} names no proxy that can be used here",
            hint="write http://HOST:PORT, or put the server's host into NO_PROXY",
        )
    credentials = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = b64encode(pair.encode()).decode("ascii")
    return Proxy(parts.hostname, port or DEFAULT_PORT, variable, credentials)


def _goes_straight(host: str, port: int, environ: Mapping[str, str]) -> bool:
    found = _named("no_proxy", environ)
    listed = [] if found is None else found[1].replace(",", " ").split()
    return any(_fits(entry.lower(), host, port) for entry in listed)


def _fits(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # one of the two is a name
    name, colon, its_port = entry.rpartition(":")
    if colon and its_port.isdigit() and "/" not in entry:
        return int(its_port) == port and _fits(name, host, port)
    name = entry.strip("[]").removeprefix("*").lstrip(".")
    return bool(name) and (host == name or host.endswith("." + name))
