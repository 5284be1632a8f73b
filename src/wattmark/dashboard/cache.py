"""The one cache of the dashboard: what was worked out lately, each with the revision of what it was worked out from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Values by key, the ``most`` that were asked for last. Safe to share between threads.

    The one rule of when a value is old: it was made from another revision than the one that is asked with. Of a run
    that is ``Store.revision``, of the list of runs ``Store.stamp``, of a study ``StudyFolder.revision``.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Hashable, Value]] = OrderedDict()

    def get(self, key: Hashable, revision: Hashable, make: Callable[[], Value]) -> Value:
        """The value of this key and revision, made if it is not here. The caller must have asked for the revision
        before it reads anything, so that what is written meanwhile makes the value old and never the other way round."""
        with self._lock:
            entry = self._values.get(key)
            if entry is not None and entry[0] == revision:
                self._values.move_to_end(key)
                return entry[1]
        value = make()
        with self._lock:
            self._values[key] = (revision, value)
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value
