"""The files that come with it hold for the programs that read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

SHIPPED = Path(str(files("wattmark.agent") / "shipped"))


def _told_metrics() -> set[str]:
    """Every name that the exposition can give."""
    source = (SHIPPED.parent / "exposition.py").read_text(encoding="utf-8")
    counters = re.findall(r'CounterMetricFamily\(\s*"(\w+)"', source)
    return {f"{name}_total" for name in counters} | set(re.findall(r'GaugeMetricFamily\(\s*"(\w+)"', source))


def _asked_metrics(text: str) -> set[str]:
    return set(re.findall(r"\b(?:hw|wattmark)_\w+", text)) - {"wattmark_agent", "hw_id"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_rules_are_valid() -> None:
    found = subprocess.run(
        ["promtool", "check", "rules", str(SHIPPED / "rules.yml")], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "4 rules found" in found.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_valid() -> None:
    found = subprocess.run(
        ["systemd-analyze", "verify", str(SHIPPED / "wattmark-agent.service")], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert "wattmark-agent.service:" not in found.stderr


def test_the_unit_may_read_and_nothing_else() -> None:
    text = (SHIPPED / "wattmark-agent.service").read_text(encoding="utf-8")
    assert "CapabilityBoundingSet=CAP_DAC_READ_SEARCH\n" in text
    assert "NoNewPrivileges=yes" in text
    assert "DynamicUser=yes" in text


def test_rules_and_board_ask_for_metrics_that_there_are() -> None:
    told = _told_metrics()
    assert len(told) >= 8
    board = json.loads((SHIPPED / "grafana.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for text in (*expressions, (SHIPPED / "rules.yml").read_text(encoding="utf-8")):
        for name in _asked_metrics(text):
            assert name in told, name


def test_the_board_is_one_that_grafana_takes() -> None:
    board = json.loads((SHIPPED / "grafana.json").read_text(encoding="utf-8"))
    assert {"uid", "title", "panels", "schemaVersion", "templating"} <= board.keys()
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["targets"]


def test_the_manifest_drops_all_other_rights_and_asks_for_a_token() -> None:
    yaml = pytest.importorskip("yaml")
    manifest = yaml.safe_load((SHIPPED / "daemonset.yaml").read_text(encoding="utf-8"))
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["DAC_READ_SEARCH"]}
    assert pod["automountServiceAccountToken"] is False
    assert (
        manifest["spec"]["selector"]["matchLabels"].items()
        <= manifest["spec"]["template"]["metadata"]["labels"].items()
    )
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    assert "WATTMARK_AGENT_TOKEN" in {one["name"] for one in container["env"]}
