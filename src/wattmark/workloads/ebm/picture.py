"""A small picture of what a model learnt, as it travels in a trial's result: the data, the samples, and the density.

Maps are 48 x 48 squares of the plane within ``LIMIT``, eight bits each, written in base64 (2304 bytes).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattmark.documents import text
from wattmark.statistics import Float64
from wattmark.workloads.ebm.points import LIMIT

SIDE = 48
Map = NDArray[np.uint8]
"""(SIDE, SIDE), row 0 at the bottom; 255 is the densest square."""
_EDGES = np.linspace(-LIMIT, LIMIT, SIDE + 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """Maps of the data, of samples of the model, and of its density where that is known."""

    data: Map
    samples: Map
    density: Map | None = None

    @classmethod
    def of(cls, data: Float64, samples: Float64, chances: Float64 | None = None) -> Picture:
        """From points (n, 2) of the data and of the model, and the model's chances by word (2^bits,)."""
        density = None
        if chances is not None:
            from wattmark.workloads.ebm.codes import Code

            code = Code(int(np.log2(len(chances))))
            density = _map(code.decode(code.every()), chances)
        return cls(_map(data), _map(samples), density)

    def as_dict(self) -> dict[str, str]:
        """Plain text."""
        maps = {"data": self.data, "samples": self.samples, "density": self.density}
        return {
            name: base64.b64encode(map_.tobytes()).decode() for name, map_ in maps.items() if map_ is not None
        }

    @classmethod
    def read(cls, attributes: Mapping[str, object]) -> Picture | None:
        """The inverse of :meth:`as_dict`; None where the texts are no such maps."""
        data, samples, density = (_read(attributes.get(name)) for name in ("data", "samples", "density"))
        return None if data is None or samples is None else cls(data, samples, density)


def _map(points: Float64, weights: Float64 | None = None) -> Map:
    counts = np.histogram2d(points[:, 1], points[:, 0], bins=(_EDGES, _EDGES), weights=weights)[0]
    top = float(counts.max())
    shade = np.sqrt(counts / top) if top > 0 else counts  # faint parts must be seen beside the peaks
    return np.round(255 * shade).astype(np.uint8)


def _read(value: object) -> Map | None:
    try:
        raw = base64.b64decode(text(value) or "", validate=True)
    except binascii.Error:
        return None
    return np.frombuffer(raw, np.uint8).reshape(SIDE, SIDE) if len(raw) == SIDE * SIDE else None
