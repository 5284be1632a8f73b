"""ResNeXt-29, 2x64d: Xie et al., "Aggregated residual transformations", arXiv 1611.05431, figure 3c."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn, shortcut


class Bottleneck(nn.Module):
    """1x1, grouped 3x3, 1x1, around a shortcut; also the block of RegNetX, where all three have one width."""

    def __init__(self, c_in: int, width: int, c_out: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(c_in, width, 1),
            conv_bn(width, width, 3, stride, groups=groups),
            conv_bn(width, c_out, 1, act=None),
        )
        self.shortcut = shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnext29_2x64d(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Three stages of three blocks; two groups of 64 channels at first, doubled in each stage."""
    channels = 64
    blocks: list[nn.Module] = []
    for width, first_stride in ((128, 1), (256, 2), (512, 2)):
        for stride in (first_stride, 1, 1):
            blocks.append(Bottleneck(channels, width, 2 * width, 2, stride))
            channels = 2 * width
    return nn.Sequential(conv_bn(in_channels, 64, 1), *blocks, Head(channels, num_classes))
