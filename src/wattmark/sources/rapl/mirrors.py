"""Which counters are one counter shown more than once.

Some multi-die processors (first generations of EPYC and Threadripper) show the counter of the whole package
once for each die, others have a real counter in each. Names do not tell them apart; readings do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from wattmark.sources.base import Channel
from wattmark.sources.rapl.counter import UPDATE_PERIOD_S, Counter


def judge_mirrors(
    channels: Iterable[Channel], curves: Mapping[str, Sequence[tuple[int, int]]]
) -> dict[str, str]:
    """The final word on mirrored counters, from whole curves: channel id -> id of what it copies, or "".

    curves: channel id -> samples (t_ns, cumulative µJ); channels of one source share their time stamps. Only
    what looked like a copy before the run (``copy_of``) is judged: counters with different values are two. It
    is a copy if the difference between the curves stays within what accrues while the counter is renewed
    between two reads; real counters drift apart. Channels that did not advance, or share fewer than three
    samples, are left out: the first decision stands.
    """
    alike: dict[str, list[Channel]] = {}
    for channel in channels:
        alike.setdefault(channel.copy_of or channel.id, []).append(channel)
    verdict: dict[str, str] = {}
    for first, *others in alike.values():
        originals = [first]
        for channel in others:
            answers = {original.id: _stay_together(curves, original, channel) for original in originals}
            copied = next((name for name, same in answers.items() if same), None)
            if copied is not None:
                verdict[channel.id] = copied
            elif None not in answers.values():
                verdict[channel.id] = ""
                originals.append(channel)
    return verdict


def _stay_together(
    curves: Mapping[str, Sequence[tuple[int, int]]], first: Channel, second: Channel
) -> bool | None:
    """Whether two curves are one counter; None if they do not tell."""
    a, b = curves.get(first.id, ()), curves.get(second.id, ())
    stride = max(1, len(a) // 1_000)
    both: list[tuple[int, int, int]] = []
    for t, uj in (*a[::stride], *a[-1:]):
        at = bisect_left(b, (t, 0))
        if at < len(b) and b[at][0] == t:
            both.append((t, uj, b[at][1]))
    if len(both) < 3:
        return None
    gained_a, gained_b = both[-1][1] - both[0][1], both[-1][2] - both[0][2]
    if not gained_a and not gained_b:
        return None
    apart = sorted(uj_a - uj_b for _, uj_a, uj_b in both)
    # A reading or two, one in twenty in a long run, may have been torn from its twin by the scheduler.
    cut = (len(apart) + 14) // 20
    spread = apart[-1 - cut] - apart[cut]
    mean_w = max(gained_a, gained_b) * 1e3 / (both[-1][0] - both[0][0])
    return spread <= 4 * first.resolution_uj + mean_w * 4 * UPDATE_PERIOD_S * 1e6


def count_mirrors_once(channels: Sequence[Channel], paths: Sequence[str]) -> list[Channel]:
    """A first decision before the run, from readings A, B, A: a copy of A reads between them.

    What accrues while the counter is renewed is allowed for. Two real counters can be as close by chance;
    :func:`judge_mirrors` has the last word when the run is over.
    """
    counters = {channel.id: Counter(path) for channel, path in zip(channels, paths, strict=True)}
    copies: dict[str, str] = {}
    groups = _groups(channels)
    for members in groups.values():
        originals: list[Channel] = []
        for channel in members:
            counter = counters[channel.id]
            same = (other.id for other in originals if _same_now(counters[other.id], counter, other))
            copied = next(same, None)
            if copied is None:
                originals.append(channel)
            else:
                copies[channel.id] = copied
    for counter in counters.values():
        counter.close()
    grouped = {channel.id for members in groups.values() for channel in members}
    return [
        channel._replace(
            group=channel.group if channel.id in grouped else "",
            copy_of=copies.get(channel.id, ""),
            counted=channel.counted and channel.id not in copies,
        )
        for channel in channels
    ]


def _same_now(first: Counter, second: Counter, channel: Channel) -> bool:
    return sum(_reads_between(first, second, channel) for _ in range(3)) >= 2


def _reads_between(first: Counter, second: Counter, channel: Channel) -> bool:
    before, value, after = first.read(), second.read(), first.read()
    if before is None or value is None or after is None:
        return False
    slack = round(2 * channel.resolution_uj + channel.max_power_w * 2 * UPDATE_PERIOD_S * 1e6)
    turn = channel.wrap_uj or 2**63  # all modulo the wrap: it may come in between
    return (value - before + slack) % turn <= (after - before) % turn + 2 * slack


def _groups(channels: Iterable[Channel]) -> dict[str, list[Channel]]:
    groups: dict[str, list[Channel]] = {}
    for channel in channels:
        if channel.group:
            groups.setdefault(channel.group, []).append(channel)
    return {group: members for group, members in groups.items() if len(members) > 1}
