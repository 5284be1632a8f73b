"""A fuzzing campaign as the workload of a study: branches that a mutator reaches in so many executions, and its joules."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from wattmark.errors import ConfigError, MissingExtra
from wattmark.workloads.ebm.fuzz.campaign import run_campaign
from wattmark.workloads.ebm.fuzz.mutators import mutator_of
from wattmark.workloads.ebm.fuzz.targets import TARGETS
from wattmark.workloads.registry import Config, Factor, SpanMaker


class FuzzWorkload:
    """Fuzzing of one parser."""

    factors: Mapping[str, Factor] = {
        "target": Factor("importers", "a parser", choices=tuple(TARGETS)),
        "mutator": Factor(
            "energy",
            "energy: half of the changes as an energy proposes; random",
            choices=("energy", "random"),
        ),
        "executions": Factor(2_000, "of the parser"),
        "seed": Factor(0, "of learning and of changes"),
    }

    def warm_up(self, config: Config) -> None:
        """Load what is used. Raises MissingExtra without torch, ConfigError for no executions."""
        if int(config["executions"]) < 1:
            raise ConfigError(f"executions must be above 0, not {config['executions']}")
        if config["mutator"] == "energy" and find_spec("torch") is None:
            raise MissingExtra("torch", "study")
        target = TARGETS[str(config["target"])]
        run_campaign(target, mutator_of("random", target.seeds, 0), 2, 0)

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """``branches`` reached, ``branches_found`` beyond the seeds', and ``crashes``: errors that were not promised."""
        target, seed = TARGETS[str(config["target"])], int(config["seed"])
        with span("learn"):
            mutator = mutator_of(str(config["mutator"]), target.seeds, seed)
        executions = int(config["executions"])
        with span("fuzz", executions=executions):
            found = run_campaign(target, mutator, executions, seed)
        for crash in found.crashes:
            print(f"{crash.error} at {crash.place}: {crash.data[:200]!r}")  # noqa: T201  kept in the trial's log
        return {
            "branches": found.branches,
            "branches_found": found.branches - found.of_seeds,
            "crashes": len(found.crashes),
            "kept": found.kept,
        }
