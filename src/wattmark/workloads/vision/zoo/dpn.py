"""DPN-26: Chen et al., "Dual path networks", arXiv 1707.01629, section 3; 26 layers, for small images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn

# Width of the bottleneck, channels of the residual path, growth of the dense path, first stride.
_STAGES = ((96, 256, 16, 1), (192, 512, 32, 2), (384, 1024, 24, 2), (768, 2048, 128, 2))


class DualPathBlock(nn.Module):
    """A grouped bottleneck: its first ``residual`` output channels are added, the rest are appended."""

    def __init__(
        self, c_in: int, width: int, residual: int, growth: int, stride: int, *, first: bool
    ) -> None:
        super().__init__()
        self.residual = residual
        self.body = nn.Sequential(
            conv_bn(c_in, width, 1),
            conv_bn(width, width, 3, stride, groups=32),
            conv_bn(width, residual + growth, 1, act=None),
        )
        self.shortcut = conv_bn(c_in, residual + growth, 1, stride, act=None) if first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, residual + dense channels so far, h / stride, w / stride)."""
        skip, out = self.shortcut(x), self.body(x)
        d = self.residual
        joined = torch.cat([skip[:, :d] + out[:, :d], skip[:, d:], out[:, d:]], 1)
        return torch.relu(joined)


def dpn26(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Four stages of two dual-path blocks."""
    channels = 64
    blocks: list[nn.Module] = []
    for width, residual, growth, first_stride in _STAGES:
        blocks.append(DualPathBlock(channels, width, residual, growth, first_stride, first=True))
        blocks.append(DualPathBlock(residual + 2 * growth, width, residual, growth, 1, first=False))
        channels = residual + 3 * growth
    return nn.Sequential(conv_bn(in_channels, 64), *blocks, Head(channels, num_classes))
