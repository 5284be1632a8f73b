"""Backends of the inference stage: torch as trained, ONNX Runtime, int8 by dynamic quantisation."""

from __future__ import annotations

import copy
import importlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from wattmark.errors import ConfigError, MissingExtra
from wattmark.workloads.vision.config import TrainConfig

Predict = Callable[[Tensor], Tensor]


def logits(output: Any) -> Tensor:
    """The scores in a model's output: Hugging Face models wrap them, others give them as they are."""
    return cast("Tensor", getattr(output, "logits", output))


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """Mixed precision as configured; in fp32 it does nothing."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(config.precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def predictor(model: nn.Module, config: TrainConfig, shape: tuple[int, int, int]) -> Predict:
    """A function from pixels (b, c, h, w) on the configured device to scores (b, num_classes), for images of
    ``shape``.

    Raises ConfigError where this torch or this machine cannot do it, MissingExtra where a library is missing.
    """
    return _BACKENDS[config.backend](model, config, shape)


def _torch(model: nn.Module, config: TrainConfig, _shape: tuple[int, int, int]) -> Predict:
    model.eval()

    def predict(pixels: Tensor) -> Tensor:
        with autocast(config, pixels.device):
            return logits(model(pixels))

    return predict


def _int8(model: nn.Module, config: TrainConfig, _shape: tuple[int, int, int]) -> Predict:
    """Linear and recurrent layers only: torch's dynamic quantisation has no convolutions (its documentation
    says which)."""
    quantise: Any = getattr(_quantisation(), "quantize_dynamic", None)
    if quantise is None:
        raise ConfigError(
            f"torch {torch.__version__} has no dynamic quantisation", hint="use torch 2.13 or older"
        )
    kinds = {nn.Linear, nn.LSTM, nn.GRU}
    if not any(type(module) in kinds for module in model.modules()):
        raise ConfigError(f"{config.model} has no linear or recurrent layer that int8 could quantise")
    with warnings.catch_warnings():
        # It says in each call that it will move to another package; what this one has is checked above.
        warnings.simplefilter("ignore")
        quantised: nn.Module = quantise(copy.deepcopy(model).cpu().eval(), kinds, dtype=torch.qint8)

    def predict(pixels: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return logits(quantised(pixels))

    return predict


def _quantisation() -> Any:
    try:
        return importlib.import_module("torch.ao.quantization")
    except ModuleNotFoundError:
        return None


def _onnxruntime(model: nn.Module, config: TrainConfig, shape: tuple[int, int, int]) -> Predict:
    runtime = _optional("onnxruntime")
    for package in ("onnx", "onnxscript"):
        _optional(package)
    kind = config.device.partition(":")[0]
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(kind)
    if provider not in runtime.get_available_providers():
        raise ConfigError(
            f"the installed ONNX Runtime does not run on {config.device}",
            hint="use device cpu, or install onnxruntime-gpu for cuda",
        )
    options = runtime.SessionOptions()
    if config.threads is not None:
        options.intra_op_num_threads = config.threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _export(model, shape, path)
        session = runtime.InferenceSession(str(path), options, providers=[provider])
    name: str = session.get_inputs()[0].name

    def predict(pixels: Tensor) -> Tensor:
        scores: Any = session.run(None, {name: pixels.cpu().numpy()})[0]
        return torch.as_tensor(scores)

    return predict


class _Scores(nn.Module):
    """A model whose output is a plain tensor."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, num_classes)."""
        return logits(self.model(pixels))


def _export(model: nn.Module, shape: tuple[int, int, int], path: Path) -> None:
    # An example of two, because a size of one would be taken for a constant.
    pixels = torch.zeros(2, *shape)
    plain = _Scores(copy.deepcopy(model).cpu()).eval()
    export = cast("Any", torch.onnx).export
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter uses parts of torch that torch deprecates
        export(
            plain,
            (pixels,),
            path,
            dynamo=True,
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
            external_data=False,
            verbose=False,
        )


def _optional(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or package, "vision") from error


_BACKENDS: dict[str, Callable[[nn.Module, TrainConfig, tuple[int, int, int]], Predict]] = {
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "int8": _int8,
}
