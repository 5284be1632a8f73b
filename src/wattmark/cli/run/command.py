"""``wattmark run``: measure a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wattmark import settings as configuration
from wattmark.cli.run.child import CannotRun, Child, cannot_run
from wattmark.cli.terminal.output import report_error, say, writable_json, write_json
from wattmark.errors import ConfigError, WattmarkError
from wattmark.paths import journals_dir
from wattmark.recorder.launch import Session
from wattmark.tracker.process import this_process
from wattmark.tracker.window import Window

if TYPE_CHECKING:
    from wattmark.cli.run.early.command import Early
    from wattmark.cli.run.early.wishes import Wishes
    from wattmark.cli.run.pausing import Pausing
    from wattmark.cli.terminal.live_line import LiveLine
    from wattmark.impact.series import IntensitySeries
    from wattmark.runs.record import Status
    from wattmark.runs.result import RunResult
    from wattmark.runs.view import RunView


def run(words: Sequence[str]) -> int:
    """Measure the command that ``words`` (what follows ``wattmark run``) name; its exit code.

    argparse rather than typer: importing that takes longer than all else that happens before the command starts.
    """
    options, command = _parse(list(words))
    chosen = _settings(options)
    _check_when(options)
    wishes = _wishes(options)
    tags = parse_tags(options.tag)
    if options.project is not None:
        tags["project"] = options.project
    writable_json(options.json)
    trouble = cannot_run(command[0])
    if trouble is not None:
        say(str(trouble))
        return trouble.exit_code
    pausing = None if options.when is None else _wait(options)
    measured = _begin(options.name or _name_of(command), tags, chosen, options.baseline)
    early = None
    if wishes is not None or options.metrics:
        early = _early(wishes, to_stderr=options.json == "-", metrics=options.metrics)
    others = pausing.prepare() if pausing is not None else ()
    try:
        child = Child(
            command,
            stdout_to_stderr=options.json == "-",
            output=early.output.file_actions if early else (),
        )
    except CannotRun as error:
        say(str(error))
        measured.end("failed", error.exit_code)
        return error.exit_code
    session = measured.window.process.session
    if session is not None and session.own:
        session.tell(f"root {child.pid}")
    if early is not None:
        early.begin(measured.window, child.pid, kept=not measured.nested)
    line = None
    if session is not None and not options.quiet and sys.stderr.isatty():
        line = _live_line(session, early)
    tick = line.draw if line else None
    tick = tick if early is None else early.with_tick(tick)
    if pausing is None:
        exit_code = child.wait(tick)
    else:
        try:
            pausing.begin(child.pid, others)
            exit_code = child.wait(pausing.with_tick(tick), ending=pausing.go_on)
        finally:  # whatever happened, nothing stays stopped
            pausing.end()
    if early is not None:
        early.end()
    if line is not None:
        line.clear()
    try:
        status = child.status(exit_code)
        if early is not None and early.stopped:
            status, exit_code = "interrupted", STOPPED_OVER_BUDGET
        measured.end(status, exit_code)
        told = _report(measured, quiet=options.quiet, json_path=options.json)
        if told is not None and told.carbon is None and told.energy is not None and not options.quiet:
            _ask_zone()
        if early is not None and not options.quiet:
            early.report()
    except WattmarkError as error:  # the command's exit code stands, whatever became of the numbers
        report_error(error)
    except KeyboardInterrupt:
        say("the summary was interrupted; `wattmark show last` has it")
    finally:
        child.collect()
    return exit_code


def parser_of() -> tuple[argparse.ArgumentParser, list[argparse.Action]]:
    """The parser of what stands before the command, and its options."""
    parser = argparse.ArgumentParser(
        prog="wattmark run",
        usage="wattmark run [options] -- CMD...",
        description="Measure a command; its signals and its exit code are passed through. The live line and the table go "
        "to standard error. With --json - the command's own standard output goes there too, so that standard output is "
        "JSON and nothing else.",
        epilog="Example: wattmark run --name resnet --tag lr=0.1 -- python train.py --epochs 3",
        allow_abbrev=False,
    )
    options: list[argparse.Action] = []

    def add(*names: str, **more: Any) -> None:
        options.append(parser.add_argument(*names, **more))

    add("--name", help="what the run is called (default: the command)")
    add(
        "--tag",
        action="append",
        default=[],
        metavar="K[=V]",
        help="a word or pair to find it by; may be repeated",
    )
    add("--period", type=float, metavar="S", help="seconds between samples (default: 0.1)")
    add("--hz", type=float, metavar="N", help="samples a second, instead of --period")
    add("--sources", metavar="A,B", help="sources to use; !name leaves one out")
    add("--zone", help="where the power comes from, for carbon: FR")
    add("--pue", metavar="X", help="power usage effectiveness of the building: 1.2, or a range 1.1-1.3")
    add(
        "--metrics",
        action="store_true",
        help="keep numbers of JSON lines that the command prints: loss, accuracy",
    )
    add("--predict", action="store_true", help="show what the whole run will cost while it goes on")
    add("--epochs", type=float, metavar="N", help="how many there will be, where the command does not say it")
    add(
        "--budget",
        metavar="AMOUNT",
        help="warn when it will not hold: 50kJ, 12Wh, 20gCO2e, 2EUR with --price",
    )
    add("--price", type=float, metavar="X", help="of a kilowatt-hour, for a budget of money")
    add(
        "--stop-over-budget", action="store_true", help="end the command then: SIGTERM, after --grace SIGKILL"
    )
    add("--grace", type=float, metavar="S", help="seconds for the command to end (default: 30)")
    add("--when", choices=["green"], help="wait for clean power: with --series, --duration, --deadline")
    add("--series", metavar="FILE", help="carbon intensity of the grid over time, as for wattmark plan")
    add(
        "--provider", metavar="NAME", help="who is asked for it instead, with --zone: electricitymaps, uk ..."
    )
    add("--duration", metavar="T", help="how long the command takes: 4h")
    add("--deadline", metavar="T", help="it must be done within this time: 24h")
    add("--pausable", action="store_true", help="with --when green: stop and continue it, too, by signals")
    add("--checkpoint", metavar="T", help="what a pause costs, as time of work: 60s")
    add(
        "--pause-with",
        metavar="CMD",
        help="a command that pauses it, instead of a signal: 'docker pause job'",
    )
    add("--resume-with", metavar="CMD", help="a command that continues it; {pid} is the command's process")
    add("--baseline", type=float, metavar="S", help="measure the idle machine for S seconds first")
    add("--quiet", "-q", action="store_true", help="no live line and no table")
    add("--json", metavar="PATH", help="write the results as JSON to PATH; - is standard output")
    add("--project", metavar="NAME", help="whose work it is, for totals: the tag project")
    return parser, options


def _parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Options and command; the command begins after ``--`` or with the first word that is no option."""
    parser, _ = parser_of()
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    at = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:at])
    command = [*options.command, *words[at:]] if options.command else words[at + 1 :]
    if not command:
        parser.error("there is no command to measure")
    return options, command


STOPPED_OVER_BUDGET = 124
"""The exit code of a run that was stopped because of its budget, as timeout(1) has for one that took too long."""


@dataclass
class _Measured:
    """The measurement around the command: a run of its own, or a part of the run around this process."""

    window: Window
    status: Status = "running"
    exit_code: int | None = None
    lost: str = ""

    def end(self, status: Status, exit_code: int) -> None:
        """Write down the end."""
        self.status, self.exit_code = status, exit_code
        span = self.window.span
        if self.nested and span is not None:
            span.add(status=status, exit_status=str(exit_code))
        self.window.close(status, exit_code)

    @property
    def nested(self) -> bool:
        """Whether the recorder is another process's, whose run this may be a part of."""
        session = self.window.process.session
        return session is not None and not session.own


def _begin(name: str, tags: dict[str, str], chosen: dict[str, Any], baseline_s: float | None) -> _Measured:
    process = this_process()
    process.attach(chosen)
    given = dict(chosen)
    if baseline_s is not None and process.session is not None and process.session.own:
        from wattmark.workspace.calibration import idle_watts

        given["baseline_w"] = idle_watts(process.session, baseline_s)
    measured = _Measured(Window(name, tags, given))
    measured.window.open()
    return measured


def _name_of(command: list[str]) -> str:
    """The command's name; of ``python train.py`` the script's."""
    program = command[0].rpartition("/")[2]
    if program.startswith("python"):
        script = next((word for word in command[1:] if word.endswith(".py")), program)
        return script.rpartition("/")[2]
    return program or "run"


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, checked before anything starts. Raises ConfigError."""
    period = options.period
    if options.hz is not None:
        if period is not None:
            raise ConfigError("--period and --hz say the same; give one of them")
        if not options.hz > 0:
            raise ConfigError("--hz must be more than 0")
        period = 1 / options.hz
    if options.baseline is not None and not 0.1 <= options.baseline <= 3600:
        raise ConfigError("--baseline must be between 0.1 and 3600 seconds")
    sources = None
    if options.sources is not None:
        sources = [part.strip() for part in options.sources.split(",") if part.strip()]
    given = {"period_s": period, "sources": sources, "zone": options.zone, "pue": options.pue}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    configuration.recorder_settings(chosen)
    if options.zone is not None:
        from wattmark.impact import find_zone

        find_zone(options.zone)
    return chosen


def _wishes(options: argparse.Namespace) -> Wishes | None:
    """What is to be predicted, checked before anything starts; None for nothing. Raises ConfigError."""
    if options.stop_over_budget and options.budget is None:
        raise ConfigError("--stop-over-budget needs a budget", hint="--budget 50kJ")
    for name, value, needs in (
        ("--price", options.price, "budget"),
        ("--grace", options.grace, "stop_over_budget"),
    ):
        if value is not None and not getattr(options, needs):
            raise ConfigError(f"{name} belongs to --{needs.replace('_', '-')}, which was not given")
        if value is not None and not 0 < value < 1e9:
            raise ConfigError(f"{name} must be a number above 0, not {value:g}")
    if options.epochs is not None and not 0 < options.epochs < 1e12:
        raise ConfigError(f"--epochs must be a number above 0, not {options.epochs:g}")
    if not (options.predict or options.epochs or options.budget):
        return None
    from wattmark.cli.run.early.wishes import wishes_of

    return wishes_of(options)


def _check_when(options: argparse.Namespace) -> None:
    """Options that need others. Raises ConfigError."""
    of_when = (options.series, options.provider, options.duration, options.deadline, options.pausable)
    if options.when is None and any(of_when):
        raise ConfigError(
            "--series, --provider, --duration, --deadline and --pausable belong to --when green"
        )
    if options.series and options.provider:
        raise ConfigError("a series and a provider are two answers to one question", hint="give one of them")
    if not options.pausable and (options.checkpoint or options.pause_with or options.resume_with):
        raise ConfigError("--checkpoint, --pause-with and --resume-with belong to --pausable")
    if bool(options.pause_with) != bool(options.resume_with):
        raise ConfigError(
            "--pause-with and --resume-with go together", hint="what pauses it must be able to continue it"
        )


def _wait(options: argparse.Namespace) -> Pausing | None:
    """Wait until the command should start; what pauses it, if it may be. Raises ConfigError for what is missing."""
    import shlex

    from wattmark.plan.waiting import wait
    from wattmark.workspace.moments import parse_age

    for name in ("series", "duration", "deadline"):
        if getattr(options, name) is None and not (name == "series" and options.provider):
            raise ConfigError(
                f"--when green needs --{name}", hint="--series grid.csv --duration 4h --deadline 24h"
            )
    lengths = [parse_age(text).total_seconds() for text in (options.duration, options.deadline)]
    read = _intensities(options, lengths[1])
    if options.pausable:
        from wattmark.cli.run.pausing import Pausing, Terms

        def split(text: str | None) -> tuple[str, ...]:
            try:
                return tuple(shlex.split(text or ""))
            except ValueError as error:
                raise ConfigError(f"{text!r} is no command: {error}") from error

        duration_s, within_s = lengths
        cost_s = parse_age(options.checkpoint).total_seconds() if options.checkpoint else 0.0
        terms = Terms(duration_s, within_s, cost_s, split(options.pause_with), split(options.resume_with))
        pausing = Pausing(read, terms, quiet=options.quiet)
        pausing.wait()
        return pausing
    wait(
        read,
        *lengths,
        tell=(lambda _: None) if options.quiet else say,
    )
    return None


def _intensities(options: argparse.Namespace, within_s: float) -> Callable[[], IntensitySeries]:
    """The series as it is now, from the file or from the provider. Raises ConfigError."""
    if options.series is not None:
        from wattmark.impact.series import read_series

        return lambda: read_series(options.series)
    from wattmark.plan.asked import provider_series

    zone = str(options.zone or configuration.load().get("zone") or "").strip()
    if not zone:
        raise ConfigError(f"which place should {options.provider} be asked for?", hint="--zone DE")
    return lambda: provider_series([zone], within_s, provider=options.provider)[0][zone]


def parse_tags(words: list[str]) -> dict[str, str]:
    """``["a", "k=v"]`` -> ``{"a": "", "k": "v"}``. Raises ConfigError for a tag without a key."""
    tags = {key: value for key, _, value in (word.partition("=") for word in words)}
    if "" in tags:
        raise ConfigError("a tag needs a key: word or key=value")
    return tags


def _early(wishes: Wishes | None, *, to_stderr: bool, metrics: bool) -> Early:
    from wattmark.cli.run.early.command import Early

    return Early(wishes, to_stderr=to_stderr, metrics=metrics)


def _live_line(session: Session, early: Early | None) -> LiveLine | None:
    from wattmark.cli.terminal.live_line import LiveLine

    try:
        return LiveLine(session) if early is None else early.line(session)
    except (OSError, ValueError):
        return None  # the recorder is gone; the run's warnings will say so


def _ask_zone() -> None:
    from wattmark.cli.run.zone import ask_zone, may_ask

    if may_ask():
        ask_zone()


def _report(measured: _Measured, *, quiet: bool, json_path: str | None) -> RunResult | None:
    """Keep and show the run; what it is known by, None for a part of another run."""
    from wattmark.cli.terminal.output import console
    from wattmark.cli.terminal.render import render_run
    from wattmark.workspace.runs import result

    view = _part(measured) if measured.nested else _kept(measured)
    listed = view is not None or _list_unmeasured(measured)
    run = result(view or _unmeasured(measured))
    write_json(run.to_dict(), json_path)
    if not quiet:
        render_run(console(stderr=True), run, closing=listed)
    return None if measured.nested else run


def _part(measured: _Measured) -> RunView:
    """Inside another run: what happened between our edges."""
    from wattmark.tracker.results import view_of

    window = measured.window
    return view_of(window.process, window.run_id, window.name, window.start_ns, window.end_ns)


def _kept(measured: _Measured) -> RunView | None:
    """Stop the recorder, put the run into the store, and read it; None if there is no journal of it."""
    from wattmark.runs.reading.session import SessionData
    from wattmark.runs.view import RunView
    from wattmark.workspace.runs import keep_session, store_here

    process = measured.window.process
    run_id = measured.window.run_id
    session = process.session
    if session is None:
        return None
    folder = session.folder
    process.end()
    try:
        with store_here(ingest=False) as store:  # the numbers that `show` will have, to the last digit
            record = keep_session(store, folder, run_id)
        if record is not None:
            return RunView(record)
    except WattmarkError as error:
        say(f"the run is not in the store yet ({error}); its journal stays in {journals_dir()}")
    for record in SessionData(folder).runs():
        if record.run_id == run_id:
            return RunView(record)
    measured.lost = f"the journal of this run was lost: {folder}"
    return None


def _list_unmeasured(measured: _Measured) -> bool:
    """Put a run without a journal into the store all the same; if that does not work, say that it is in no list."""
    from wattmark.workspace.runs import keep, store_here

    try:
        with store_here(ingest=False) as store:
            keep(store, _unmeasured(measured).record)
    except WattmarkError as error:
        say(f"this run is in no list: {error}")
        return False
    return True


def _unmeasured(measured: _Measured) -> RunView:
    """A run of which nothing is known but its times and how it ended."""
    from wattmark.runs.record import RunWarning
    from wattmark.runs.view import RunView
    from wattmark.tracker.results import view_of

    window = measured.window
    view = view_of(None, window.run_id, window.name, window.start_ns, window.end_ns)
    record = view.record
    return RunView(
        replace(
            record,
            status=measured.status,
            exit_code=measured.exit_code,
            warnings=(RunWarning("journal-lost", measured.lost),) if measured.lost else record.warnings,
        )
    )
