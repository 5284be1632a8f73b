"""Clients of language models: every answer carries the joules of its call.

::

    client = with_energy(OpenAI(base_url="http://localhost:8000/v1"))
    answer = client.chat.completions.create(...)
    answer.wattmark  # {"energy_j": 12.3, "energy_low_j": ..., "energy_high_j": ..., "method": "measured"}

or any function that asks, such as ``completion = with_energy(litellm.completion)``. Where the server is on this machine,
what the machine used is measured and shared by the calls in flight in this process
(:mod:`wattmark.integrations.serving.flight`).
Elsewhere nothing can be measured: joules are predicted from the answer's token counts, with an interval as wide as what is
not known (``wattmark predict api``), and ``method`` says so.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import wraps
from inspect import isawaitable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from wattmark.documents import mapping
from wattmark.errors import ConfigError, WattmarkError
from wattmark.integrations.serving.flight import Flight
from wattmark.quantity import Quantity
from wattmark.serving.server.owner import is_here
from wattmark.tracker.process import this_process

METHODS = (
    "chat.completions.create", "completions.create", "responses.create", "embeddings.create", "messages.create",
)  # fmt: skip
"""What is measured of a client, where it has it: the calls of OpenAI's client and its like."""
_Client = TypeVar("_Client")


def with_energy(client: _Client, *, name: str = "calls", here: bool | None = None) -> _Client:
    """The same client, whose answers have ``wattmark`` from now on; or, of a function, one whose answers have.

    name: of the run in which the calls lie. here: whether the server is on this machine; None goes by the client's
    ``base_url`` or the call's ``base_url`` or ``api_base``, and takes a server that nobody names for one elsewhere. Raises
    ConfigError for what is neither a client nor a function.
    """
    flight = Flight(name)
    if callable(client):
        return _measured(client, flight, here)  # pyright: ignore[reportReturnType]
    if here is None and getattr(client, "base_url", None) is not None:
        here = _is_here(client.base_url)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    found = False
    for path in METHODS:
        *owners, method = path.split(".")
        owner: Any = client
        for part in owners:
            owner = getattr(owner, part, None)
        call = getattr(owner, method, None)
        if callable(call):
            found = True
            setattr(owner, method, _measured(call, flight, here))
    if not found:
        raise ConfigError(
            f"{type(client).__name__} has none of the calls that are measured", hint=", ".join(METHODS)
        )
    return client


def _measured(call: Callable[..., Any], flight: Flight, here: bool | None) -> Callable[..., Any]:
    @wraps(call)
    def measured(*args: Any, **kwargs: Any) -> Any:
        one = _Call(flight, _here(kwargs) if here is None else here)
        try:
            answer = call(*args, **kwargs)
        except BaseException:
            one.end()
            raise
        if isawaitable(answer):
            return one.awaited(answer)
        return one.answered(answer)

    return measured


class _Call:
    """One call from its request to the end of its answer."""

    def __init__(self, flight: Flight, here: bool) -> None:
        self._flight, self._here = flight, here
        self._start_ns = flight.enter() if here else time.monotonic_ns()
        self._over = False

    def answered(self, answer: Any) -> Any:
        """The answer with its joules; a stream, which goes on, as one that has them when it has ended."""
        if hasattr(answer, "__next__") or (hasattr(answer, "__iter__") and hasattr(answer, "close")):
            return _Stream(answer, self)
        if hasattr(answer, "__anext__") or (hasattr(answer, "__aiter__") and hasattr(answer, "close")):
            return _AsyncStream(answer, self)
        _attach(answer, self.end(answer))
        return answer

    async def awaited(self, answer: Any) -> Any:
        """The same of an answer that is still to come."""
        try:
            given = await answer
        except BaseException:
            self.end()
            raise
        return self.answered(given)

    def end(self, answer: Any = None) -> dict[str, Any] | None:
        """The call is over; its figures, None where nothing is known. Never raises."""
        if self._over:
            return None
        self._over = True
        if not self._here:
            return None if answer is None else _predicted(answer)
        energy = None
        if answer is not None:
            (energy,) = self._flight.energies([(self._start_ns, time.monotonic_ns())])
        self._flight.leave(self._start_ns)
        self._flight.forget()
        return None if energy is None else _figures(energy, "measured")


class _Proxy:
    """Everything of the stream itself, and ``wattmark`` when it has ended."""

    def __init__(self, stream: Any, call: _Call) -> None:
        self._stream, self._call = stream, call
        self._usage: Any = None
        self.wattmark: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _saw(self, part: Any) -> None:
        if self._usage is None or _has_usage(part):
            self._usage = part

    def _ended(self) -> None:
        figures = self._call.end(self._usage)
        self.wattmark = figures or self.wattmark


class _Stream(_Proxy):
    def __iter__(self) -> Iterator[Any]:
        try:
            for part in self._stream:
                self._saw(part)
                yield part
        finally:
            self._ended()

    def __next__(self) -> Any:
        try:
            part = next(self._stream)
        except BaseException:
            self._ended()
            raise
        self._saw(part)
        return part

    def __enter__(self) -> _Stream:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        self._ended()
        return self._stream.__exit__(*error)

    def close(self) -> Any:
        """The rest is not wanted."""
        self._ended()
        return self._stream.close()


class _AsyncStream(_Proxy):
    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for part in self._stream:
                self._saw(part)
                yield part
        finally:
            self._ended()

    async def __anext__(self) -> Any:
        try:
            part = await self._stream.__anext__()
        except BaseException:
            self._ended()
            raise
        self._saw(part)
        return part

    async def __aenter__(self) -> _AsyncStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self._ended()
        return await self._stream.__aexit__(*error)

    async def close(self) -> Any:
        """The rest is not wanted."""
        self._ended()
        return await self._stream.close()


def _figures(energy: Quantity, method: str) -> dict[str, Any]:
    return {
        "energy_j": energy.value,
        "energy_low_j": energy.low,
        "energy_high_j": energy.high,
        "method": method,
    }


def _predicted(answer: Any) -> dict[str, Any] | None:
    from wattmark.predict.llm.usage import predict_call

    try:
        use = predict_call(_plain(answer))
    except WattmarkError:  # an answer without token counts says nothing of its joules
        return None
    except Exception as error:  # noqa: BLE001 - an answer is given whatever becomes of its joules
        this_process().warn("calls", f"answers have no joules: {type(error).__name__}: {error}")
        return None
    return {**_figures(use.energy, "predicted"), "assumed": use.assumed}


def _plain(answer: Any) -> Mapping[str, object]:
    dump = getattr(answer, "model_dump", None)
    return mapping(dump() if callable(dump) else answer)


def _has_usage(part: Any) -> bool:
    usage = part.get("usage") if isinstance(part, Mapping) else getattr(part, "usage", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return usage is not None


def _attach(answer: Any, figures: dict[str, Any] | None) -> None:
    if figures is None:
        return
    try:
        if isinstance(answer, dict):
            answer["wattmark"] = figures
        else:
            answer.wattmark = figures
    except Exception as error:  # noqa: BLE001 - an answer that takes no attribute is given as it is
        this_process().warn("calls", f"answers cannot carry joules: {type(error).__name__}: {error}")


def _here(kwargs: Mapping[str, Any]) -> bool:
    given = kwargs.get("base_url") or kwargs.get("api_base")
    return given is not None and _is_here(given)


def _is_here(url: object) -> bool:
    try:
        host = urlsplit(str(url)).hostname
    except ValueError:
        return False
    return host is not None and is_here(host)
