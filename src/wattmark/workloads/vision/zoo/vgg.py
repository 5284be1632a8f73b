"""VGG-19 with batch norm: Simonyan and Zisserman, arXiv 1409.1556, table 1, column E; one linear layer."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn

_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))


def vgg19(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Sixteen 3x3 convolutions in five stages, each ended by max pooling."""
    layers: list[nn.Module] = []
    channels = in_channels
    for width, depth in _STAGES:
        widths = [channels, *[width] * depth]
        layers += [conv_bn(a, b, bias=True) for a, b in pairwise(widths)]
        layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(*layers, Head(channels, num_classes))
