"""Pictures: what they show (photographs of packages, ImageNet-1k's classes), and the text that is written in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from wattmark.documents import items, mappings
from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import Answer, Model, ModelEntry, ModelFacts, Score, Settings, Task
from wattmark.workloads.tasks.data.pictures import lines, pixels_of, resized, views
from wattmark.workloads.tasks.models.efficientnet import PACKAGE, EfficientNetLite0
from wattmark.workloads.tasks.models.hub import open_pipeline
from wattmark.workloads.tasks.models.onnx import OnnxSession
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.scoring import likeness, mean
from wattmark.workloads.tasks.weights import PACKAGES, need_module, need_package

if TYPE_CHECKING:
    from collections.abc import Callable

Best = tuple[int, ...]
"""The numbers of the five likeliest classes, likeliest first."""
_BEST = 5
_CLASSES = 1_000
OCR = "rapidocr-onnxruntime"


class Classifier:
    """EfficientNet-Lite0."""

    def __init__(self, settings: Settings) -> None:
        self._network = EfficientNetLite0(settings)
        self.facts = self._network.facts

    def infer(self, inputs: Sequence[bytes]) -> list[Answer[Best]]:
        """The five likeliest classes of each picture."""
        scores, pixels = self._network.scores(inputs)
        best = np.argsort(-scores, axis=1)[:, :_BEST]
        return [Answer(tuple(map(int, row)), size, 1) for row, size in zip(best, pixels, strict=True)]

    def close(self) -> None:
        """Nothing to give back."""


class OnnxClassifier:
    """An ONNX file that takes pictures, (n, 3, h, w) or (n, h, w, 3), and gives scores of classes, (n, classes)."""

    def __init__(self, path: str, settings: Settings) -> None:
        self._session = OnnxSession(Path(path).expanduser(), settings)
        shapes = list(self._session.inputs.items())
        if len(shapes) != 1 or len(shapes[0][1]) != 4:
            raise ConfigError(
                f"{path} does not take one batch of pictures", hint="its input must have four sizes"
            )
        self._name, shape = shapes[0]
        self._last = shape[3] == 3
        side = shape[1] if self._last else shape[2]
        self._side, self._most = side or 224, shape[0]
        self.facts = ModelFacts(None, Path(path).expanduser().stat().st_size)

    def infer(self, inputs: Sequence[bytes]) -> list[Answer[Best]]:
        """The five likeliest classes of each picture."""
        pixels = pixels_of(inputs)
        batch = np.stack([resized(one, self._side) for one in pixels]).astype(np.float32) / 255
        if not self._last:
            batch = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        steps = self._most or len(batch)  # a size that is fixed in the file
        parts = [
            self._session.run({self._name: batch[at : at + steps]})[0] for at in range(0, len(batch), steps)
        ]
        scores = np.concatenate(parts).astype(np.float32)
        best = np.argsort(-scores.reshape(len(batch), -1), axis=1)[:, :_BEST]
        sizes = [one.shape[0] * one.shape[1] for one in pixels]
        return [Answer(tuple(map(int, row)), size, 1) for row, size in zip(best, sizes, strict=True)]

    def close(self) -> None:
        """Nothing to give back."""


class NamedClassifier:
    """A network of Hugging Face whose classes are those of ImageNet-1k, in its order."""

    def __init__(self, name: str, settings: Settings) -> None:
        need_module("PIL", "pillow", extra="vision")
        self._pipeline = open_pipeline("image-classification", name, settings)
        self._places = {label: place for place, label in self._pipeline.model.config.id2label.items()}
        network = self._pipeline.model
        self.facts = ModelFacts(int(network.num_parameters()), int(network.get_memory_footprint()))

    def infer(self, inputs: Sequence[bytes]) -> list[Answer[Best]]:
        """The five likeliest classes of each picture."""
        from PIL import Image

        pixels = pixels_of(inputs)
        said = items(
            self._pipeline([Image.fromarray(one) for one in pixels], batch_size=len(pixels), top_k=_BEST)
        )
        answers: list[Answer[Best]] = []
        for one, picture in zip(said, pixels, strict=True):
            best = tuple(self._places[str(row.get("label"))] for row in mappings(one))
            answers.append(Answer(best, picture.shape[0] * picture.shape[1], 1))
        return answers

    def close(self) -> None:
        """Nothing to give back."""


class TextReader:
    """PP-OCRv4 in ONNX by way of RapidOCR: finds the lines in a picture and reads them."""

    def __init__(self, settings: Settings) -> None:
        folder = need_package(OCR)
        for module, package in (
            ("cv2", "opencv-python-headless"),
            ("pyclipper", "pyclipper"),
            ("shapely", "shapely"),
        ):
            need_module(module, package)
        need_module("onnxruntime", extra="vision")
        from importlib import import_module

        make = import_module("rapidocr_onnxruntime").RapidOCR
        self._read = cast(
            "Callable[..., tuple[list[list[object]] | None, object]]",
            make(
                intra_op_num_threads=threads_of(settings),
                inter_op_num_threads=1,
                det_limit_type="max",  # else a line of text is blown up to 736 pixels of height
            ),
        )
        size = sum((folder / path).stat().st_size for path in PACKAGES[OCR].files)
        self.facts = ModelFacts(None, size)

    def infer(self, inputs: Sequence[bytes]) -> list[Answer[str]]:
        """The text of each picture."""
        answers: list[Answer[str]] = []
        for pixels in pixels_of(inputs):
            found, _ = self._read(np.ascontiguousarray(pixels[:, :, ::-1]), use_cls=False)
            text = " ".join(str(line[1]) for line in found or ())
            answers.append(Answer(text, pixels.shape[0] * pixels.shape[1], len(text)))
        return answers

    def close(self) -> None:
        """Nothing to give back."""


def score_classes(answers: Sequence[Best]) -> Score:
    """Whether a class that names the photograph is among the five likeliest; the mean over photographs, since views of one
    are alike; chance: five of a thousand classes, drawn."""
    by_photo: Mapping[str, list[float]] = defaultdict(list)
    chances: dict[str, float] = {}
    for best, (_, photo) in zip(answers, views(), strict=False):
        by_photo[photo.shows].append(float(bool(photo.classes & set(best))))
        chances[photo.shows] = 1 - (1 - len(photo.classes) / _CLASSES) ** _BEST
    means = [sum(own) / len(own) for own in by_photo.values()]
    return mean(means, sum(chances.values()) / len(chances))


def score_lines(answers: Sequence[str]) -> Score:
    """1 less the error rate of letters, spaces left out; chance: reading nothing."""
    pairs = zip(answers, lines(), strict=False)
    return mean([likeness(_letters(text), _letters(line.text)) for text, line in pairs], 0.0)


def _letters(text: str) -> list[str]:
    return list("".join(text.split()))


def _pictures() -> Sequence[bytes]:
    return [picture for picture, _ in views()]


def _lines() -> Sequence[bytes]:
    return [line.picture for line in lines()]


def _onnx(path: str, settings: Settings) -> Model[bytes, Best]:
    return OnnxClassifier(path, settings)


IMAGE_CLASSIFICATION: Task[bytes, Best] = Task(
    "image-classification",
    "Image classification",
    "pixel",
    "token",
    _pictures,
    {"efficientnet-lite0": ModelEntry(Classifier, "EfficientNet-Lite0 of ImageNet-1k", package=PACKAGE)},
    score_classes,
    "top-5 accuracy",
    "five of a thousand classes, drawn",
    "9 photographs of scikit-image, scikit-learn and matplotlib in 6 views each",
    {"onnx": _onnx, "hf": NamedClassifier},
)
CHARACTER_RECOGNITION: Task[bytes, str] = Task(
    "optical-character-recognition",
    "Optical character recognition",
    "pixel",
    "byte",
    _lines,
    {"rapidocr": ModelEntry(TextReader, "PP-OCRv4, detection and recognition", package=OCR)},
    score_lines,
    "1 - error rate of letters",
    "reading nothing",
    "25 lines of text, drawn here",
)
