"""Spans: named intervals inside a run, a few microseconds each. Standard library only."""

from __future__ import annotations

from _operator import index
from contextvars import ContextVar
from time import monotonic_ns

from wattmark.recorder import journal
from wattmark.tracker import device
from wattmark.tracker.process import this_process

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from typing import Any, TypeVar

    from typing_extensions import Self

    from wattmark.recorder.events import EventLog
    from wattmark.runs.reading.precise import PreciseReader
    from wattmark.tracker.process import Process

    Function = TypeVar("Function", bound=Callable[..., Any])
    Number = int | float

COUNTED = frozenset(
    (
        "answers",
        "batches",
        "bytes",
        "calls",
        "characters",
        "clips",
        "documents",
        "embeddings",
        "epochs",
        "episodes",
        "events",
        "examples",
        "files",
        "frames",
        "games",
        "graphs",
        "images",
        "inferences",
        "items",
        "iterations",
        "lines",
        "messages",
        "pages",
        "pairs",
        "pixels",
        "points",
        "predictions",
        "prompts",
        "queries",
        "questions",
        "records",
        "requests",
        "rows",
        "samples",
        "sentences",
        "sequences",
        "steps",
        "tasks",
        "tokens",
        "trials",
        "updates",
        "users",
        "vectors",
        "videos",
        "words",
    )
)
"""Numbers of a span with these names count, and energies are divided by them; any other describes the span (``loss``)."""
COUNTED_OF = frozenset(
    (
        "answer",
        "cached",
        "eval",
        "evaluation",
        "generated",
        "input",
        "n",
        "num",
        "output",
        "prompt",
        "reasoning",
        "test",
        "total",
        "train",
        "training",
        "val",
        "validation",
    )
)
"""With one of these and an underscore before it a count is still one: ``prompt_tokens``."""

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # as in inspect, which is slow to import

current_span: ContextVar[Span | None] = ContextVar("wattmark_span", default=None)
"""The span that was begun last in this thread or task; it may have ended elsewhere."""


class Span:
    """A named interval inside a run; a context manager, a decorator, or ``start()`` and ``stop()``.

    Its counts are numbers that energies are divided by: those named as in :data:`COUNTED` (``samples=50_000``), and any that
    ``counts`` declares. All else describes it (``epoch=3``, ``kind="train"``). Give further ones while it runs with
    :meth:`add`. Outside any measurement a span does nothing.
    """

    __slots__ = (
        "_attrs",
        "_counts",
        "_device",
        "_home",
        "_log",
        "_precise",
        "_sync",
        "_token",
        "end_ns",
        "id",
        "name",
        "outer",
        "process",
        "start_ns",
        "window",
    )

    def __init__(
        self,
        name: str,
        details: Mapping[str, Any] | None = None,
        counts: Mapping[str, Number] | None = None,
        *,
        sync: bool = False,
        precise: PreciseReader | None = None,
        home: Span | None = None,
    ) -> None:
        self.name = name if type(name) is str else text_of(name)
        self._counts, self._attrs = _split(details, counts) if details or counts else (None, None)
        self._sync = sync
        self._precise = precise
        self._device: str | None = None
        self._log: EventLog | None = None
        self._token: Token[Span | None] | None = None
        self._home = home
        """The span of the run that this one was asked of: it lies in there, wherever it is begun."""
        self.outer: Span | None = None
        self.process: Process | None = None
        self.window = ""
        """The run whose whole time this span is."""
        self.id = 0
        self.start_ns = 0
        self.end_ns = 0

    def __enter__(self) -> Self:
        process = this_process()
        log = self._log = process.log
        if log is None:
            self.start_ns = monotonic_ns()
            return self
        if self._sync:
            self._device = device.synchronize()
        if self._precise is not None:
            self._precise.read(log)
        outer = current_span.get()
        while outer is not None and (outer.end_ns or outer.process is not process):
            outer = (
                outer.outer
            )  # ended in another thread, or belongs to the process that this one was forked from
        home = self._home
        if home is not None and outer is not home and not _is_within(outer, home):
            outer = None if home.end_ns or home.process is not process else home
        self.outer = outer
        self.process = process
        self.start_ns = now = monotonic_ns()
        self.id = log.open_span(self.name, outer.id if outer is not None else 0, now)
        self._token = current_span.set(self)
        if self._counts or self._attrs:
            log.write_json(
                journal.SPAN_DETAIL,
                {"span": self.id, "counts": self._counts or {}, "attrs": self._attrs or {}},
            )
        return self

    def __exit__(self, *_: object) -> None:
        log = self._log
        if log is None:
            if not self.end_ns:
                self.end_ns = monotonic_ns()
                self._leave()
            return
        if self._sync:
            self._device = device.synchronize()
            log.write_json(
                journal.SPAN_DETAIL, {"span": self.id, "attrs": {"synchronized": self._device or "nothing"}}
            )
        self.end_ns = now = monotonic_ns()
        log.close_span(self.id, now)
        if self._precise is not None:
            self._precise.read(log)
        self._log = None
        self._leave()

    def _leave(self) -> None:
        if self._token is not None:
            try:  # noqa: SIM105 - contextlib.suppress costs half a microsecond
                current_span.reset(self._token)
            except ValueError:  # it ends in another thread or task than it began in
                pass
            self._token = None

    @classmethod
    def root(cls, name: str, process: Process, log: EventLog) -> Self:
        """The span that a whole run is: it has begun, gives what is begun inside it a parent, and is not written down."""
        span = cls(name)
        span.process = process
        span.id = log.number()
        span.start_ns = monotonic_ns()
        span._token = current_span.set(span)
        return span

    @property
    def written(self) -> bool:
        """Whether it is in the journal as a span (the one that a whole run is, is not)."""
        return self._log is not None

    def start(self) -> Self:
        """Begin the interval now."""
        return self.__enter__()

    def stop(self) -> None:
        """End the interval now; a second call does nothing."""
        self.__exit__()

    def add(self, counts: Mapping[str, Number] | None = None, /, **details: Number | str | bool) -> None:
        """Counts are added to those of this span, all else describes it, the last word of a name holding."""
        more, attrs = _split(details, counts)
        if more:
            counts_now = self._counts or {}
            self._counts = {
                **counts_now,
                **{key: counts_now.get(key, 0) + value for key, value in more.items()},
            }
        if self._log is not None:
            self._log.write_json(
                journal.SPAN_DETAIL,
                {
                    "span": self.id,
                    "counts": {key: (self._counts or {})[key] for key in more},
                    "attrs": attrs,
                },
            )

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, function: Function) -> Function:
        """As a decorator: every call of the function is such a span."""
        counts, attrs = self._counts, self._attrs
        return wrap(function, lambda: Span(self.name, attrs, counts, sync=self._sync, precise=self._precise))


def _is_within(span: Span | None, home: Span) -> bool:
    while span is not None and span is not home:
        span = span.outer
    return span is home


def text_of(value: object) -> str:
    """Anything as text that any store takes; measuring must not fail for a name."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception as error:  # noqa: BLE001 - somebody's __str__
        text = f"<{type(value).__name__}: {type(error).__name__}>"
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def is_count(name: str) -> bool:
    """Whether a number of this name counts things, by its word: ``samples``, ``prompt_tokens``."""
    before, _, thing = name.rpartition("_")
    return thing in COUNTED and (not before or before in COUNTED_OF)


def _split(
    details: Mapping[str, Any] | None, declared: Mapping[str, Any] | None = None
) -> tuple[dict[str, Number], dict[str, Any]]:
    """Counts, which are finite and not negative, and all else; no value whatever raises."""
    counts: dict[str, Number] = {}
    attrs: dict[str, Any] = {}
    if declared is not None and not hasattr(declared, "items"):
        attrs["counts"] = text_of(declared)
        declared = None
    for numbers, are_counts in ((details, False), (declared, True)):
        for key, value in (numbers or {}).items():
            name = key if type(key) is str else text_of(key)
            number = _number_of(value)
            if number is None or number - number != 0:
                if value is not None:
                    attrs[name] = value if isinstance(value, bool | str) else text_of(value)
            elif number >= 0 and (are_counts or is_count(name)):
                counts[name] = number
            else:
                attrs[name] = number
    return counts, attrs


def _number_of(value: Any) -> Number | None:
    """A number as Python has it, also out of NumPy's; None for anything else, and for what float cannot hold."""
    if type(value) is int or type(value) is float:
        return value if value == value and abs(value) < 1e300 else None
    if isinstance(value, bool | str | bytes) or not (
        hasattr(value, "__index__") or hasattr(value, "__float__")
    ):
        return None
    if getattr(value, "shape", ()) != ():
        return None
    for as_number in (index, float):
        try:
            number = as_number(value)
            return number if number == number and abs(number) < 1e300 else None
        except Exception:  # noqa: BLE001, S112 - somebody's number; measuring must not fail for it
            continue
    return None


def wrap(function: Function, make: Callable[[], Any]) -> Function:
    """The function with a fresh context around every call; what it awaits or yields later happens in it as well."""
    from functools import wraps

    work: Any = function
    kind = _code_flags(function)
    call: Any
    if kind & _COROUTINE:

        async def call_coroutine(*args: Any, **kwargs: Any) -> Any:
            with make():
                return await work(*args, **kwargs)

        call = call_coroutine
    elif kind & _ASYNC_GENERATOR:

        async def call_async_generator(*args: Any, **kwargs: Any) -> Any:
            with make():
                source = work(*args, **kwargs)
                try:
                    value = await source.__anext__()
                    while True:
                        try:
                            sent: Any = yield value  # pyright: ignore[reportUnknownVariableType]
                        except GeneratorExit:
                            raise
                        except BaseException as error:  # noqa: BLE001 - it is for the function to judge
                            value = await source.athrow(error)
                        else:
                            value = await source.asend(sent)
                except StopAsyncIteration:
                    return
                finally:
                    await source.aclose()

        call = call_async_generator
    elif kind & _GENERATOR:

        def call_generator(*args: Any, **kwargs: Any) -> Any:
            with make():
                return (yield from work(*args, **kwargs))  # pyright: ignore[reportUnknownVariableType]

        call = call_generator
    else:

        def call_function(*args: Any, **kwargs: Any) -> Any:
            with make():
                return work(*args, **kwargs)

        call = call_function
    return wraps(function)(call)  # pyright: ignore[reportReturnType]


def _code_flags(function: Any) -> int:
    """What kind of function it is, also behind ``functools.partial`` and in objects that can be called."""
    while hasattr(function, "func"):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return 0 if code is None else code.co_flags
