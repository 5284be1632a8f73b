"""MobileNet: Howard et al., "MobileNets: efficient convolutional neural networks", arXiv 1704.04861, table 1.

The first convolution keeps the resolution, for small images.
"""

from __future__ import annotations

from torch import nn

from wattmark.workloads.vision.zoo.blocks import Head, conv_bn

# Output channels and stride of each depthwise-separable layer.
_LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def mobilenet(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Thirteen depthwise-separable convolutions."""
    channels = 32
    layers: list[nn.Module] = [conv_bn(in_channels, channels)]
    for width, stride in _LAYERS:
        layers += [conv_bn(channels, channels, 3, stride, groups=channels), conv_bn(channels, width, 1)]
        channels = width
    return nn.Sequential(*layers, Head(channels, num_classes))
