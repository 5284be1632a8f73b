"""The contract of a source as tests: subclass :class:`SourceContract` in a pytest file and run it.

.. code-block:: python

    class TestMine(SourceContract):
        module = "my_package.my_source"

        def probe(self, host):
            return my_source.probe(host)

        def make_host(self, tmp_path):
            (tmp_path / "class/mine").mkdir(parents=True)
            (tmp_path / "class/mine/energy_uj").write_text("1000\\n")
            return Host(sysfs=str(tmp_path))
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wattmark.errors import SourceEnded, SourceGone, SourceRetry
from wattmark.sources.base import COMPONENTS, Channel, Finding, Host, Series, Source

_IMPORTS = """
import sys
sys.path[:] = {path!r}
before = set(sys.modules)
import {module}
known = set(sys.stdlib_module_names) | {allowed!r}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} - known))
"""


class SourceContract:
    """What every source promises. Each ``test_`` method is a promise; the hooks above them say how to try it.

    ``module`` is the dotted name of the source's module; ``allowed_imports`` are packages that it may import
    at its head beside the standard library and its own.
    """

    module: str = ""
    allowed_imports: Sequence[str] = ()

    def probe(self, host: Host) -> Sequence[Finding]:
        """The probe under test."""
        raise NotImplementedError

    def make_host(self, tmp_path: Path) -> Host:
        """A host on which the source is usable."""
        raise NotImplementedError

    def make_empty_host(self, tmp_path: Path) -> Host:
        """A host without the hardware."""
        return Host(str(tmp_path / "no-sys"), str(tmp_path / "no-proc"))

    def advance(self, host: Host) -> None:
        """Let energy be used on the host that ``make_host`` made, where that takes more than waiting."""

    def damage(self, host: Host) -> None:
        """Make the host's readings fail; by default, every file under its roots is emptied."""
        for root in (host.sysfs, host.procfs):
            if root in ("/sys", "/proc"):
                continue
            for path in Path(root).rglob("*"):
                if path.is_file() and not path.is_symlink():
                    path.write_text("")

    def test_the_probe_of_a_bare_machine_gives_no_usable_source_or_says_why(self, tmp_path: Path) -> None:
        """The probe does not raise where nothing is there, and what it gives is a finding."""
        for finding in self.probe(self.make_empty_host(tmp_path)):
            assert isinstance(finding, Finding)
            assert finding.usable or _is_sentence(finding.problem), finding

    def test_the_probe_finds_what_is_there(self, tmp_path: Path) -> None:
        """On the full host something can be measured; what is not usable says why."""
        findings = self.probe(self.make_host(tmp_path))
        usable = [finding for finding in findings if finding.usable]
        assert any(finding.channels for finding in usable), findings
        for finding in findings:
            assert finding.source
            assert finding.what
            if finding.usable:
                assert finding.channels or finding.series
                assert all(channel.source == finding.source for channel in finding.channels)
            else:
                assert _is_sentence(finding.problem), finding

    def test_ids_are_unique(self, tmp_path: Path) -> None:
        """No two channels or series of the usable findings share a name."""
        usable = [finding for finding in self.probe(self.make_host(tmp_path)) if finding.usable]
        ids = [described.id for finding in usable for described in (*finding.channels, *finding.series)]
        assert len(set(ids)) == len(ids), ids

    def test_channels_are_fully_described(self, tmp_path: Path) -> None:
        """Component, kind, method, scope, accuracy and its citation make sense together."""
        findings = self.probe(self.make_host(tmp_path))
        for channel in [channel for finding in findings for channel in finding.channels]:
            assert channel.component in COMPONENTS
            assert channel.kind in ("counter", "power", "energy")
            assert channel.method in ("counter", "integrated", "modelled")
            assert channel.scope
            assert channel.accuracy.citation.strip(), (
                f"{channel.id} does not say where its accuracy comes from"
            )
            assert channel.accuracy.relative_low >= 0
            assert channel.accuracy.relative_high >= 0
            assert channel.accuracy.absolute_w >= 0
            low, high = channel.accuracy.relative_low, channel.accuracy.relative_high
            assert math.hypot(channel.accuracy.character_low, channel.accuracy.curve_low) <= low + 1e-9
            assert math.hypot(channel.accuracy.character_high, channel.accuracy.curve_high) <= high + 1e-9
            assert channel.resolution_uj > 0
            assert channel.update_period_s > 0
            assert channel.max_power_w > 0
            assert channel.wrap_uj is None or (channel.wrap_uj > 0 and channel.kind == "counter")
            assert channel.id not in channel.inside

    def test_descriptions_survive_the_journal(self, tmp_path: Path) -> None:
        """Channels and series are the same after JSON."""
        for finding in self.probe(self.make_host(tmp_path)):
            for channel in finding.channels:
                assert Channel.from_dict(json.loads(json.dumps(channel.to_dict()))) == channel
            for series in finding.series:
                assert Series.from_dict(json.loads(json.dumps(series.to_dict()))) == series

    def test_what_is_opened_is_what_was_found(self, tmp_path: Path) -> None:
        """The opened source has the finding's name, channels and series."""
        for finding, source in self._opened(self.make_host(tmp_path)):
            assert isinstance(source, Source)
            assert source.name == finding.source
            assert tuple(source.channels) == finding.channels
            assert tuple(source.series) == finding.series
            assert source.period_s > 0

    def test_a_reading_has_one_value_of_the_right_type_per_channel_and_series(self, tmp_path: Path) -> None:
        """µJ are integers, W are not negative, and something is read at all."""
        host = self.make_host(tmp_path)
        for _, source in self._opened(host):
            source.read()
            self.advance(host)
            values = source.read()
            assert len(values) == len(source.channels) + len(source.series)
            for channel, value in zip(source.channels, values, strict=False):
                if value is None:
                    continue
                assert value >= 0, channel.id
                if channel.kind != "power":
                    assert isinstance(value, int), f"{channel.id}: µJ are integers, not {value!r}"
            for series, value in zip(source.series, values[len(source.channels) :], strict=True):
                assert value is None or isinstance(value, int | float), series.id
            assert not source.channels or any(v is not None for v in values[: len(source.channels)])

    def test_energy_never_falls(self, tmp_path: Path) -> None:
        """Counters (away from their wrap) and energies grow or stay while time passes."""
        host = self.make_host(tmp_path)
        for _, source in self._opened(host):
            before = source.read()
            for _ in range(3):
                self.advance(host)
                after = source.read()
                for channel, old, new in zip(source.channels, before, after, strict=False):
                    if channel.kind != "power" and old is not None and new is not None:
                        assert new >= old, channel.id
                before = after

    def test_a_failing_reading_is_none_and_no_other_error(self, tmp_path: Path) -> None:
        """With its files damaged, a source gives None or one of the three announced errors."""
        host = self.make_host(tmp_path)
        for _, source in self._opened(host):
            self.damage(host)
            for _ in range(2):
                try:
                    values = source.read()
                except (SourceRetry, SourceGone, SourceEnded):
                    continue
                assert len(values) == len(source.channels) + len(source.series)

    def test_the_probe_survives_damage(self, tmp_path: Path) -> None:
        """Files without sense are no reason to raise."""
        host = self.make_host(tmp_path)
        self.damage(host)
        for finding in self.probe(host):
            assert finding.usable or _is_sentence(finding.problem), finding

    def test_closing_twice_is_fine_and_reading_after_it_gives_nothing(self, tmp_path: Path) -> None:
        """After ``close`` a read gives None everywhere, or raises SourceGone."""
        for _, source in self._opened(self.make_host(tmp_path)):
            source.close()
            source.close()
            try:
                values = source.read()
            except SourceGone:
                continue
            assert all(value is None for value in values), values

    def test_the_module_needs_only_the_standard_library(self) -> None:
        """``python -I -S``, as the recorder runs, imports the module without any other package."""
        assert self.module, "set 'module' to the dotted name of the source's module"
        allowed = {"wattmark", self.module.partition(".")[0], *self.allowed_imports}
        code = _IMPORTS.format(path=sys.path, module=self.module, allowed=allowed)
        result = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert result.returncode == 0, result.stderr
        assert not result.stdout.split(), f"{self.module} imports {result.stdout.strip()}"

    def _opened(self, host: Host) -> Iterator[tuple[Finding, Source]]:
        for finding in self.probe(host):
            if finding.open is not None:
                with _closing(finding.open()) as source:
                    yield finding, source


@contextmanager
def _closing(source: Source) -> Generator[Source]:
    try:
        yield source
    finally:
        source.close()


def _is_sentence(text: str | None) -> bool:
    return text is not None and len(text) > 10 and text.rstrip()[-1] in ".!)"
