"""Whose are the GPUs: the measured processes' share of each, for attribution. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def gpu_shares(users: Sequence[Any], own: set[int]) -> dict[str, list[Any]]:
    """Of every GPU in use: the share of the processes in ``own``, and by what it was told.

    By the time on the multiprocessors where NVML tells it for all, else by memory. A GPU none of whose users is known
    here is left out: in a container their numbers mean nothing.
    """
    by_gpu: dict[str, list[Any]] = {}
    for user in users:
        by_gpu.setdefault(user.channel_id, []).append(user)
    shares: dict[str, list[Any]] = {}
    for channel_id, found in by_gpu.items():
        if not any(user.pid in own for user in found):
            continue
        for rule, amounts in (
            ("utilisation", [user.sm_percent for user in found]),
            ("memory", [user.memory_bytes for user in found]),
        ):
            total = sum(amount for amount in amounts if amount)
            if None not in amounts and total > 0:
                mine = sum(
                    amount for user, amount in zip(found, amounts, strict=True) if user.pid in own and amount
                )
                shares[channel_id] = [round(mine / total, 3), rule]
                break
        else:
            if all(user.pid in own for user in found):
                shares[channel_id] = [1.0, "sole user"]
    return shares
