"""The application: routes, errors as JSON that say what to do next, and the page itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from wattmark import __version__
from wattmark.dashboard.api import cycle as full_cycle
from wattmark.dashboard.api import health, live, meta, predictions, serving
from wattmark.dashboard.api.compare import curves as compare_curves
from wattmark.dashboard.api.compare import routes as compare
from wattmark.dashboard.api.run import metrics as runs_one_metrics
from wattmark.dashboard.api.run import offline_page as runs_one_page
from wattmark.dashboard.api.run import overview as runs_one
from wattmark.dashboard.api.run import power as runs_one_power
from wattmark.dashboard.api.run import spans as runs_one_spans
from wattmark.dashboard.api.runs import exports, totals, trash
from wattmark.dashboard.api.runs import table as runs_list
from wattmark.dashboard.api.studies import routes as studies
from wattmark.dashboard.api.whatif import hardware, places
from wattmark.dashboard.api.whatif import routes as whatif
from wattmark.dashboard.context import Context, Options
from wattmark.dashboard.security import Guard
from wattmark.errors import ConfigError, MissingExtra, RunNotFound, StoreError, WattmarkError
from wattmark.store import Store
from wattmark.store.team.tokens import access_of

ROUTERS: tuple[APIRouter, ...] = (
    meta.router,
    live.router,
    runs_list.router,  # with trash and totals before runs_one, whose {ref} would take their words for a run
    trash.router,
    totals.router,
    exports.router,
    compare.router,
    compare_curves.router,
    runs_one.router,
    runs_one_power.router,
    runs_one_metrics.router,
    runs_one_spans.router,
    runs_one_page.router,
    health.router,
    studies.router,
    serving.router,
    predictions.router,
    full_cycle.router,
    places.router,
    hardware.router,
    whatif.router,
)
"""Every part of the API; each module of this package that answers requests has a ``router``."""

_TEND_S = 1.0


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
        lifespan=_tending,
    )
    app.state.context = Context(store, options)
    app.add_middleware(Guard, options=options, access_of=partial(access_of, store))
    app.add_exception_handler(WattmarkError, _told)
    app.add_exception_handler(RequestValidationError, _not_as_described)
    app.add_exception_handler(HTTPException, _http_told)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.mount("/", StaticFiles(directory=options.static, html=True), name="page")
    return app


@asynccontextmanager
async def _tending(app: FastAPI) -> AsyncGenerator[None]:
    """While the dashboard is open, runs that end come into the store."""
    context: Context = app.state.context

    async def tend() -> None:
        while True:
            await run_in_threadpool(context.live.tend)
            await asyncio.sleep(_TEND_S)

    task = asyncio.create_task(tend())
    yield
    task.cancel()


async def _not_as_described(_: Request, error: Exception) -> JSONResponse:
    """A request that does not fit the description: which part of it, in words."""
    problems: list[dict[str, Any]] = list(cast(RequestValidationError, error).errors())
    messages = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in problems[:5]
    ]
    return _json({"message": "; ".join(messages), "hint": "see api/v1/openapi.json"}, 422)


async def _http_told(_: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses, in the form of all errors."""
    problem = cast(HTTPException, error)
    answer = _json({"message": problem.detail, "hint": None}, problem.status_code)
    answer.headers.update(problem.headers or {})
    return answer


def _json(content: dict[str, Any], status: int) -> JSONResponse:
    """In ASCII, since what was asked may hold half a surrogate pair, which UTF-8 cannot."""
    answer = JSONResponse(None, status)
    answer.body = json.dumps(content).encode("ascii")
    answer.headers["content-length"] = str(len(answer.body))
    return answer


_STATUS: tuple[tuple[type[WattmarkError], int], ...] = (
    (RunNotFound, 404),
    (ConfigError, 422),
    (MissingExtra, 501),
    (StoreError, 503),
)


async def _told(_: Request, error: Exception) -> JSONResponse:
    """An error of Wattmark as JSON: what happened, and the next step."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    hint = error.hint if isinstance(error, WattmarkError) else None
    return _json({"message": str(error), "hint": hint}, status)
