"""The networks of the study arXiv 2503.23934 for small images, plus plain ones that scale; one file each.

``build`` makes one by name; ``names`` lists the fourteen. Importing this package does not import torch;
building a network does.
"""

from wattmark.workloads.vision.zoo.registry import build, names, scalable_names

__all__ = ["build", "names", "scalable_names"]
