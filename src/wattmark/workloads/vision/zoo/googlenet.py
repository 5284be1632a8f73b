"""GoogLeNet: Szegedy et al., "Going deeper with convolutions", arXiv 1409.4842, table 1.

With batch norm after each convolution and two 3x3 convolutions for each 5x5 (arXiv 1502.03167, 1512.00567);
one 3x3 convolution at the front for small images, no auxiliary classifiers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn

# Rows of table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
_STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class Inception(nn.Module):
    """Four branches side by side, joined along the channels (figure 2b)."""

    def __init__(self, c_in: int, row: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        conv1, reduce3, conv3, reduce5, conv5, pool = row
        self.branches = nn.ModuleList(
            [
                conv_bn(c_in, conv1, 1, bias=True),
                nn.Sequential(conv_bn(c_in, reduce3, 1, bias=True), conv_bn(reduce3, conv3, bias=True)),
                nn.Sequential(
                    conv_bn(c_in, reduce5, 1, bias=True),
                    conv_bn(reduce5, conv5, bias=True),
                    conv_bn(conv5, conv5, bias=True),
                ),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(c_in, pool, 1, bias=True)),
            ]
        )
        self.out_channels = conv1 + conv3 + conv5 + pool

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, out_channels, h, w)."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def googlenet(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Nine inception modules in three stages."""
    layers: list[nn.Module] = [conv_bn(in_channels, 192, bias=True)]
    channels = 192
    for number, stage in enumerate(_STAGES):
        if number:
            layers.append(nn.MaxPool2d(3, 2, 1))
        for row in stage:
            layers.append(module := Inception(channels, row))
            channels = module.out_channels
    return nn.Sequential(*layers, Head(channels, num_classes))
