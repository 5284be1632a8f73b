"""Images with labels, and what can be done to them: split, take fewer, repeat, resize, normalise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Images:
    """pixels: (n, c, h, w), uint8 in 0..255 or float32; labels: (n,) int64, 0 to num_classes - 1."""

    pixels: NDArray[Any]
    labels: Int64

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4:
            raise ConfigError(f"images must have shape (n, c, h, w), not {self.pixels.shape}")
        if str(self.pixels.dtype) not in ("uint8", "float32"):
            raise ConfigError(f"images must be uint8 or float32, not {self.pixels.dtype}")
        if self.labels.shape != self.pixels.shape[:1]:
            raise ConfigError(f"{len(self.pixels)} images have labels of shape {self.labels.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Any) -> Images:
        """Those at ``rows`` (indices, mask or slice)."""
        return Images(self.pixels[rows], self.labels[rows])


@dataclass(frozen=True, slots=True)
class VisionData:
    """A data set in two parts; ``source`` says where it came from, for the methods section of a report."""

    name: str
    train: Images
    test: Images
    num_classes: int
    source: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        c, h, w = self.train.pixels.shape[1:]
        return c, h, w

    def normalisation(self) -> tuple[Float32, Float32]:
        """Mean and standard deviation of each channel over the training images, each (c, 1, 1), in units of
        the pixels.

        A channel that never varies has deviation 1, so that dividing by it is harmless.
        """
        pixels = self.train.pixels
        mean = pixels.mean((0, 2, 3), dtype=np.float64)
        std = pixels.std((0, 2, 3), dtype=np.float64)
        std[std == 0] = 1
        return mean.astype(np.float32)[:, None, None], std.astype(np.float32)[:, None, None]

    def resized(self, size: int) -> VisionData:
        """With square images of ``size`` pixels a side."""
        if self.shape[1:] == (size, size):
            return self
        train = Images(resize(self.train.pixels, size), self.train.labels)
        test = Images(resize(self.test.pixels, size), self.test.labels)
        return replace(self, train=train, test=test)

    def limited(self, samples: int, seed: int) -> VisionData:
        """With at most ``samples`` training images and the same share of the test images, classes in
        proportion."""
        if samples >= len(self.train):
            return self
        share = samples / len(self.train)
        tested = max(1, round(share * len(self.test)))
        return replace(
            self,
            train=self.train.take(stratified(self.train.labels, samples, seed)),
            test=self.test.take(stratified(self.test.labels, tested, seed)),
        )


def repeated(images: Images, length: int) -> Images:
    """The images again and again, in order, until there are ``length``: an inference epoch as long as a
    training epoch.

    The study arXiv 2503.23934 repeats its test set like this, so that energies per sample compare. A view
    where that is enough.
    """
    if length <= len(images):
        return images.take(slice(length))
    return images.take(np.arange(length) % len(images))


def stratified(labels: Int64, count: int, seed: int) -> Int64:
    """Sorted indices of ``count`` random samples in which every class has its share, to within one (largest
    remainders)."""
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * (count / len(labels))
    quota = np.floor(exact).astype(np.int64)
    short = count - int(quota.sum())
    quota[np.argsort(quota - exact, kind="stable")[:short]] += 1
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(labels == c), int(q), replace=False)
        for c, q in zip(classes, quota, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def split(name: str, images: Images, num_classes: int, source: str, *, test: float, seed: int) -> VisionData:
    """A stratified split with the share ``test`` held out."""
    held_out = np.zeros(len(images), bool)
    held_out[stratified(images.labels, max(1, round(test * len(images))), seed)] = True
    return VisionData(name, images.take(~held_out), images.take(held_out), num_classes, source)


def resize(pixels: NDArray[Any], size: int) -> NDArray[Any]:
    """Bilinear, with pixel centres aligned at half a pixel; (n, c, h, w) -> (n, c, size, size) of the same
    type."""
    out: Float32 = pixels.astype(np.float32)
    for axis in (2, 3):
        length: int = pixels.shape[axis]
        at: Float32 = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(length / size) - 0.5
        at = at.clip(0, length - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, length - 1)
        weight: Float32 = np.expand_dims((at - low).astype(np.float32), 3 - axis)
        out = (out.take(low, axis) * (1 - weight) + out.take(high, axis) * weight).astype(np.float32)
    return np.rint(out).astype(np.uint8) if pixels.dtype == np.uint8 else out
