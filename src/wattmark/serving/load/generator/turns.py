"""The turns of conversations on their way: made into requests, sent over kept connections, held until they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns

from wattmark.serving.load.exchange import Exchange
from wattmark.serving.load.generator.bodies import Bodies, Mix
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import Outcome, RequestRecord
from wattmark.serving.load.wire.connection import ConnectFailed, Pool
from wattmark.serving.load.wire.dialects import Dialect
from wattmark.serving.load.wire.endpoints import Endpoint
from wattmark.serving.load.wire.target import Target
from wattmark.serving.prompts.base import ConversationState


class Turns:
    """Requests of one generator. count: those made so far; in_flight: those that have not ended."""

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        model: str | None,
        limits: Limits,
        on_end: Callable[[Exchange], None],
    ) -> None:
        self.count = 0
        self.in_flight: set[Exchange] = set()
        self.key = target.api_key()
        self._keep_text, self._on_end = limits.keep_text, on_end
        self._bodies = Bodies(target, dialect, model)
        self._mix = Mix(target.models) if target.models else None
        self._endpoint: Endpoint = target.endpoint
        self._head = (
            target.head(key=self.key, path=target.path)
            + b"X-Request-Id: wattmark-%d\r\nContent-Length: %d\r\n\r\n"
        )
        self._pool = Pool(target.address(), limits.connect_s)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def next(self, state: ConversationState, scheduled_ns: int) -> Exchange:
        """The request of a conversation's next turn, in flight from now on and not sent yet."""
        conversation = state.conversation
        turn = conversation.turns[state.turn]
        record = RequestRecord(
            self.count,
            conversation.number,
            state.turn,
            scheduled_ns,
            monotonic_ns(),
            wanted_input_tokens=turn.input_tokens,
            wanted_output_tokens=turn.output_tokens,
        )
        if self._mix is not None:
            record.model = self._mix.of(conversation.number)
        body = self._bodies.body(state, turn, record)
        exchange = Exchange(
            record,
            self._head % (self.count, len(body)) + body,
            on_end=self._ended,
            on_resend=self._send_on_new_connection,
            keep_text=self._keep_text or len(conversation.turns) > 1,
            extra=state,
            endpoint=self._endpoint,
        )
        self.count += 1
        self.in_flight.add(exchange)
        return exchange

    def send(self, exchange: Exchange) -> None:
        """Send over a connection that is free, else over a new one."""
        connection = self._pool.take()
        if connection is not None:
            connection.send(exchange)
        else:
            self._send_on_new_connection(exchange)

    def drop(self, exchange: Exchange, outcome: Outcome, why: str) -> None:
        """Give one up."""
        connection = exchange.connection
        if connection is not None and connection.exchange is exchange:
            connection.abort()
        exchange.fail(outcome, why)

    def abandon(self, why: str) -> None:
        """Give up all that are in flight."""
        for exchange in list(self.in_flight):
            self.drop(exchange, "abandoned", why)

    async def close(self, why: str) -> None:
        """Leave nothing open; what is in flight is abandoned for this reason."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.abandon(why)
        await self._pool.close()

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
        self.in_flight.discard(exchange)
        self._on_end(exchange)
