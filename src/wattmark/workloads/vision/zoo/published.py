"""The counts to which the networks are held."""

from __future__ import annotations

PUBLISHED: dict[str, tuple[int, int]] = {
    "LeNet": (62_006, 651_720),
    "SimpleDLA": (15_142_970, 913_495_040),
    "VGG19": (20_040_522, 398_136_320),
    "ResNet18": (11_173_962, 555_422_720),
    "PreActResNet18": (11_171_146, 555_422_720),
    "GoogLeNet": (6_166_250, 1_521_756_160),
    "DenseNet121": (6_956_298, 888_350_720),
    "ResNeXt29_2x64d": (9_128_778, 1_409_492_992),
    "MobileNet": (3_217_226, 46_354_432),
    "MobileNetV2": (2_296_922, 91_154_944),
    "SENet18": (11_260_354, 555_509_760),
    "EfficientNetB0": (3_599_686, 30_331_392),
    "RegNetX_200MF": (2_321_946, 223_317_600),
    "DPN26": (11_574_842, 665_050_880),
}
"""Network -> parameters, and MACs of its convolutions and linear layers for one 3x32x32 image of ten classes.

The networks of arXiv 2503.23934.
"""
