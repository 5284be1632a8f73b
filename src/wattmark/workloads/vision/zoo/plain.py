"""A plain CNN and an MLP that scale in width and depth: small enough for a study on a laptop."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn


def cnn(num_classes: int = 10, in_channels: int = 3, *, width: float = 1.0, depth: int = 1) -> nn.Module:
    """Three stages of ``depth`` 3x3 convolutions and a pooling; 16, 32 and 64 times ``width`` channels."""
    layers: list[nn.Module] = []
    channels = in_channels
    for base in (16, 32, 64):
        out = max(1, round(base * width))
        layers += [conv_bn(a, b) for a, b in pairwise([channels, *[out] * depth])]
        layers.append(nn.MaxPool2d(2))
        channels = out
    return nn.Sequential(*layers, Head(channels, num_classes))


def mlp(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    width: float = 1.0,
    depth: int = 1,
    input_size: int = 32,
) -> nn.Module:
    """``depth`` hidden layers of 128 times ``width`` units over the flattened square image."""
    units = max(1, round(128 * width))
    sizes = [in_channels * input_size**2, *[units] * depth]
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))
