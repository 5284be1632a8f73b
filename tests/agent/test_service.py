"""The agent as a process: an unprivileged user measures through it, and a real Prometheus scrapes it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")

POWERCAP = Path(__file__).parents[1] / "fakes" / "powercap.py"
NOBODY = 65534
WATTS = 40
WATTMARK = [sys.executable, "-c", "import sys; from wattmark.cli import main; main()"]


class _Agent:
    """An agent over a tree that counts 40 W and that only root can read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sys = folder / "sys"
        self.path = str(folder / "agent.sock")
        self.writer = subprocess.Popen(
            [sys.executable, str(POWERCAP), str(self.sys), "--watts", str(WATTS), "--seconds", "120"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.writer.stdout is not None
        self.writer.stdout.readline()
        for file in self.sys.rglob("energy_uj"):
            file.chmod(0o400)
            if os.geteuid() == 0:
                os.chown(file, NOBODY, NOBODY)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [*WATTMARK, "agent", "--listen", f"127.0.0.1:{self.port}", "--socket", self.path],
            env={**os.environ, "WATTMARK_SYSFS": str(self.sys)}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for _ in range(600):
            if Path(self.path).exists() and self.metrics():
                return
            time.sleep(0.1)
        raise AssertionError("the agent did not come up")

    def metrics(self) -> dict[str, float]:
        """What is scraped, by name and labels."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        pairs = [line.rpartition(" ") for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in pairs}

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        self.writer.terminate()
        self.writer.wait()
        for pipe in (self.writer.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="module")
def agent() -> Iterator[_Agent]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        running = _Agent(folder)
        yield running
        running.close()
        assert not Path(running.path).exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can give rights away (setpriv)"
)
def test_an_unprivileged_user_measures_what_only_root_can_read(agent: _Agent) -> None:
    """The counters are another user's, and the right to read them all the same is given away before the command starts."""
    with tempfile.TemporaryDirectory() as name:
        environ = {
            **os.environ, "WATTMARK_SYSFS": str(agent.sys), "WATTMARK_AGENT": agent.path,
            "WATTMARK_DATA_DIR": f"{name}/data", "HOME": name,
        }  # fmt: skip
        rights = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        words = [*rights, *WATTMARK, "run", "--json", "-", "--", "sleep", "2"]

        def run(environ: dict[str, str]) -> dict:
            found = subprocess.run(words, env=environ, cwd=name, capture_output=True, text=True)
            assert found.returncode == 0, found.stderr
            return json.loads(found.stdout)

        through = run(environ)
        alone = run({**environ, "WATTMARK_AGENT": f"{name}/nobody-there"})
    cpu = through["energy_j"]["cpu"]["value"]
    assert cpu == pytest.approx(WATTS * through["duration_s"], rel=0.15)
    (counted,) = [one for one in through["channels"] if one["component"] == "cpu" and one["counted_in_total"]]
    assert (counted["source"], counted["method"]) == ("agent", "counter")
    assert {one["method"] for one in alone["channels"] if one["counted_in_total"]} == {"modelled"}


def test_what_is_scraped_adds_up(agent: _Agent) -> None:
    time.sleep(1.5)
    found = agent.metrics()

    def total(name: str) -> float:
        return sum(value for key, value in found.items() if key.startswith(name) and 'component="cpu"' in key)

    whole = total("hw_host_energy_joules_total")
    parts = [
        total(name)
        for name in (
            "wattmark_idle_energy_joules_total", "wattmark_unattributed_energy_joules_total",
            "wattmark_gone_energy_joules_total", "wattmark_unit_energy_joules_total",
        )
    ]  # fmt: skip
    assert whole > 0
    assert sum(parts) == pytest.approx(whole, abs=1e-9)
    assert any(key.startswith("hw_power_watts") and 'component="cpu"' in key for key in found)
    counted = [
        value
        for key, value in found.items()
        if key.startswith("hw_energy_joules_total{") and 'counted="true"' in key and 'hw_type="cpu"' in key
    ]
    assert len(counted) == 1
    assert 0 < counted[0] <= whole + 1e-9  # a model may have stood in while the counter was not proved


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: apt install prometheus)"
)
def test_a_real_prometheus_scrapes_it(agent: _Agent, tmp_path: Path) -> None:
    from wattmark.agent import shipped

    rules = Path(next(iter(shipped.__path__))) / "rules.yml"
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
        f"rule_files: [{rules}]\n"
        f"scrape_configs: [{{job_name: wattmark, static_configs: [{{targets: ['127.0.0.1:{agent.port}']}}]}}]\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address={address}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            series = _ask(address, 'hw_energy_joules_total{hw_id="cpu0/package"}[60s]')
            if series and len(series[0]["values"]) > 3:
                break
            time.sleep(0.2)
        assert series
        assert series[0]["metric"]["counted"] == "true"
        values = [float(value) for _, value in series[0]["values"]]
        assert values == sorted(values)
        assert values[-1] > values[0]
        now = [
            value
            for key, value in agent.metrics().items()
            if key.startswith("hw_energy_joules_total{") and 'hw_id="cpu0/package"' in key
        ]
        assert values[-1] <= now[0]
        up = _ask(address, "up")
        assert up[0]["value"][1] == "1"
    finally:
        process.terminate()
        process.wait()


def _ask(address: str, query: str) -> list[dict]:
    from urllib.parse import quote

    try:
        with urllib.request.urlopen(
            f"http://{address}/api/v1/query?query={quote(query)}", timeout=5
        ) as reply:
            return json.load(reply)["data"]["result"]
    except (OSError, ValueError):
        return []
