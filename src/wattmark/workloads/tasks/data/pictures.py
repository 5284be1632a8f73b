"""Photographs that packages bring, each in several views, and lines of text that are drawn here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.data.texts import all_sentences
from wattmark.workloads.tasks.weights import need_module, need_package, package_folder

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]

VIEWS = ((1.0, False), (1.0, True), (0.85, False), (0.85, True), (0.7, False), (0.7, True))
"""Of each photograph: the part of its side that is kept, and whether it is mirrored."""
_SIDE = 320
_FONT = 22


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file of a package. classes: the numbers of ImageNet-1k that name what it shows, chosen by looking at it."""

    package: str
    path: str
    shows: str
    classes: frozenset[int]


PHOTOGRAPHS = (
    Photograph("skimage", "data/chelsea.png", "a cat", frozenset({281, 282, 283, 285})),
    Photograph("skimage", "data/coffee.png", "a cup of coffee", frozenset({504, 967, 968})),
    Photograph("skimage", "data/rocket.jpg", "a rocket", frozenset({657, 744})),
    Photograph("skimage", "data/camera.png", "a man with a camera on a tripod", frozenset({759, 872})),
    Photograph("skimage", "data/motorcycle_left.png", "a motorcycle", frozenset({665, 670})),
    Photograph("skimage", "data/clock_motion.png", "a clock, blurred", frozenset({409, 826, 892})),
    Photograph("sklearn", "datasets/images/flower.jpg", "a flower", frozenset({985})),
    Photograph("sklearn", "datasets/images/china.jpg", "a temple", frozenset({663, 698, 832})),
    Photograph("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "an officer", frozenset({652})),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A picture (PNG) of a line of text."""

    picture: bytes
    text: str


@cache
def views() -> tuple[tuple[bytes, Photograph], ...]:
    """Every photograph in every view, as JPEG files. Raises ConfigError where a package is missing."""
    return tuple((_view(photo, part, mirrored), photo) for part, mirrored in VIEWS for photo in PHOTOGRAPHS)


@cache
def lines() -> tuple[Line, ...]:
    """Lines of text, black on white, in PIL's own font."""
    need_module("PIL", "pillow", extra="vision")
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=_FONT)
    found: list[Line] = []
    for sentence in all_sentences()[::2]:
        words = " ".join(sentence.split()[:7])
        left, top, right, bottom = font.getbbox(words)
        picture = Image.new("RGB", (int(right - left) + 40, int(bottom - top) + 40), "white")
        ImageDraw.Draw(picture).text((20 - left, 20 - top), words, font=font, fill="black")
        found.append(Line(_encoded(picture, "PNG"), words))
    return tuple(found)


def read_picture(data: bytes) -> Pixels:
    """Pixels (h, w, 3) of a picture file. Raises ConfigError for what is none."""
    need_module("PIL", "pillow", extra="vision")
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"), np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ConfigError(
            f"an input is no picture that can be read ({len(data)} bytes)",
            hint="PNG, JPEG and WebP files can",
        ) from error


def resized(pixels: Pixels, side: int) -> Pixels:
    """The middle square of a picture (h, w, 3), as (side, side, 3)."""
    from PIL import Image

    height, width, _ = pixels.shape
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = Image.fromarray(pixels[top : top + edge, left : left + edge])
    return np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), np.uint8)


def pixels_of(pictures: Sequence[bytes]) -> list[Pixels]:
    """Of several files."""
    return [read_picture(picture) for picture in pictures]


def _view(photo: Photograph, part: float, mirrored: bool) -> bytes:
    from PIL import Image, ImageOps

    pixels = read_picture(_file(photo).read_bytes())
    height, width, _ = pixels.shape
    edge = int(min(height, width) * part)
    top, left = (height - edge) // 2, (width - edge) // 2
    picture = Image.fromarray(pixels[top : top + edge, left : left + edge]).resize((_SIDE, _SIDE))
    return _encoded(ImageOps.mirror(picture) if mirrored else picture, "JPEG")


def _file(photo: Photograph) -> Path:
    if photo.package == "skimage":
        return need_package("scikit-image") / photo.path
    spec = find_spec(photo.package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"the photographs of {photo.package} are not installed", hint="pip install 'wattmark[study]'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / photo.path


def photographs_are_there() -> bool:
    """Whether the photographs can be read."""
    return package_folder("scikit-image") is not None and find_spec("sklearn") is not None


def _encoded(picture: Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=92)
    return file.getvalue()
