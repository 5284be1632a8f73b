"""When a load test ends, and when one of its requests is given up."""

from __future__ import annotations

from dataclasses import dataclass

from wattmark.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Limits:
    """When a load test ends, and when a request is given up. Seconds; None is "no limit".

    requests, duration_s: how many requests are sent, and for how long (one of the two, unless arrivals or workload
    end by themselves). drain_s: how long answers are awaited after the last request. first_byte_s: "never answers".
    stall_s: nothing more of an answer for so long. total_s: one request as a whole. failures_in_row: give the test up.
    keep_records: False for long tests that handle records in ``on_record`` only. processes: generator processes. in_flight:
    conversations of an open loop that are under way at once; further ones wait, and stay due when they were due.
    """

    requests: int | None = None
    duration_s: float | None = None
    drain_s: float = 60.0
    connect_s: float = 10.0
    first_byte_s: float = 300.0
    stall_s: float = 60.0
    total_s: float | None = None
    failures_in_row: int | None = 100
    keep_records: bool = True
    keep_text: bool = False
    processes: int = 1
    progress_s: float = 0.5
    scrape_s: float | None = 1.0
    in_flight: int | None = None

    def __post_init__(self) -> None:
        for name in (
            "connect_s",
            "first_byte_s",
            "stall_s",
            "total_s",
            "duration_s",
            "progress_s",
            "scrape_s",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(
                    f"{name} must be above 0 s, not {value:g}", hint="leave it out for the default"
                )
        if not self.drain_s >= 0:
            raise ConfigError("drain_s must be at least 0 s")
        if self.in_flight is not None and self.in_flight < self.processes:
            raise ConfigError("a cap on requests in flight needs at least one for each process")
        if self.processes < 1 or (self.requests or 0) < 0:
            raise ConfigError("a load needs at least one process, and no negative number of requests")
