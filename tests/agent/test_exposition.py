"""What is scraped is what the ledger holds, in both formats."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from fakes.node import SOURCES, FakeNode
from wattmark.agent.attribution import Attribution
from wattmark.agent.exposition import Exposition
from wattmark.agent.node import Node
from wattmark.agent.shares import Idle


def test_numbers_scraped_are_the_numbers_kept(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    fake.process(10, 0, '/system.slice/odd"name\\x.service')
    node = Node(fake.host, SOURCES)
    attribution = Attribution(node, fake.host)
    fake.process(10, 33, '/system.slice/odd"name\\x.service')
    fake.busy(47)
    fake.used(1.234567)
    attribution._idle["cpu"] = Idle(0.0)
    ledger = attribution.tick()
    exposition = Exposition(lambda: attribution.ledger, lambda: node.channels)
    for accept, parse in (
        ("", text_string_to_metric_families),
        ("application/openmetrics-text", open_metrics),
    ):
        body, kind = exposition.text(accept)
        assert ("openmetrics" in kind) == bool(accept)
        samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in parse(body.decode())
            for sample in family.samples
        }
        values = {key[0]: value for key, value in samples.items() if "model" not in str(key)}
        assert values["hw_energy_joules_total"] == ledger.reading.channels_uj["cpu0/package"] / 1e6
        part = ledger.parts["cpu"]
        assert values["hw_host_energy_joules_total"] == part.total_uj / 1e6 == 1.234567
        assert values["wattmark_idle_energy_joules_total"] == part.idle_uj / 1e6
        assert values["wattmark_unattributed_energy_joules_total"] == part.unattributed_uj / 1e6
        assert values["hw_power_watts"] == part.watts
        units = [value for key, value in samples.items() if key[0] == "wattmark_unit_energy_joules_total"]
        assert sum(units) == pytest.approx(sum(ledger.units.values()) / 1e6, abs=1e-12)
    node.close()
