"""CPU time by process, from a folder that stands in for /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.node import FakeNode
from wattmark.agent.processes import CGROUP_LOOKS, TURNS, ProcessTable


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    return FakeNode(tmp_path)


def test_time_is_what_was_added_since_the_last_look(node: FakeNode) -> None:
    node.process(10, 100)
    table = ProcessTable(node.host)
    assert table.look() == {}
    node.process(10, 130)
    node.process(11, 7)
    seen: dict[int, int] = {}
    for _ in range(TURNS):
        for pid, ticks in table.look().items():
            seen[pid] = seen.get(pid, 0) + ticks
    assert seen == {10: 30, 11: 7}  # all of a process that began meanwhile
    node.ended(10)
    table.look()
    assert table.get(10) is None
    assert len(table) == 1


def test_nothing_is_lost_between_turns(node: FakeNode) -> None:
    for pid in range(20, 30):
        node.process(pid, 0)
    table = ProcessTable(node.host)
    total = 0
    for step in range(1, 41):
        for pid in range(20, 30):
            node.process(pid, step * (pid % 3))
        total += sum(table.look().values())
    total += sum(sum(table.look().values()) for _ in range(TURNS))
    assert total == 40 * sum(pid % 3 for pid in range(20, 30))


def test_a_pid_that_is_used_again_is_another_process(node: FakeNode) -> None:
    node.process(10, 500)
    table = ProcessTable(node.host)
    old = table.get(10)
    assert old is not None
    node.process(10, 3, start=9, command="other secret")
    seen = [table.look() for _ in range(TURNS)]
    assert {10: 3} in seen
    assert table.command_line(old) == []
    new = table.get(10)
    assert new is not None
    assert table.command_line(new) == ["other", "secret"]


def test_a_process_that_moves_is_found_in_its_new_cgroup(node: FakeNode) -> None:
    node.process(10, 0, "/a.service")
    table = ProcessTable(node.host)
    node.process(10, 1, "/b.service")
    for step in range(CGROUP_LOOKS + TURNS + 1):
        node.process(10, 2 + step, "/b.service")
        table.look()
    assert table.cgroups() == {"/b.service"}


def test_half_written_files_are_passed_over(node: FakeNode) -> None:
    (node.proc / "77").mkdir()
    (node.proc / "77" / "stat").write_text("77 (x) S 1")
    assert len(ProcessTable(node.host)) == 0
