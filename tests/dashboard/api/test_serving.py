"""Benches through the API: what ``llm bench`` kept with its run comes back under the names of serving studies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from starlette.testclient import TestClient

from fakes.records import rapl_record
from wattmark.dashboard.app import create_app
from wattmark.store import open_store

SERVING = {
    "server": {"model": "local:1m", "local": True},
    "metrics": {
        "requests_per_s": 15.3,
        "goodput_per_s": None,
        "ttft_s": {
            "percentiles": {"50": {"value": 0.04, "low": 0.03, "high": 0.1}, "99": {"value": 0.1, "low": 0.1, "high": None}}
        },
        "tpot_s": None,
    },
    "energy": {
        "measured_j": {"value": 3.0, "low": 2.9, "high": 3.1},
        "modelled_j": {"value": 1.0, "low": 0.5, "high": 1.5},
        "with_idle": {"j_per_output_token": {"value": 0.03, "low": 0.02, "high": 0.04}, "j_per_request": None},
        "idle_share": float("nan"),
    },
}  # fmt: skip


def test_a_bench_is_listed_with_its_figures(tmp_path: Path) -> None:
    bench = replace(
        rapl_record(20),
        run_id="bench-1",
        name="bench",
        tags={"kind": "serving", "concurrency": "2"},
        extra={"serving": SERVING},
    )
    with open_store(str(tmp_path / "store.db")) as store:
        store.add(bench)
        store.add(replace(rapl_record(20), run_id="other"))
        with TestClient(create_app(store), base_url="http://127.0.0.1") as client:
            (cell,) = client.get("/api/v1/serving/benches").json()["cells"]
    assert cell["factors"] == {"model": "local:1m", "concurrency": 2.0}
    assert cell["trials"] == ["bench-1"]
    assert cell["modelled"] == 0.25
    assert cell["metrics"]["j_per_token"] == {
        "value": 0.03,
        "low": 0.02,
        "high": 0.04,
        "unit": "J",
        "source": "",
    }
    assert cell["metrics"]["ttft_p99_s"]["high"] == 0.1  # its upper end is not known
    assert not {"goodput", "j_per_request", "idle_share", "tpot_p50_s"} & cell["metrics"].keys()
    assert cell["command"] == "wattmark llm bench local:1m --concurrency 2"
