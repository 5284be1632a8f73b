"""The keeper: a small process that alone sets caps for another one, and puts the old ones back when that has ended.

It takes commands as lines of JSON on its standard input (``take``, ``set``, ``release``) and answers each with one. It has a
session of its own, so that Ctrl-C in a terminal does not reach it; SIGTERM and SIGHUP make it put back and end. When its
input ends, or its owner does (pidfd: a forked child may still hold the pipe), it puts back. A lock on each device, held by
the kernel for as long as the keeper lives, keeps a second user out.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from wattmark.documents import items, mapping, number, text
from wattmark.errors import WattmarkError
from wattmark.limits.base import LimitError, MayNotCap, NothingToCap, PowerLimit, alike, same, watts
from wattmark.limits.discovery import choose_limits, find_limits
from wattmark.limits.record import CapRecord, DeviceRecord, holder, lock, record_folder
from wattmark.limits.restoring import put_back, restore
from wattmark.recorder import tree
from wattmark.sources.base import Host


def lock_device(limit: PowerLimit) -> int:
    """A descriptor that keeps others from setting the device until it is closed. Raises MayNotCap with who holds it."""
    place = limit.lock or f"{record_folder()}/{limit.key.replace('/', '-')}.device"
    try:
        os.makedirs(record_folder(), mode=0o700, exist_ok=True)
        held = lock(place, create=not limit.lock)
    except OSError as error:
        raise MayNotCap(f"{limit.label} cannot be locked: {error.strerror}") from error
    if held is None:
        raise MayNotCap(
            f"{limit.label} is capped by {holder(place)} already", hint="wait until that has ended, or end it"
        )
    return held


TRIES, PAUSE_S = 5, 0.5
"""A driver that is busy when a cap is to be put back is asked so often again."""


class Keeper:
    """Holds devices, sets their caps, puts them back."""

    def __init__(self, name: str, host: Host) -> None:
        self._record = CapRecord(name)
        self._host = host
        self._limits: list[PowerLimit] = []
        self._locks: list[int] = []
        held = self._record.hold()
        if held is None:
            raise LimitError(f"there is a keeper named {name} already")
        self._locks.append(held)

    def take(self, keys: Sequence[str]) -> dict[str, object]:
        """Lock devices for us and write down how they are. Raises NothingToCap, MayNotCap, LimitError."""
        chosen = choose_limits(find_limits(self._host), keys)
        for limit in chosen:
            self._lock(limit)
        put_back(chosen)  # what an earlier one has left is not the old setting
        self._record.devices = [DeviceRecord(one.key, one.id, one.label, one.read()) for one in chosen]
        self._limits = chosen
        self._record.write()
        return {"devices": [one.key for one in chosen]}

    def set(self, cap_w: float | None) -> dict[str, object]:
        """Cap all devices to so many W, or give them their old settings (None); the W that are in force by key.

        Raises LimitError where one does not take it: those before it are set then, and come back with all others.
        """
        wanted: list[dict[str, int]] = []
        for limit, device in zip(self._limits, self._record.devices, strict=True):
            self._refuse_foreign(limit, device)
            setting = dict(device.old) if cap_w is None else limit.capped(device.old, cap_w)
            device.ours = [*device.ours[-1:], setting]
            device.pending = True
            wanted.append(setting)
        self._record.write()
        applied: dict[str, object] = {}
        for limit, device, setting in zip(self._limits, self._record.devices, wanted, strict=True):
            before = limit.read()
            limit.write(setting)
            now = limit.read()
            unmoved = [
                knob
                for knob, value in setting.items()
                if same(now[knob], before[knob]) and not same(now[knob], value)
            ]
            if unmoved:
                raise LimitError(
                    f"{limit.label} does not take a cap of {cap_w or 0:g} W: {unmoved[0]} stays at {now[unmoved[0]]}"
                )
            device.ours = [now]
            device.pending = False
            applied[limit.key] = watts(now)
        self._record.write()
        return {"applied": applied}

    def release(self, *, keep: bool = False) -> dict[str, object]:
        """Put the old settings back (or keep the caps, on the user's wish) and let the devices go."""
        if keep and self._record.devices:
            self._record.kept = True
            self._record.write()
            return {"lines": []}
        return {"lines": self.put_back()}

    def put_back(self) -> list[str]:
        """Put all old settings back; what is in the way stays written down for the next command."""
        if self._record.kept:
            return []
        lines: list[str] = []
        waiting: list[tuple[PowerLimit, DeviceRecord]] = []
        pairs = list(zip(self._limits, self._record.devices, strict=True))
        for limit, device in pairs:
            problem = ""
            for attempt in range(TRIES):
                try:
                    lines += restore(limit, device)
                    problem = ""
                    break
                except (WattmarkError, OSError) as error:
                    problem = f"the cap of {device.label} is not put back: {error}"
                    time.sleep(PAUSE_S if attempt < TRIES - 1 else 0)
            if problem:
                lines.append(problem)
                waiting.append((limit, device))
        self._limits = [limit for limit, _ in waiting]
        self._record.devices = [device for _, device in waiting]
        if waiting:
            self._record.write()
        else:
            self._record.remove()
        return lines

    def _lock(self, limit: PowerLimit) -> None:
        self._locks.append(lock_device(limit))

    def _refuse_foreign(self, limit: PowerLimit, device: DeviceRecord) -> None:
        now = limit.read()
        if device.ours and not alike(now, device.ours[-1]) and now != device.old:
            was, is_now = watts(device.ours[-1]), watts(now)
            raise LimitError(
                f"somebody else has set the cap of {limit.label} from {was or 0:g} to {is_now or 0:g} W meanwhile",
                hint="see that nothing else manages its power, then try again",
            )


def main(words: Sequence[str]) -> int:
    """``keeper NAME OWNER TICKS``, started by :class:`wattmark.limits.session.Caps`."""
    name, owner, ticks = words[0], int(words[1]), int(words[2])
    options: dict[str, dict[str, object]] = json.loads(words[3])
    told = _signals()
    os.chdir("/")
    watched = _watch(owner, ticks)
    keeper = Keeper(name, Host.here(options=options))
    try:
        _serve(keeper, told, watched)
    finally:
        lines = keeper.put_back()
        for line in lines:
            _say(line)
    return 0


def _serve(keeper: Keeper, told: int, watched: int) -> None:
    unread = b""
    while True:
        ready, _, _ = select.select([0, told, *([watched] if watched >= 0 else [])], [], [])
        if told in ready or watched in ready:
            return
        data = os.read(0, 65536)
        if not data:
            return
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            answer, goes_on = _answer(keeper, line)
            os.write(1, json.dumps(answer).encode() + b"\n")
            if not goes_on:
                return


def _answer(keeper: Keeper, line: bytes) -> tuple[dict[str, object], bool]:
    asked = mapping(json.loads(line))
    try:
        match asked.get("do"):
            case "take":
                return keeper.take(
                    [name for item in items(asked.get("keys")) if (name := text(item)) is not None]
                ), True
            case "set":
                return keeper.set(number(asked.get("cap_w"))), True
            case "release":
                return keeper.release(keep=asked.get("keep") is True), False
            case what:
                return {"error": f"there is no command {what!r}", "kind": "LimitError"}, True
    except WattmarkError as error:
        return {"error": str(error), "hint": error.hint, "kind": type(error).__name__}, True
    except OSError as error:  # the record could not be written: nothing was set
        return {"error": f"the old cap cannot be written down: {error}", "kind": LimitError.__name__}, True


def _signals() -> int:
    """Ignore what a terminal sends; a descriptor that becomes readable on what asks us to end."""
    for one in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(one, signal.SIG_IGN)
    readable, writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, _noted)
    return readable


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The descriptor tells."""


def _watch(owner: int, ticks: int) -> int:
    """A descriptor that becomes readable when the owner ends; its pid alone could be another's by now."""
    try:
        fd = os.pidfd_open(owner)
    except OSError:
        fd = -1
    if not tree.is_alive(owner, ticks):
        raise SystemExit(0)
    return fd


def _say(line: str) -> None:
    try:
        sys.stderr.write(f"wattmark: {line}\n")
        sys.stderr.flush()
    except OSError:
        return


KINDS: dict[str, type[LimitError]] = {one.__name__: one for one in (NothingToCap, MayNotCap, LimitError)}
"""By the names that answers carry."""
