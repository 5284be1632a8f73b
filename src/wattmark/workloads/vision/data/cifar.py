"""CIFAR-10 and CIFAR-100 in their published formats: https://www.cs.toronto.edu/~kriz/cifar.html.

A folder, or the .tar.gz as it is downloaded, of the "python version" (pickles of dictionaries with a (n,
3072) uint8 array, red, green and blue planes in rows) or of the "binary version" (records of one label byte,
two for CIFAR-100, and 3072 bytes). A pickle can run code when it is read, so these are read by an unpickler
that builds plain arrays and nothing else.
"""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError, ImportFileError
from wattmark.workloads.vision.data.images import Images, VisionData

_PIXELS = 3 * 32 * 32
# Names of the parts, in the python and in the binary version.
_PARTS: dict[int, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    10: {
        "train": (
            tuple(f"data_batch_{i}" for i in range(1, 6)),
            tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        ),
        "test": (("test_batch",), ("test_batch.bin",)),
    },
    100: {"train": (("train",), ("train.bin",)), "test": (("test",), ("test.bin",))},
}


def load_cifar(path: Path, classes: int) -> VisionData:
    """CIFAR-10 or -100 (``classes``) from the folder or archive at ``path``.

    Raises ConfigError if the path or one of the parts is missing, ImportFileError for a file that is not what
    it should be.
    """
    read = _reader(path, {name for parts in _PARTS[classes].values() for names in parts for name in names})
    train, test = (_part(path, read, classes, part) for part in ("train", "test"))
    return VisionData(f"cifar{classes}", train, test, classes, f"CIFAR-{classes} from {path.name}")


def _reader(path: Path, wanted: set[str]) -> Callable[[str], bytes | None]:
    """Bytes of a part by its name, None if there is no such part."""
    if path.is_dir():
        parts = {p.name: p for p in (*path.glob("*"), *path.glob("*/*")) if p.name in wanted and p.is_file()}
        return lambda name: parts[name].read_bytes() if name in parts else None
    if not path.is_file():
        raise ConfigError(
            f"there is no {path}", hint="download CIFAR from https://www.cs.toronto.edu/~kriz/cifar.html"
        )
    try:
        # Once through, because a compressed archive cannot be sought in cheaply.
        contents: dict[str, bytes] = {}
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                opened = archive.extractfile(member) if name in wanted else None
                if opened is not None:
                    contents[name] = opened.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ImportFileError(f"{path} is not a readable tar archive: {error}") from error
    return contents.get


def _part(path: Path, read: Callable[[str], bytes | None], classes: int, part: str) -> Images:
    pickled, binary = _PARTS[classes][part]
    blocks: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = []
    for name, binary_name in zip(pickled, binary, strict=True):
        if (raw := read(name)) is not None:
            blocks.append(_from_pickle(raw, f"{path}: {name}", classes))
        elif (raw := read(binary_name)) is not None:
            blocks.append(_from_binary(raw, f"{path}: {binary_name}", classes))
        else:
            raise ConfigError(f"{path} has neither {name} nor {binary_name}", hint=f"is it CIFAR-{classes}?")
    labels = np.concatenate([block[1] for block in blocks])
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= classes:
        raise ImportFileError(f"{path} has labels outside 0..{classes - 1}, or no images")
    pixels = np.concatenate([block[0] for block in blocks])
    return Images(np.reshape(pixels, (-1, 3, 32, 32)), labels)


def _from_binary(raw: bytes, where: str, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    # CIFAR-100 has the coarse label first; the fine one is the class.
    heads = 1 if classes == 10 else 2
    if len(raw) % (heads + _PIXELS):
        raise ImportFileError(f"{where} is not a whole number of records of {heads + _PIXELS} bytes")
    records = np.reshape(np.frombuffer(raw, np.uint8), (-1, heads + _PIXELS))
    return records[:, heads:], records[:, heads - 1].astype(np.int64)


def _from_pickle(raw: bytes, where: str, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        content: Any = _ArraysOnly(io.BytesIO(raw), encoding="bytes").load()
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ImportFileError(f"{where} is not a CIFAR pickle: {error}") from error
    batch = cast("dict[Any, Any]", content if isinstance(content, dict) else {})
    # The published files were written by Python 2, whose strings are bytes here.
    key = "labels" if classes == 10 else "fine_labels"
    pixels: Any = batch.get(b"data", batch.get("data"))
    labels: Any = batch.get(key.encode(), batch.get(key))
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list | np.ndarray):
        raise ImportFileError(f"{where} has no data and {key}")
    array = cast("NDArray[Any]", pixels)
    try:
        numbers = np.asarray(labels, np.int64)
    except (ValueError, TypeError) as error:
        raise ImportFileError(f"{where}: {key} are not numbers") from error
    if (
        array.dtype != np.uint8
        or array.ndim != 2
        or array.shape[1] != _PIXELS
        or numbers.shape != array.shape[:1]
    ):
        raise ImportFileError(
            f"{where} has data of shape {array.shape}, {array.dtype}, and {numbers.shape} labels"
        )
    return array, numbers


class _ArraysOnly(pickle.Unpickler):
    """Builds dictionaries, lists, numbers, bytes and numpy arrays; refuses every other class or function."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """What an array's pickle calls for, by its old and new module names."""
        home, _, leaf = module_name.rpartition(".")
        if (module_name, global_name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module_name, global_name) == ("numpy", "dtype"):
            return _plain_dtype
        if global_name == "_reconstruct" and leaf == "multiarray" and home in ("numpy.core", "numpy._core"):
            return _empty_array
        if (module_name, global_name) == ("_codecs", "encode"):
            return _latin1
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which data never needs")


def _plain_dtype(code: Any, *_: Any) -> np.dtype[Any]:
    """A type of plain bytes; an array of objects could hold anything."""
    dtype: np.dtype[Any] = np.dtype(code)
    if dtype.kind not in "biuf":
        raise pickle.UnpicklingError(f"it asks for an array of {dtype}")
    return dtype


def _empty_array(cls: Any, *_: Any) -> NDArray[Any]:
    if cls is not np.ndarray:
        raise pickle.UnpicklingError("it asks for an array of another class")
    return np.ndarray((0,), np.uint8)


def _latin1(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes into an old pickle protocol."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("it asks for another encoding")
    return text.encode("latin1")
