"""Pre-activation ResNet-18: He et al., "Identity mappings in deep residual networks", arXiv 1603.05027.

The projections carry no batch norm, and none follows the last block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head


class PreActBlock(nn.Module):
    """Norm, ReLU, convolution, twice (figure 1b); projections start from the activated input."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        projects = stride != 1 or c_in != c_out
        self.projection = nn.Conv2d(c_in, c_out, 1, stride, bias=False) if projects else None

    def scale(self, x: Tensor) -> Tensor:
        """What a subclass does to the branch before it joins the shortcut."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        active = torch.relu(self.norm1(x))
        skip = x if self.projection is None else self.projection(active)
        branch = self.conv2(torch.relu(self.norm2(self.conv1(active))))
        return self.scale(branch) + skip


def stages(block: type[PreActBlock]) -> list[nn.Module]:
    """Four stages of two blocks, 64 to 512 channels."""
    blocks: list[nn.Module] = []
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [block(channels, width, stride), block(width, width)]
        channels = width
    return blocks


def preact_resnet18(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """The eighteen-layer network of pre-activation blocks."""
    stem = nn.Conv2d(in_channels, 64, 3, 1, 1, bias=False)
    return nn.Sequential(stem, *stages(PreActBlock), Head(512, num_classes))
