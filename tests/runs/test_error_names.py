"""Names of errors for runs of other tools, whose environment has other shapes."""

from __future__ import annotations

import pytest

from fakes.records import example_record
from wattmark.runs.error_names import parts_of, work_of


@pytest.mark.parametrize(
    "value", ["Intel Xeon", 7, ["a"], None, {}, {"model": ["x"]}, {"command": "python x"}]
)
def test_any_environment_has_names(value):
    record = example_record(environment={"cpu": value, "process": value, "gpus": value})
    assert len(parts_of(record)) == len(work_of(record)) == 12


def test_machines_whose_cpu_is_only_a_name_are_told_apart():
    names = {parts_of(example_record(environment={"cpu": cpu})) for cpu in ("Intel Xeon", "AMD EPYC")}
    assert len(names) == 2


def test_numbers_are_left_out_of_the_kind_of_work_and_names_with_digits_are_not():
    def work(*words: str) -> str:
        command = ["wattmark", "run", "--", *words]
        return work_of(example_record(environment={"process": {"command": command, "cwd": "/"}}))

    assert work("train.py", "--epochs", "3", "--lr=0.1") == work("train.py", "--epochs", "10", "--lr=1e-3")
    assert work("train.py", "resnet18") != work("train.py", "resnet50")

    def cell(name: str) -> str:
        return work_of(example_record(name=name, tags={"study": "s"}))

    assert cell("s model=20m rate=12.0 repeat=0") == cell("s model=20m rate=1.0 repeat=3")
    # what they move through memory may differ
    assert cell("s model=20m rate=1.0") != cell("s model=1m rate=1.0")
