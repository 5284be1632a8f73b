"""What is loaded where: asserted on modules, since time says more about the machine than about the code."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wattmark

SRC = Path(wattmark.__file__).parent.parent
PACKAGE = SRC / "wattmark"

HEAVY = {
    "numpy", "psutil", "sqlalchemy", "alembic", "pydantic", "typer", "rich", "pandas", "torch",
    "subprocess", "asyncio", "inspect", "dataclasses", "importlib.metadata", "pathlib", "logging", "socket", "tempfile",
    "multiprocessing", "concurrent.futures", "urllib.request", "ctypes", "tomllib", "tomli", "difflib",
}  # fmt: skip


def modules_after(*statements: str) -> set[str]:
    """The modules that a bare interpreter (no site, no environment) has loaded after the statements."""
    code = "\n".join(
        [
            "import sys",
            f"sys.path.insert(0, {str(SRC)!r})",
            *statements,
            "print(*sys.modules, sep='\\n', end='')",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split("\n"))


def recorder_modules() -> list[str]:
    """All that the recorder's process may load: the sources and the recorder, and what is above them."""
    files = [path for name in ("sources", "recorder") for path in sorted((PACKAGE / name).rglob("*.py"))]
    names = [
        ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__") for path in files
    ]
    return [
        "wattmark.errors",
        "wattmark.units",
        "wattmark.paths",
        "wattmark.redact",
        "wattmark.settings",
        *names,
    ]


def test_the_package_itself_loads_nothing():
    loaded = modules_after("import wattmark") - modules_after("import __future__")
    assert loaded == {"wattmark"}


def test_a_measured_process_loads_nothing_heavy():
    loaded = modules_after("import wattmark.tracker.measure")
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith("wattmark.sources")}
    assert not loaded & {
        "typing",
        "enum",
        "re",
        "collections",
        "functools",
        "contextlib",
        "threading",
        "signal",
        "json",
    }


def test_settings_and_facts_of_a_plain_process_load_nothing_heavy(tmp_path: Path):
    plain = modules_after(
        "import os",
        f"os.chdir({str(tmp_path)!r}); os.environ['WATTMARK_DATA_DIR'] = {str(tmp_path)!r}",
        "from wattmark import settings; from wattmark.tracker import process_facts as facts",
        "settings.recorder_settings({}); facts.process_facts()",
    )
    assert not plain & HEAVY


def test_redaction_compiles_no_pattern_for_a_plain_command_line():
    code = (
        "from wattmark import redact; import re; compiled = []; whole = re._compile",
        "re._compile = lambda *given: compiled.append(given) or whole(*given)",
        "words = ['/home/someone/project/.venv/bin/python3.11', '-u', 'train.py', '--lr', '0.1', '--max-tokens', '128']",
        "assert redact.redact_arguments(words) == words and not compiled, compiled",
    )
    modules_after(*code)


@pytest.mark.parametrize("name", recorder_modules())
def test_the_recorder_side_needs_the_standard_library_only(name: str):
    loaded = modules_after(f"import {name}")
    foreign = (
        {one.partition(".")[0] for one in loaded} - set(sys.stdlib_module_names) - {"wattmark", "__main__"}
    )
    assert foreign <= {"zipimport"}
    assert not loaded & {
        "inspect",
        "dataclasses",
        "pathlib",
        "subprocess",
        "asyncio",
        "logging",
        "importlib.metadata",
    }


def test_the_recorder_process_loads_no_layer_below_it():
    loaded = modules_after("import wattmark.recorder.process")
    layers = {one.split(".")[1] for one in loaded if one.startswith("wattmark.")}
    assert layers <= {"errors", "units", "paths", "redact", "settings", "sources", "recorder"}


def test_every_public_name_is_found_when_asked_for():
    code = "import json, wattmark; print(json.dumps({n: getattr(wattmark, n).__name__ for n in wattmark._HOMES}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    names = json.loads(done.stdout)
    assert names == {name: name for name in wattmark._HOMES}


def test_packages_that_are_functions_too_stay_packages():
    code = """
import wattmark.runs.view
import wattmark as wm
from wattmark import sources
from wattmark.sources.base import Host
assert callable(wm.runs) and callable(wm.sources) and sources is wm.sources
assert wm.runs.view is wattmark.runs.view
assert wm.sources(["!nvml"]).to_dict()["sources"] and len(wm.runs()) == 0
assert wm.runs.view.RunView
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(SRC)})


def test_what_editors_complete_is_what_there_is():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    names = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    names |= {
        alias.asname
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert names == set(wattmark.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'measured'"):
        wattmark.measured  # noqa: B018  # pyright: ignore


def test_the_first_load_of_the_page_is_light() -> None:
    """What the browser must have before it can show anything, as a server sends it compressed."""
    static = Path(wattmark.__file__).parent / "dashboard/static"
    index = (static / "index.html").read_text(encoding="utf-8")
    names = ["index.html", *re.findall(r'(?:src|href)="\./([^"]+)"', index)]
    assert len(names) > 2
    weight = sum(len(gzip.compress((static / name).read_bytes(), 9, mtime=0)) for name in names)
    assert weight < 60 * 1024
