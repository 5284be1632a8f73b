"""One change that may save energy, and what it takes to apply it from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wattmark.advise.gate.repeat import Conditions

HOOK_VARIABLE = "WATTMARK_LEVERS"
REPORT_VARIABLE = "WATTMARK_LEVERS_REPORT"
Level = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Lever:
    """A change. name: short, unique. group: levers of one group exclude each other. what: in one line. permanent: what to
    write where, so that it stays.

    It acts through environ (variables), cpus (that the command may use), hook (asked of Python processes, by name),
    values (what ``wm.levers()`` gives the script), and words (places of the command line and what stands there instead).
    may_change: it may change what the work comes to, not only what it costs. off: why it is not tried.
    """

    name: str
    group: str
    what: str
    permanent: str
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    cpus: tuple[int, ...] | None = None
    hook: Mapping[str, Level] = field(default_factory=dict[str, Level])
    values: Mapping[str, Level] = field(default_factory=dict[str, Level])
    words: Mapping[int, str] = field(default_factory=dict[int, str])
    may_change: bool = False
    off: str | None = None

    @property
    def hooked(self) -> bool:
        """Whether it needs the hook, so that whether it acted is reported."""
        return bool(self.hook or self.values)


def together(levers: Sequence[Lever]) -> Lever:
    """Several levers of different groups as one."""
    return Lever(
        " + ".join(lever.name for lever in levers),
        "together",
        "; ".join(lever.what for lever in levers),
        "\n".join(lever.permanent for lever in levers),
        {name: value for lever in levers for name, value in lever.environ.items()},
        next((lever.cpus for lever in levers if lever.cpus is not None), None),
        {name: value for lever in levers for name, value in lever.hook.items()},
        {name: value for lever in levers for name, value in lever.values.items()},
        {place: word for lever in levers for place, word in lever.words.items()},
        any(lever.may_change for lever in levers),
    )


def command_under(lever: Lever | None, command: Sequence[str]) -> list[str]:
    """The words of the command with the lever's in their places."""
    if lever is None:
        return list(command)
    return [lever.words.get(place, word) for place, word in enumerate(command)]


def conditions_under(lever: Lever | None, environ: Mapping[str, str], hook: str, report: str) -> Conditions:
    """What the command runs under. environ: as it is; hook: the folder of the hook; report: the file that it writes.

    The base has the hook too, asked for nothing, so that the two differ in the lever alone.
    """
    asked = {} if lever is None else {"hook": dict(lever.hook), "values": dict(lever.values)}
    before = environ.get("PYTHONPATH")
    return Conditions(
        {
            **({} if lever is None else lever.environ),
            HOOK_VARIABLE: json.dumps(asked),
            REPORT_VARIABLE: report,
            "PYTHONPATH": hook if not before else f"{hook}:{before}",
        },
        None if lever is None else lever.cpus,
    )
