"""Runs as files to keep: tables (CSV, Parquet), Wattmark's own JSON, one HTML page; and everyday equivalents."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from wattmark.dashboard.api.runs.exports_page import page_of
from wattmark.dashboard.api.runs.table import RunId
from wattmark.dashboard.context import Here
from wattmark.impact.equivalents import EQUIVALENTS
from wattmark.store import export, export_name
from wattmark.workspace.runs import find_run, result

router = APIRouter(tags=["runs"])

_KINDS = {
    "csv": "application/zip",
    "parquet": "application/zip",
    "json": "application/json",
    "html": "text/html",
}


class Equivalent(BaseModel):
    """Something of everyday life: so many J, or so many g of CO2e, are one of it."""

    name: str
    of: Literal["J", "g"]
    amount: float
    source: str
    year: int
    url: str


@router.get("/equivalents")
def equivalents() -> list[Equivalent]:
    """What energies and grams of CO2e compare with, each with its source."""
    return [
        Equivalent(
            name=equivalent.name,
            of=equivalent.of,
            amount=equivalent.amount,
            source=equivalent.source,
            year=equivalent.year,
            url=equivalent.url,
        )
        for equivalent in EQUIVALENTS
    ]


@router.get("/export", response_class=FileResponse)
def export_runs(
    here: Here,
    run: Annotated[list[RunId], Query(min_length=1, max_length=500)],
    format: Literal["csv", "json", "parquet", "html"] = "csv",
) -> FileResponse:
    """Runs as one file: a zip of tables (runs, spans, power), a JSON file that Wattmark imports, or a page to read."""
    views = [find_run(here.store, ref) for ref in dict.fromkeys(run)]
    results = {view.id: result(view).to_dict() for view in views}
    name = export_name(views[0].record) if len(views) == 1 else f"wattmark-{len(views)}-runs"
    folder = Path(tempfile.mkdtemp(prefix="wattmark-export-"))
    try:
        if format == "html":
            file = folder / "page.html"
            file.write_text(page_of(views), encoding="utf-8")
        elif format == "json":
            file = folder / "runs.json"
            export([view.record for view in views], file, "json", results)
        else:
            file = folder / "tables.zip"
            tables = export([view.record for view in views], folder / name, format, results)
            with zipfile.ZipFile(
                file, "w", zipfile.ZIP_DEFLATED if format == "csv" else zipfile.ZIP_STORED
            ) as archive:
                for table in tables:
                    archive.write(table, f"{name}/{Path(table).name}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    suffix = {"csv": "csv.zip", "parquet": "parquet.zip"}.get(format, format)
    return FileResponse(
        file,
        media_type=_KINDS[format],
        filename=f"{name}.{suffix}",
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
