"""A run as one HTML file: the page itself with its scripts and styles inside, and the answers that it would ask for.

It opens from a disk or a mail, asks nobody, and shows the run with the same components as the dashboard.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from wattmark.dashboard.api.meta import meta
from wattmark.dashboard.api.run import metrics as runs_one_metrics
from wattmark.dashboard.api.run import overview as runs_one
from wattmark.dashboard.api.run import power as runs_one_power
from wattmark.dashboard.api.run import spans as runs_one_spans
from wattmark.dashboard.api.schemas import RunRef
from wattmark.dashboard.context import Context, Here
from wattmark.errors import ConfigError
from wattmark.store.export import export_name

router = APIRouter(prefix="/runs/{ref}", tags=["run"])
_COLUMNS = 1600
_SCRIPT = re.compile(r'<script type="module"[^>]*\ssrc="\./([^"]+)"></script>')
_STYLE = re.compile(r'<link rel="stylesheet"[^>]*\shref="\./([^"]+)">')
_SHARED = re.compile(r'\s*<link rel="modulepreload"[^>]*\shref="\./([^"]+)">')


@router.get("/page", response_class=HTMLResponse)
def page(here: Here, ref: RunRef) -> HTMLResponse:
    """The run as one file that works offline."""
    record = here.runs.get(ref).record
    html = run_page(here, record.run_id)
    name = f"wattmark-{export_name(record)}.html"
    return HTMLResponse(html, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def run_page(here: Context, ref: str) -> str:
    """The file's content. Raises RunNotFound, and ConfigError where the page was not built."""
    base = f"api/v1/runs/{ref}"
    answers: dict[str, Any] = {
        "start": f"#/run/{ref}",
        "api/v1/meta": meta(here).model_dump(),
        base: runs_one.run(here, ref).model_dump(),
        f"{base}/power": runs_one_power.power(here, ref, width=_COLUMNS).model_dump(),
        f"{base}/energy": runs_one_power.energy(here, ref).model_dump(),
        f"{base}/metrics": runs_one_metrics.metrics(here, ref).model_dump(),
        f"{base}/bands": runs_one_spans.bands(here, ref, width=_COLUMNS).model_dump(),
        f"{base}/series": runs_one_spans.series(here, ref, width=800).model_dump(),
        f"{base}/spans": runs_one_spans.spans(here, ref, limit=runs_one_spans.PAGE_MOST).model_dump(),
        f"{base}/span-groups": runs_one_spans.span_groups(here, ref).model_dump(),
    }
    apart = runs_one_power.power(here, ref, width=_COLUMNS, apart=True).model_dump()
    answers[f"{base}/power?apart=true"] = apart
    return packed(here.options.static, answers)


def packed(static: Path, answers: dict[str, Any]) -> str:
    """The page of ``frontend/saved.html`` with everything that its view needs inside, and ``answers`` for its questions."""
    try:
        index = (static / "saved.html").read_text(encoding="utf-8")
        scripts = [(static / name).read_text(encoding="utf-8") for name in _SCRIPT.findall(index)]
        shared = {name: (static / name).read_text(encoding="utf-8") for name in _SHARED.findall(index)}
        styles = [(static / name).read_text(encoding="utf-8") for name in _STYLE.findall(index)]
    except OSError as error:
        raise ConfigError("the page was not built", hint="npm run build in frontend/ makes it") from error
    if not scripts:
        raise ConfigError("the page was not built", hint="npm run build in frontend/ makes it")
    # Scripts that the first one imports come along in an import map; it knows them by names that are no addresses.
    addresses = {Path(name).name: f"#wattmark/{Path(name).name}" for name in shared}
    urls = {addresses[Path(name).name]: _as_url(_renamed(text, addresses)) for name, text in shared.items()}
    # In a script only its own end tag ends it; in JavaScript "<\\/" means the same as "</".
    module_scripts = [
        _renamed(script, addresses).replace("</script", "<\\/script").replace("<!--", "<\\!--")
        for script in scripts
    ]
    imports = json.dumps({"imports": urls})
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in [imports, *module_scripts])
    policy = (
        f"default-src 'none'; script-src data: {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(answers, separators=(",", ":")).replace("<", "\\u003c")
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    bare = _SHARED.sub("", _STYLE.sub("", _SCRIPT.sub("", index)))
    for style in styles:
        head += f"<style>{style.replace('</style', '')}</style>"
    bare = bare.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />{head}', 1)
    body = f'<script type="application/json" id="wattmark-data">{data}</script>'
    body += f'<script type="importmap">{imports}</script>'
    body += "".join(f'<script type="module">{script}</script>' for script in module_scripts)
    return bare.replace("</body>", f"{body}</body>", 1)


def _renamed(script: str, addresses: dict[str, str]) -> str:
    for name, address in addresses.items():
        script = script.replace(f'"./{name}"', f'"{address}"').replace(f"'./{name}'", f"'{address}'")
    return script


def _as_url(script: str) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(script.encode()).decode()}"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
