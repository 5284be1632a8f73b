"""``%%wattmark``: a notebook's cell is measured; a widget counts while it runs, a picture of the run stays.

``%load_ext wattmark.integrations.notebook`` once. The widget is anywidget's (its extra ``[notebook]``; JupyterLab, VS Code
and Colab show it); without it, and where a notebook is exported, there is the run as static HTML. What the cell raises
is raised.
"""

from __future__ import annotations

import ast
import shlex
import threading
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from wattmark.errors import ConfigError, MissingExtra
from wattmark.integrations.frameworks import module_of
from wattmark.runs.display.notebook import html_of
from wattmark.tracker.measure import measure
from wattmark.tracker.process import this_process

if TYPE_CHECKING:
    from wattmark.tracker.run import Run

LIVE_S = 0.5
"""Between two numbers of the widget."""
_JS = """
function render({ model, el }) {
  el.style.fontFamily = "system-ui, sans-serif";
  const line = document.createElement("div");
  line.setAttribute("role", "status");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 300 40");
  svg.setAttribute("width", "300");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", "#0072b2");
  svg.append(path);
  el.append(line, svg);
  function draw() {
    line.textContent = model.get("words");
    const watts = model.get("power_w");
    const top = Math.max(1e-9, ...watts);
    const step = 300 / Math.max(1, watts.length - 1);
    const at = (w, i) => `${i ? "L" : "M"}${(i * step).toFixed(1)} ${(39 - 38 * w / top).toFixed(1)}`;
    path.setAttribute("d", watts.map(at).join(""));
  }
  model.on("change:words", draw);
  draw();
}
export default { render };
"""
USAGE = "%%wattmark [NAME] [--tag KEY=VALUE ...]"


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext`` calls."""

    def wattmark(line: str, cell: str) -> None:
        """Measure the cell: %%wattmark [NAME] [--tag KEY=VALUE ...]."""
        measure_cell(shell, line, cell)

    shell.register_magic_function(wattmark, "cell", "wattmark")


def measure_cell(shell: Any, line: str, cell: str) -> Run:
    """Run a cell's code in the shell, measured. Raises ConfigError for words that are none of the magic's, and what the
    code raises."""
    name, tags = words_of(line)
    display = module_of("notebook", "IPython.display").display
    run: Run = measure(name, tags=tags)
    handle = display({"text/plain": f"{name}: measuring"}, raw=True, display_id=True)
    widget = _widget()
    if widget is not None:
        handle.update(_bundle(widget, f"{name}: measuring"), raw=True)
    try:
        with run, _live(widget, run):
            _execute(shell, cell)
    finally:
        view = run.view
        energy = view.energy
        total = "not measured" if energy is None else str(energy)
        plain = f"{name}: {total}"
        if widget is not None:
            told = (
                {}
                if energy is None
                else {"energy_j": energy.value, "low_j": energy.low, "high_j": energy.high}
            )
            widget.set_trait("seconds", run.duration_s)
            for trait, value in told.items():
                widget.set_trait(trait, value)
            widget.set_trait("state", view.record.status)
            widget.set_trait("words", plain)
        handle.update({"text/plain": plain} if widget is None else _bundle(widget, plain), raw=True)
        display({"text/plain": plain, "text/html": html_of(view)}, raw=True)
    return run


def words_of(line: str) -> tuple[str, dict[str, str]]:
    """Name and tags of the magic's line. Raises ConfigError."""
    name, tags = "", dict[str, str]()
    try:
        words = iter(shlex.split(line))
    except ValueError as error:
        raise ConfigError(f"%%wattmark: {error}", hint=USAGE) from error
    for word in words:
        if word == "--tag" or word.startswith("--tag="):
            tag = word.partition("=")[2] if "=" in word else next(words, "")
            key, _, value = tag.partition("=")
            if not key:
                raise ConfigError("%%wattmark: --tag needs KEY=VALUE", hint=USAGE)
            tags[key] = value
        elif word.startswith("-") or name:
            raise ConfigError(f"%%wattmark: {word!r} is not understood", hint=USAGE)
        else:
            name = word
    return name or "cell", tags


def _execute(shell: Any, cell: str) -> None:
    """As a cell of its own: the last expression's value is shown."""
    code: str = shell.transform_cell(cell)
    filename: str = shell.compile.cache(code)
    tree = ast.parse(code, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    flags: int = shell.compile.flags
    exec(compile(tree, filename, "exec", flags), shell.user_ns)  # noqa: S102 - the user's own cell
    if last is not None and not cell.rstrip().endswith(";"):
        exec(compile(ast.Interactive([last]), filename, "single", flags), shell.user_ns)  # noqa: S102
    elif last is not None:
        exec(compile(ast.Module([last], []), filename, "exec", flags), shell.user_ns)  # noqa: S102


def _widget() -> Any:
    """A widget that counts, or None where anywidget is not installed."""
    try:
        anywidget, traitlets = module_of("notebook", "anywidget"), module_of("notebook", "traitlets")
    except MissingExtra:
        return None
    members: dict[str, Any] = {
        "_esm": _JS,
        "words": traitlets.Unicode("").tag(sync=True),
        "state": traitlets.Unicode("running").tag(sync=True),
        "seconds": traitlets.Float(0.0).tag(sync=True),
        "energy_j": traitlets.Float(None, allow_none=True).tag(sync=True),
        "low_j": traitlets.Float(None, allow_none=True).tag(sync=True),
        "high_j": traitlets.Float(None, allow_none=True).tag(sync=True),
        "power_w": traitlets.List(trait=traitlets.Float()).tag(sync=True),
        "__doc__": "Joules of a cell while it runs.",
    }
    return type("EnergyWidget", (anywidget.AnyWidget,), members)()


def _bundle(widget: Any, plain: str) -> dict[str, Any]:
    bundle: Any = widget._repr_mimebundle_()  # how IPython asks for it
    data: dict[str, Any] = dict(bundle) if hasattr(bundle, "keys") else dict(bundle[0])
    return {**data, "text/plain": plain}


@contextmanager
def _live(widget: Any, run: Run) -> Generator[None]:
    """Meanwhile the widget is told twice a second what the live page says."""
    session = this_process().session
    if widget is None or session is None:
        yield
        return
    ended = threading.Event()

    def tell() -> None:
        from wattmark.units import format_duration, format_energy, format_power

        last_ns, last_j = run.start_ns, 0.0
        begin_j: float | None = None
        while not ended.wait(LIVE_S):
            try:
                live = session.live.read()
            except (OSError, ValueError):  # there is no recorder: the run will say so
                return
            if live.energy_j is None or live.t_ns <= last_ns:
                continue
            begin_j = live.energy_j if begin_j is None else begin_j
            joules = live.energy_j - begin_j
            watts = (joules - last_j) / ((live.t_ns - last_ns) / 1e9)
            last_ns, last_j = live.t_ns, joules
            seconds = (monotonic_ns() - run.start_ns) / 1e9
            widget.set_trait("energy_j", joules)
            widget.set_trait("seconds", seconds)
            widget.set_trait("power_w", [*widget.power_w[-299:], watts])
            words = f"{format_energy(joules)}, {format_power(watts)} now, {format_duration(seconds)}"
            widget.set_trait("words", f"{run.name}: {words}")

    thread = threading.Thread(target=tell, name="wattmark-widget", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=2)
