"""Data sets by name."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError, ImportFileError, MissingExtra
from wattmark.workloads.vision.data.cifar import load_cifar
from wattmark.workloads.vision.data.images import Images, VisionData, resize, split

_TEST_SHARE = 0.2
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


def load(
    spec: str = "digits", *, input_size: int | None = None, samples: int | None = None, seed: int = 0
) -> VisionData:
    """A data set by name, with ``input_size`` pixels a side (None: as it is) and at most ``samples`` training
    images.

    ``digits``: scikit-learn's 1,797 handwritten digits (UCI Optical Recognition of Handwritten Digits),
    upscaled from 8x8 to 3x32x32, with a fifth held out; the default, real and offline. ``cifar10:PATH``,
    ``cifar100:PATH``: a folder or archive in the published formats. ``folder:PATH``: images in
    ``train/CLASS/`` and ``test/CLASS/``, or in ``CLASS/`` with a fifth held out; scaled to 32 pixels a side,
    or ``input_size``. ``npz:PATH``: arrays ``images`` and ``labels``, or ``train_images``, ``train_labels``,
    ``test_images``, ``test_labels``, images as (n, c, h, w), (n, h, w, c) or (n, h, w). ``hf:NAME``: an image
    classification data set of the Hugging Face hub, with its own test or validation part. ``synthetic`` or
    ``synthetic:3x32x32,classes=10,train=1000,test=200``: noise around a random pattern for each class, so
    that there is something to learn.

    The seed decides splits, selections and synthetic pixels. Raises ConfigError, ImportFileError or
    MissingExtra.
    """
    kind, _, rest = spec.partition(":")
    loader = _LOADERS.get(kind.casefold())
    if loader is None:
        raise ConfigError(
            f"no data set named {spec!r}",
            hint="digits, cifar10:PATH, cifar100:PATH, folder:PATH, npz:PATH, hf:NAME or synthetic:SHAPE",
        )
    if not rest and kind.casefold() not in ("digits", "synthetic"):
        raise ConfigError(f"{kind} does not say where its data are", hint=f"write {kind}:PATH")
    if (input_size is not None and input_size < 1) or (samples is not None and samples < 1):
        raise ConfigError("input size and samples must be at least 1")
    data = loader(rest, seed, input_size or 32)
    if samples is not None:
        data = data.limited(samples, seed)
    return data if input_size is None else data.resized(input_size)


def _digits(rest: str, seed: int, _size: int) -> VisionData:
    if rest:
        raise ConfigError(f"digits takes no options, not {rest!r}")
    table = _digits_table()
    small = table[:, :-1].reshape(-1, 1, 8, 8).astype(np.float32)
    pixels = np.rint(resize(small, 32) * (255 / 16)).astype(np.uint8)  # the original has levels 0 to 16
    images = Images(np.repeat(pixels, 3, axis=1), table[:, -1].astype(np.int64))
    source = "scikit-learn digits (UCI Optical Recognition of Handwritten Digits), upscaled to 3x32x32"
    return split("digits", images, 10, source, test=_TEST_SHARE, seed=seed)


def _digits_table() -> NDArray[np.float64]:
    """(1797, 65): 64 pixels of 0 to 16 and the digit, as ``sklearn.datasets.load_digits`` reads them.

    Its file is read here where it is in its place: importing scikit-learn takes longer than a small network's training.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise MissingExtra("scikit-learn", "study")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        return np.loadtxt(path, delimiter=",")
    digits: Any = importlib.import_module("sklearn.datasets").load_digits()
    return np.column_stack((digits.data, digits.target))


def _cifar(classes: int) -> Callable[[str, int, int], VisionData]:
    return lambda rest, _seed, _size: load_cifar(Path(rest).expanduser(), classes)


def _npz(rest: str, seed: int, _size: int) -> VisionData:
    path = Path(rest).expanduser()
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        # No pickles: an array of objects could run code when it is read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: dict[str, NDArray[Any]] = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, BadZipFile, AttributeError, TypeError, EOFError) as error:
        raise ImportFileError(f"{path} is not a .npz file of plain arrays: {error}") from error
    source = f"arrays in {path.name}"
    if {"train_images", "train_labels", "test_images", "test_labels"} <= arrays.keys():
        train, test = (
            _from_arrays(arrays[f"{p}_images"], arrays[f"{p}_labels"], path) for p in ("train", "test")
        )
        classes = 1 + max(int(train.labels.max()), int(test.labels.max()))
        return VisionData(path.stem, train, test, classes, source)
    if {"images", "labels"} <= arrays.keys():
        images = _from_arrays(arrays["images"], arrays["labels"], path)
        classes = 1 + int(images.labels.max())
        return split(path.stem, images, classes, source, test=_TEST_SHARE, seed=seed)
    raise ImportFileError(
        f"{path} holds {', '.join(arrays) or 'nothing'}",
        hint="it needs images and labels, or train_images and so on",
    )


def _from_arrays(images: NDArray[Any], labels: NDArray[Any], path: Path) -> Images:
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3, 4) and images.shape[1] not in (1, 3, 4):
        images = np.ascontiguousarray(np.moveaxis(images, 3, 1))
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
    if labels.dtype.kind not in "iu" or labels.size == 0 or int(labels.min()) < 0:
        raise ImportFileError(f"{path} has labels that are not whole numbers from 0")
    return Images(images, np.ravel(labels.astype(np.int64)))


def _folder(rest: str, seed: int, size: int) -> VisionData:
    root = Path(rest).expanduser()
    if not root.is_dir():
        raise ConfigError(f"there is no folder {root}")
    source = f"images in {root.name}"
    if (root / "train").is_dir() and (root / "test").is_dir():
        classes = _class_names(root / "train")
        train, test = (_read_folder(root / part, classes, size) for part in ("train", "test"))
        return VisionData(root.name, train, test, len(classes), source)
    classes = _class_names(root)
    images = _read_folder(root, classes, size)
    return split(root.name, images, len(classes), source, test=_TEST_SHARE, seed=seed)


def _class_names(root: Path) -> list[str]:
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise ConfigError(f"{root} has no folders", hint="images go into one folder for each class")
    return names


def _read_folder(root: Path, classes: list[str], size: int) -> Images:
    stray = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name not in classes)
    if stray:
        raise ConfigError(f"{root} has the class {stray[0]!r}, which the training part lacks")
    files = [
        (path, number)
        for number, name in enumerate(classes)
        for path in sorted((root / name).rglob("*"))
        if path.suffix.casefold() in _SUFFIXES
    ]
    if not files:
        raise ConfigError(f"{root} has no images in its class folders")
    pillow = _pillow()
    pixels = np.empty((len(files), 3, size, size), np.uint8)
    for row, (path, _) in enumerate(files):
        try:
            with pillow.open(path) as image:
                pixels[row] = _rgb(image, size)
        except OSError as error:
            raise ImportFileError(f"{path} is not an image that Pillow reads: {error}") from error
    return Images(pixels, np.array([number for _, number in files], np.int64))


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ModuleNotFoundError as error:
        raise MissingExtra("Pillow", "vision") from error


def _rgb(image: Any, size: int) -> NDArray[np.uint8]:
    """A Pillow image as (3, size, size)."""
    scaled = image.convert("RGB").resize((size, size), _pillow().Resampling.BILINEAR)
    return np.moveaxis(np.asarray(scaled, np.uint8), 2, 0)


def _hugging_face(rest: str, seed: int, size: int) -> VisionData:
    try:
        datasets: Any = importlib.import_module("datasets")
    except ModuleNotFoundError as error:
        raise MissingExtra("datasets", "vision") from error
    try:
        parts: Any = datasets.load_dataset(rest)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"the data set {rest} cannot be loaded: {reason}") from error
    columns: dict[str, Any] = dict(parts["train"].features)
    image = next((c for c, feature in columns.items() if type(feature).__name__ == "Image"), None)
    label = next((c for c, feature in columns.items() if type(feature).__name__ == "ClassLabel"), None)
    if image is None or label is None:
        raise ConfigError(
            f"{rest} has no column of images and one of class labels", hint=f"it has {', '.join(columns)}"
        )

    def read(part: str) -> Images:
        pixels = np.stack([_rgb(row[image], size) for row in parts[part]])
        return Images(pixels, np.asarray(parts[part][label], np.int64))

    classes = int(columns[label].num_classes)
    source = f"{rest} from the Hugging Face hub"
    held_out = next((part for part in ("test", "validation") if part in parts), None)
    if held_out is None:
        return split(rest, read("train"), classes, source, test=_TEST_SHARE, seed=seed)
    return VisionData(rest, read("train"), read(held_out), classes, source)


def _synthetic(rest: str, seed: int, _size: int) -> VisionData:
    match = re.fullmatch(r"(?:(\d+)x(\d+)x(\d+))?((?:,?(?:classes|train|test)=\d+)*)", rest)
    if match is None:
        raise ConfigError(
            f"{rest!r} does not describe a synthetic data set",
            hint="write 3x32x32,classes=10,train=1000,test=200",
        )
    c, h, w = (int(size) for size in (match[1] or 3, match[2] or 32, match[3] or 32))
    counts = {"classes": 10, "train": 1000, "test": 200}
    counts |= {name: int(number) for name, _, number in (p.partition("=") for p in match[4].split(",") if p)}
    if 0 in (c, h, w, *counts.values()):
        raise ConfigError(f"{rest!r} has a size of zero")
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((counts["classes"], c, h, w), np.float32)

    def make(count: int) -> Images:
        labels = rng.permutation(np.arange(count) % counts["classes"])
        noise = rng.standard_normal((count, c, h, w), np.float32)
        return Images(noise + patterns[labels], labels.astype(np.int64))

    source = f"synthetic {c}x{h}x{w}, seed {seed}"
    return VisionData("synthetic", make(counts["train"]), make(counts["test"]), counts["classes"], source)


_LOADERS: dict[str, Callable[[str, int, int], VisionData]] = {
    "digits": _digits,
    "cifar10": _cifar(10),
    "cifar100": _cifar(100),
    "folder": _folder,
    "npz": _npz,
    "hf": _hugging_face,
    "synthetic": _synthetic,
}
