"""Scores of answers: known values, and what must hold for all texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.workloads.tasks.scoring import f1, likeness, mean, rouge1, share

WORDS = st.lists(st.sampled_from("abcd"), max_size=12)


def test_known_values():
    assert share([True, True, False, False], 0.5).value == 0.5
    assert f1("ab", "bc") == pytest.approx(0.5)
    assert rouge1("The cat sat.", "the CAT slept") == pytest.approx(2 / 3)
    assert likeness("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert likeness([], list("abc")) == 0.0
    assert likeness([], []) == 1.0
    assert mean([0.25, 0.75], 0.1).value == 0.5


@given(WORDS, WORDS)
def test_all_scores_are_shares(found: list[str], true: list[str]):
    assert 0 <= f1(found, true) <= 1
    assert 0 <= likeness(found, true) <= 1


@given(WORDS)
def test_the_truth_is_worth_one(true: list[str]):
    assert f1(true, true) == 1
    assert likeness(true, true) == 1


@given(WORDS, WORDS)
def test_f1_looks_the_same_from_both_sides_and_in_any_order(a: list[str], b: list[str]):
    assert f1(a, b) == pytest.approx(f1(b, a))
    assert f1(sorted(a), b) == pytest.approx(f1(a, b))


@given(WORDS.filter(bool), st.integers(0, 11))
def test_one_wrong_word_costs_one_part(true: list[str], at: int):
    wrong = list(true)
    wrong[at % len(true)] = "x"
    assert likeness(wrong, true) == pytest.approx(1 - 1 / len(true))


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_an_interval_holds_its_value(right: list[bool]):
    for score in (share(right, 0.5), mean([float(one) for one in right], 0.5)):
        assert 0 <= score.low <= score.value <= score.high <= 1
