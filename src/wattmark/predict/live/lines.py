"""Progress that a program prints: ``Epoch 3/90``, ``45%|####   | 450/1000 [00:10<00:12]``, ``450/1000 [====>...]``.

An epoch's number and the bar inside the epoch are put together: epoch 3 of 90 at 45 % is 2.45 epochs. A line ``Epoch 3/90``
that says nothing else, or that a bar follows, opens epoch 3; one with values behind it (``loss=0.3``) closes it. Numbers
that begin at 0 (``Epoch 0:`` of Lightning) are taken as such. Of several bars in an epoch the longest is the work's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wattmark.predict.live.progress import Progress

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_TQDM = re.compile(
    rf"^(?P<text>[^|]*?)\s*\d{{1,3}}%\s*\|[^|]*\|\s*(?P<done>{_NUMBER})(?P<a>[kMG]?)/(?P<total>{_NUMBER})(?P<b>[kMG]?)\s*\["
)
_KERAS = re.compile(rf"^\s*(?P<done>{_NUMBER})/(?P<total>{_NUMBER})\s+[\[━]")
_EPOCH_OF = re.compile(
    rf"\bepochs?\b[\s:#=\[(]*(?P<done>{_NUMBER})\s*(?:/|of|out of)\s*(?P<total>{_NUMBER})(?P<rest>.*)",
    re.IGNORECASE,
)
_EPOCH = re.compile(rf"\bepochs?\b['\"]?[\s:#=\[(]*(?P<done>{_NUMBER})(?P<rest>.*)", re.IGNORECASE)
_STEP_OF = re.compile(
    rf"\b(?:step|iter|iteration|batch|it)s?\b[\s:#=\[(]*(?P<done>{_NUMBER})\s*(?:/|of|out of)\s*(?P<total>{_NUMBER})",
    re.IGNORECASE,
)
_VALUES = re.compile(r"[=:]\s*[-+]?\d")
_HINTS = ("%", "/", "poch", "POCH", " of ")
_SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_SEPARATORS = re.compile(rb"[\r\n]+")
MOST_BYTES = 4096
"""Of what comes at once, the end: a program that prints megabytes does not print its progress in them."""


@dataclass(slots=True)
class _Bar:
    done: float = 0.0
    total: float = 0.0

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


class LineProgress:
    """Reads what a program prints, and knows how far it is.

    epochs: how many there will be, where the user said so; then a bar that begins anew begins the next epoch.
    """

    def __init__(self, epochs: float | None = None) -> None:
        self.progress = Progress(total=epochs)
        self._given = epochs
        self._tail = b""
        self._epochs_done: float | None = None
        self._first: float | None = None
        self._total: float | None = epochs
        self._bars: dict[str, _Bar] = {}
        self._rounds = 0

    def feed(self, data: bytes, t_s: float) -> None:
        """Output that came ``t_s`` seconds after the start. An unfinished line is read as far as it is there."""
        whole = (self._tail + data)[-MOST_BYTES:]
        *lines, self._tail = _SEPARATORS.split(whole)
        for line in (*lines, self._tail):
            if line:
                self._line(line.decode("utf-8", "replace"), t_s)

    def _line(self, raw: str, t_s: float) -> None:
        if not any(hint in raw for hint in _HINTS):
            return
        line = _CONTROL.sub("", raw)
        bar = _TQDM.match(line) or _KERAS.match(line)
        if bar is not None:
            self._bar(bar, t_s)
        elif (epoch := _EPOCH_OF.search(line)) is not None:
            closes = _VALUES.search(epoch["rest"]) is not None
            self._epoch(_number(epoch["done"]), _number(epoch["total"]), closes=closes)
        elif (epoch := _EPOCH.search(line)) is not None and self._given is not None:
            self._epoch_alone(epoch)
        elif (step := _STEP_OF.search(line)) is not None:
            self._step("step", _number(step["done"]), _number(step["total"]))
        else:
            return
        self._mark(t_s)

    def _bar(self, bar: re.Match[str], t_s: float) -> None:
        groups = bar.groupdict()
        done = _number(groups["done"]) * _SCALES[groups.get("a") or ""]
        total = _number(groups["total"]) * _SCALES[groups.get("b") or ""]
        text = groups.get("text") or ""
        epoch = _EPOCH_OF.search(text) or _EPOCH.search(text)
        if epoch is not None and epoch.groupdict().get("total"):  # a bar of steps in "Epoch 3/90"
            self._epoch(_number(epoch["done"]), _number(epoch["total"]), closes=False)
        elif epoch is not None:  # "Epoch 3"
            self._epoch(_number(epoch["done"]), None, closes=False)
        elif re.search(r"epoch", text, re.IGNORECASE):  # a bar of epochs
            self._epochs_done, self._total = done, total
            return
        self._step(re.sub(r"[\d.]+", "#", text).strip(), done, total)

    def _step(self, name: str, done: float, total: float) -> None:
        bar = self._bars.setdefault(f"{name}/{total:g}", _Bar(total=total))
        longest = max(self._bars.values(), key=lambda one: one.total)
        if done < bar.done and bar is longest:  # it begins anew
            self._rounds += 1
        bar.done = done

    def _epoch(self, number: float, total: float | None, *, closes: bool) -> None:
        if self._first is None:
            self._first = number
        from_zero = self._first == 0
        done = number + (1.0 if closes and from_zero else 0.0) - (0.0 if closes or from_zero else 1.0)
        if self._epochs_done is None or done > self._epochs_done or done < self._epochs_done - 0.5:
            for bar in self._bars.values():  # those of the epoch before
                bar.done = 0.0
        self._epochs_done = max(0.0, done)
        if total is not None:
            self._total = total + 1 if from_zero and number == total else total

    def _epoch_alone(self, epoch: re.Match[str]) -> None:
        """``{'loss': 0.3, 'epoch': 1.25}`` says how many epochs were done; ``Epoch 3`` which one begins or ends."""
        if "." in epoch["done"]:
            self._epochs_done = _number(epoch["done"])
            self._bars.clear()
        else:
            self._epoch(_number(epoch["done"]), None, closes=_VALUES.search(epoch["rest"]) is not None)

    def _mark(self, t_s: float) -> None:
        longest = max(self._bars.values(), key=lambda one: one.total, default=_Bar())
        if self._epochs_done is not None:
            done, total, unit = self._epochs_done + longest.share, self._total, "epochs"
        elif self._given is not None:
            done, total, unit = self._rounds + longest.share, self._given, "epochs"
        elif self._rounds:  # of how many rounds nobody knows
            done, total, unit = self._rounds + longest.share, None, "rounds"
        else:
            done, total, unit = longest.done, longest.total or None, "steps"
        if unit != self.progress.unit:
            self.progress = Progress(unit, total)
        if total is not None:
            done = min(done, total)
        self.progress.total = total
        self.progress.mark(t_s, done, total)


def _number(text: str) -> float:
    return float(text.replace(",", ""))
