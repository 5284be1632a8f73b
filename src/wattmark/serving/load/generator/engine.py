"""The load generator: starts conversations when the schedule says so, and follows each to its end.

Everything runs in callbacks of one event loop: a request on a kept connection costs no task and no timer. Time limits
are kept by one watchdog that looks at everything in flight a few times a second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic_ns
from typing import Any

from wattmark.serving.load.arrivals import Arrivals
from wattmark.serving.load.exchange import Exchange
from wattmark.serving.load.generator.schedule import schedule_of
from wattmark.serving.load.generator.timers import Timers
from wattmark.serving.load.generator.turns import Turns
from wattmark.serving.load.generator.watchdog import Watchdog
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import LoadProgress, Outcome, RequestRecord
from wattmark.serving.load.wire.dialects import Dialect
from wattmark.serving.load.wire.target import Target, without_key
from wattmark.serving.prompts.base import Conversation, ConversationState


class Engine:
    """One generator on one event loop. ``await run()`` once; ``stop()`` ends it early."""

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        model: str | None,
        arrivals: Arrivals,
        conversations: Iterator[Conversation],
        limits: Limits,
        *,
        on_record: Callable[[RequestRecord], None] | None = None,
        on_progress: Callable[[LoadProgress], None] | None = None,
        start_ns: int | None = None,
    ) -> None:
        self.records: list[RequestRecord] = []
        self.counts: Counter[Outcome] = Counter()
        self.started_ns = start_ns or 0
        self.stopped_sending_ns = 0
        self.interrupted = False
        self.gave_up: str | None = None
        self._limits, self._conversations = limits, conversations
        self._on_record, self._on_progress = on_record, on_progress
        self._loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._timers = Timers(self._loop, self._finished)
        self._turns = Turns(target, dialect, model, limits, self._ended)
        self._watchdog = Watchdog(self._turns, limits)
        self._schedule = schedule_of(
            arrivals,
            self._timers,
            self._begin,
            exhausted=self._stop_starting,
            emptied=self._stop_sending,
            most=limits.in_flight,
        )
        self._generating = True
        self._unfinished = 0  # conversations with turns that have not been sent yet
        self._failures_in_row = self._output_tokens = 0

    async def run(self) -> None:
        """Send the load and wait for its end. Nothing is left open afterwards, also when cancelled."""
        self.started_ns = self._timers.start_ns = self.started_ns or monotonic_ns()
        handler = self._loop.get_exception_handler()
        self._loop.set_exception_handler(self._crashed)
        try:
            self._timers.every(self._watchdog.period_s, self._watchdog.check)
            if self._on_progress is not None:
                self._timers.every(self._limits.progress_s, self._report)
            if self._limits.duration_s is not None:
                self._timers.at(self._limits.duration_s, self._stop_sending)
            self._schedule.start()
            await self._finished
        finally:
            self._timers.cancel()
            await self._turns.close("the test was ended before the answer was complete")
            self._loop.set_exception_handler(handler)
        if self._on_progress is not None:
            self._report()

    def stop(self) -> None:
        """End now: nothing more is sent, what is in flight is given up and counted as abandoned."""
        self.interrupted = True
        self._stop_sending()
        self._turns.abandon("interrupted")
        self._end_if_idle()

    # Conversations.

    def _begin(self, scheduled_ns: int | None) -> None:
        if not self._schedule.open:
            return
        conversation = next(self._conversations, None)
        if conversation is None:
            self._stop_starting()
            return
        self._unfinished += len(conversation.turns) > 1
        self._send_turn(ConversationState(conversation), scheduled_ns or monotonic_ns())

    def _send_turn(self, state: ConversationState, scheduled_ns: int) -> None:
        if not self._generating:
            return
        exchange = self._turns.next(state, scheduled_ns)
        self._unfinished -= 0 < state.turn == len(state.conversation.turns) - 1
        self.stopped_sending_ns = exchange.record.released_ns
        if self._limits.requests is not None and self._turns.count >= self._limits.requests:
            self._stop_sending()
        self._turns.send(exchange)

    def _ended(self, exchange: Exchange) -> None:
        """The answer's record is whole: keep it, and let its user go on."""
        record, state = exchange.record, exchange.extra
        if record.error is not None:
            record.error = without_key(record.error, self._turns.key)
        self.counts[record.outcome] += 1
        self._output_tokens += record.output_tokens or 0
        if record.ok:
            self._failures_in_row = 0
            text, state.turn = record.text, state.turn + 1
            if not self._limits.keep_text:
                record.text = None
        else:
            text = None
            self._unfinished -= state.turn < len(state.conversation.turns) - 1
            self._count_failure(record)
        if self._limits.keep_records:
            self.records.append(record)
        if self._on_record is not None:
            self._on_record(record)
        if record.ok and self._generating and state.turn < len(state.conversation.turns):
            state.messages.append({"role": "assistant", "content": text or ""})
            pause_s = state.conversation.turns[state.turn].think_s
            due_ns = monotonic_ns() + int(pause_s * 1e9)
            self._timers.after_pause(pause_s, self._send_turn, state, due_ns)
        else:
            self._schedule.free(record, self._failures_in_row)
        self._end_if_idle()

    def _count_failure(self, record: RequestRecord) -> None:
        if record.outcome == "abandoned":
            return
        self._failures_in_row += 1
        most = self._limits.failures_in_row
        if most is not None and self._failures_in_row >= most and self._generating:
            self.gave_up = (
                f"gave up after {self._failures_in_row} failures in a row; the last one: {record.error}"
            )
            self._stop_sending()

    # The end.

    def _stop_starting(self) -> None:
        """No arrival or conversation is left; those under way are followed to their last turn."""
        self._schedule.open = False
        self._loop.call_soon(self._end_if_idle)

    def _stop_sending(self) -> None:
        if self._generating:
            self._schedule.open = self._generating = False
            drain_s = self._limits.drain_s
            self._timers.later(drain_s, self._turns.abandon, f"not answered within {drain_s:g} s of the end")
            self._loop.call_soon(self._end_if_idle)

    def _end_if_idle(self) -> None:
        if not self._schedule.open and not self._unfinished:
            self._stop_sending()
        if not self._generating and not self._turns.in_flight and not self._finished.done():
            self._finished.set_result(None)

    def _crashed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception in a callback (of the caller's ``on_record``, say) ends the test and is raised by ``run``."""
        error = context.get("exception")
        if isinstance(error, Exception) and not self._finished.done():
            self._generating = False
            self._finished.set_exception(error)
        else:
            loop.default_exception_handler(context)

    def _report(self) -> None:
        if self._on_progress is not None:
            elapsed_s = (monotonic_ns() - self.started_ns) / 1e9
            completed = self.counts["ok"]
            failed = sum(self.counts.values()) - completed - self.counts["abandoned"]
            turns = self._turns
            self._on_progress(
                LoadProgress(
                    elapsed_s, turns.count, completed, failed, len(turns.in_flight), self._output_tokens
                )
            )
