"""DenseNet-121: Huang et al., "Densely connected convolutional networks", arXiv 1608.06993, table 1.

DenseNet-BC: growth rate 32, bottlenecks, compression one half; a 3x3 convolution at the front for small
images.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head

_GROWTH = 32


def _norm_conv(c_in: int, c_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(c_in), nn.ReLU(), nn.Conv2d(c_in, c_out, kernel, 1, kernel // 2, bias=False)
    )


class DenseLayer(nn.Module):
    """A 1x1 bottleneck and a 3x3 convolution, whose output joins all that came before."""

    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_norm_conv(c_in, 4 * _GROWTH, 1), _norm_conv(4 * _GROWTH, _GROWTH, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c + growth, h, w)."""
        return torch.cat([self.body(x), x], 1)


def densenet121(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Dense blocks of 6, 12, 24 and 16 layers with transitions between them."""
    channels = 2 * _GROWTH
    layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)]
    for number, depth in enumerate((6, 12, 24, 16)):
        if number:
            layers += [_norm_conv(channels, channels // 2, 1), nn.AvgPool2d(2)]
            channels //= 2
        layers += [DenseLayer(channels + i * _GROWTH) for i in range(depth)]
        channels += depth * _GROWTH
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), Head(channels, num_classes))
