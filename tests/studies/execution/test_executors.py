from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.studies.execution.executors import LocalExecutor
from wattmark.studies.execution.memory import speaks_of_memory
from wattmark.testing.executor_contract import ExecutorContract, job_of, wait


@pytest.mark.usefixtures("fake_machine")
class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> LocalExecutor:
        return LocalExecutor()

    def fresh_executor(self) -> LocalExecutor:
        return LocalExecutor()


def test_words_of_frameworks_for_no_memory_are_known(fake_machine: object, tmp_path: Path) -> None:
    executor = LocalExecutor()
    script = "raise MemoryError"
    outcome = wait(executor, executor.submit(job_of(tmp_path, "{python}", "-c", script)))
    assert outcome.out_of_memory
    assert speaks_of_memory("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")
    assert speaks_of_memory("terminate called after throwing an instance of 'std::bad_alloc'")
    assert not speaks_of_memory("ValueError: a room of its own")
