"""A job that recurs: its batch size and its power cap chosen anew each time, from what its earlier runs have cost."""

from wattmark.advise.recurring.bandit import Bandit
from wattmark.advise.recurring.job import Turn, recur

__all__ = ["Bandit", "Turn", "recur"]
