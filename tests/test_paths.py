from __future__ import annotations

import os
import sys

import pytest

from wattmark.paths import data_dir, journals_dir


def test_the_named_folder_wins_and_is_made_absolute():
    assert data_dir({"WATTMARK_DATA_DIR": "/data/w", "XDG_DATA_HOME": "/xdg"}) == "/data/w"
    assert data_dir({"WATTMARK_DATA_DIR": "w"}) == os.path.abspath("w")
    assert data_dir({"WATTMARK_DATA_DIR": "~/w", "HOME": "/home/ann"}) == "/home/ann/w"


@pytest.mark.skipif(sys.platform != "linux", reason="the XDG folders")
def test_the_platforms_folder_is_the_default():
    assert data_dir({"XDG_DATA_HOME": "/xdg"}) == "/xdg/wattmark"
    assert (
        data_dir({"HOME": "/home/ann", "XDG_DATA_HOME": "not/absolute"}) == "/home/ann/.local/share/wattmark"
    )
    assert data_dir({}) == os.path.expanduser("~/.local/share/wattmark")


def test_journals_live_in_the_data_folder():
    assert journals_dir({"WATTMARK_DATA_DIR": "/data/w"}) == "/data/w/journals"


def test_the_environment_of_the_process_is_the_default(data_dir):
    from wattmark import paths

    assert paths.data_dir() == str(data_dir)
