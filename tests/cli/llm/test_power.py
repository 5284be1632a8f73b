"""``wattmark llm bench --power``: joules of a server elsewhere, as a user meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from wattmark.store import open_store
from wattmark.testing.power_exporter import PowerExporter


@pytest.fixture
def server() -> Iterator[str]:
    """A server of 20 ms a token."""
    words = [sys.executable, "-m", "wattmark.testing.scripted_server", "--ttft-ms", "20", "--gap-ms", "20"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait()
    process.stdout.close()


def test_the_joules_are_those_that_the_exporter_told(cli, server: str) -> None:
    cli.env["WATTMARK_SOURCES"] = "cpu-model"
    with PowerExporter((100.0, 150.0)) as exporter:
        done = cli(
            "llm",
            "bench",
            server,
            "-c",
            "2",
            "-n",
            "60",
            "--output",
            "4",
            "--power",
            exporter.url,
            "--json",
            "-",
        )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    energy = data["energy"]
    assert list(energy["components"]) == ["gpu"]
    assert energy["components"]["gpu"]["method"] == "counter"
    assert energy["measured_j"]["value"] == pytest.approx(250 * energy["duration_s"], rel=0.05)
    assert energy["idle_share"] == pytest.approx(
        1.0, abs=0.05
    )  # the boards draw the same with and without work
    assert data["idle"]["watts"]["gpu"] == pytest.approx(250, rel=0.05)
    assert "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" in data["power"]["from"]
    assert "power of DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" in done.stderr
    with open_store(str(cli.data / "store.db")) as store:
        record = store.get(data["run_id"])
    counted = {curve.channel.id: curve.channel.counted for curve in record.curves}
    assert counted["node-a/GPU-0"]
    assert counted["node-a/GPU-1"]
    assert not any(on for name, on in counted.items() if not name.startswith("node-a"))


def test_power_that_cannot_be_had_is_told_before_the_load(cli, server: str) -> None:
    for address, said in (
        ("prometheus://127.0.0.1:9/?query=x_watts", "is Prometheus running there"),
        ("gpu-7:9400", "no source of power"),
    ):
        done = cli("llm", "bench", server, "--power", address)
        assert done.returncode in (1, 2)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
