"""The application: routes, errors as JSON that say what to do next, and the page itself."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from wattmark import __version__
from wattmark.dashboard import meta, studies
from wattmark.dashboard.context import Context, Options
from wattmark.errors import ConfigError, MissingExtra, RunNotFound, WattmarkError
from wattmark.store import Store

ROUTERS: tuple[APIRouter, ...] = (
    meta.router,
    studies.router,
)
"""Every part of the API; each module of this package that answers requests has a ``router``."""


def create_app(store: Store, options: Options | None = None) -> FastAPI:
    """The dashboard over a store. The caller keeps the store open as long as the app is used."""
    options = options or Options()
    app = FastAPI(
        title="Wattmark",
        version=__version__,
        summary="Energy and carbon of AI runs, studies and servers",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = Context(store, options)
    app.add_exception_handler(WattmarkError, _told)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.mount("/", StaticFiles(directory=options.static, html=True), name="page")
    return app


_STATUS: tuple[tuple[type[WattmarkError], int], ...] = (
    (RunNotFound, 404),
    (ConfigError, 422),
    (MissingExtra, 501),
)


async def _told(_: Request, error: Exception) -> JSONResponse:
    """An error of Wattmark as JSON: what happened, and the next step."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    hint = error.hint if isinstance(error, WattmarkError) else None
    return JSONResponse({"message": str(error), "hint": hint}, status)
