"""What a source is: the contract between the hardware families and the recorder.

A *source* reads one family of hardware. ``probe(host)`` says what is there and why something is not usable;
``open()`` of the found source gives an object with one method that matters, ``read()``. Everything a reading
means (unit, wrap, accuracy, what it contains) is said once, in its :class:`Channel`. Standard library only, and
named tuples rather than dataclasses: the recorder imports this in the milliseconds before a run starts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

Component = Literal["cpu", "gpu", "dram", "soc", "host"]
Method = Literal["counter", "integrated", "modelled"]
ReadingKind = Literal["counter", "power", "energy"]

COMPONENTS: tuple[Component, ...] = ("cpu", "gpu", "dram", "soc", "host")


class Accuracy(NamedTuple):
    """How far a channel may be from the truth, nineteen times in twenty, and what of it is common to what.

    The true energy of an interval lies within ``value * (1 - relative_low) - absolute_w * seconds`` and
    ``value * (1 + relative_high) + absolute_w * seconds``. ``citation`` names the documentation or the
    published validation that says so.

    The relative part is three independent errors (figures: docs/science/error-budget.md): ``character_*``
    depends on the work (instruction mix, memory traffic, level of load), so it is common to repeats of one
    command only; ``curve_*`` is common to all machines with this part; what is left of the whole in
    quadrature, ``specimen_*``, is a constant of this machine or board. An accuracy without a split is all
    specimen. ``absolute_w`` is a constant of the machine too.
    """

    relative_low: float
    relative_high: float
    absolute_w: float
    citation: str
    character_low: float = 0.0
    character_high: float = 0.0
    curve_low: float = 0.0
    curve_high: float = 0.0

    @property
    def specimen_low(self) -> float:
        """Of the value, downwards: what this machine's own constant may take."""
        return math.sqrt(max(0.0, self.relative_low**2 - self.character_low**2 - self.curve_low**2))

    @property
    def specimen_high(self) -> float:
        """Of the value, upwards: what this machine's own constant may add."""
        return math.sqrt(max(0.0, self.relative_high**2 - self.character_high**2 - self.curve_high**2))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Accuracy:
        """From ``_asdict()`` of this or another version: unknown keys are ignored, missing ones keep their default."""
        return cls(**{key: value for key, value in data.items() if key in cls._fields})


class Channel(NamedTuple):
    """One energy curve of one source: what it is, what its raw readings mean, how good they are.

    ``kind`` says what ``read()`` returns for it: ``counter`` a raw counter in µJ that wraps at ``wrap_uj``;
    ``power`` watts now (integrated with real time stamps); ``energy`` cumulative µJ that never wraps.
    ``inside`` names the channels whose energy already holds this one's (``cpu0/core`` is inside ``cpu0/package``).
    ``group`` and ``copy_of`` tell candidates for a mirrored counter: channels of one ``group`` are compared by their
    readings, and those found to be the same counter are counted once.
    ``curve_w`` is a model's: its watts at utilisations from 0 to 1 in even steps.
    ``stands_in_for`` names the channels in whose place this one counts while they give nothing; never beside them.
    ``counted`` is discovery's decision that the channel belongs in its component's total.
    """

    id: str
    component: Component
    source: str
    method: Method
    scope: str
    kind: ReadingKind
    accuracy: Accuracy
    wrap_uj: int | None = None
    max_power_w: float = 2_000.0
    resolution_uj: float = 1.0
    update_period_s: float = 0.001
    inside: tuple[str, ...] = ()
    group: str = ""
    copy_of: str = ""
    counted: bool = True
    label: str = ""
    curve_w: tuple[float, ...] = ()
    stands_in_for: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a journal header or the store."""
        data = self._asdict()
        data["accuracy"] = self.accuracy._asdict()
        for name in ("inside", "curve_w", "stands_in_for"):
            data[name] = list(data[name])
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Channel:
        """The inverse of :meth:`to_dict`; unknown keys of newer versions are ignored."""
        known = {key: value for key, value in data.items() if key in cls._fields}
        known["accuracy"] = Accuracy.from_dict(known["accuracy"])
        for name in ("inside", "curve_w", "stands_in_for"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)


class Series(NamedTuple):
    """A side series: something read beside the joules (utilisation, temperature, clock)."""

    id: str
    unit: str
    source: str
    label: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a journal header or the store."""
        return self._asdict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Series:
        """The inverse of :meth:`to_dict`."""
        return cls(**{key: value for key, value in data.items() if key in cls._fields})


@runtime_checkable
class Source(Protocol):
    """An opened source. All values of one ``read`` belong to one moment; the recorder takes the time stamps.

    ``read()`` returns one value per channel and then one per series, in their order: µJ (int) for ``counter``
    and ``energy`` channels, W (float) for ``power`` channels, any float for a series, and None where this
    reading failed. It raises :class:`~wattmark.errors.SourceRetry` if the whole reading failed for now,
    :class:`~wattmark.errors.SourceGone` if it will not come back, and
    :class:`~wattmark.errors.SourceEnded` when there is no more.
    """

    name: str
    channels: Sequence[Channel]
    series: Sequence[Series]
    period_s: float
    """The shortest useful time between two readings; the recorder reads no more often than this."""

    def read(self) -> Sequence[float | None]:
        """Read everything once; a few microseconds to a few milliseconds."""
        ...

    def close(self) -> None:
        """Give back file descriptors and libraries. May be called twice."""
        ...


class Finding(NamedTuple):
    """One thing that a probe saw: a usable group of channels, or a reason why something is not usable.

    ``problem`` and ``fix`` are whole sentences for people. ``open`` builds the source; it is None when unusable.
    ``left_out`` is set where what is not usable is missing from the total though the program may use it: the code of
    the run's warning (:data:`~wattmark.sources.plausibility.FINDINGS`). ``retry`` probes once more what failed for
    a reason that may pass; the recorder calls it during the run.
    """

    source: str
    what: str
    channels: tuple[Channel, ...] = ()
    series: tuple[Series, ...] = ()
    open: Callable[[], Source] | None = None
    problem: str | None = None
    fix: str | None = None
    left_out: str = ""
    retry: Callable[[], Sequence[Finding]] | None = None

    @property
    def usable(self) -> bool:
        """Whether the source can be opened."""
        return self.open is not None


class Host(NamedTuple):
    """The machine as the sources see it: file-system roots, environment and settings are passed in.

    ``options`` holds settings by source name, such as ``{"cpu-model": {"tdp_w": 125.0}}``.
    """

    sysfs: str = "/sys"
    procfs: str = "/proc"
    environ: Mapping[str, str] = {}
    options: Mapping[str, Mapping[str, Any]] = {}

    @classmethod
    def here(
        cls,
        environ: Mapping[str, str] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Host:
        """This machine, with the roots that ``WATTMARK_SYSFS`` and ``WATTMARK_PROCFS`` name."""
        env = dict(os.environ if environ is None else environ)
        return cls(
            env.get("WATTMARK_SYSFS") or "/sys", env.get("WATTMARK_PROCFS") or "/proc", env, options or {}
        )

    def sys(self, *parts: str) -> str:
        """A path under the root of sysfs."""
        return "/".join((self.sysfs.rstrip("/"), *parts))

    def proc(self, *parts: str) -> str:
        """A path under the root of procfs."""
        return "/".join((self.procfs.rstrip("/"), *parts))

    def option(self, source: str, name: str, default: Any = None) -> Any:
        """One setting of one source."""
        return self.options.get(source, {}).get(name, default)


Probe = Callable[[Host], Sequence[Finding]]
"""Each source module has ``probe(host)``; it never raises and takes well under 10 ms where its hardware is absent."""


def read_text(path: str) -> str | None:
    """The stripped content of a small file of sysfs or procfs, or None if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def read_int(path: str) -> int | None:
    """The integer in a small file, or None if it cannot be read or is none."""
    text = read_text(path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
