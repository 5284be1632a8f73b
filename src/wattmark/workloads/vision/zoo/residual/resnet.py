"""ResNet-18: He et al., "Deep residual learning for image recognition", arXiv 1512.03385, table 1.

For small images the 7x7 convolution and the pooling at the front are one 3x3 convolution (section 4.2 of the
paper).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn, shortcut


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (figure 2); also the block of the layer-aggregation network."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(c_in, c_out, 3, stride), conv_bn(c_out, c_out, act=None))
        self.shortcut = shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Four stages of two basic blocks."""
    blocks: list[nn.Module] = []
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [BasicBlock(channels, width, stride), BasicBlock(width, width)]
        channels = width
    return nn.Sequential(conv_bn(in_channels, 64), *blocks, Head(channels, num_classes))
