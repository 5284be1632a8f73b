"""ONNX files on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import Settings
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.weights import need_module

Array = NDArray[np.generic]


class _Node(Protocol):
    name: str
    shape: Sequence[int | str | None]
    type: str


class _Session(Protocol):
    def get_inputs(self) -> Sequence[_Node]: ...
    def get_outputs(self) -> Sequence[_Node]: ...
    def run(self, names: Sequence[str] | None, given: Mapping[str, Array]) -> list[Array]: ...


class OnnxSession:
    """A file, loaded. inputs: name -> shape; a size that is free is None. Raises ConfigError for what is no such file."""

    def __init__(self, path: Path, settings: Settings) -> None:
        need_module("onnxruntime", extra="vision")
        runtime = import_module("onnxruntime")
        kind = settings.device.partition(":")[0]
        provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(kind)
        if provider not in runtime.get_available_providers():
            raise ConfigError(
                f"the installed ONNX Runtime does not run on {settings.device}",
                hint="use device cpu, or install onnxruntime-gpu for cuda",
            )
        if not path.is_file():
            raise ConfigError(f"there is no ONNX file {path}")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads_of(settings)
        options.log_severity_level = 3
        self._errors = _errors_of(import_module("onnxruntime.capi.onnxruntime_pybind11_state"))
        try:
            session = runtime.InferenceSession(str(path), options, providers=[provider])
        except self._errors as error:
            raise ConfigError(f"{path} cannot be loaded by ONNX Runtime: {_first(error)}") from error
        self._session = cast("_Session", session)
        self.path = path
        self.inputs = {
            node.name: tuple(size if isinstance(size, int) else None for size in node.shape)
            for node in self._session.get_inputs()
        }

    def run(self, given: Mapping[str, Array]) -> list[Array]:
        """All outputs for the inputs by name. Raises ConfigError for inputs that the model does not take."""
        try:
            return self._session.run(None, given)
        except self._errors as error:
            raise ConfigError(f"{self.path.name} does not take these inputs: {_first(error)}") from error


def _errors_of(state: ModuleType) -> tuple[type[Exception], ...]:
    """Every error that ONNX Runtime has: they share no base but Exception."""
    own = (kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception))
    return (RuntimeError, ValueError, *own)


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
