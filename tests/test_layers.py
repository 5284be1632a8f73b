"""The shape of the package (docs/extend/how-it-is-built.md): who may import whom, what is private, how full a folder may be,
no circles, and that every folder says what it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import wattmark

PACKAGE = Path(wattmark.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = {
    ".".join(("wattmark", *path.parent.relative_to(PACKAGE).parts)) for path in PACKAGE.rglob("__init__.py")
}
LAYERS = (
    (
        "documents",
        "errors",
        "units",
        "quantity",
        "statistics",
        "text",
        "paths",
        "settings",
        "redact",
        "extras",
        "_version",
    ),
    ("sources",),
    ("recorder",),
    ("limits",),
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
    ("lifecycle",),
    ("agent",),
    ("report",),
    ("dashboard",),
    ("integrations",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
BASE_ORDER = {
    "settings": {"errors", "paths"},
    "quantity": {"documents", "units", "errors"},
    "units": {"settings"},
    "statistics": {"quantity", "errors"},
    "text": {"units"},
    "extras": {"errors"},
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
    "impact.providers",
    "impact.series",
    "predict.base",
    "predict.registry",
    "predict.layers",
    "workloads.tasks",
    "tracker.process",
    "workspace.library",
    "workspace.comparing",
    "integrations.training",
    "integrations.trackers",
}
"""Contract suites support the interfaces that third parties may implement."""
MOST_MODULES, MOST_ENTRIES = 14, 18
"""In one folder, ``__init__`` counted: modules, and modules with sub-packages. More wants a sub-package
(docs/extend/how-it-is-built.md says which lives where). The package itself holds the layers, however many they are."""


OF_NAMED_TUPLES = {"_asdict", "_fields", "_field_defaults", "_make", "_replace"}
"""Public in spite of their names (docs.python.org, collections.namedtuple)."""
ON_SCREEN_ONLY = {"top", "ui", "recover", "anatomy", "agent"}
"""Commands without a function in ``wm``: screens, the agent, the repair of journals, and ``wattmark.anatomy.describe``."""
NOT_COMMANDS = {
    "Carbon",
    "Quantity",
    "Run",
    "RunList",
    "Study",
    "WattmarkError",
    "carbon",
    "current_run",
    "levers",
    "span",
} | {
    "__version__",
    "testing",
}
"""Names of ``wm`` that are types, parts of a measured script, or what ``show`` says too."""


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
    packages = {folder: [other for other in modules if other.parent == folder] for folder in modules}
    crowded = {
        str(folder): f"{len(names)} modules, {len(packages[folder])} sub-packages"
        for folder, names in modules.items()
        if len(names) > MOST_MODULES
        or (folder != PACKAGE and len(names) + len(packages[folder]) > MOST_ENTRIES)
    }
    assert not crowded, f"make a sub-package of what belongs together: {crowded}"
    shared = {
        f"{folder}/{prefix}_*"
        for folder, names in modules.items()
        for prefix in {name.split("_")[0] for name in names if "_" in name.strip("_")}
        if prefix and sum(name.split("_")[0] == prefix for name in names) > 2
    }
    assert not shared, f"a prefix that three files share is a folder: {sorted(shared)}"


def private_uses(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """``line: name`` of what a module uses of another package though its name begins with ``_``.

    A private module or name is its folder's: modules of the folder and of folders inside it may use it.
    """
    tree = ast.parse(source)
    folder = module if is_package else module.rpartition(".")[0]
    uses = imports_of(source, module, is_package=is_package)
    homes = {
        name.asname or name.name: f"{node.module}.{name.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wattmark")
        for name in node.names
    }
    uses |= {
        (f"{homes[node.value.id]}.{node.attr}", node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in homes
    }
    complaints: list[str] = []
    for name, line in sorted(uses, key=lambda use: (use[1], use[0])):
        parts = name.split(".")
        private = [place for place, part in enumerate(parts) if re.fullmatch(r"_(?!_).*", part)]
        if not private or name == "wattmark._version.__version__" or parts[-1] in OF_NAMED_TUPLES:
            continue
        owner = ".".join(parts[: private[0]])
        owner = owner if owner in PACKAGES else owner.rpartition(".")[0]
        if f"{folder}.".startswith(f"{owner}.") and owner != "wattmark":
            continue
        complaints.append(f"{line}: {name}")
    return complaints


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_uses_no_private_name_of_another_package(path: Path):
    source = path.read_text(encoding="utf-8")
    uses = private_uses(source, name_of(path), is_package=path.stem == "__init__")
    assert not uses, f"{path}: give it a public name, or move what uses it: {uses}"


def test_the_check_of_private_names_sees_what_it_must_see():
    def complaints(source: str, module: str) -> list[str]:
        return [use.partition(": ")[2] for use in private_uses(source, module)]

    assert complaints("from wattmark.runs.view import _bounds", "wattmark.cli.run") == [
        "wattmark.runs.view._bounds"
    ]
    assert complaints("from wattmark.store import pack\npack._split(t)", "wattmark.cli.run") == [
        "wattmark.store.pack._split"
    ]
    assert complaints("from wattmark.runs._parts import Part", "wattmark.store.pack")
    assert complaints("def f():\n    from ..runs._parts import Part", "wattmark.store.pack")
    assert complaints("from wattmark.runs.view import RunView\nRunView._find()", "wattmark.cli.run")
    assert not complaints("from wattmark.runs._parts import Part", "wattmark.runs.view")
    assert not complaints("from wattmark.runs._parts import Part", "wattmark.runs.reading.session")
    assert not complaints("from wattmark._version import __version__", "wattmark.cli.app")
    assert not complaints(
        "from wattmark.sources.base import Accuracy\nAccuracy._fields", "wattmark.runs.result"
    )


def test_tests_lie_where_their_packages_lie():
    folders = {
        path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py") if path.parent != TESTS
    } - {Path("browser")}  # of the whole page
    astray = sorted(str(folder) for folder in folders if not (PACKAGE / folder / "__init__.py").exists())
    assert not astray, f"tests mirror src/wattmark, where there is no such package: {astray}"


def test_every_command_has_its_function_and_the_other_way_round():
    from wattmark.cli.app import COMMANDS

    page = (TESTS.parent / "docs/reference/python.md").read_text(encoding="utf-8")
    rows = "".join(line for line in page.splitlines(keepends=True) if line.startswith("| `"))
    cells = [cell.strip() for cell in rows.replace("\n", "").split("|") if cell.strip()]
    commands = {word.split()[0] for cell in cells for word in re.findall(r"`([a-z][a-z ]*)`", cell)}
    functions = {word for cell in cells for word in re.findall(r"`wm\.(\w+)`", cell)}
    assert set(COMMANDS) - commands == ON_SCREEN_ONLY, "a row for it in docs/reference/python.md"
    assert functions <= set(wattmark.__all__)
    assert set(wattmark.__all__) - functions - NOT_COMMANDS == set(), "a command for it, and its row"


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
