"""Numbers of a command that prints them."""

from __future__ import annotations

import json
import sys

import pytest

from wattmark.cli.run.metrics import MOST_BYTES, numbers_in


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        (b'{"loss": 0.5, "step": 3}', {"loss": 0.5, "step": 3}),
        (b"  {'loss': 0.5, 'epoch': 1.0}\r", {"loss": 0.5, "epoch": 1.0}),
        (b'{"eval": {"acc": 0.9, "name": "x"}, "ok": true}', {"eval/acc": 0.9}),
        (b'{"loss": NaN, "inf": Infinity, "none": null}', {}),
        (b"{'loss': __import__('os').getpid()}", {}),
        (b"[1, 2]", {}),
        (b"{1, 2}", {}),
        (b"{", {}),
        (b"loss: 0.5", {}),
        (b'{"a": "\xff"}', {}),
        (b"{" * 5000 + b"}" * 5000, {}),
        (b'{"loss": ' + b"1" * MOST_BYTES + b"}", {}),
    ],
)
def test_the_numbers_of_a_line(line: bytes, numbers: dict[str, float]) -> None:
    assert numbers_in(line) == numbers


def test_what_a_command_prints_is_kept_and_written_on(cli, read, powercap) -> None:
    powercap()
    script = (
        "import json, sys\n"
        "for step in range(3):\n"
        "    print(json.dumps({'loss': 1 / (step + 1), 'step': step}), flush=True)\n"
        "sys.stdout.write('{\"last\"'); sys.stdout.flush(); sys.stdout.write(': 7}')\n"
    )
    done = cli("run", "--metrics", "-q", "--name", "printing", "--", sys.executable, "-c", script)
    assert done.stdout.splitlines()[0] == json.dumps({"loss": 1.0, "step": 0})
    assert done.stdout.endswith('{"last": 7}')
    metrics = read("show", "printing")["metrics"]
    assert metrics["loss"]["value"] == [1.0, 0.5, pytest.approx(1 / 3)]
    assert metrics["loss"]["step"] == [0, 1, 2]
    assert metrics["last"]["value"] == [7]
    assert cli("run", "-q", "--name", "silent", "--", sys.executable, "-c", script).returncode == 0
    assert read("show", "silent")["metrics"] == {}
