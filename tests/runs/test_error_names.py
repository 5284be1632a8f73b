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
