"""The screen of ``wattmark top``: figures of one run, drawn anew twice a second, in the terminal's own colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from wattmark.cli.terminal.chart import block_chart
from wattmark.cli.terminal.output import plain
from wattmark.cli.terminal.render import STATUS_STYLES
from wattmark.cli.top.state import Component, Count, RunState, SpanRow
from wattmark.quantity import Quantity
from wattmark.units import format_duration, format_energy, format_power, significant

RUNS_SHOWN = 5
_UNKNOWN = "?"
HOW_TO_START = """\
Nothing is being measured here. In another terminal:

  wattmark run -- python train.py

or in a program of yours:

  import wattmark as wm
  with wm.measure("training"):
      ...

It is shown as soon as it begins."""


class TopApp(App[None]):
    """look: gives the runs that go on. pinned: the id of the only run to show, or None for all.

    every_s: seconds between two looks.
    """

    CSS = """
    #runs, #power, #counts { height: auto; margin-top: 1; }
    #spans { height: 1fr; margin-top: 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right,tab", "turn(1)", priority=True),
        Binding("p,left,shift+tab", "turn(-1)", priority=True),
        Binding("down,j", "scroll(1)"),
        Binding("up,k", "scroll(-1)"),
        Binding("q,escape,ctrl+c", "quit", priority=True),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        look: Callable[[], Sequence[RunState]],
        *,
        where: str,
        pinned: str | None = None,
        every_s: float = 0.5,
    ) -> None:
        super().__init__(ansi_color=True)
        self.title = "wattmark top"
        self.runs: list[RunState] = []
        self.shown: RunState | None = None
        self._look = look
        self._where = where
        self._pinned = pinned
        self._every_s = every_s

    def compose(self) -> ComposeResult:
        """Head, list of runs, watts, spans, counts, keys."""
        yield Static(id="head", markup=False)
        yield Static(id="runs", markup=False)
        yield Static(id="power", markup=False)
        with VerticalScroll(id="spans", can_focus=False):
            yield Static(id="tree", markup=False)
        yield Static(id="counts", markup=False)
        yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin to look."""
        own = (name for name in ("ansi-dark", "textual-ansi") if name in self.available_themes)
        self.theme = next(own, self.theme)  # the terminal's own colours on its own ground, dark or light
        self.look_again()
        self.set_interval(self._every_s, self.look_again)

    def look_again(self) -> None:
        """Take in how things stand, and draw it."""
        states = self._look()
        if self._pinned is not None:
            states = [state for state in states if state.run_id == self._pinned]
        self.runs = [state for state in states if state.status == "running"]
        by_id = {state.run_id: state for state in states}
        if self.shown is not None and self.shown.run_id in by_id:
            self.shown = by_id[self.shown.run_id]
        elif self.runs:  # what has ended stays until another run begins
            self.shown = self.runs[0]
        if self.shown is not None and self.shown.status != "running" and self.runs:
            self.shown = self.runs[0]
        self._draw()

    def action_turn(self, step: int) -> None:
        """Show the next or the previous run."""
        ids = [state.run_id for state in self.runs]
        if not ids:
            return
        now = ids.index(self.shown.run_id) if self.shown is not None and self.shown.run_id in ids else -step
        self.shown = self.runs[(now + step) % len(ids)]
        self._draw()

    def action_scroll(self, lines: int) -> None:
        """Move the list of spans."""
        self.query_one("#spans", VerticalScroll).scroll_relative(y=lines, animate=False)

    def on_resize(self) -> None:
        """Fit the window."""
        self._draw()

    def _keys(self) -> Iterator[str]:
        if len(self.runs) > 1:
            yield "n next run · p previous run"
        if self.query_one("#spans", VerticalScroll).max_scroll_y > 0:
            yield "↑ ↓ spans"
        yield "q quit"

    def _draw(self) -> None:
        state = self.shown
        parts: dict[str, RenderableType] = dict.fromkeys(("head", "runs", "power", "tree", "counts"), "")
        parts["keys"] = Text(" · ".join(self._keys()), "dim")
        if state is None:
            parts |= {
                "head": Text("Wattmark top", "bold"),
                "power": f"{HOW_TO_START}\n\nWatched: {self._where}",
            }
        else:
            parts |= {
                "head": head(state, self.size.width),
                "runs": run_list(self.runs, state, self.size.width) if len(self.runs) > 1 else "",
                "power": power_table(state, self.size.width),
                "tree": span_table(state),
                "counts": count_lines(state),
            }
        for name, part in parts.items():
            widget = self.query_one(f"#{name}", Static)
            widget.update(part)
            widget.display = bool(part)


def head(state: RunState, width: int) -> RenderableType:
    """Name, status, length; id and tags below."""
    first = Text.assemble(
        (plain(state.name), "bold"),
        "  ",
        (state.status, STATUS_STYLES.get(state.status, "")),
        f"  {format_duration(state.duration_s)}",
        no_wrap=True,
        overflow="ellipsis",
    )
    tags = " ".join(plain(f"{key}={value}" if value else key) for key, value in state.tags.items())
    second = Text(
        f"{state.run_id}  pid {state.pid}  {tags}".rstrip(), "dim", no_wrap=True, overflow="ellipsis"
    )
    lines = [first, second]
    if state.prediction is not None:
        lines.append(Text(_predicted(state), no_wrap=True, overflow="ellipsis"))
    if state.recorder_lost:
        lines.append(Text("! its recorder is gone: joules no longer come in", "yellow"))
    if state.status != "running":
        lines.append(Text(f"It has ended: wattmark show {state.run_id}"[:width]))
    return Group(*lines)


def _predicted(state: RunState) -> str:
    one = state.prediction
    assert one is not None, "no prediction"
    ends = (format_energy(end, one.energy_j) for end in (one.energy_low_j, one.energy_high_j))
    left_s = max(0.0, one.time_s - state.duration_s)
    words = [
        f"predicted in all {format_energy(one.energy_j)} ({' to '.join(ends)})",
        f"{format_duration(left_s)} left",
    ]
    return " · ".join([*words, *filter(None, [plain(one.progress)])])


def run_list(runs: Sequence[RunState], shown: RunState, width: int) -> RenderableType:
    """The runs that go on, a mark at the one that is shown."""
    table = Table(box=None, pad_edge=False, show_header=False, width=min(width, 100))
    table.add_column(width=1)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    place = next((row for row, state in enumerate(runs) if state.run_id == shown.run_id), 0)
    first = min(max(0, place - RUNS_SHOWN + 1), max(0, len(runs) - RUNS_SHOWN))
    for state in runs[first : first + RUNS_SHOWN]:
        mark = ">" if state.run_id == shown.run_id else ""
        table.add_row(mark, plain(state.name), _watts(state.power_w), *_so_far(state))
    if len(runs) > RUNS_SHOWN:
        table.add_row("", f"{len(runs)} runs", "", "", "")
    return table


def power_table(state: RunState, width: int) -> RenderableType:
    """Watts with their course, joules, and how they are got; measured and modelled sums apart where there are both."""
    if not state.components:
        return Text("Nothing is measured yet (or there is no sensor: wattmark sources).", "yellow")
    room = max(8, min(60, width - 58))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("now", justify="right", no_wrap=True)
    table.add_column(f"last {room} s", width=room, no_wrap=True)
    table.add_column("so far", justify="right", no_wrap=True)
    table.add_column("how", no_wrap=True, overflow="ellipsis")
    for part in state.components:
        how = part.how if part.counted else f"{part.how}, not in the total"
        table.add_row(
            part.name, _watts(part.power_w), _course(part.history_w, room), _joules(part.energy), how
        )
    kinds = [
        (name, state.energy(modelled=modelled))
        for name, modelled in (("measured", False), ("modelled", True))
    ]
    if all(energy is not None for _, energy in kinds):
        for name, energy in kinds:
            table.add_row(name, "", "", _joules(energy), "part of the total", style="italic")
    energy = state.energy()
    between = (
        ""
        if energy is None
        else f"{format_energy(energy.low, energy.value)} to {format_energy(energy.high, energy.value)}"
    )
    course = _course(_sum([part for part in state.components if part.counted]), room)
    table.add_row("total", _watts(state.power_w), course, _joules(energy), between, style="bold")
    return table


def span_table(state: RunState) -> RenderableType:
    """Spans that are open now; below them those that have ended, the dearest first."""
    if not state.open and not state.ended:
        return ""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(
        "spans open now" if state.open else "spans", no_wrap=True, overflow="ellipsis", min_width=30
    )
    for name in ("times", "for", "joules"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("counts", no_wrap=True, overflow="ellipsis")
    for row in state.open:
        table.add_row(*_span(row, row.path.count("/"), row.name), style="bold")
    ended = sorted(state.ended, key=lambda row: -(row.energy_j or 0.0))
    if ended and state.open:
        table.add_row("ended", "", "", "", "", style="dim")
    for row in ended:
        table.add_row(*_span(row, 0, row.path))
    return table


def count_lines(state: RunState) -> RenderableType:
    """What was counted (samples, tokens, requests), per second and per joule; and how often sensors were read."""
    lines = [_count(count) for count in state.counts[:4]]
    if state.requests:
        lines.insert(0, f"{state.requests} requests in flight")
    lines.append(f"{state.readings:,} readings of {' and '.join(part.name for part in state.components)}")
    return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def _count(count: Count) -> str:
    words = [f"{_number(count.value)} {plain(count.name)}"]
    if count.per_s is not None:
        words.append(f"{significant(count.per_s)}/s")
    if count.energy_j and count.value > 0:
        words.append(f"{format_energy(count.energy_j / count.value)} each")
    return " · ".join(words)


def _span(row: SpanRow, depth: int, name: str) -> Iterator[str]:
    yield "  " * depth + plain(name)
    yield str(row.times) if row.times > 1 or not row.open else ""
    yield format_duration(row.seconds)
    yield _UNKNOWN if row.energy_j is None else format_energy(row.energy_j)
    yield ", ".join(f"{_number(value)} {plain(key)}" for key, value in row.counts.items())


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else significant(value)


def _so_far(state: RunState) -> tuple[str, str]:
    return _joules(state.energy()), format_duration(state.duration_s)


def _watts(power_w: float | None) -> str:
    return _UNKNOWN if power_w is None else format_power(power_w)


def _joules(energy: Quantity | None) -> str:
    return _UNKNOWN if energy is None else format_energy(energy.value)


def _course(history_w: Sequence[float], room: int) -> str:
    return block_chart(history_w[-room:], height=1)[0].rjust(room)


def _sum(parts: Sequence[Component]) -> list[float]:
    longest = max((len(part.history_w) for part in parts), default=0)
    rows = [[math.nan] * (longest - len(part.history_w)) + list(part.history_w) for part in parts]
    return [sum(column) for column in zip(*rows, strict=True)]
