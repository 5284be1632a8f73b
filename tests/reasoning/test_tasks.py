from __future__ import annotations

import random
from itertools import islice

import pytest

from wattmark.errors import ConfigError
from wattmark.reasoning.modes import ANSWER, STEPS, Mode, completion, prompt
from wattmark.reasoning.tasks import GROUPS, TASKS, Problem, group, problems, training_problems

CASES = [(name, level) for name, task in TASKS.items() for level in task.tested]


def solved(problem: Problem) -> str:
    """The answer, worked out from the compact text in another way than the tasks do."""
    text = problem.compact.rstrip("=")
    if problem.task in ("addition", "multiplication"):
        return str(eval(text))
    if problem.task == "parity":
        return "odd" if int(text, 2).bit_count() % 2 else "even"
    if problem.task == "sorting":
        return " ".join(sorted(text.split()))
    start, *events = text.split(", ")
    total = int(start.split()[2])
    for event in events:
        amount = int(event.split()[-1])
        total += amount if event.split()[0] in ("buys", "finds", "gets") else -amount
    return str(total)


@pytest.mark.parametrize(("task", "level"), CASES)
def test_answers_are_right_at_every_level(task: str, level: int):
    for problem in problems(task, level, 60):
        assert problem.answer == solved(problem)
        assert problem.level == level


@pytest.mark.parametrize("task", TASKS)
def test_steps_are_true_and_lead_to_the_answer(task: str):
    for level in TASKS[task].tested:
        for problem in problems(task, level, 20):
            for step in problem.steps:
                if "=" in step:
                    left, right = step.split("=")
                    assert eval(left) == int(right), step
            if task in ("multiplication", "words"):
                assert problem.steps[-1].split("=")[-1] in (problem.answer, str(int(problem.answer)))
            if task == "parity":
                assert problem.steps[-1][1] == problem.answer[0]
            if task == "addition":
                digits = "".join(reversed([step.split("=")[1] for step in problem.steps[-1:]]))
                assert problem.answer.startswith(digits)


@pytest.mark.parametrize(("task", "level"), CASES)
def test_the_same_seed_gives_the_same_problems_and_another_seed_others(task: str, level: int):
    first = problems(task, level, 20, seed=1)
    assert first == problems(task, level, 20, seed=1)
    assert first[:10] == problems(task, level, 10, seed=1)
    assert first != problems(task, level, 20, seed=2)
    assert len({problem.key for problem in first}) == 20


@pytest.mark.parametrize("task", TASKS)
def test_nothing_that_is_tested_is_trained(task: str):
    trained = {problem.key for problem in islice(training_problems((task,), random.Random(0)), 3000)}
    for level in TASKS[task].tested:
        tested = {problem.key for problem in problems(task, level, 60)}
        assert not tested & trained


def test_a_sum_and_its_mirror_image_are_one_problem():
    rng = random.Random(0)
    pairs = {}
    for _ in range(2000):
        problem = TASKS["addition"].make(2, rng)
        pairs.setdefault(problem.key, set()).add((problem.compact, problem.part))
    mirrored = [found for found in pairs.values() if len({compact for compact, _ in found}) == 2]
    assert mirrored
    assert all(len({part for _, part in found}) == 1 for found in mirrored)


@pytest.mark.parametrize("task", TASKS)
def test_there_are_lengths_that_training_never_sees(task: str):
    family = TASKS[task]
    levels = {problem.level for problem in islice(training_problems((task,), random.Random(0)), 500)}
    assert levels == set(family.trained)
    assert any(not family.seen(level) for level in family.tested)


def test_what_there_is_none_of_is_refused():
    with pytest.raises(ConfigError, match="no task 'algebra'"):
        problems("algebra", 1, 1)
    with pytest.raises(ConfigError, match="no level 99"):
        problems("addition", 99, 1)
    with pytest.raises(ConfigError, match="not 5000"):
        problems("multiplication", 2, 5000)
    with pytest.raises(ConfigError):
        group("algebra")
    assert group("arithmetic") == GROUPS["arithmetic"]
    assert group("parity") == ("parity",)


@pytest.fixture
def sum_of_three_digits() -> Problem:
    return next(p for p in problems("addition", 3, 50) if len(p.answer) == 3)


def test_modes_differ_in_what_is_written_out(sum_of_three_digits: Problem):
    answer, some, steps = (
        completion(sum_of_three_digits, Mode.parse(m)) for m in ("answer", "budget:16", "steps")
    )
    assert answer == sum_of_three_digits.answer
    assert len(answer) < len(some) < len(steps)
    assert {text.split(";")[-1] for text in (answer, some, steps)} == {answer}


@pytest.mark.parametrize(("task", "level"), CASES)
@pytest.mark.parametrize("budget", [1, 8, 16, 32])
def test_steps_keep_to_their_budget(task: str, level: int, budget: int):
    for problem in problems(task, level, 10):
        text = completion(problem, Mode("budget", budget))
        assert len(text) - len(problem.answer) <= budget
        assert completion(problem, STEPS).startswith(text.rpartition(";")[0])


@pytest.mark.parametrize(("task", "level"), CASES)
def test_the_limit_of_a_mode_has_room_for_what_is_wanted(task: str, level: int):
    for problem in problems(task, level, 10):
        for mode in (ANSWER, STEPS, Mode("budget", 8)):
            assert len(completion(problem, mode)) < mode.max_tokens("compact")


def test_prompts_say_what_is_wanted(sum_of_three_digits: Problem):
    assert "only" in prompt(sum_of_three_digits, ANSWER, "chat")
    assert "40 tokens" in prompt(sum_of_three_digits, Mode("budget", 40), "chat")
    compact = {prompt(sum_of_three_digits, mode, "compact") for mode in (ANSWER, STEPS, Mode("budget", 8))}
    assert len(compact) == 3


@pytest.mark.parametrize("text", ["", "think", "budget:0", "budget:", "budget:1.5"])
def test_what_is_no_mode_is_refused(text: str):
    with pytest.raises(ConfigError):
        Mode.parse(text)


@pytest.mark.parametrize("text", ["answer", "steps", "budget:16"])
def test_modes_are_written_as_they_are_read(text: str):
    assert str(Mode.parse(text)) == text
