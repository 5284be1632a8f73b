"""What can be had without torch, and what is said where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from wattmark.errors import MissingExtra
from wattmark.workloads import vision
from wattmark.workloads.vision import zoo


def test_settings_data_and_names_need_no_torch():
    code = (
        "import sys\n"
        "from wattmark.workloads.vision import TrainConfig, zoo, data\n"
        "TrainConfig(), zoo.names(), data.load('synthetic:train=10,test=5')\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("call", [lambda: vision.run(vision.TrainConfig()), lambda: zoo.build("LeNet")])
def test_missing_torch_is_named_with_the_extra_that_brings_it(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="torch") as caught:
        call()
    assert "wattmark[study]" in (caught.value.hint or "")
