"""MobileNetV2: Sandler et al., "Inverted residuals and linear bottlenecks", arXiv 1801.04381, table 2.

For small images the first convolution and the second stage keep the resolution. A block of stride 1 that
changes the number of channels has a projection on its shortcut, as in the CIFAR variant whose counts are
quoted.
"""

from __future__ import annotations

from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn, shortcut

# Expansion, output channels, repeats, first stride: the columns t, c, n, s of table 2.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise, project without activation; a shortcut where the stride is 1."""

    def __init__(self, c_in: int, c_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = c_in * expansion
        self.body = nn.Sequential(
            conv_bn(c_in, wide, 1),
            conv_bn(wide, wide, 3, stride, groups=wide),
            conv_bn(wide, c_out, 1, act=None),
        )
        self.shortcut = shortcut(c_in, c_out, 1) if stride == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        out: Tensor = self.body(x)
        return out if self.shortcut is None else out + self.shortcut(x)


def mobilenetv2(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Seven stages of inverted residuals and a 1x1 convolution to 1280 channels."""
    channels = 32
    blocks: list[nn.Module] = []
    for expansion, width, depth, first_stride in _STAGES:
        for number in range(depth):
            blocks.append(InvertedResidual(channels, width, expansion, 1 if number else first_stride))
            channels = width
    return nn.Sequential(
        conv_bn(in_channels, 32), *blocks, conv_bn(channels, 1280, 1), Head(1280, num_classes)
    )
