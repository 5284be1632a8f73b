from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import MissingExtra
from wattmark.studies.analysis.data.cells import codes
from wattmark.studies.analysis.significance import holm, scipy_stats


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_holm_does_not_count_what_was_not_tested() -> None:
    found = holm(np.array([0.01, np.nan, 0.04]))
    assert found[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(found[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_never_lowers_a_p_and_keeps_their_order(p: list[float]) -> None:
    values = np.array(p)
    found = holm(values)
    assert (found >= values).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(values, kind="stable")]) >= 0).all()


def test_numeric_levels_are_ordered_by_size_and_words_by_appearance() -> None:
    assert codes([64, 8, 16, 8])[0] == [8, 16, 64]
    assert codes(["b", "a"])[0] == ["b", "a"]


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingExtra) as caught:
        scipy_stats()
    assert "wattmark[report]" in str(caught.value.hint)
