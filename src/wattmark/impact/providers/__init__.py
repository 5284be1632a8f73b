"""Who is asked for a grid's intensity over time, once the user has named them: publishers over the network, a proxy,
files.

A provider answers a :class:`Question` with readings; :func:`intensity` puts the cache and the fallback around it. May
import what ``impact`` may. Standard library only; ``wattmark.testing.carbon`` has the contract that every provider is
held against.
"""

from wattmark.impact.providers.base import Answer, CarbonProvider, Question, Reading, Terms
from wattmark.impact.providers.cache import Cache
from wattmark.impact.providers.registry import PROVIDERS, intensity, provider_of

__all__ = [
    "PROVIDERS",
    "Answer",
    "Cache",
    "CarbonProvider",
    "Question",
    "Reading",
    "Terms",
    "intensity",
    "provider_of",
]
