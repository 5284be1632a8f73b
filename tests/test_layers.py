"""The shape of the package (docs/extend/how-it-is-built.md): who may import whom, how full a folder may be, no circles,
and that every folder says what it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wattmark

PACKAGE = Path(wattmark.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = (
    ("errors", "units", "quantity", "statistics", "text", "paths", "settings", "redact", "_version"),
    ("sources",),
    ("recorder",),
    ("runs",),
    ("tracker",),
    ("impact",),
    ("store",),
    ("workspace",),
    ("anatomy",),
    ("reasoning",),
    ("serving",),
    ("workloads",),
    ("studies",),
    ("predict",),
    ("advise",),
    ("plan",),
    ("agent",),
    ("report",),
    ("dashboard",),
    ("integrations",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
BASE_ORDER = {
    "settings": {"errors", "paths"},
    "quantity": {"units", "errors"},
    "units": {"settings"},
    "statistics": {"quantity", "errors"},
    "text": {"units"},
}
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
MOST_MODULES = 14
"""In one folder; more wants a sub-package (docs/extend/how-it-is-built.md says which lives where)."""


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
    "path",
    [path for path in FILES if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")],
    ids=name_of,
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


def test_a_folder_is_taken_in_at_a_glance():
    modules: dict[Path, list[str]] = {}
    for path in FILES:
        modules.setdefault(path.parent, []).append(path.stem)
    crowded = {
        str(folder): len(names)
        for folder, names in modules.items()
        if len(names) > MOST_MODULES and folder != PACKAGE
    }
    assert not crowded, (
        f"more than {MOST_MODULES} modules: make a sub-package of what belongs together: {crowded}"
    )
    shared = {
        f"{folder}/{prefix}_*"
        for folder, names in modules.items()
        for prefix in {name.split("_")[0] for name in names if "_" in name.strip("_")}
        if prefix and sum(name.split("_")[0] == prefix for name in names) > 2
    }
    assert not shared, f"a prefix that three files share is a folder: {sorted(shared)}"


def test_modules_do_not_import_in_circles():
    names = {name_of(path) for path in FILES}
    graph: dict[str, set[str]] = {}
    for path in FILES:
        module = name_of(path)
        at_start = imports_at_start(path.read_text(encoding="utf-8"))
        graph[module] = {
            target if target in names else target.rpartition(".")[0]
            for target in at_start
            if (target in names or target.rpartition(".")[0] in names)
        } - {module, "wattmark"}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, "a circle: " + " -> ".join((*way[way.index(module) :], module))
        if module in done:
            return
        for target in sorted(graph.get(module, ())):
            visit(target, (*way, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def imports_at_start(source: str) -> set[str]:
    """Full names of what a module imports while it is loaded (not for types only, not inside functions)."""
    names: set[str] = set()
    todo: list[ast.stmt] = list(ast.parse(source).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "wattmark":
            names.update(f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            names.update(name.name for name in node.names if name.name.split(".")[0] == "wattmark")
        elif isinstance(node, ast.Try):
            todo.extend(node.body)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            todo.extend([*node.body, *node.orelse])
    return names


@pytest.mark.parametrize("path", [path for path in FILES if path.stem == "__init__"], ids=name_of)
def test_a_folder_says_what_lives_in_it(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} needs a docstring"


def test_every_folder_with_modules_is_a_package():
    bare = {path.parent for path in FILES if not (path.parent / "__init__.py").exists()}
    assert not bare, f"no __init__.py in {sorted(map(str, bare))}"
