from __future__ import annotations

import pytest

from wattmark.errors import ConfigError, MissingExtra
from wattmark.studies.execution.remote.addresses import executor_of


def test_this_machine_needs_no_executor() -> None:
    assert executor_of("local") is None


def test_hosts_are_slots() -> None:
    executor = executor_of("ssh://ann@node1,node2:2222?python=/opt/venv/bin/python&home=/scratch")
    assert executor is not None
    assert executor.slots == 2


@pytest.mark.parametrize(
    "address",
    [
        "", "ssh", "ssh://", "ssh://-oProxyCommand=x", "ssh://a?color=red", "ssh://a?home=/x&home=/y", "mars://x", "local://x",
        "slurm://main?at_once=0", "slurm:?at_once=many", "kubernetes://x?at_once=-1", "ray:?home=/x&y=1", "\x00",
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused(address: str) -> None:
    with pytest.raises((ConfigError, MissingExtra)):
        executor_of(address)
