"""Pieces that most of the networks share."""

from __future__ import annotations

from torch import Tensor, nn


def conv_bn(
    c_in: int,
    c_out: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    bias: bool = False,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution that keeps the size (at stride 1), batch norm, and an activation unless ``act`` is None."""
    layers: list[nn.Module] = [
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(c_out),
    ]
    if act is not None:
        layers.append(act())
    return nn.Sequential(*layers)


def shortcut(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Identity where shapes agree, else a 1x1 projection with batch norm (option B of arXiv 1512.03385)."""
    if stride == 1 and c_in == c_out:
        return nn.Identity()
    return conv_bn(c_in, c_out, 1, stride, act=None)


class Head(nn.Module):
    """Global average pooling, dropout and one linear layer."""

    def __init__(self, features: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, features, h, w) -> (n, num_classes), for any h and w."""
        return self.linear(self.dropout(x.mean((2, 3))))
