"""How long a run will take: from its marks, from earlier runs, when it stalls, and when it goes back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.predict.live.length import length_like, length_of
from wattmark.predict.live.progress import Progress, of_spans
from wattmark.recorder.events import EventLog
from wattmark.runs.reading.journals import read_events


def marked(total: float | None, *marks: tuple[float, float], unit: str = "epochs") -> Progress:
    progress = Progress(unit, total)
    for t_s, done in marks:
        progress.mark(t_s, done)
    return progress


def test_even_epochs_tell_the_length() -> None:
    progress = marked(10, *((2.0 * n, float(n)) for n in range(1, 6)))
    time, notes = length_of(progress, 10.0)
    assert time.value == pytest.approx(20.0)
    low, high = time.interval(0.9)
    assert 10 < low < 20 < high < 30
    assert not notes


def test_between_two_marks_the_length_stays_what_it_was() -> None:
    progress = marked(10, *((2.0 * n, float(n)) for n in range(1, 6)))
    assert length_of(progress, 11.5)[0].value == pytest.approx(20.0)


def test_the_interval_holds_nine_times_in_ten_for_epochs_that_differ() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        ends = np.cumsum(random.lognormal(0.0, 0.15, 40))
        progress = marked(40, *((float(t), float(n)) for n, t in enumerate(ends[:8], 1)))
        low, high = length_of(progress, float(ends[7]))[0].interval(0.9)
        held += low <= ends[-1] <= high
    assert held >= 165  # of 200; fewer has a probability below 0.1 % at 90 %


def test_thousands_of_steps_are_taken_together() -> None:
    progress = marked(20_000, *((0.01 * n, float(n)) for n in range(1, 5001)), unit="steps")
    assert len(progress.marks) <= 512
    assert length_of(progress, 50.0)[0].value == pytest.approx(200.0, rel=0.01)


def test_the_start_of_the_program_is_not_taken_for_an_epoch() -> None:
    progress = marked(10, (12.0, 1), (14.0, 2), (16.0, 3), (18.0, 4))
    assert length_of(progress, 18.0)[0].value == pytest.approx(30.0)
    low, _ = length_of(marked(10, (12.0, 1)), 12.0)[0].interval(0.9)
    assert low < 30.0


def test_spans_say_when_the_first_one_began(tmp_path) -> None:
    log = EventLog(str(tmp_path), {})
    start_ns = 1_000_000_000
    for number in range(3):
        span = log.open_span("epoch", 0, start_ns + (10 + 2 * number) * 1_000_000_000)
        log.close_span(span, start_ns + (12 + 2 * number) * 1_000_000_000)
    log.close()
    progress = of_spans(read_events(str(tmp_path)), start_ns)["epochs"]
    progress.total = 10.0
    assert progress.marks == [(10.0, 0.0), (12.0, 1.0), (14.0, 2.0), (16.0, 3.0)]
    assert length_of(progress, 16.0)[0].value == pytest.approx(30.0)


def test_an_epoch_that_takes_twice_as_long_is_no_stall() -> None:
    progress = marked(10, *((2.0 * n, float(n)) for n in range(1, 6)))
    time, notes = length_of(progress, 14.0)
    assert time.value == pytest.approx(22.0)
    assert not notes


def test_one_epoch_is_a_guess_and_says_so() -> None:
    time, notes = length_of(marked(10, (2.0, 1.0)), 2.0)
    assert time.value == pytest.approx(20.0)
    assert time.high > 28
    assert "one piece" in notes[0]


def test_a_run_that_stalls_takes_longer_and_says_so() -> None:
    progress = marked(10, *((2.0 * n, float(n)) for n in range(1, 6)))
    calm, stalled = length_of(progress, 12.0)[0], length_of(progress, 60.0)
    assert stalled[0].value > 60 + 8
    assert stalled[0].half_width > 5 * calm.half_width
    assert "no progress for 50 s" in stalled[1][0]


def test_a_run_that_goes_back_is_measured_anew_from_there() -> None:
    progress = marked(10, (2, 1), (4, 2), (6, 3), (8, 1), (10, 2), (12, 3))
    assert progress.restarts == 1
    time, notes = length_of(progress, 12.0)
    assert time.value == pytest.approx(26.0)
    assert "went back" in notes[0]


def test_what_is_no_number_is_passed_over() -> None:
    progress = marked(math.nan, (1.0, 1.0), (2.0, math.nan), (math.inf, 3.0), (3.0, -1.0))
    assert progress.marks == [(1.0, 1.0)]
    with pytest.raises(ConfigError) as error:
        length_of(marked(None, (1.0, 1.0)), 2.0)
    assert "--epochs" in str(error.value.hint)


def test_the_end_is_the_end() -> None:
    assert length_of(marked(3, (1, 1), (2, 2), (3, 3)), 3.5)[0].value == 3.5


def test_earlier_runs_tell_the_length_of_one_that_does_not() -> None:
    time = length_like([90.0, 100.0, 110.0, 30.0], 50.0)
    assert time is not None
    assert time.value == pytest.approx(100.0)
    low, high = time.interval(0.9)
    assert low < 90 < 110 < high
    one = length_like([100.0], 10.0)
    assert one is not None
    assert one.interval(0.9)[1] == pytest.approx(100 * math.e)
    assert length_like([], 10.0) is None
    assert length_like([5.0, math.nan], 10.0) is None
