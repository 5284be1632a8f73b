"""Discovery: what is here, which of it is measured with, what counts in the total, and why.

Every probe says what it found; the rules of :mod:`wattmark.sources.rules` decide what is used and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from wattmark.errors import ConfigError, WattmarkError
from wattmark.sources.base import Channel, Component, Finding, Host, Probe, Source
from wattmark.sources.rules import Verdicts, components_of, overlap

BUILT_IN: dict[str, str] = {
    "rapl": "wattmark.sources.rapl.source",
    "nvml": "wattmark.sources.nvml.probe",
    "amdgpu": "wattmark.sources.amdgpu",
    "intelgpu": "wattmark.sources.intelgpu",
    "hwmon": "wattmark.sources.hwmon",
    "battery": "wattmark.sources.battery",
    "cpu-model": "wattmark.sources.models.cpu.source",
    "dram-model": "wattmark.sources.models.dram",
    "agent": "wattmark.sources.agent.source",
    "host": "wattmark.sources.host",
}
"""Sources by name, in the order in which equals are preferred; a replay replaces all."""


_MODELS: dict[str, Component] = {"cpu-model": "cpu", "dram-model": "dram"}
"""Models are loaded only where their component is not measured: their tables take longest."""

_BESIDE = "host"
"""Has side series only, and is read whatever else the user names."""


class Opened(NamedTuple):
    """Opened sources, each with its channels as decided (aligned with what it reads), and what went wrong."""

    sources: tuple[tuple[Source, tuple[Channel, ...]], ...]
    problems: tuple[str, ...]


class Replacement(NamedTuple):
    """The choice made again: sources opened by it, and channel id -> the silent ones in whose place it counts."""

    sources: tuple[tuple[Source, tuple[Channel, ...]], ...]
    roles: dict[str, tuple[str, ...]]


class Selection:
    """What discovery found and decided.

    ``findings`` are all, also the unusable ones with their ``problem`` and ``fix``; ``chosen`` those to open,
    their channels with ``counted`` decided; ``reasons`` a sentence for each channel id, and for each source
    without channels; ``warnings`` dictionaries with ``code`` and ``message``.
    """

    def __init__(
        self,
        findings: Sequence[Finding],
        asked: frozenset[str] = frozenset(),
        spare: Mapping[str, Callable[[], Sequence[Finding]]] | None = None,
        notes: Mapping[str, str] | None = None,
        reserve: Mapping[str, Callable[[], Sequence[Finding]]] | None = None,
    ) -> None:
        """Decide.

        ``asked`` are the sources that the user named, who may so add a model; ``spare`` probes of models that
        run only if their component is not measured; ``notes`` reasons for sources that were not probed; ``reserve``
        probes of models that the user did not ask for, and that only stand in for a sensor that gives nothing.
        """
        self.findings: tuple[Finding, ...] = tuple(findings)
        self.asked = asked
        self.doubts: Mapping[str, str] = {}
        """What a look at the sensors found wrong with a channel, by its id; of those that were looked at."""
        self._spare = dict(spare or {})
        self._reserve = dict(reserve or {})
        self._opened: set[Callable[[], Source]] = set()
        self._notes = dict(notes or {})
        self.warnings: list[dict[str, str]] = [
            _loss(one) for one in findings if one.left_out and not one.usable
        ]
        self._decide()

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels of the chosen sources, decided, in the order in which they are opened."""
        return tuple(channel for finding in self.chosen for channel in finding.channels)

    def open(self) -> Opened:
        """Open what was chosen; one that fails is dropped with a warning, and the rest is decided anew."""
        opened: list[tuple[Finding, Source]] = []
        while pending := next((one for one in self.chosen if one.open not in self._opened), None):
            source = self._open(pending)
            if source is None:
                self._decide()
            else:
                opened.append((pending, source))
        counted = {channel.id: channel.counted for channel in self.channels}
        return Opened(
            tuple(
                (source, tuple(c._replace(counted=counted.get(c.id, False)) for c in source.channels))
                for _, source in opened
            ),
            tuple(warning["message"] for warning in self.warnings),
        )

    def replace(self, silent: Collection[str]) -> Replacement:
        """Choose again without the channels that give nothing, and open what counts in their place.

        What counted and speaks goes on to count. A source opened here is read for its stand-ins only.
        """
        opened: list[tuple[Source, tuple[Channel, ...]]] = []
        while True:
            roles = self._roles(silent)
            pending = next(
                (
                    one
                    for one in self.findings
                    if one.usable
                    and one.open not in self._opened
                    and any(channel.id in roles for channel in one.channels)
                ),
                None,
            )
            if pending is None:
                return Replacement(tuple(opened), roles)
            source = self._open(pending)
            if source is not None:
                opened.append((source, tuple(c._replace(counted=c.id in roles) for c in source.channels)))

    def witnesses(self) -> Replacement:
        """Open the power sensors of devices whose energy counters count, which those are held against."""
        counted = {channel.id for channel in self.channels if channel.counted}
        opened: list[tuple[Source, tuple[Channel, ...]]] = []
        roles: dict[str, tuple[str, ...]] = {}
        for one in self.findings:
            replaced = {c.id: tuple(i for i in c.stands_in_for if i in counted) for c in one.channels}
            if not one.usable or one.open in self._opened or not any(replaced.values()):
                continue
            source = self._open(one)
            if source is not None:
                opened.append(
                    (source, tuple(c._replace(counted=bool(replaced[c.id])) for c in source.channels))
                )
                roles.update((name, others) for name, others in replaced.items() if others)
        return Replacement(tuple(opened), roles)

    def retry(self) -> list[tuple[Source, tuple[Channel, ...]]]:
        """Probe once more what failed for a reason that may pass; what is usable now, opened."""
        opened: list[tuple[Source, tuple[Channel, ...]]] = []
        for one in [one for one in self.findings if one.retry is not None]:
            assert one.retry is not None
            known = {
                channel.id for finding in self.findings for channel in finding.channels if finding.usable
            }
            fresh = one.retry()
            if not any(new.usable for new in fresh):
                continue
            before = [channel for channel in self.channels if channel.counted]
            position = self.findings.index(one)
            news = [new for new in fresh if not any(channel.id in known for channel in new.channels)]
            self.findings = (*self.findings[:position], *news, *self.findings[position + 1 :])
            self._decide()
            # What has counted since the recorder began goes on to count: a machine's meter holds what comes back.
            opened += [
                (
                    source,
                    tuple(
                        c._replace(counted=c.counted and not any(overlap(c, o) for o in before)) for c in mine
                    ),
                )
                for source, mine in self.open().sources
            ]
        return opened

    @property
    def waits(self) -> bool:
        """Whether anything failed for a reason that may pass."""
        return any(one.retry is not None for one in self.findings)

    def _open(self, finding: Finding) -> Source | None:
        """The opened source of a finding; None with a warning, and the finding unusable, where that fails."""
        assert finding.open is not None
        self._opened.add(finding.open)
        try:
            return finding.open()
        except (WattmarkError, OSError) as error:
            message = f"{finding.source} was dropped: {error}"
            self.warnings.append({"code": "source-failed", "message": message})
            self.findings = tuple(
                one._replace(open=None, problem=f"It could not be opened: {error}.")
                if one.open is finding.open
                else one
                for one in self.findings
            )
            return None

    def _roles(self, silent: Collection[str]) -> dict[str, tuple[str, ...]]:
        """What counts only because the ``silent`` channels do not, and for which of those."""
        usable = [channel for one in self.findings if one.usable for channel in one.channels]
        lost = [channel for channel in usable if channel.id in silent]
        for name in dict.fromkeys((*self._reserve, *self._spare)):
            if any(_MODELS[name] in components_of(channel) for channel in lost):
                probe = self._reserve.pop(name, None) or self._spare.pop(name)
                added = tuple(probe())
                self.findings = (*self.findings, *added)
                usable += [channel for one in added if one.usable for channel in one.channels]
        before = Verdicts(usable, self.asked).counted
        after = Verdicts([channel for channel in usable if channel.id not in silent], self.asked).counted
        speaking = [channel for channel in usable if before.get(channel.id) and channel.id not in silent]
        roles: dict[str, tuple[str, ...]] = {}
        for channel in usable:
            if not after.get(channel.id) or before.get(channel.id):
                continue
            if channel.stands_in_for:
                roles[channel.id] = tuple(i for i in channel.stands_in_for if i in silent and before.get(i))
            elif not any(overlap(channel, other) for other in speaking):
                mine = components_of(channel)
                roles[channel.id] = tuple(
                    one.id for one in lost if before.get(one.id) and mine & components_of(one)
                )
        return {name: replaced for name, replaced in roles.items() if replaced}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a journal's header and ``wattmark sources --json``."""
        chosen = {id(one.open) for one in self.chosen}
        decided = {channel.id: channel for channel in self.channels}
        rows: list[dict[str, Any]] = []
        for finding in self.findings:
            row: dict[str, Any] = {"source": finding.source, "what": finding.what}
            is_chosen = finding.usable and id(finding.open) in chosen
            ending = {"problem": finding.problem, "fix": finding.fix}
            if not finding.channels:
                why = self.reasons.get(finding.source)
                rows.append(
                    {**row, "channel": None, "chosen": is_chosen, "counted": False, "why": why, "doubt": None}
                    | ending
                )
            for channel in finding.channels:
                counted = is_chosen and decided[channel.id].counted
                why = self.reasons.get(channel.id) if finding.usable else finding.problem
                rows.append(
                    {
                        **row,
                        **_described(channel),
                        "chosen": is_chosen,
                        "counted": counted,
                        "why": why,
                        "doubt": self.doubts.get(channel.id),
                        **ending,
                    }
                )
        present = {finding.source for finding in self.findings}
        rows += [
            {"source": name, "what": name, "channel": None, "chosen": False, "counted": False, "why": why}
            | {"problem": None, "fix": None}
            for name, why in self.reasons.items()
            if name in self._notes or (name in self._spare and name not in present)
        ]
        return {"sources": rows, "warnings": list(self.warnings)}

    def _decide(self) -> None:
        self.reasons: dict[str, str] = dict(self._notes)
        candidates = self._candidates()
        verdicts = Verdicts([channel for one in candidates for channel in one.channels], self.asked)
        for name in list(self._spare):
            sensor = verdicts.covered.get(_MODELS[name])
            if sensor is None:
                self.findings = (*self.findings, *self._spare.pop(name)())
                self._decide()
                return
            self.reasons[name] = f"Not needed: {sensor} measures the {_MODELS[name]}."
        self.reasons.update(verdicts.reasons)
        self.chosen = tuple(
            one._replace(channels=tuple(c._replace(counted=verdicts.counted[c.id]) for c in one.channels))
            for one in candidates
            if not one.channels or any(channel.id not in verdicts.needless for channel in one.channels)
        )

    def _candidates(self) -> list[Finding]:
        """The usable findings that may take part, without those that repeat a channel of another."""
        usable: list[Finding] = []
        ids: dict[str, str] = {}
        for index, one in enumerate(self.findings):
            if not one.usable:
                self.reasons.setdefault(one.source, one.problem or "It is not usable here.")
                continue
            twin = next((channel.id for channel in one.channels if channel.id in ids), None)
            if twin is not None:
                problem = f"Its channel {twin} has the name of one of {ids[twin]}."
                broken = one._replace(open=None, problem=problem, fix="Exclude one of the two sources.")
                self.findings = (*self.findings[:index], broken, *self.findings[index + 1 :])
                self.reasons.setdefault(one.source, problem)
                continue
            if not one.channels:
                self.reasons[one.source] = "Read beside the channels: it adds no energy."
            ids.update((channel.id, one.source) for channel in one.channels)
            usable.append(one)
        return usable


def _loss(finding: Finding) -> dict[str, str]:
    """The warning that a device is missing from the total."""
    again = " It is tried again during the run." if finding.retry else ""
    fix = f" {finding.fix}" if finding.fix else ""
    return {
        "code": finding.left_out,
        "message": f"{finding.what} is not measured: {finding.problem}{fix}{again}",
    }


def _described(channel: Channel) -> dict[str, Any]:
    return {
        "channel": channel.id,
        "component": channel.component,
        "scope": channel.scope,
        "method": channel.method,
        "resolution_uj": channel.resolution_uj,
        "update_period_s": channel.update_period_s,
        "accuracy": channel.accuracy._asdict(),
        "label": channel.label,
    }


def discover(
    host: Host, wanted: Sequence[str] | None = None, exclude: Iterable[str] = (), *, strict: bool = False
) -> Selection:
    """Probe what is here and decide what to measure with.

    ``wanted`` names sources ("rapl", "nvml"; "!dram-model" leaves one out); without it ``WATTMARK_SOURCES``
    in the host's environment (comma-separated) is used, and without that everything is probed. Where a named
    source is not usable, the others stand in and ``warnings`` says so; with ``strict`` it is a
    :class:`~wattmark.errors.ConfigError`. An unknown name always is one.
    """
    from wattmark.sources import plugins

    if host.environ.get("WATTMARK_REPLAY") or "replay" in host.options:
        from wattmark.sources import replay

        replayed = replay.probe(host)
        for one in replayed:
            if one.problem:
                raise ConfigError(one.problem.rstrip("."), hint=one.fix)
        if replayed:
            return Selection(replayed, frozenset(["replay"]))
    asked, excluded = _names(host, wanted, exclude)
    available = {name: _built_in(module) for name, module in BUILT_IN.items()}
    clashes: list[str] = []
    for name, point in plugins.entry_points().items():
        if name in available:
            clashes.append(
                f"the package {point.package} offers a source named {name}, which is one of Wattmark's"
            )
        else:
            available[name] = plugins.load(point)
    for name in sorted(asked | excluded):
        _check_known(name, available)
    spare = {name: partial(available[name], host) for name in _MODELS if name not in asked | excluded}
    findings: dict[str, Sequence[Finding]] = {}
    for name in available:
        if name not in excluded and name not in spare and (not asked or name in asked or name == _BESIDE):
            findings[name] = available[name](host)
    warnings = _unusable(asked, findings)
    if warnings and strict:
        first = next(iter(warnings))
        fix = next((one.fix for one in findings.get(first, ()) if one.fix), None)
        raise ConfigError(warnings[first], hint=fix)
    reserve: dict[str, Callable[[], Sequence[Finding]]] = {}
    if asked and not warnings:
        spare, reserve = {}, spare  # the user named all that is wanted
    if warnings:
        for name in available:
            if name not in excluded and name not in findings and name not in spare:
                findings[name] = available[name](host)
    ordered = [one for name in available for one in findings.get(name, ())]
    notes = {name: "Left out by the settings." for name in available if name in excluded}
    for name in available:
        if name not in findings and name not in spare:
            notes.setdefault(name, "Not probed: the settings name other sources.")
    selection = Selection(ordered, asked, spare, notes, reserve)
    selection.warnings += [
        {"code": "source-unusable", "message": f"{message}; other sources stand in for it"}
        for message in warnings.values()
    ]
    selection.warnings += [{"code": "source-name-taken", "message": message} for message in clashes]
    return selection


def _names(
    host: Host, wanted: Sequence[str] | None, exclude: Iterable[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The sources that the user names, and those that they leave out."""
    names = wanted if wanted is not None else host.environ.get("WATTMARK_SOURCES", "").split(",")
    tokens = [name.strip() for name in names if name.strip()]
    asked = frozenset(token for token in tokens if not token.startswith("!"))
    return asked, frozenset((*(token[1:].strip() for token in tokens if token not in asked), *exclude))


def _built_in(module: str) -> Probe:
    def probe(host: Host) -> Sequence[Finding]:
        import importlib

        return importlib.import_module(module).probe(host)

    return probe


def _check_known(name: str, available: Mapping[str, object]) -> None:
    if name in available or name == "replay":
        return
    import difflib

    near = difflib.get_close_matches(name, available, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(available)}"
    raise ConfigError(f"there is no source named {name!r}", hint=hint)


def _unusable(asked: Iterable[str], findings: Mapping[str, Sequence[Finding]]) -> dict[str, str]:
    """What to say of each named source that cannot be used."""
    told: dict[str, str] = {}
    for name in sorted(asked):
        mine = findings.get(name, ())
        if not any(one.usable for one in mine):
            why = next(
                (one.problem for one in mine if one.problem), "nothing of its kind was found on this machine"
            )
            told[name] = f"the source {name} was asked for but cannot be used: {why.rstrip('.')}"
    return told
