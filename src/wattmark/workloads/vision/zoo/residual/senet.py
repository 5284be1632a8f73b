"""SENet-18: Hu et al., "Squeeze-and-excitation networks", arXiv 1709.01507, on pre-activation blocks."""

from __future__ import annotations

from torch import Tensor, nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn
from wattmark.workloads.vision.zoo.residual.preact_resnet import PreActBlock, stages


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the global averages of all (equations 2 to 4)."""

    def __init__(self, channels: int, hidden: int, act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            act(),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same shape."""
        return x * self.gate(x)


class SEPreActBlock(PreActBlock):
    """A pre-activation block with squeeze and excitation, reduction 16, on its branch."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__(c_in, c_out, stride)
        self.excite = SqueezeExcite(c_out, c_out // 16)

    def scale(self, x: Tensor) -> Tensor:
        """Gate the branch."""
        return self.excite(x)


def senet18(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """The eighteen-layer network of gated pre-activation blocks."""
    return nn.Sequential(conv_bn(in_channels, 64), *stages(SEPreActBlock), Head(512, num_classes))
