"""A TCP socket that listens: a port that is taken is told plainly."""

from __future__ import annotations

import errno
import ipaddress
import socket

from wattmark.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int, what: str = "dashboard") -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Raises ConfigError where the address is taken, not allowed, or not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"there is no address {host}", hint="--host 127.0.0.1 is this machine") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"is another {what} open there? --port 0 takes a free port"
            raise ConfigError(f"port {port} of {host} is taken", hint=hint) from error
        raise ConfigError(
            f"cannot listen at {host} port {port}: {error.strerror}", hint="try --port 0"
        ) from error
    return listener
