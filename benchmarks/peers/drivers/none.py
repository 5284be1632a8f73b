"""Nothing at all: what every cost is compared with."""

from __future__ import annotations


def measure(work, period_s, folder):
    work()
