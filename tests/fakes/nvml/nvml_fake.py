"""Builds the fake ``libnvidia-ml.so.1`` once per test session and steers it by its state file.

The format of the state file stands at the top of ``fake_nvml.c``. For a fresh process::

    fake = FakeNvml(tmp_path)
    fake.state("gpu 0 watts=50", "gpu 1 watts=30 counter=0 lost_after_s=3")
    subprocess.run([...], env={**os.environ, **fake.environ})

Inside the test's own process :func:`preload` does what LD_LIBRARY_PATH would have done at its start.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_nvml.c")


@functools.cache
def build(old_driver: bool = False) -> Path:
    """The folder with the library in it; ``old_driver`` leaves out what drivers before 2019 did not have."""
    folder = Path(tempfile.mkdtemp(prefix="fake-nvml-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    flags = ["-DOLD_DRIVER"] if old_driver else []
    output = str(folder / "libnvidia-ml.so.1")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", *flags]
    name = "-Wl,-soname,libnvidia-ml.so.1"
    subprocess.run([*command, name, "-o", output, str(SOURCE), "-lm"], check=True)
    return folder


@functools.cache
def preload() -> None:
    """Load the library into this process: dlopen by the bare name then finds the one with that soname."""
    ctypes.CDLL(str(build() / "libnvidia-ml.so.1"), mode=ctypes.RTLD_GLOBAL)


class FakeNvml:
    """One machine's GPUs: a state file in ``folder`` and the environment that points at it."""

    def __init__(self, folder: Path, *, old_driver: bool = False) -> None:
        self.path = folder / "nvml-state"
        self.environ = {"LD_LIBRARY_PATH": str(build(old_driver)), "FAKE_NVML_STATE": str(self.path)}

    def state(self, *lines: str) -> None:
        """Replace the state, also in flight: a new file is renamed over the old one."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text("\n".join(lines) + "\n")
        fresh.replace(self.path)
