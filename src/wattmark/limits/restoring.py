"""Putting back what a keeper has left behind: the next Wattmark command does it, and whoever lost his keeper."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from wattmark.errors import ConfigError, WattmarkError
from wattmark.limits.base import DeviceGone, MayNotCap, PowerLimit, alike, same, watts
from wattmark.limits.record import CapRecord, DeviceRecord, holder, lock, record_folder, records


def any_records() -> bool:
    """Whether there is anything to look at: one look at a folder, since every command asks."""
    try:
        return bool(os.listdir(record_folder()))
    except OSError:
        return False


def put_back(
    limits: Iterable[PowerLimit] | None = None, *, kept: bool = False, only: str | None = None
) -> list[str]:
    """Put back every cap that was left over, and say in a line each what was done or what is in the way.

    limits: those of this machine, looked up when there is something to do. kept: also caps that the user wished to keep.
    only: the record of this name. Never raises because of a device.
    """
    lines: list[str] = []
    known: list[PowerLimit] | None = None
    for record in records():
        if not record.here or (record.kept and not kept and not record.outlived):
            continue
        if only is not None and record.name != only:
            continue
        try:
            held = record.hold()
        except OSError as error:
            lines.append(
                f"a record of caps cannot be locked: {error.strerror}; run it as the user who set them"
            )
            continue
        if held is None:
            continue  # its keeper lives
        try:
            if CapRecord.read(record.name) is None:
                continue  # another command was first
            if record.outlived:
                record.remove()  # caps do not outlive a start of the machine
                continue
            if known is None:
                known = list(limits) if limits is not None else _limits_here()
            lines += _put_back_record(record, known)
        except OSError as error:
            lines.append(f"a record of caps cannot be changed: {error.strerror}")
        finally:
            os.close(held)
    return lines


def _put_back_record(record: CapRecord, known: Sequence[PowerLimit]) -> list[str]:
    lines: list[str] = []
    waiting: list[DeviceRecord] = []
    for device in record.devices:
        limit = next((one for one in known if one.key == device.key), None)
        if limit is None:
            lines.append(
                f"{device.label} is not there, so its cap is not put back yet: wattmark advise caps --forget if it is gone"
            )
            waiting.append(device)
            continue
        held = None
        try:
            if limit.lock and (held := lock(limit.lock)) is None:
                lines.append(f"{limit.label} is in use by {holder(limit.lock)}: its cap is put back later")
                waiting.append(device)
                continue
            lines += restore(limit, device)
        except (WattmarkError, OSError) as error:
            lines.append(_in_the_way(device, error))
            waiting.append(device)
        finally:
            if held is not None:
                os.close(held)
    if waiting:
        record.devices = waiting
        record.write()
    else:
        record.remove()
    return lines


def restore(limit: PowerLimit, device: DeviceRecord) -> list[str]:
    """Give a device its old setting back, knob by knob, and read it back; what somebody else has set meanwhile stays.

    What was done, in lines; none where nothing had to be. Raises LimitError where it does not take it.
    """
    now = limit.read()
    knobs = {knob: value for knob, value in device.old.items() if knob in now}
    foreign = {
        knob: now[knob]
        for knob, value in knobs.items()
        if now[knob] != value and not device.is_ours(knob, now[knob])
    }
    back = {knob: value for knob, value in knobs.items() if now[knob] != value and knob not in foreign}
    lines: list[str] = []
    if foreign:
        told = ", ".join(f"{knob} {value}" for knob, value in foreign.items())
        lines.append(
            f"{limit.label}: somebody else has set {told} meanwhile; that is left alone ({_words(device.old)} before)"
        )
    if back:
        limit.write(back)
        then = limit.read()
        wrong = [knob for knob, value in back.items() if not same(then[knob], value)]
        if wrong:
            raise DeviceGone(f"{limit.label} did not take its old {', '.join(wrong)} back")
        lines.append(f"{limit.label} is back at {_words(device.old)}")
    return lines


def forget() -> list[str]:
    """Drop the records of caps that nothing holds, without putting anything back; what was dropped, in lines."""
    lines: list[str] = []
    for record in list(records()):
        if not record.here:
            continue
        held = record.hold()
        if held is None:
            continue
        try:
            record.remove()
            lines += [f"forgotten: {device.label} was at {_words(device.old)}" for device in record.devices]
        finally:
            os.close(held)
    return lines


def kept_caps(limits: Sequence[PowerLimit]) -> dict[str, DeviceRecord]:
    """Caps that the user wished to keep and that are still in force, by the key of their device."""
    kept = {
        device.key: device
        for record in records()
        if record.kept and record.here and not record.outlived
        for device in record.devices
    }
    return {
        limit.key: kept[limit.key]
        for limit in limits
        if limit.key in kept and any(alike(limit.read(), one) for one in kept[limit.key].ours)
    }


def _words(setting: dict[str, int]) -> str:
    value = watts(setting)
    return "no limit" if value is None else f"{value:g} W"


def _in_the_way(device: DeviceRecord, error: WattmarkError | OSError) -> str:
    text = str(error)
    if isinstance(error, MayNotCap | PermissionError):
        text += "; put it back with: sudo wattmark advise caps --restore"
    return f"the cap of {device.label} is not put back ({_words(device.old)} before): {text}"


def _limits_here() -> list[PowerLimit]:
    from wattmark import settings
    from wattmark.limits.discovery import find_limits
    from wattmark.sources.base import Host

    try:
        options = dict(settings.recorder_settings({}).get("options") or {})
    except ConfigError:  # the command that is run says so; a cap is put back all the same
        options = {}
    options["nvml"] = {**options.get("nvml", {}), "devices": "all"}  # a device of another environment too
    return [one.limit for one in find_limits(Host.here(options=options)) if one.limit is not None]
