"""Power from an exporter's own page: its ``/metrics`` read again and again during the load, on this machine's clock.

``http://host:9400/metrics`` takes what is known there; ``http://host:9400/metrics#METRIC{gpu="0"}`` names it (labels must be
equal).
"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.power.names import KNOWN, Meaning, meaning_of
from wattmark.serving.power.samples import PowerReadings, Samples, curves_of
from wattmark.serving.server.exposition import Sample, labels_of, samples

READ_EVERY_S = 0.5
TIMEOUT_S = 5.0
MOST_BYTES = 64 * 1024 * 1024
MARGIN = 4
"""Readings of so many periods before a time belong to its curves, so that its beginning lies within them."""


@dataclass(slots=True)
class ExporterPower:
    """Reads a page from ``begin`` until ``close``, in a thread of its own."""

    url: str
    period_s: float = READ_EVERY_S
    _name: str = ""
    _meaning: Meaning | None = None
    _points: dict[str, tuple[array[int], array[float]]] = field(
        default_factory=dict[str, "tuple[array[int], array[float]]"]
    )
    _slowest_s: float = 0.0
    _failed: list[str] = field(default_factory=list[str])
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _selector: dict[str, str] = field(default_factory=dict[str, str])
    _page: str = ""

    def begin(self) -> None:
        """Find the metric and start to read. Raises ServerError and ConfigError."""
        page, _, wanted = self.url.partition("#")
        wanted = urllib.parse.unquote(wanted)
        self._name = wanted.partition("{")[0].strip()
        try:
            text = _get(page)
        except OSError as error:
            raise ServerError(f"{page}: {_reason(error)}", hint="is the exporter running there?") from error
        there = {sample.name for sample in samples(text, lambda name: name in KNOWN or name == self._name)}
        if not self._name:
            self._name = next((name for name in KNOWN if name in there), "")
        if not self._name or self._name not in there:
            known = ", ".join(sorted(there))
            raise ServerError(
                f"{page} has no {self._name or 'metric of power that is known here'}",
                hint=f"there is {known}: name it after a #" if known else "name a metric of it after a #",
            )
        self._meaning = meaning_of(self._name)
        self._selector = labels_of(wanted.partition("{")[2])
        self._page = page
        self._read()
        if not self._points:
            raise ServerError(
                f"{page} has no {wanted}", hint="labels after the # must be equal to those there"
            )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def readings(
        self, start_ns: int, end_ns: int, on_wait: Callable[[float], None] | None = None
    ) -> PowerReadings:
        """The curves of [start, end) after one more reading. on_wait: not needed here."""
        assert self._meaning is not None, "begin first"
        self._read()
        from_ns = start_ns - round(MARGIN * self.period_s * 1e9)
        series: list[Samples] = []
        with self._lock:
            for labels, (times, values) in self._points.items():
                t_ns, told = np.array(times, np.int64), np.array(values, np.float64)
                kept = t_ns >= from_ns
                if kept.any():
                    series.append(Samples(labels_of(labels), t_ns[kept], told[kept]))
        curves, notes = curves_of(series, self._meaning, source="exporter", clock_s=self._slowest_s / 2)
        failed = (
            [f"{len(self._failed)} readings of {self._page} failed ({self._failed[0]})"]
            if self._failed
            else []
        )
        return PowerReadings(
            curves,
            self._slowest_s / 2,
            self.period_s,
            (*failed, *notes),
            f"{self._name} of {self._page}, every {self.period_s:g} s",
        )

    def close(self) -> None:
        """End the thread."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self.period_s):
            self._read()

    def _read(self) -> None:
        asked_ns = time.monotonic_ns()
        try:
            text = _get(self._page)
        except OSError as error:
            self._failed.append(_reason(error))
            return
        heard_ns = time.monotonic_ns()
        middle_ns = (asked_ns + heard_ns) // 2
        with self._lock:
            self._slowest_s = max(self._slowest_s, (heard_ns - asked_ns) / 1e9)
            for sample in samples(text, lambda name: name == self._name):
                if not self._fits(sample):
                    continue
                times, values = self._points.setdefault(sample.labels, (array("q"), array("d")))
                if not times or middle_ns > times[-1]:
                    times.append(middle_ns)
                    values.append(sample.value)

    def _fits(self, sample: Sample) -> bool:
        if not self._selector:
            return True
        labels = labels_of(sample.labels)
        return all(labels.get(name) == value for name, value in self._selector.items())


def _get(url: str) -> str:
    request = urllib.request.Request(url, headers={"Accept": "text/plain;version=0.0.4"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310 its scheme was looked at
        return reply.read(MOST_BYTES).decode("utf-8", "replace")


def _reason(error: OSError) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    return str(getattr(error, "reason", None) or error)


def check_page(url: str) -> None:
    """Raises ConfigError for what is no page of an exporter."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{url!r} is no source of power",
            hint="prometheus://host:9090/?query=METRIC, http://host:9400/metrics, agent://host:9464, or ssh://host",
        )
    if parts.username or parts.password:
        raise ConfigError("a password in the address would be kept with the results", hint="leave it out")
