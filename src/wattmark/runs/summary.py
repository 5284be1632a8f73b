"""From a run with its curves to its results, without its carbon: that is a later stage over unchanged joules."""

from __future__ import annotations

from datetime import datetime, timezone

from wattmark.runs.attribution import Share, above_idle, attributed, contention, hosts_of
from wattmark.runs.metrics import metrics_of
from wattmark.runs.record import RunWarning
from wattmark.runs.result import ChannelResult, RunResult, ShareResult, SpanResult
from wattmark.runs.view import RunView

MAX_SPANS = 10_000
"""A JSON object for people and scripts holds at most this many spans; ``export`` has no limit."""


def summarise(view: RunView, *, spans: bool = True) -> RunResult:
    """All that is known of the run; of its spans the first :data:`MAX_SPANS`, or none if they are not asked for."""
    record = view.record
    share, others = attributed(view), contention(record)
    span_views = view.spans(MAX_SPANS) if spans else []
    warnings = list(record.warnings)
    if spans and len(record.spans) > MAX_SPANS:
        message = (
            f"{len(record.spans)} spans, of which the first {MAX_SPANS} are here; `wattmark export` has all"
        )
        warnings.append(RunWarning("spans-cut", message))
    return RunResult(
        run_id=record.run_id,
        name=record.name,
        status=record.status,
        exit_code=record.exit_code,
        started_at=datetime.fromtimestamp(record.started_wall_ns / 1e9, timezone.utc).isoformat(),
        duration_s=record.duration_s,
        host=record.host,
        tags=dict(record.tags),
        coverage=view.coverage,
        energy=view.energy,
        energy_by_component=view.energy_by_component,
        above_idle=_share(above_idle(view)),
        attributed=_share(share),
        others_busy=others,
        mean_power_w=view.mean_power_w,
        peak_power_w=view.peak_power_w,
        channels=tuple(_channel(view, index) for index in range(len(record.curves))),
        carbon=None,
        spans=tuple(
            SpanResult(
                span.name, span.path, span.start_s, span.duration_s, span.energy, span.counts, span.attrs
            )
            for span in span_views
        ),
        span_groups=tuple(view.span_groups()) if spans and span_views else (),
        warnings=tuple(warnings),
        recorder=dict(record.recorder),
        metrics=metrics_of(record),
        hosts=tuple(hosts_of(record)),
    )


def _channel(view: RunView, index: int) -> ChannelResult:
    curve = view.record.curves[index]
    channel = curve.channel
    times = curve.t_ns[(curve.t_ns >= view.record.start_ns) & (curve.t_ns <= view.record.end_ns)]
    gaps = (times[1:] - times[:-1]) / 1e9
    return ChannelResult(
        id=channel.id,
        component=channel.component,
        source=channel.source,
        method=channel.method,
        scope=channel.scope,
        label=channel.label,
        energy=view.energy_by_channel.get(channel.id),
        samples=len(times),
        max_gap_s=float(gaps.max()) if len(gaps) else None,
        counted=channel.counted,
        accuracy=channel.accuracy,
    )


def _share(share: Share | None) -> ShareResult | None:
    return None if share is None else ShareResult(share.energy, share.rule, share.by_method)
