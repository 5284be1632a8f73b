from __future__ import annotations

import fcntl
import io
import os
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from wattmark.text import inert, keep_output_whole, singular


@pytest.mark.parametrize(
    "text", ["=1+1", "+SUM(A1)", "-2+3", "@cmd", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "＝1", "-", "+"]
)
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text):
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["-1.5", "+2e-3", "-.5", "plain", "a=b", "", -1.5, None, True, 7])
def test_numbers_and_other_texts_stay_as_they_are(cell):
    assert inert(cell) is cell


@pytest.mark.parametrize("begin", ["", "keep_output_whole(); "])
def test_a_long_text_gets_through_a_pipe_whole_though_a_signal_comes_between(begin):
    """Python without a buffer loses what one write(2) did not take: the first case shows that there is something to mend."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", f"from wattmark.text import *; {begin}print('x' * 300_000)"],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    _until_the_pipe_is_full(child.stdout.fileno())
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    child.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, child.pid, os.WCONTINUED)
    length = len(child.stdout.read())
    child.stdout.close()
    assert child.wait() == 0
    assert (length == 300_001) is bool(begin)


def test_a_stream_that_somebody_put_in_the_place_of_standard_output_stays_theirs(monkeypatch, tmp_path):
    """A wrapper that goes away closes what it wraps: a test runner's file, a notebook's."""
    with (tmp_path / "out").open("wb", buffering=0) as raw:
        theirs = io.TextIOWrapper(raw, write_through=True)
        monkeypatch.setattr(sys, "stdout", theirs)
        keep_output_whole()
        assert sys.stdout is theirs


def _until_the_pipe_is_full(descriptor: int) -> None:
    size = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    deadline = time.monotonic() + 60
    while struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0] < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("counted", "one"),
    [
        ("samples", "sample"), ("output_tokens", "output_token"), ("batches", "batch"), ("queries", "query"),
        ("boxes", "box"), ("passes", "pass"), ("class", "class"), ("correct", "correct"),
    ],
)  # fmt: skip
def test_one_of_what_is_counted_has_its_name(counted: str, one: str) -> None:
    assert singular(counted) == one
