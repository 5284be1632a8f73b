"""RegNetX-200MF: Radosavovic et al., "Designing network design spaces", arXiv 2003.13678, table 5.

Widths, depths and group width are the paper's; the first stage keeps its resolution for small images.
"""

from __future__ import annotations

from torch import nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn
from wattmark.workloads.vision.zoo.residual.resnext import Bottleneck

_GROUP_WIDTH = 8


def regnetx_200mf(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """X blocks (bottleneck ratio 1) in stages of 1, 1, 4 and 7."""
    channels = 64
    blocks: list[nn.Module] = []
    for width, depth, first_stride in ((24, 1, 1), (56, 1, 1), (152, 4, 2), (368, 7, 2)):
        for number in range(depth):
            stride = 1 if number else first_stride
            blocks.append(Bottleneck(channels, width, width, width // _GROUP_WIDTH, stride))
            channels = width
    return nn.Sequential(conv_bn(in_channels, 64), *blocks, Head(channels, num_classes))
