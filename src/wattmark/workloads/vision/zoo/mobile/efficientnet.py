"""EfficientNet-B0: Tan and Le, "EfficientNet: rethinking model scaling", arXiv 1905.11946, table 1.

For small images the first convolution keeps the resolution and the head's 1x1 convolution is left out. Whole
blocks are dropped at random in training (stochastic depth, arXiv 1603.09382), up to a rate of 0.2 at the
last.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn
from wattmark.workloads.vision.zoo.residual.senet import SqueezeExcite

# Expansion, output channels, repeats, kernel, first stride.
_STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
_DROP_RATE = 0.2


class MBConv(nn.Module):
    """Inverted residual with squeeze and excitation (ratio 0.25 of the block's input) and swish."""

    def __init__(self, c_in: int, c_out: int, expansion: int, kernel: int, stride: int, drop: float) -> None:
        super().__init__()
        wide = c_in * expansion
        # A block that does not expand still owns its first convolution (unused), as in the CIFAR variant
        # whose parameters are quoted.
        self.expand = conv_bn(c_in, wide, 1, act=nn.SiLU)
        self.expands = expansion != 1
        self.body = nn.Sequential(
            conv_bn(wide, wide, kernel, stride, groups=wide, act=nn.SiLU),
            SqueezeExcite(wide, c_in // 4, nn.SiLU),
            conv_bn(wide, c_out, 1, act=None),
        )
        self.skips = stride == 1 and c_in == c_out
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        out: Tensor = self.body(self.expand(x) if self.expands else x)
        if not self.skips:
            return out
        if self.training and self.drop:
            keep = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            out = out * keep / (1 - self.drop)
        return out + x


def efficientnetb0(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Seven stages of sixteen blocks."""
    total = sum(stage[2] for stage in _STAGES)
    channels = 32
    blocks: list[nn.Module] = []
    for expansion, width, depth, kernel, first_stride in _STAGES:
        for number in range(depth):
            drop = _DROP_RATE * len(blocks) / total
            blocks.append(MBConv(channels, width, expansion, kernel, 1 if number else first_stride, drop))
            channels = width
    return nn.Sequential(
        conv_bn(in_channels, 32, act=nn.SiLU), *blocks, Head(channels, num_classes, dropout=0.2)
    )
