"""Data sets of images as arrays: scikit-learn's digits, CIFAR, folders, .npz files, Hugging Face, synthetic.

``load`` gives any of them by name. Needs numpy; Pillow, scikit-learn and datasets only for what they read. No
torchvision.
"""

from wattmark.workloads.vision.data.catalogue import load
from wattmark.workloads.vision.data.images import Images, VisionData

__all__ = ["Images", "VisionData", "load"]
