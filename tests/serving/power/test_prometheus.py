"""Power from a real Prometheus that scrapes boards of known watts. Skipped where Debian's package is not installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.runs.energy import CurveEnergy
from wattmark.serving.power.prometheus import PrometheusAddress, PrometheusPower
from wattmark.serving.power.samples import PowerReadings
from wattmark.testing.power_exporter import PowerExporter

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: apt install prometheus)"
)


@pytest.fixture(scope="module")
def exporters() -> Iterator[tuple[PowerExporter, PowerExporter]]:
    """Two nodes: 100 + 150 W and 200 W."""
    with (
        PowerExporter((100.0, 150.0), host="node-a") as first,
        PowerExporter((200.0,), host="node-b") as second,
    ):
        yield first, second


@pytest.fixture(scope="module")
def prometheus(exporters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a Prometheus that scrapes both twice a second."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    targets = json.dumps([exporter.address for exporter in exporters])
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
        f"scrape_configs: [{{job_name: dcgm, static_configs: [{{targets: {targets}}}]}}]\n",
        encoding="utf-8",
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = (
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}", "--log.level=error",
    )  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_scraped(address)
        yield address
    finally:
        process.terminate()
        process.wait()


def _until_scraped(address: str) -> None:
    """Until both nodes have a few samples."""
    question = (
        f"http://{address}/api/v1/query?query=count(count_over_time(DCGM_FI_DEV_POWER_USAGE[1m])%20%3E%203)"
    )
    for _ in range(300):
        try:
            with urllib.request.urlopen(question, timeout=5) as reply:
                result = json.load(reply)["data"]["result"]
            if result and result[0]["value"][1] == "3":
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.1)
    raise AssertionError("Prometheus did not scrape the boards within 30 s")


def measured(address: str, seconds: float = 3.0) -> tuple[dict[str, float], PowerReadings]:
    """Mean watts of each curve in a few seconds, and all that was told of them."""
    meter = PrometheusPower(PrometheusAddress.parse(address))
    meter.begin()
    start = time.monotonic_ns()
    time.sleep(seconds)
    end = time.monotonic_ns()
    told = meter.readings(start, end)
    watts: dict[str, float] = {}
    for curve in told.curves:
        got = CurveEnergy(curve).between(np.array([start]), np.array([end]))
        assert got.covered_s[0] == pytest.approx((end - start) / 1e9, rel=0.02)
        assert curve.t_ns[-1] >= end  # the sample that ends the load was waited for
        watts[curve.channel.id] = float(got.value_j[0] / got.covered_s[0])
        assert got.low_j[0] <= 1e-9 * (end - start) * watts[curve.channel.id] <= got.high_j[0]
    return watts, told


@needs_prometheus
def test_without_a_query_the_counter_of_all_nodes_is_taken_and_the_nodes_are_named(prometheus: str) -> None:
    watts, told = measured(f"prometheus://{prometheus}")
    assert watts == {
        "node-a/GPU-0": pytest.approx(100, rel=0.02),
        "node-a/GPU-1": pytest.approx(150, rel=0.02),
        "node-b/GPU-0": pytest.approx(200, rel=0.02),
    }
    assert "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" in told.where
    assert any("node-a, node-b" in note for note in told.notes)
    assert told.period_s == pytest.approx(0.5, abs=0.1)
    assert told.clock_s < 0.2  # one machine, so the clocks agree; an answer takes some ms


@needs_prometheus
def test_a_selector_chooses_the_servers_boards(prometheus: str) -> None:
    watts, told = measured(
        f'prometheus://{prometheus}/?query=DCGM_FI_DEV_POWER_USAGE{{Hostname="node-a"}}', 1.5
    )
    assert watts == {"node-a/GPU-0": pytest.approx(100), "node-a/GPU-1": pytest.approx(150)}
    assert told.notes == ()


@needs_prometheus
def test_an_expression_is_asked_for_second_by_second(prometheus: str) -> None:
    watts, _ = measured(f"prometheus://{prometheus}/?query=sum(DCGM_FI_DEV_POWER_USAGE)&component=host", 3.0)
    assert watts == {"all": pytest.approx(450)}


@needs_prometheus
def test_an_exporter_that_was_away_leaves_a_hole_with_its_reason(
    prometheus: str, exporters: tuple[PowerExporter, PowerExporter]
) -> None:
    meter = PrometheusPower(
        PrometheusAddress.parse(f"prometheus://{prometheus}/?query=DCGM_FI_DEV_POWER_USAGE")
    )
    meter.begin()
    start = time.monotonic_ns()
    time.sleep(1.0)
    exporters[1].page = lambda: None
    time.sleep(3.0)
    exporters[1].page = None
    time.sleep(1.5)
    end = time.monotonic_ns()
    told = meter.readings(start, end)
    covered = {
        curve.channel.id: float(CurveEnergy(curve).between(np.array([start]), np.array([end])).covered_s[0])
        for curve in told.curves
    }
    whole = (end - start) / 1e9
    assert covered["node-a/GPU-0"] == pytest.approx(whole, rel=0.02)
    assert covered["node-b/GPU-0"] == pytest.approx(whole - 3.5, abs=1.0)
    assert [note for note in told.notes if note.startswith("node-b/GPU-0: nothing was told for")]


@needs_prometheus
@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ("no_such_watts", ServerError, "no samples of no_such_watts"),
        ("sum(DCGM_FI_DEV_POWER_USAGE", ServerError, "parse error"),
        ("up", ConfigError, "unit of 'up'"),
    ],
)
def test_what_cannot_be_asked_is_told_with_what_is_there(
    prometheus: str, query: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        PrometheusPower(PrometheusAddress.parse(f"prometheus://{prometheus}/?query={query}")).begin()
    if query.startswith("no_such"):
        assert "DCGM_FI_DEV_POWER_USAGE" in str(getattr(raised.value, "hint", ""))


@pytest.fixture
def api() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that speaks like Prometheus with its clock an hour ahead and 250 W all the time; what it was asked."""
    asked: list[dict[str, str]] = []
    ahead = 3_600.0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fields = dict(
                pair.split("=", 1)
                for pair in self.rfile.read(int(self.headers["Content-Length"])).decode().split("&")
            )
            asked.append({**fields, "token": self.headers.get("Authorization", "")})
            now = time.time() + ahead
            if fields["query"] == "time%28%29":
                data = {"resultType": "scalar", "result": [now, f"{now:.3f}"]}
            else:
                values = [
                    [int(now) - n + 0.25, "250"] for n in range(300, -1, -1) if int(now) - n + 0.25 <= now
                ]
                data = {"resultType": "matrix", "result": [{"metric": {"instance": "a"}, "values": values}]}
            body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_clock_that_is_an_hour_ahead_is_set_right(api, monkeypatch: pytest.MonkeyPatch) -> None:
    address, asked = api
    monkeypatch.setenv("PROM_TOKEN", "secret-1")
    watts, told = measured(f"prometheus://{address}/?query=x_watts&token_env=PROM_TOKEN", 1.2)
    assert watts == {"a": pytest.approx(250)}
    assert told.clock_s < 0.2
    assert {one["token"] for one in asked} == {"Bearer secret-1"}
    assert "secret" not in told.where


@pytest.mark.parametrize(
    ("text", "query", "base"),
    [
        ('prometheus://h:9090/?query=a{b="c"}', 'a{b="c"}', "http://h:9090"),
        ("prometheus://h:9090/?query=a%7Bb%3D%22c%22%7D&unit=mJ", 'a{b="c"}', "http://h:9090"),
        ("prometheus+https://h/prom/?query=rate(x[1m]) + y", "rate(x[1m]) + y", "https://h/prom"),
        ("prometheus://h", None, "http://h"),
    ],
)
def test_addresses(text: str, query: str | None, base: str) -> None:
    address = PrometheusAddress.parse(text)
    assert (address.query, address.base) == (query, base)
