"""What a load test leaves behind: one record per request, and the result that holds them.

All times are nanoseconds of this host's monotonic clock (``time.monotonic_ns``), as in a run's journal.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wattmark.runs.record import SeriesData
    from wattmark.serving.server.exposition import Histogram

Outcome = Literal[
    "ok",
    "refused",
    "sockets",
    "tls",
    "no_answer",
    "stalled",
    "too_long",
    "cut",
    "malformed",
    "throttled",
    "client_error",
    "server_error",
    "abandoned",
]
"""How a request ended: well; no connection; no socket left here; TLS failed; nothing came in time; the answer stopped
coming; the whole took too long; the connection or stream broke; not HTTP, SSE or JSON; 429; other 4xx; 5xx or an error
inside the stream; given up by us (Ctrl-C, end of the test)."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(slots=True)
class RequestRecord:
    """One request. ``None`` is "not known", never 0.

    scheduled_ns: when the arrival process wanted it. released_ns: when the generator got to it (the difference is
    the generator's own lateness). sent_ns: when it was written to an open connection. chunk_ns: arrival of every
    chunk that carried text; first_token_ns and last_token_ns are its ends (None if the answer was not streamed).
    first_answer_ns: the first chunk that was no reasoning. end_ns: the answer was complete, or the request had failed.
    choices: events that carried a choice; reasoning_chunks: those of them with reasoning; text_size: characters that came.
    Token counts are the server's own (``usage``); ``usage_problem`` says why they were not believed, ``usage_note`` what is
    odd about counts that were. timings: the server's own times (llama.cpp), in ms. model: the one asked for, where there are
    several. answers: choices of one request (``n``), whose tokens are counted together. images, audio_s: in the prompt;
    of speech the seconds made. inputs: texts embedded, or documents ranked.
    """

    index: int
    conversation: int
    turn: int
    scheduled_ns: int
    released_ns: int
    sent_ns: int | None = None
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    end_ns: int | None = None
    chunk_ns: array[int] = field(default_factory=lambda: array("q"))
    wanted_input_tokens: int | None = None
    wanted_output_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    status: int | None = None
    outcome: Outcome = "abandoned"
    error: str | None = None
    finish_reason: str | None = None
    usage_problem: str | None = None
    retry_after_s: float | None = None
    retries: int = 0
    timings: dict[str, float] | None = None
    text: str | None = None
    first_answer_ns: int | None = None
    usage_note: str | None = None
    choices: int = 0
    reasoning_chunks: int = 0
    text_size: int = 0
    model: str | None = None
    answers: int = 1
    images: int = 0
    audio_s: float | None = None
    inputs: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the request was answered whole."""
        return self.outcome == "ok"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as ``--json`` and exports have it."""
        data = {name: getattr(self, name) for name in self.__slots__}
        data["chunk_ns"] = self.chunk_ns.tolist()
        return data


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a load test has come; handed to ``on_progress``."""

    elapsed_s: float
    sent: int
    done: int
    failed: int
    in_flight: int
    output_tokens: int


@dataclass(slots=True)
class LoadResult:
    """A load test's records and its circumstances.

    counts: requests by outcome, also of records that were not kept. client_cpu_s: CPU seconds of the client's own
    processes, so that its joules can be told from the server's. interrupted: Ctrl-C or ``stop`` ended it early;
    what was measured up to then is here. series: what was scraped from the server's ``/metrics``. text_seed: with it
    the same texts can be sent again. concurrency: of a closed loop that keeps one; None for any other load. latencies: what
    the server's own histograms say of the time of the load, for all of its users.
    """

    url: str
    model: str | None
    dialect: str
    arrivals: str
    workload: str
    started_ns: int
    ended_ns: int
    started_wall_ns: int
    stopped_sending_ns: int
    records: list[RequestRecord] = field(
        repr=False
    )  # asyncio writes results of tasks out, which would take seconds
    counts: Counter[Outcome]
    client_cpu_s: float
    client_pids: tuple[int, ...]
    interrupted: bool = False
    warnings: list[str] = field(default_factory=list[str])
    series: tuple[SeriesData, ...] = ()
    text_seed: int | None = None
    concurrency: int | None = None
    latencies: dict[str, Histogram] = field(default_factory=dict[str, "Histogram"])

    @property
    def cached_share(self) -> float | None:
        """Prompt tokens that came from the server's prefix cache, 0 to 1 of those that are known; None if none are."""
        pairs = [
            (each.cached_tokens, each.input_tokens) for each in self.ok if each.cached_tokens is not None
        ]
        given = sum(tokens or 0 for _, tokens in pairs)
        return sum(cached for cached, _ in pairs) / given if given else None

    @property
    def ok(self) -> list[RequestRecord]:
        """The requests that were answered whole; only they count in latency figures."""
        return [record for record in self.records if record.outcome == "ok"]

    @property
    def failed(self) -> int:
        """How many requests failed; those that we gave up ourselves are not among them."""
        return sum(number for outcome, number in self.counts.items() if outcome not in ("ok", "abandoned"))

    @property
    def errors(self) -> dict[Outcome, str]:
        """The commonest error of each outcome but ``ok``, by what the records kept of it."""
        said: dict[Outcome, Counter[str]] = {}
        for record in self.records:
            if record.error:
                said.setdefault(record.outcome, Counter())[record.error] += 1
        return {outcome: errors.most_common(1)[0][0] for outcome, errors in said.items()}

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """The records as float64 columns (n,), NaN where a value is not known: for attribution and export."""
        import numpy as np

        names = (
            "scheduled_ns",
            "released_ns",
            "sent_ns",
            "first_token_ns",
            "last_token_ns",
            "end_ns",
            "input_tokens",
            "output_tokens",
            "cached_tokens",
            "reasoning_tokens",
        )
        return {
            name: np.array([getattr(record, name) for record in self.records], dtype=np.float64)
            for name in names
        }
