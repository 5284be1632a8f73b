"""The shape of the package: who may import whom, how long a module may be, and that every folder says what it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wattmark

PACKAGE = Path(wattmark.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = (
    ("errors", "units", "quantity", "paths", "settings", "redact"), ("sources",), ("recorder",), ("runs",), ("store",),
    ("impact",), ("anatomy",), ("workloads",), ("serving",), ("studies",), ("predict",), ("advise",), ("plan",),
    ("report",), ("dashboard",), ("integrations",), ("cli",),
)  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
BASE_ORDER = {"settings": {"errors", "paths"}, "quantity": {"units"}}
"""Who of the first layer may import whom of it."""
TESTING_MAY = {
    "errors",
    "units",
    "quantity",
    "paths",
    "sources",
    "store",
    "runs.record",
    "studies",
    "serving",
}
"""Contract suites support the interfaces that third parties may implement."""
MOST_LINES = 400


def imports_of(source: str, module: str, *, is_package: bool = False) -> set[tuple[str, int]]:
    """``(full name, line)`` of everything of this project that a module imports, also inside functions."""
    found: set[tuple[str, int]] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                kept = len(parts) - node.level + is_package
                base = ".".join([*parts[:kept], *([base] if base else [])])
            # "from wattmark import settings" names a module, "from wattmark.runs import facts" the layer in any case.
            found.update((f"{base}.{name.name}", node.lineno) for name in node.names)
    return {(name, line) for name, line in found if name.split(".")[0] == "wattmark"}


def complaint(module: str, imported: str) -> str | None:
    """Why ``module`` may not import ``imported``, or None."""
    target = imported.split(".")[1:]
    if not target or target[0] == "__version__":
        return None
    home = wattmark._HOMES.get(target[0])  # "from wattmark import measure" means the module that it lives in
    if home is not None:
        return complaint(module, home)
    own, other = module.split(".")[1], target[0]
    if own == "testing":
        allowed = other in TESTING_MAY | {"testing"} or ".".join(target[:2]) in TESTING_MAY
        return None if allowed else f"testing supports {', '.join(sorted(TESTING_MAY))} only"
    if other not in LEVEL:
        return f"{other!r} is in no layer"
    if own == other or LEVEL[other] < LEVEL[own]:
        return None
    if LEVEL[other] == LEVEL[own]:
        return None if other in BASE_ORDER.get(own, ()) else f"{own} must not depend on {other}"
    return f"{other!r} is a layer below {own!r}: what both need belongs in a layer above"


def name_of(path: Path) -> str:
    return ".".join(("wattmark", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent != PACKAGE or path.stem != "__init__"], ids=name_of
)
def test_a_module_imports_only_from_layers_above_it(path: Path):
    module = name_of(path)
    own = module.split(".")[1]
    assert own == "testing" or own in LEVEL, f"{module} is in no layer: name {own!r} in LAYERS and DESIGN.md"
    imported = imports_of(path.read_text(encoding="utf-8"), module, is_package=path.stem == "__init__")
    wrong = [
        f"{path}:{line} imports {name}: {why}"
        for name, line in sorted(imported)
        if (why := complaint(module, name))
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_check_sees_what_it_must_see():
    source = "def f():\n    from wattmark.cli import main\n    from ..store import store\nfrom wattmark import units\n"
    found = {name for name, _ in imports_of(source, "wattmark.runs.view")}
    assert found == {"wattmark.cli.main", "wattmark.store.store", "wattmark.units"}
    assert complaint("wattmark.runs.view", "wattmark.cli.main")
    assert complaint("wattmark.runs.view", "wattmark.store.store")
    assert complaint("wattmark.errors", "wattmark.settings")
    assert complaint("wattmark.testing.stores", "wattmark.tracker.measure")
    assert complaint("wattmark.runs.view", "wattmark.nowhere")
    assert not complaint("wattmark.runs.view", "wattmark.units")
    assert not complaint("wattmark.testing.stores", "wattmark.runs.record.RunRecord")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_fits_in_one_reading(path: Path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{path} has {lines} lines, {MOST_LINES} at most: split it by what it does"


@pytest.mark.parametrize("path", [path for path in FILES if path.stem == "__init__"], ids=name_of)
def test_a_folder_says_what_lives_in_it(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} needs a docstring"


def test_every_folder_with_modules_is_a_package():
    bare = {path.parent for path in FILES if not (path.parent / "__init__.py").exists()}
    assert not bare, f"no __init__.py in {sorted(map(str, bare))}"
