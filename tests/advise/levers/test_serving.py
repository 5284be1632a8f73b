"""A model server of ours has levers of its own; one that runs elsewhere is not set from outside."""

from __future__ import annotations

import pytest

from wattmark.advise.levers.lever import command_under
from wattmark.advise.levers.serving import benchmark_of, server_levers
from wattmark.advise.levers.subject import Computer, Subject
from wattmark.advise.levers.trying import try_levers
from wattmark.errors import ConfigError

COMPUTER = Computer((0, 1, 2, 3), (0, 1, 2, 3), {}, (2, 36), True, None, False)


def test_slots_threads_context_and_format_are_tried() -> None:
    command = benchmark_of("local:1m")
    levers = {lever.name: lever for lever in server_levers(Subject(tuple(command)), COMPUTER)}
    on = {name for name, lever in levers.items() if lever.off is None}
    assert {
        "1 slots",
        "2 slots",
        "8 slots",
        "short context",
        "8-bit weights",
        "memory kept",
        "one core",
    } <= on
    words = command_under(levers["8-bit weights"], command)
    assert words[words.index("--number-format") + 1] == "q8_0"
    assert levers["8-bit weights"].may_change
    assert words[words.index("--slots") + 1] == "4"
    assert levers["8 slots"].permanent == "wattmark llm serve local:1m --slots 8"
    assert not any(lever.group == "gc" for lever in levers.values())


def test_the_format_of_a_file_is_its_own() -> None:
    levers = {
        lever.name: lever
        for lever in server_levers(Subject(tuple(benchmark_of("local:/m/a.gguf"))), COMPUTER)
    }
    assert levers["8-bit weights"].off


def test_a_server_elsewhere_is_refused_with_the_next_step() -> None:
    with pytest.raises(ConfigError, match="not from outside") as error:
        try_levers(["llm", "http://127.0.0.1:8000"])
    assert "wattmark llm bench" in str(error.value.hint)
