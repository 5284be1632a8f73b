"""The load generator: starts conversations when the arrivals say so, and follows each to its end.

Everything runs in callbacks of one event loop: a request on a kept connection costs no task and no timer. Time limits
are kept by one watchman that looks at everything in flight a few times a second.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic_ns
from typing import Any

from wattmark.serving.load.arrivals import Arrivals, ClosedLoop
from wattmark.serving.load.exchange import Exchange
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import Outcome, Progress, RequestRecord
from wattmark.serving.load.wire.body import BodyWriter
from wattmark.serving.load.wire.connection import ConnectFailed, Pool
from wattmark.serving.load.wire.dialects import Dialect
from wattmark.serving.load.wire.target import Target, without_key
from wattmark.serving.prompts.base import Conversation, ConversationState, Turn

BURST = 64
"""Requests sent before answers are looked at again, when the generator is behind."""
BACKOFF_S = (0.05, 2.0)
"""A closed loop's pause after a first failure, and its longest; doubled each time. Without it a server that refuses
connections would be asked thousands of times a second."""
LONGEST_WAIT_S = 300.0
"""A closed loop waits no longer than this, whatever a server says in Retry-After."""
THROTTLED_S = 1.0
"""A closed loop's pause after 429 without Retry-After."""


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
        on_progress: Callable[[Progress], None] | None = None,
        start_ns: int | None = None,
    ) -> None:
        self.target, self.dialect, self.model, self.arrivals, self.limits = (
            target,
            dialect,
            model,
            arrivals,
            limits,
        )
        self.records: list[RequestRecord] = []
        self.counts: Counter[Outcome] = Counter()
        self.started_ns = start_ns or 0
        self.stopped_sending_ns = 0
        self.interrupted = False
        self.gave_up: str | None = None
        self._conversations = conversations
        self._on_record, self._on_progress = on_record, on_progress
        self._key = target.api_key()
        self._head = (
            target.head(key=self._key, path=target.path)
            + b"X-Request-Id: wattmark-%d\r\nContent-Length: %d\r\n\r\n"
        )
        self._bodies = BodyWriter(target, dialect, model)
        self._pool = Pool(target.address(), limits.connect_s)
        self._loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._flying: set[Exchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._starting = self._generating = True
        self._unfinished = 0  # conversations with turns that have not been sent yet
        self._sent = self._pauses = self._users = self._users_wanted = 0
        self._failures_in_row = self._output_tokens = 0
        self._offsets: Iterator[float] = iter(())
        self._next_ns: int | None = None

    async def run(self) -> None:
        """Send the load and wait for its end. Nothing is left open afterwards, also when cancelled."""
        self.started_ns = self.started_ns or monotonic_ns()
        handler = self._loop.get_exception_handler()
        self._loop.set_exception_handler(self._crashed)
        watch_s = min(
            0.25, self.limits.first_byte_s / 4, self.limits.stall_s / 4, (self.limits.total_s or 1.0) / 4
        )
        try:
            self._every(watch_s, self._watch)
            if self._on_progress is not None:
                self._every(self.limits.progress_s, self._report)
            if self.limits.duration_s is not None:
                self._at(self.limits.duration_s, self._stop_sending)
            if isinstance(self.arrivals, ClosedLoop):
                self._start_closed(self.arrivals)
            else:
                self._offsets = self.arrivals.offsets_s()
                self._draw()
            await self._finished
        finally:
            for timer in self._timers:
                timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._abandon("the test was ended before the answer was complete")
            await self._pool.close()
            self._loop.set_exception_handler(handler)
        if self._on_progress is not None:
            self._report()

    def stop(self) -> None:
        """End now: nothing more is sent, what is in flight is given up and counted as abandoned."""
        self.interrupted = True
        self._stop_sending()
        self._abandon("interrupted")
        self._end_if_idle()

    # Arrivals.

    def _start_closed(self, loop: ClosedLoop) -> None:
        self._dice = random.Random(loop.seed)
        self._think_s = loop.think_time_s
        for place, (at_s, users) in enumerate(loop.changes()):
            if place == 0 and loop.ramp_s:
                self._users_wanted = users
                for user in range(users):
                    self._at(loop.ramp_s * user / users, self._add_user)
            else:
                self._at(at_s, self._set_users, users)

    def _set_users(self, users: int) -> None:
        self._users_wanted = users
        if users == 0:
            self._stop_sending()
        while self._users < users and self._starting:
            self._add_user()

    def _add_user(self) -> None:
        if self._starting:
            self._users += 1
            self._begin()

    def _draw(self) -> None:
        """Set the clock for the next arrival of an open loop."""
        offset = next(self._offsets, None)
        if offset is None:
            self._stop_starting()
            return
        self._next_ns = self.started_ns + int(offset * 1e9)
        self._later(max(0.0, (self._next_ns - monotonic_ns()) / 1e9), self._arrive)

    def _arrive(self) -> None:
        """Send all that is due; what is not yet due waits for the clock, and nothing waits for an answer."""
        for _ in range(BURST):
            if not self._starting or self._next_ns is None:
                return
            if self._next_ns > monotonic_ns():
                break
            self._begin(self._next_ns)
            offset = next(self._offsets, None)
            if offset is None:
                self._stop_starting()
                return
            self._next_ns = self.started_ns + int(offset * 1e9)
        assert self._next_ns is not None
        self._later(max(0.0, (self._next_ns - monotonic_ns()) / 1e9), self._arrive)

    def _begin(self, scheduled_ns: int | None = None) -> None:
        if not self._starting:
            return
        conversation = next(self._conversations, None)
        if conversation is None:
            self._stop_starting()
            return
        self._unfinished += len(conversation.turns) > 1
        self._send_turn(ConversationState(conversation), scheduled_ns or monotonic_ns())

    # One turn.

    def _send_turn(self, state: ConversationState, scheduled_ns: int) -> None:
        conversation = state.conversation
        turn = conversation.turns[state.turn]
        record = RequestRecord(
            self._sent, conversation.number, state.turn, scheduled_ns, monotonic_ns(),
            wanted_input_tokens=turn.input_tokens, wanted_output_tokens=turn.output_tokens,
        )  # fmt: skip
        body = self._body(state, turn)
        exchange = Exchange(
            record, self._head % (self._sent, len(body)) + body, on_end=self._ended, on_resend=self._send_on_new_connection,
            keep_text=self.limits.keep_text or len(conversation.turns) > 1, extra=state,
        )  # fmt: skip
        self._sent += 1
        self._unfinished -= 0 < state.turn == len(conversation.turns) - 1
        self.stopped_sending_ns = record.released_ns
        self._flying.add(exchange)
        if self.limits.requests is not None and self._sent >= self.limits.requests:
            self._stop_sending()
        connection = self._pool.take()
        if connection is not None:
            connection.send(exchange)
        else:
            self._send_on_new_connection(exchange)

    def _body(self, state: ConversationState, turn: Turn) -> bytes:
        if self.target.endpoint == "chat":
            state.messages.append({"role": "user", "content": turn.text})
            return self._bodies.write("messages", state.messages, turn.output_tokens)
        if turn.token_ids is not None:
            return self._bodies.write("prompt", turn.token_ids, turn.output_tokens)
        state.messages.append({"content": turn.text})
        said = "".join(str(message.get("content", "")) for message in state.messages)
        return self._bodies.write("prompt", said, turn.output_tokens)

    def _send_on_new_connection(self, exchange: Exchange) -> None:
        task = self._loop.create_task(self._connect(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, exchange: Exchange) -> None:
        try:
            connection = await self._pool.connect()
        except ConnectFailed as error:
            exchange.fail(error.outcome, str(error))
            return
        if exchange.ended:
            self._pool.give_back(connection)
        else:
            connection.send(exchange)

    def _ended(self, exchange: Exchange) -> None:
        """The answer's record is whole: keep it, and let its user go on."""
        record, state = exchange.record, exchange.extra
        self._flying.discard(exchange)
        if record.error is not None:
            record.error = without_key(record.error, self._key)
        self.counts[record.outcome] += 1
        self._output_tokens += record.output_tokens or 0
        if record.ok:
            self._failures_in_row = 0
            text, state.turn = record.text, state.turn + 1
            if not self.limits.keep_text:
                record.text = None
        else:
            text = None
            self._unfinished -= state.turn < len(state.conversation.turns) - 1
            self._count_failure(record)
        if self.limits.keep_records:
            self.records.append(record)
        if self._on_record is not None:
            self._on_record(record)
        if record.ok and self._generating and state.turn < len(state.conversation.turns):
            state.messages.append({"role": "assistant", "content": text or ""})
            pause_s = state.conversation.turns[state.turn].think_s
            self._pause(pause_s, self._send_turn_if_generating, state, monotonic_ns() + int(pause_s * 1e9))
        elif isinstance(self.arrivals, ClosedLoop):
            self._next_user(record)
        self._end_if_idle()

    def _send_turn_if_generating(self, state: ConversationState, scheduled_ns: int) -> None:
        if self._generating:
            self._send_turn(state, scheduled_ns)

    def _next_user(self, record: RequestRecord) -> None:
        """A place in the closed loop is free: the next conversation takes it, after a pause if there is one."""
        if self._users > self._users_wanted or not self._starting:
            self._users -= 1
            return
        pause_s = self._dice.expovariate(1 / self._think_s) if self._think_s else 0.0
        if record.retry_after_s is not None and not record.ok:  # 429, and 503 of servers that are starting
            pause_s = max(pause_s, min(LONGEST_WAIT_S, record.retry_after_s))
        elif record.outcome == "throttled":
            pause_s = max(pause_s, THROTTLED_S)
        elif not record.ok:
            least_s, most_s = BACKOFF_S
            pause_s = max(
                pause_s, min(most_s, least_s * 2 ** min(16, self._failures_in_row // max(1, self._users)))
            )
        self._pause(pause_s, self._begin)

    def _count_failure(self, record: RequestRecord) -> None:
        if record.outcome == "abandoned":
            return
        self._failures_in_row += 1
        most = self.limits.failures_in_row
        if most is not None and self._failures_in_row >= most and self._generating:
            self.gave_up = (
                f"gave up after {self._failures_in_row} failures in a row; the last one: {record.error}"
            )
            self._stop_sending()

    # The end.

    def _stop_starting(self) -> None:
        """No arrival or conversation is left; those under way are followed to their last turn."""
        self._starting = False
        self._loop.call_soon(self._end_if_idle)

    def _stop_sending(self) -> None:
        if self._generating:
            self._starting = self._generating = False
            self._later(
                self.limits.drain_s,
                self._abandon,
                f"not answered within {self.limits.drain_s:g} s of the end",
            )
            self._loop.call_soon(self._end_if_idle)

    def _end_if_idle(self) -> None:
        if not self._starting and not self._unfinished:
            self._stop_sending()
        if not self._generating and not self._flying and not self._finished.done():
            self._finished.set_result(None)

    def _crashed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception in a callback (of the caller's ``on_record``, say) ends the test and is raised by ``run``."""
        error = context.get("exception")
        if isinstance(error, Exception) and not self._finished.done():
            self._generating = False
            self._finished.set_exception(error)
        else:
            loop.default_exception_handler(context)

    def _abandon(self, why: str) -> None:
        for exchange in list(self._flying):
            self._drop(exchange, "abandoned", why)

    def _drop(self, exchange: Exchange, outcome: Outcome, why: str) -> None:
        connection = exchange.connection
        if connection is not None and connection.exchange is exchange:
            connection.abort()
        exchange.fail(outcome, why)

    # Clocks.

    def _watch(self) -> None:
        """Give up what has taken too long. One look at everything is cheaper than a timer per request."""
        limits, now = self.limits, monotonic_ns()
        for exchange in list(self._flying):
            if not exchange.sent_ns:
                continue
            heard = max(exchange.heard_ns, exchange.sent_ns)
            silent_s, total_s = (now - heard) / 1e9, (now - exchange.sent_ns) / 1e9
            if exchange.heard_ns < exchange.sent_ns and silent_s > limits.first_byte_s:
                self._drop(exchange, "no_answer", f"no answer within {limits.first_byte_s:g} s")
            elif exchange.heard_ns >= exchange.sent_ns and silent_s > limits.stall_s:
                if exchange.finished_stream:
                    self._drop(exchange, "cut", "")  # after [DONE] this is a good answer
                else:
                    self._drop(exchange, "stalled", f"the answer stopped coming for {limits.stall_s:g} s")
            elif limits.total_s is not None and total_s > limits.total_s:
                self._drop(exchange, "too_long", f"not complete after {limits.total_s:g} s")

    def _report(self) -> None:
        if self._on_progress is not None:
            elapsed_s = (monotonic_ns() - self.started_ns) / 1e9
            done = self.counts["ok"]
            failed = sum(self.counts.values()) - done - self.counts["abandoned"]
            self._on_progress(
                Progress(elapsed_s, self._sent, done, failed, len(self._flying), self._output_tokens)
            )

    def _every(self, period_s: float, call: Callable[[], None]) -> None:
        def again() -> None:
            call()
            self._later(period_s, again)

        self._later(period_s, again)

    def _at(self, offset_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call at so many seconds after the start of the test."""
        if offset_s != float("inf"):
            delay_s = offset_s - (monotonic_ns() - self.started_ns) / 1e9
            self._later(max(0.0, delay_s), call, *arguments)

    def _pause(self, pause_s: float, call: Callable[..., None], *arguments: Any) -> None:
        if pause_s > 0:
            self._later(pause_s, call, *arguments)
        else:
            self._loop.call_soon(call, *arguments)

    def _later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            if not self._finished.done():
                call(*arguments)

        timer = self._loop.call_later(delay_s, fire)
        self._timers.add(timer)
