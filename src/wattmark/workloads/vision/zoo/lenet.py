"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86(11), 1998.

With ReLU and max pooling, fully connected between the feature maps, as it is trained on CIFAR today.
"""

from __future__ import annotations

from torch import nn


def lenet(num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Two 5x5 convolutions and three linear layers; the pooling to 5x5 changes nothing at 32x32 inputs."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(5),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, num_classes),
    )
