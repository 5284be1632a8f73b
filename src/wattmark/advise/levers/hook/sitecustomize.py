"""Found by Python at its start (documentation of ``site``): does what ``WATTMARK_LEVERS`` asks for, and says what was seen.

The variable is JSON: ``{"hook": {name: level}, "values": {name: level}}``. At the end of a process one line of JSON is
added to the file that ``WATTMARK_LEVERS_REPORT`` names. Any other ``sitecustomize`` on the path is run as well. Standard
library only.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import machinery, util

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - at every start of Python
_TOLD = (
    "torch",
    "sklearn",
    "numpy",
    "transformers",
    "tensorflow",
    "jax",
    "lightgbm",
    "xgboost",
    "onnxruntime",
)
_WATCHED = "torch"


class Report:
    """What this process will say when it ends."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.refused: dict[str, str] = {}
        self.torch: dict[str, Any] = {}

    def write(self) -> None:
        """One line."""
        path = os.environ.get("WATTMARK_LEVERS_REPORT")
        declared = getattr(sys, "_wattmark_declared_levers", {})
        loaded = [name for name in _TOLD if name in sys.modules]
        if not path:
            return
        data = {
            "pid": os.getpid(),
            "loaded": loaded,
            "declared": declared,
            "applied": self.applied,
            "refused": self.refused,
            "torch": self.torch,
        }
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.write(file, (json.dumps(data) + "\n").encode())
            os.close(file)
        except OSError:
            pass


class _Watch:
    """Finds PyTorch as ever, and has the levers applied once it is loaded."""

    def __init__(self, asked: dict[str, Any], report: Report) -> None:
        self._asked, self._report = asked, report

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> machinery.ModuleSpec | None:
        """A finder's method (``importlib.abc.MetaPathFinder``)."""
        if name != _WATCHED:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def loaded(module: ModuleType) -> None:
            load(module)
            self._then(module)

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec

    def _then(self, module: ModuleType) -> None:
        try:
            side = _file("torch_side")
            side.apply(module, self._asked, self._report)
        except Exception as error:  # noqa: BLE001 - the work goes on without it
            self._report.refused["torch"] = f"{type(error).__name__}: {error}"[:300]


def _file(name: str) -> Any:
    """A module of this folder, which need not be on the path any more."""
    spec = util.spec_from_file_location(f"_wattmark_{name}", os.path.join(_HERE, f"{name}.py"))  # noqa: PTH118
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _others() -> None:
    """Run the ``sitecustomize`` that would have been found without us."""
    rest = [place for place in sys.path if os.path.abspath(place or ".") != _HERE]  # noqa: PTH100
    spec = machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(util.module_from_spec(spec))


def _begin() -> None:
    import atexit

    text = os.environ.get("WATTMARK_LEVERS")
    if text is None:
        return
    try:
        given = json.loads(text)
        asked = dict(given.get("hook", {}))
    except (ValueError, AttributeError, TypeError):
        return
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != _HERE]  # noqa: PTH100
    report = Report()
    atexit.register(report.write)
    if "gc_threshold" in asked:
        import gc

        gc.set_threshold(int(asked.pop("gc_threshold")), 20, 50)
        report.applied.append("gc_threshold")
    sys.meta_path.insert(0, _Watch(asked, report))  # type: ignore[arg-type]


try:
    _others()
finally:
    _begin()
