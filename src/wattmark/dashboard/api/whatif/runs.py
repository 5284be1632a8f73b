"""The runs that scenarios are asked about, kept for a while: a slider asks about the same run many times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, cast

from wattmark.dashboard.api.whatif.schemas import Choice
from wattmark.dashboard.context import Context
from wattmark.errors import RunNotFound
from wattmark.predict import find
from wattmark.runs.view import RunView
from wattmark.workspace.runs import find_run

KEPT = 8

_lock = Lock()
_kept: OrderedDict[tuple[str, str], RunView] = OrderedDict()


def run_view(here: Context, ref: str) -> RunView:
    """The run, from the store or as far as it has come. Raises RunNotFound."""
    try:
        key = (here.store.location, here.store.resolve(ref))
    except RunNotFound:
        return find_run(here.store, ref)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    view = RunView(here.store.get(key[1]))
    with _lock:
        _kept[key] = view
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return view


def stated(view: RunView, hardware: Sequence[Choice]) -> RunView:
    """The run as if its record named this hardware. Raises ConfigError for a part that is not in the catalogue."""
    if not hardware:
        return view
    parts = [(find(one.id), one.quantity) for one in hardware]
    record = view.record
    environment = dict(record.environment)
    curves = record.curves
    for part, quantity in parts:
        if part.kind == "cpu":
            environment["cpu"] = {**_facts(environment.get("cpu")), "model": part.name, "sockets": quantity}
    boards = [f"{quantity} x {part.name}" for part, quantity in parts if part.kind != "cpu"]
    if boards:
        environment["gpus"] = boards
        curves = tuple(
            replace(curve, channel=curve.channel._replace(label=""))
            if curve.channel.component == "gpu"
            else curve
            for curve in curves
        )
    return RunView(replace(record, environment=environment, curves=curves))


def _facts(cpu: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", cpu) if isinstance(cpu, Mapping) else {}
