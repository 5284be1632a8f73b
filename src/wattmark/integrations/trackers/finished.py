"""A run that has ended, told to a tracker: joules of its epochs and at its logged steps, its figures, its page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wattmark.documents import number
from wattmark.integrations.trackers.base import Ending, Point, Tracker, with_ends
from wattmark.report.html.markup import Html, join, tag
from wattmark.runs.display.notebook import html_of
from wattmark.runs.metrics import metrics_of
from wattmark.runs.view import RunView, SpanView
from wattmark.text import singular

if TYPE_CHECKING:
    from wattmark.tracker.run import Run


def tell(run: Run, tracker: Tracker) -> None:
    """Tell a tracker everything of a run: what was logged with steps gets the joules so far, epochs get theirs."""
    from wattmark.workspace.runs import result

    view = run.view
    points = sorted((*_logged(view), *_epochs(view)), key=lambda point: point.wall_ns)
    if points:
        tracker.log(points)
    tracker.finish(Ending(view, result(view), view.energy))


def page_of(ending: Ending) -> str:
    """The run as one HTML file: the dashboard's page where its extra is installed, else total and power over time."""
    try:
        from wattmark.dashboard.api.run.offline_page import run_page
        from wattmark.dashboard.context import Context, Options
    except ImportError:  # the extra [ui]; the page says less without it, nothing that differs
        return fragment_of(ending)
    from wattmark.store import open_store
    from wattmark.workspace.runs import keep

    with (
        tempfile.TemporaryDirectory(prefix="wattmark-") as folder,
        open_store(f"{folder}/page.sqlite") as store,
    ):
        keep(store, ending.view.record)
        return run_page(Context(store, Options()), ending.view.id)


def fragment_of(ending: Ending) -> str:
    """Total, components and power over time as a small HTML document without scripts."""
    name = ending.result.name
    head = tag("head", tag("meta", charset="utf-8"), tag("title", name))
    body = tag("body", Html(html_of(ending.view)))
    return join(Html("<!doctype html>\n"), tag("html", head, body, lang="en"))


def _logged(view: RunView) -> Iterator[Point]:
    """For each moment at which the work logged with a step: the joules so far, and what was logged."""
    rows: dict[tuple[float, float], dict[str, float]] = {}
    for metric in metrics_of(view.record).values():
        for t_s, step, value in zip(metric.t_s, metric.step, metric.value, strict=True):
            if step is not None and value is not None:
                rows.setdefault((t_s, step), {})[metric.name] = value
    for t_s, step in rows:
        so_far = view.energy_between(0.0, t_s)
        if so_far is not None:
            yield Point(with_ends("total_j", so_far), int(step), _wall_ns(view, t_s))


def _epochs(view: RunView) -> Iterator[Point]:
    """Joules of each epoch, at the last step that was logged in it, else at its number."""
    steps = sorted(
        (t_s, step)
        for metric in metrics_of(view.record).values()
        for t_s, step in zip(metric.t_s, metric.step, strict=True)
        if step is not None
    )
    for place, span in enumerate(span for span in view.spans() if span.name == "epoch" and not span.open):
        if span.energy is None:
            continue
        values = with_ends("epoch_j", span.energy)
        for name, count in span.counts.items():
            if count > 0:
                values |= with_ends(f"per_{singular(name)}_j", span.energy / count)
        end_s = span.start_s + span.duration_s
        within = [step for t_s, step in steps if span.start_s <= t_s <= end_s + 0.05]
        step = within[-1] if within else _number_of(span, place)
        yield Point(values, int(step), _wall_ns(view, end_s))


def _number_of(span: SpanView, place: int) -> float:
    given = number(span.attrs.get("epoch"))
    return place if given is None else given


def _wall_ns(view: RunView, t_s: float) -> int:
    return view.record.started_wall_ns + round(t_s * 1e9)
