"""Measuring from Python: ``with wm.measure("train") as run: ... run.span("epoch", samples=50_000)``.

Starting costs a few tens of milliseconds once per process (a recorder process starts), every further window well under
0.1 ms, a span a few microseconds. Measuring never breaks the work: what fails is a warning, and the energies are None.
Nothing beyond the standard library is imported until a result is asked for.
"""

from __future__ import annotations

from wattmark.tracker.process import this_process
from wattmark.tracker.run import Run
from wattmark.tracker.span import Span, current_span, text_of

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from wattmark.tracker.span import Number
    from wattmark.tracker.window import Window

__all__ = ["Run", "Span", "current_run", "measure", "span"]


def measure(
    name: str | Callable[..., Any] | None = None,
    *,
    tags: Mapping[str, object] | Iterable[object] | None = None,
    period_s: float | None = None,
    sources: list[str] | None = None,
    precise: bool = False,
    sync: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:
    """Measure a block, a function, or the time from ``start()`` to ``stop()``.

    name: what the run is called (default: the script's name). tags: words or pairs to find it by, kept as text.
    period_s: seconds between samples (default 0.1; 0.001 to 10). sources: names of sources to use instead of the
    best ones here, ``"!name"`` leaves one out. precise: read hardware counters in this process at the edges of spans.
    sync: wait for the GPU at the edges. options: settings of sources.

    Returns a :class:`Run`. A measure inside another one, in the same process or in a process that it started, becomes
    a span of it, so nothing is counted twice. Measures that only overlap (tasks, threads) are runs of their own, with a
    warning that the other's energy is in each.

    >>> import wattmark as wm
    >>> with wm.measure("train") as run:
    ...     with run.span("epoch", samples=1000):
    ...         pass
    """
    if callable(name):
        return measure(getattr(name, "__qualname__", type(name).__name__))(name)
    if period_s is not None and not 0.001 <= period_s <= 10:
        from wattmark.errors import ConfigError

        raise ConfigError(f"period_s must be between 0.001 and 10 seconds, not {period_s}")
    settings: dict[str, Any] = {"precise": precise, "sync": sync}
    if period_s is not None:
        settings["period_s"] = period_s
    if sources is not None:
        settings["sources"] = sources
    if options is not None:
        settings["options"] = {key: dict(value) for key, value in options.items()}
    return Run(text_of(name or this_process().default_name()), _text_tags(tags), settings)


def span(
    name: str,
    *,
    counts: Mapping[str, Number] | None = None,
    sync: bool = False,
    **details: Number | str | bool,
) -> Span:
    """A span of whatever run is being measured around this process; outside any run it does nothing.

    For libraries and child processes: ``with wm.span("tokenise", samples=8): ...``. See :meth:`Run.span`.
    """
    this_process().attach_if_inside()
    return Span(name, details, counts, sync=sync)


def current_run() -> Run | None:
    """The run being measured around this process, begun here or by a process that started this one; or None."""
    process = this_process()
    process.attach_if_inside()
    window = _innermost(process.windows)
    run_id = process.inside if window is None else window.root_id
    root = process.windows.get(run_id)
    if root is not None and root.run is not None:
        return root.run
    return Run.around(process, run_id) if run_id else None


def _innermost(windows: dict[str, Window]) -> Window | None:
    """The window that this task or thread is in, else the newest one."""
    span = current_span.get()
    while span is not None:
        window = windows.get(span.window)
        if window is not None:
            return window
        span = span.outer
    return next(reversed(windows.values()), None)


def _text_tags(tags: Any) -> dict[str, str]:
    """Pairs, words, or one word, whatever their types; a value of None is a word without one."""
    if tags is None:
        return {}
    if hasattr(tags, "items"):
        return {text_of(key): "" if value is None else text_of(value) for key, value in tags.items()}
    words = [tags] if isinstance(tags, str | bytes) or not hasattr(tags, "__iter__") else tags
    return {text_of(word): "" for word in words}
