"""Listening and serving: a port that is taken is told plainly, and Ctrl-C ends also what streams."""

from __future__ import annotations

import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

_LAST_ANSWERS_S = 3


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
