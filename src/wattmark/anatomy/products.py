"""Products that ran and were not counted: operators without a formula, and matrices that no counted operator used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from wattmark.anatomy.formulas import missing_formulas

# They move or look up what is in a matrix, or scale by it; none multiplies rows by columns.
_NO_PRODUCT = frozenset((
    "embedding", "embedding_bag", "_embedding_bag", "index", "index_select", "gather", "clone", "copy", "copy_",
    "_to_copy", "cat", "stack", "native_layer_norm", "native_group_norm", "native_batch_norm",
    "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "batch_norm", "layer_norm",
    "_fused_rms_norm", "rms_norm", "sum", "mean", "amax", "equal", "isfinite", "norm", "linalg_vector_norm",
    "upsample_bicubic2d", "upsample_bilinear2d", "roll", "repeat", "flip", "constant_pad_nd", "resize_", "set_",
    "fill_", "zero_", "sort", "topk", "argmax", "argmin", "scatter", "scatter_add", "index_add", "index_put",
    "index_put_", "cudnn_batch_norm", "miopen_batch_norm", "native_dropout", "bernoulli", "contiguous",
    "slice_scatter", "select_scatter", "_softmax", "_log_softmax", "cumsum", "where", "lift_fresh",
    "_weight_norm_interface", "quantize_per_tensor", "dequantize", "grid_sampler_2d", "_local_scalar_dense", "item",
    "var_mean", "std", "var", "std_mean", "max", "min", "prod", "any", "all", "amin",
))  # fmt: skip


class UncountedProducts(TorchDispatchMode):
    """Watches a forward pass of ``model`` from below the FLOP counter, whose decompositions it therefore sees."""

    def __init__(self, model: nn.Module) -> None:
        cast("Any", super()).__init__()
        self._formulas = {*flop_registry, *missing_formulas()}
        self._names: set[str] = set()
        self._used: dict[int, set[str]] = {}
        self._counted: set[int] = set()
        self._matrices = {
            _storage(parameter): (path, type(module).__name__)
            for path, module in cast("Iterator[tuple[str, nn.Module]]", model.named_modules())
            for parameter in cast("Iterator[Tensor]", module.parameters(recurse=False))
            if parameter.dim() > 1 and min(parameter.shape[-2:]) > 1 and parameter.layout is torch.strided
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operator: run it, and note what it was if nobody counts it."""
        result = func(*args, **(kwargs or {}))
        inputs = list(tensors_in((args, kwargs or {})))
        if all(tensor.numel() for tensor in inputs):  # no rows, no work: an expert that nobody was sent to
            packet = func._overloadpacket
            counted = packet in self._formulas
            name = str(packet)
            if not counted and _is_product(name):
                self._names.add(name)
            product = counted or not _is_benign(func, inputs, result)
            for tensor in inputs if product else ():
                if tensor.layout is torch.strided and (key := _storage(tensor)) in self._matrices:
                    self._used.setdefault(key, set()).add(name)
                    if counted:
                        self._counted.add(key)
        return result

    def warnings(self) -> tuple[str, ...]:
        """What may be missing, a sentence each."""
        sentences = [
            f"{name} has no formula, so its multiply-accumulates are missing" for name in sorted(self._names)
        ]
        layers: dict[str, tuple[str, set[str]]] = {}
        for key, names in self._used.items():
            if key not in self._counted and not names & self._names:
                path, kind = self._matrices[key]
                layers.setdefault(path, (kind, set()))[1].update(names)
        sentences += [
            f"{path or 'the model itself'} ({kind}) has matrices and ran, and no multiply-accumulates of them were "
            f"counted ({', '.join(sorted(names))})"
            for path, (kind, names) in layers.items()
        ]
        return tuple(sentences)


def _is_product(name: str) -> bool:
    """Whether an operator's name says that it multiplies matrices: ``aten._grouped_mm``, ``mylib.fused_gemm``."""
    words = name.rpartition(".")[2].lower().split("_")
    return any(word.endswith("mm") or "matmul" in word or word == "bmm" for word in words)


def _is_benign(func: Any, inputs: list[Tensor], result: Any) -> bool:
    """Whether an operator without a formula cannot be a product of matrices."""
    if func.namespace not in ("aten", "prims", "prim", "profiler", "detach"):
        return False
    if func.is_view or func._overloadpacket.__name__ in _NO_PRODUCT:
        return True
    if torch.Tag.pointwise not in func.tags:
        return _is_made_without(func)
    # An outer product written out, to be summed: x[:, None] * weight
    largest = max((tensor.numel() for tensor in inputs), default=0)
    outer = func._overloadpacket.__name__ == "mul" and isinstance(result, Tensor) and result.numel() > largest
    return not outer


def _is_made_without(func: Any) -> bool:
    """Whether an operator makes a tensor that only has the shape of another: ``zeros_like``, ``new_empty``."""
    name: str = func._overloadpacket.__name__
    return name.endswith("_like") or name.startswith(
        ("new_", "empty", "sym_", "_assert", "is_", "_unsafe_view")
    )


def _storage(tensor: Tensor) -> int:
    return cast("Any", tensor.untyped_storage())._cdata


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in a value, however it is nested; other objects are passed over."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in cast("Mapping[Any, Any]", value).values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in cast("Sequence[Any]", value):
            yield from tensors_in(item)
