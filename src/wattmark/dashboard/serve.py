"""Listening and serving: a port that is taken is told plainly, and Ctrl-C ends also what streams."""

from __future__ import annotations

import errno
import ipaddress
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from wattmark.errors import ConfigError

_LAST_ANSWERS_S = 3


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
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
            hint = "is another dashboard open there? --port 0 takes a free port"
            raise ConfigError(f"port {port} of {host} is taken", hint=hint) from error
        raise ConfigError(
            f"cannot listen at {host} port {port}: {error.strerror}", hint="try --port 0"
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Tells what streams that the end has come, so that it does not have to be cut off."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On a signal."""
        self._app.state.context.ending.set()
        super().handle_exit(sig, frame)


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Answer until a signal ends it."""
    config = uvicorn.Config(
        app, log_level="warning", server_header=False, timeout_graceful_shutdown=_LAST_ANSWERS_S
    )
    _Server(app, config).run(sockets=[listening])
