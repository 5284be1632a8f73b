"""A simplified DLA: Yu et al., "Deep layer aggregation", arXiv 1707.06484, section 3.

Hierarchical aggregation only, each tree joining its two halves at one root.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn
from wattmark.workloads.vision.zoo.residual.resnet import BasicBlock


class Tree(nn.Module):
    """Two subtrees one after the other (basic blocks at level 1), joined by a 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int, level: int, stride: int) -> None:
        super().__init__()
        if level == 1:
            self.left: nn.Module = BasicBlock(c_in, c_out, stride)
            self.right: nn.Module = BasicBlock(c_out, c_out)
        else:
            self.left = Tree(c_in, c_out, level - 1, stride)
            self.right = Tree(c_out, c_out, level - 1, 1)
        self.root = conv_bn(2 * c_out, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        left = self.left(x)
        return self.root(torch.cat([left, self.right(left)], 1))


def simpledla(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Three convolutions, then trees of levels 1, 2, 2 and 1."""
    return nn.Sequential(
        conv_bn(in_channels, 16),
        conv_bn(16, 16),
        conv_bn(16, 32),
        Tree(32, 64, 1, 1),
        Tree(64, 128, 2, 2),
        Tree(128, 256, 2, 2),
        Tree(256, 512, 1, 2),
        Head(512, num_classes),
    )
