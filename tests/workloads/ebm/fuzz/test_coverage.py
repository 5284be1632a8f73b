"""Branches are seen, and only those of the files that are looked at."""

from __future__ import annotations

import json
import sys

from wattmark.workloads.ebm.fuzz.coverage import Branches


def _forked(data: bytes) -> int:
    if data.startswith(b"a"):
        return 1
    return 2


def test_another_way_through_is_another_branch() -> None:
    seen = Branches([__file__])
    first, _ = seen.of(_forked, b"a")
    second, _ = seen.of(_forked, b"b")
    assert first
    assert second
    assert first != second
    assert first == seen.of(_forked, b"ab")[0]


def test_other_files_do_not_count_and_errors_are_handed_back() -> None:
    before = sys.gettrace()
    branches, error = Branches(["no/such/file"]).of(json.loads, b"{")
    assert branches == set()
    assert isinstance(error, ValueError)
    assert sys.gettrace() is before
