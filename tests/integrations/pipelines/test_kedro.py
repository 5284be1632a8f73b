"""Kedro itself: nodes are runs, a failing one failed."""

from __future__ import annotations

from typing import Any

import pytest

import wattmark as wm

pytest.importorskip("kedro", exc_type=ImportError)

from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks  # pyright: ignore[reportMissingImports]
from kedro.io import DataCatalog, MemoryDataset  # pyright: ignore[reportMissingImports]
from kedro.pipeline import node, pipeline  # pyright: ignore[reportMissingImports]
from kedro.runner import SequentialRunner  # pyright: ignore[reportMissingImports]

from wattmark.integrations.pipelines.kedro import EnergyHooks

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


def run(*nodes: Any, **options: Any) -> None:
    manager = _create_hook_manager()
    _register_hooks(manager, (EnergyHooks(**options),))
    catalog = DataCatalog({"raw": MemoryDataset(3)})
    work = pipeline(list(nodes))
    manager.hook.before_pipeline_run(run_params={"pipeline_name": "churn"}, pipeline=work, catalog=catalog)
    SequentialRunner().run(work, catalog, manager)


def test_nodes_are_runs(fake_machine: object) -> None:
    run(
        node(lambda raw: raw + 1, "raw", "rows", name="clean"),
        node(lambda rows: rows * 2, "rows", "model", name="fit_it", tags="small"),
        node(lambda model: model, "model", "out", name="odd", tags="nightly"),
        kinds={"nightly": "inference"},
    )
    runs = {one.name: one for one in wm.runs()}
    assert {name: one.tags.get("stage") for name, one in runs.items()} == {
        "clean": "data", "fit_it": "training", "odd": "inference"
    }  # fmt: skip
    assert {one.tags["pipeline"] for one in runs.values()} == {"churn"}


def test_a_node_that_fails_is_a_run_that_failed(fake_machine: object) -> None:
    def fail(raw: int) -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(node(fail, "raw", "rows", name="train"))
    (failed,) = wm.runs()
    assert failed.status == "failed"
