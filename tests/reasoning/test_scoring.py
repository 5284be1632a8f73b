from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.quantity import Quantity
from wattmark.reasoning.modes import Style
from wattmark.reasoning.scoring import Reply, extract, is_right, score, wilson
from wattmark.reasoning.tasks import Problem, problems


def number(answer: str) -> Problem:
    return Problem("addition", 4, "?", "?=", answer, (), "k")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("579", "579"),
        ("1,234", "1234"),
        ("The answer is: 579.", "579"),
        ("**Answer:** 579", "579"),
        ("3 and 6 make 9.\n\nAnswer:\n579", "579"),
        ("Answer: 12\nNo, that is wrong.\nAnswer: 579", "579"),
        ("123 + 456 = 579", "579"),
        (r"Answer: \boxed{579}", "579"),
        ("<think>maybe 580?</think>579", "579"),
        ("Answer: $579$ apples", "579"),
        ("It is 12 or 579", None),
        ("Answer: 579.5", None),
        ("I cannot say.", None),
        ("<think>579, I am sure, but cut off", None),
        ("", None),
    ],
)
def test_numbers_are_found_where_a_chat_model_puts_them(text: str, found: str | None):
    assert extract(text, number("579"), "chat") == found


def test_words_and_lists_are_found():
    word = problems("parity", 10, 1)[0]
    assert extract("There are 3 ones.\nAnswer: Odd.", word, "chat") == "odd"
    assert extract("even or odd", word, "chat") is None
    listed = problems("sorting", 3, 1)[0]
    assert extract("Answer: 12, 30, 45", listed, "chat") == "12 30 45"
    assert extract("Sure", listed, "chat") is None


@pytest.mark.parametrize(
    ("text", "right"), [("3+6+0=9;579", True), ("579", True), ("5790", False), ("1=1,", False)]
)
def test_compact_answers_must_be_exact(text: str, right: bool):
    assert is_right(text, number("579"), "compact") is right


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes: int, trials: int, low: float, high: float):
    share = wilson(successes, trials)
    assert share.value == successes / trials
    assert (share.low, share.high) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_is_within_its_interval_and_that_within_0_and_1(case: tuple[int, int]):
    share = wilson(*case)
    assert 0 <= share.low <= share.value <= share.high <= 1


@pytest.mark.parametrize("case", [(0, 0), (-1, 5), (6, 5)])
def test_no_share_of_nothing(case: tuple[int, int]):
    with pytest.raises(ValueError, match="no share"):
        wilson(*case)


def replies(right: int, wrong: int, failed: int, tokens: int | None = 4) -> list[Reply]:
    problem = number("579")
    return (
        [Reply(problem, "579", tokens)] * right
        + [Reply(problem, "1", tokens)] * wrong
        + [Reply(problem, None)] * failed
    )


STYLE: Style = "compact"


def test_joules_are_spread_over_right_answers_only():
    result = score(replies(8, 2, 0), STYLE, Quantity(16.0, 12.0, 20.0))
    cost = result.joules_per_correct
    assert cost is not None
    assert cost.value == pytest.approx(2.0)
    assert cost.low < 12.0 / 8 < 20.0 / 8 < cost.high
    assert result.tokens_mean == 4


def test_failed_requests_count_in_no_figure():
    result = score(replies(3, 1, 4), STYLE)
    assert (result.asked, result.answered, result.failed, result.correct) == (8, 4, 4, 3)
    assert result.accuracy is not None
    assert result.accuracy.value == 0.75
    assert result.joules_per_correct is None


def test_what_is_not_known_is_none():
    assert score(replies(0, 0, 3), STYLE, Quantity.exact(1.0)).accuracy is None
    assert score([], STYLE).accuracy is None
    nothing_right = score(replies(0, 5, 0), STYLE, Quantity.exact(1.0))
    assert nothing_right.joules_per_correct is None
    assert nothing_right.energy == Quantity.exact(1.0)
    assert score([*replies(2, 0, 0), Reply(number("579"), "579", None)], STYLE).tokens_mean is None
