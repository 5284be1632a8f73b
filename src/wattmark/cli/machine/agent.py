"""``wattmark agent``: measure a node always, for all of its users."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, say, write_json
from wattmark.documents import mappings, number, text
from wattmark.errors import ConfigError, ServerError
from wattmark.sources.agent.source import AgentConnection, socket_path
from wattmark.sources.base import Host

app = typer.Typer(rich_markup_mode=None)
TOKEN_VARIABLE = "WATTMARK_AGENT_TOKEN"  # noqa: S105 - the variable's name
_MOST_ROWS = 30


@app.command()
def agent(
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where Prometheus scrapes /metrics; none: nowhere.")
    ] = "127.0.0.1:9464",
    socket: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Where users of this machine ask; WATTMARK_AGENT names it, too."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name that scrapers may ask for it by.")
    ] = None,
    names: Annotated[
        str | None,
        typer.Option("--sources", metavar="A,B", help="Sources to use, as `run --sources` has them."),
    ] = None,
    who: Annotated[
        bool, typer.Option("--who", help="Ask the agent that runs: whose the joules are.")
    ] = False,
    otlp: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send to an OpenTelemetry collector too: http://HOST:4318."),
    ] = None,
    stdio: Annotated[
        bool,
        typer.Option("--stdio", help="Answer on standard output, as `llm bench --power ssh://HOST` asks."),
    ] = False,
    json_path: JsonPath = None,
) -> None:
    """Measure this node always: joules by process, unit, container, pod and job, for all users and for Prometheus.

    Needs what may read the sensors (root, or CAP_DAC_READ_SEARCH); who asks it needs nothing. An address that other
    machines reach needs a token in WATTMARK_AGENT_TOKEN.

    \\b
    Example: wattmark agent --who
    """
    host = Host.here()
    path = socket or socket_path(host)
    if who:
        _show(path, json_path)
        return
    wanted = [part.strip() for part in names.split(",")] if names else None
    if stdio:
        _answer_lines(host, path, wanted)
        return
    from wattmark import settings
    from wattmark.agent.listening import is_loopback
    from wattmark.agent.listening import listen as listen_at
    from wattmark.agent.service import Options, Service

    if otlp is not None:
        from wattmark.agent.otlp import check_endpoint

        check_endpoint(otlp)
    listening, token = None, os.environ.get(TOKEN_VARIABLE) or None
    if listen != "none":
        address, _, port = listen.rpartition(":")
        address = address.strip("[]")
        if not address or not port.isdigit() or int(port) > 65535:
            raise ConfigError(
                f"--listen {listen} is no address", hint="write it like 127.0.0.1:9464, or none"
            )
        if token is None and not is_loopback(address):
            raise ConfigError(
                f"at {address} other machines can reach the agent, so it needs a token",
                hint=f"set {TOKEN_VARIABLE}, or listen at 127.0.0.1",
            )
        listening = listen_at(address, int(port), "agent")
    options = settings.recorder_settings({}).get("options")
    service = Service(
        Host.here(options=options),
        Options(path, listening, token, tuple(allow_host or ()), wanted, otlp),
        say,
    )
    if listening is not None:
        bound, port_taken = listening.getsockname()[:2]
        shown = f"[{bound}]" if ":" in str(bound) else bound
        say(f"metrics at http://{shown}:{port_taken}/metrics")
    say(f"users ask at {path}")
    service.run()


def _answer_lines(host: Host, path: str, wanted: list[str] | None) -> None:
    """Answer lines of standard input until it ends: for the agent of this node if there is one, else by its own sources."""
    import json
    import sys

    from wattmark.documents import mapping

    relay = AgentConnection(path) if os.path.exists(path) else None  # noqa: PTH110
    answers = None
    for line in sys.stdin:
        try:
            asked = text(mapping(json.loads(line)).get("ask")) or ""
        except ValueError:
            asked = ""
        answer: dict[str, object] = {}
        if relay is not None:
            try:
                answer = relay.ask(asked)
            except OSError:
                relay = None  # it has ended: what can be read without it is another's, and is told as such
        if relay is None:
            if answers is None:
                from wattmark.agent.node import Node
                from wattmark.agent.server import Answers

                answers = Answers(Node(host, wanted))
            answer = answers.answer({"ask": asked}, -1)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _show(path: str, json_path: str | None) -> None:
    connection = AgentConnection(path)
    try:
        usage = connection.ask("usage")
    except OSError as error:
        raise ServerError(
            f"no agent answers at {path}: {error}", hint="start it: sudo wattmark agent"
        ) from error
    finally:
        connection.close()
    if not write_json(usage, json_path):
        _render(usage)


def _render(usage: dict[str, object]) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.documents import items, mapping
    from wattmark.text import clean
    from wattmark.units import format_energy, significant

    out = console()
    parts = mapping(usage.get("parts"))
    table = new_table("part", "energy", "of it idle", "unattributed", "power", "idle")
    for name, row in parts.items():
        part = mapping(row)
        watts, idle_w = number(part.get("power_w")), number(part.get("idle_w"))
        table.add_row(
            name,
            *(_joules(part, key) for key in ("energy_j", "idle_j", "unattributed_j")),
            "-" if watts is None else f"{significant(watts)} W",
            "-" if idle_w is None else f"{significant(idle_w)} W",
        )
    out.print(table)
    by_unit: dict[tuple[str, str], float] = {}
    for row in mappings(usage.get("units")):
        key = (text(row.get("kind")) or "", text(row.get("name")) or "")
        by_unit[key] = by_unit.get(key, 0.0) + (number(row.get("energy_j")) or 0.0)
    table = new_table("kind", "name", "energy above idle")
    for (kind, name), energy in sorted(by_unit.items(), key=lambda pair: -pair[1])[:_MOST_ROWS]:
        table.add_row(kind, clean(name), format_energy(energy) if energy else "0 J")
    out.print(table)
    processes = sorted(
        mappings(usage.get("processes")), key=lambda row: -(number(row.get("energy_j")) or 0.0)
    )
    table = new_table("pid", "energy above idle", "command")
    for row in processes[:_MOST_ROWS]:
        table.add_row(
            f"{number(row.get('pid')) or 0:.0f}",
            _joules(row, "energy_j"),
            " ".join(clean(text(row.get("command")) or "").split())[:200],
        )
    if items(usage.get("processes")):
        out.print(table)


def _joules(row: object, key: str) -> str:
    from wattmark.documents import mapping
    from wattmark.units import format_energy

    energy = number(mapping(row).get(key))
    return "-" if energy is None else format_energy(energy) if energy else "0 J"
