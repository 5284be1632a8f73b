from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from wattmark.tracker import device


@pytest.fixture(autouse=True)
def no_frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "jax", "cupy"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def cuda(waited: list[str], *, initialised: bool) -> SimpleNamespace:
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: initialised,
            synchronize=lambda: waited.append("cuda"),
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False)),
        mps=SimpleNamespace(synchronize=lambda: waited.append("mps")),
    )


def test_only_frameworks_that_are_loaded_and_at_work_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    assert device.synchronize() is None
    monkeypatch.setitem(sys.modules, "torch", cuda(waited, initialised=False))
    assert device.synchronize() is None
    monkeypatch.setitem(sys.modules, "torch", cuda(waited, initialised=True))
    assert device.synchronize() == "torch.cuda"
    assert waited == ["cuda"]


def test_all_loaded_frameworks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setitem(
        sys.modules,
        "jax",
        SimpleNamespace(
            effects_barrier=lambda: waited.append("jax"),
            local_devices=lambda: [SimpleNamespace(synchronize_all_activity=lambda: waited.append("device"))],
        ),
    )
    stream = SimpleNamespace(synchronize=lambda: waited.append("cupy"))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(Device=lambda: stream)))
    assert device.synchronize() == "jax+cupy"
    assert waited == ["jax", "device", "cupy"]
