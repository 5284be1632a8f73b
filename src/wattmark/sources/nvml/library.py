"""Getting at NVML: are the bindings NVIDIA's own, what do its error codes mean, and who shuts it down."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from wattmark.errors import SourceError, SourceGone, SourceRetry

Severity = Literal["retry", "lost", "gone"]
"""``retry``: this reading failed; ``lost``: this GPU or this value is gone; ``gone``: NVML itself is."""


class Meaning(NamedTuple):
    """What an NVML code means: how bad, what happened and why, and what to do next."""

    severity: Severity
    what: str
    fix: str | None = None


MEANINGS: dict[int, Meaning] = {
    1: Meaning("gone", "NVML was shut down under us", "Start the measurement again."),
    2: Meaning("lost", "NVML does not accept the device or the argument"),
    3: Meaning("lost", "this GPU or driver does not support it"),
    4: Meaning(
        "lost",
        "this user may not do it",
        "Add the user to the group of /dev/nvidia* (often video or render).",
    ),
    6: Meaning("lost", "the device is no longer there"),
    8: Meaning("lost", "a power cable of the GPU is not connected", "Connect it; dmesg says which GPU."),
    9: Meaning(
        "gone",
        "the NVIDIA kernel driver is not loaded",
        "Run: sudo modprobe nvidia; then see whether nvidia-smi works.",
    ),
    12: Meaning(
        "gone",
        "libnvidia-ml.so.1 cannot be loaded",
        "Install the NVIDIA driver, or start the container with --gpus all.",
    ),
    13: Meaning("lost", "the installed NVIDIA driver is too old for it", "Update the NVIDIA driver."),
    15: Meaning(
        "lost",
        "the GPU has fallen off the bus",
        "Look for Xid 79 in dmesg; reset the GPU or reboot the machine.",
    ),
    16: Meaning("lost", "the GPU needs a reset", "Run: sudo nvidia-smi --gpu-reset; or reboot the machine."),
    17: Meaning(
        "lost", "the operating system blocked it", "In a container, check its device rules (cgroup)."
    ),
    18: Meaning(
        "gone",
        "the NVIDIA library and the loaded kernel module are of different versions (the driver was updated)",
        "Reboot, or unload and load the nvidia modules.",
    ),
    28: Meaning("lost", "no GPU was found"),
}
"""By the NVML_ERROR_* codes of nvml.h; a code that is not here (time-out, no data yet) is a retry."""


def meaning(code: int) -> Meaning:
    """The entry of :data:`MEANINGS`, or a ``retry`` that names the code."""
    return MEANINGS.get(code) or Meaning("retry", f"NVML answered with error {code}")


def source_error(code: int, doing: str) -> SourceError:
    """The exception for an NVML code met while ``doing`` something ("reading GPU 0", say)."""
    known = meaning(code)
    kind = SourceRetry if known.severity == "retry" else SourceGone
    return kind(f"{doing}: {known.what}", hint=known.fix)


class BindingsProblem(NamedTuple):
    """Why the module that ``import pynvml`` would give cannot be used, and what to do."""

    problem: str
    fix: str


_UNOFFICIAL_FIX = "Run: pip uninstall -y pynvml nvidia-ml-py3 && pip install --force-reinstall nvidia-ml-py"


def bindings_problem(path: Sequence[str] | None = None) -> BindingsProblem | None:
    """None if ``import pynvml`` gives NVIDIA's nvidia-ml-py.

    nvidia-ml-py is one file, ``pynvml.py``. The unofficial ``pynvml`` package shipped a folder ``pynvml/``
    until 11.5, which hides that file; since 12.0 it holds no bindings and only depends on nvidia-ml-py, so it
    is harmless (https://pypi.org/project/pynvml/, release notes of 12.0.0). The fork nvidia-ml-py3 ships an
    old ``pynvml.py`` of its own: there the owner is told from the RECORD of the installed distributions.
    """
    loaded = sys.modules.get("pynvml") if path is None else None
    origin = getattr(loaded, "__file__", None) or _find_module(sys.path if path is None else path)
    if origin is None:
        return BindingsProblem("the NVIDIA bindings are not installed", "Run: pip install nvidia-ml-py")
    if os.path.basename(origin) == "__init__.py":
        folder = os.path.dirname(origin)
        return BindingsProblem(
            f"the unofficial pynvml package is in the way of nvidia-ml-py ({folder})", _UNOFFICIAL_FIX
        )
    owners = _owners(origin)
    if not owners or "nvidia_ml_py" in owners:
        return None
    return BindingsProblem(
        f"the module pynvml.py is that of {' and '.join(sorted(owners))}, not of nvidia-ml-py ({origin})",
        _UNOFFICIAL_FIX,
    )


def load_bindings() -> Any:
    """The module ``pynvml`` of nvidia-ml-py.

    Raises:
        SourceGone: it is missing, unofficial, or too old to know what is needed here.
    """
    problem = bindings_problem()
    if problem:
        raise SourceGone(problem.problem, hint=problem.fix)
    import pynvml  # pyright: ignore[reportMissingTypeStubs]

    module: Any = pynvml
    if not hasattr(module, "nvmlDeviceGetFieldValues") or not hasattr(module, "nvmlInitWithFlags"):
        raise SourceGone("the pynvml module is too old or not NVIDIA's", hint=_UNOFFICIAL_FIX)
    return module


def _find_module(path: Sequence[str]) -> str | None:
    """The file that ``import pynvml`` would take: a package goes before a module in the same folder."""
    for entry in path:
        for name in ("pynvml/__init__.py", "pynvml.py"):
            candidate = os.path.join(entry or ".", name)
            if os.path.isfile(candidate):
                return candidate
    return None


def _owners(module_file: str) -> set[str]:
    """The distributions beside the file that list it in their RECORD with the size that it has."""
    folder = os.path.dirname(module_file) or "."
    size = str(os.path.getsize(module_file))
    owners: set[str] = set()
    for name in os.listdir(folder):
        if not name.endswith(".dist-info") or not name.lower().startswith(("nvidia_ml_py", "pynvml")):
            continue
        try:
            with open(os.path.join(folder, name, "RECORD"), encoding="utf-8", errors="replace") as record:
                rows = [line.strip().split(",") for line in record]
        except OSError:
            continue
        if any(row[0] == "pynvml.py" and row[-1] in ("", size) for row in rows):
            owners.add(name.lower().split("-", 1)[0])
    return owners


def ask(nvml: Any, function: str, *arguments: Any) -> Any:
    """The answer of an NVML call, or None where the GPU, the driver or the bindings have none."""
    call = getattr(nvml, function, None)
    if call is None:
        return None
    try:
        return call(*arguments)
    except nvml.NVMLError:
        return None


class NvmlSession:
    """NVML initialised; shut down when the last finding or source that holds it is gone.

    Raises:
        SourceError: NVML cannot be used; the hint says what to do.
    """

    def __init__(self) -> None:
        self.nvml = load_bindings()
        try:
            self.nvml.nvmlInitWithFlags(0)
        except self.nvml.NVMLError as error:
            raise source_error(error.value, "starting NVML") from error
        self.generation = 0
        """Goes up when a board that was lost is there again: handles from before mean nothing then."""
        self._finalizer = weakref.finalize(self, _shutdown, self.nvml, os.getpid())

    def restart(self) -> bool:
        """Shut NVML down and start it anew; whether it started. All handles from before are void."""
        ask(self.nvml, "nvmlShutdown")
        try:
            self.nvml.nvmlInitWithFlags(0)
        except self.nvml.NVMLError:
            return False
        self.generation += 1
        return True

    @property
    def driver(self) -> str:
        """The version of the driver, or "unknown"."""
        return ask(self.nvml, "nvmlSystemGetDriverVersion") or "unknown"


def _shutdown(nvml: Any, owner: int) -> None:
    if os.getpid() == owner:  # a forked child has not initialised anything
        ask(nvml, "nvmlShutdown")
