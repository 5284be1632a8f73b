"""A number that people can stake something on: a value with an error budget, a unit, and where it came from.

A quantity carries *named error terms* (JCGM 100:2008, the Guide to the Expression of Uncertainty in Measurement, 5.1 and
5.2). A term says how far the value moves when one error is at the lower and at the upper end of its own 95 % interval.
Terms of one name are one error: they add or cancel with their sign. Terms of different names are independent errors
and combine in quadrature. So two runs that one sensor read share its scale, and their ratio does not know it.

Arithmetic is exact at the ends of every error: a term of ``f(a, b)`` is ``f`` with that one error at its end, less
``f`` without it. To first order that is the law of propagation of the Guide; unlike it, a common scale cancels exactly
in a ratio however large it is, and products and sums stay associative.

The interval follows from the terms and is not stored: each side is the root of the sum of squares of that side.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

from wattmark.documents import items, mapping

Z95 = 1.959963984540054
"""The normal quantile of 0.975: terms are given as the ends of 95 % intervals."""
_CANCELLED = 1e-12
"""What is left of two shifts that should cancel, relative to them: rounding, not an error."""
_UNITLESS = ""

Shift = tuple[float, float]
"""How far a value moves when an error is at its lower end, and when it is at its upper end."""
_T = TypeVar("_T", bound=Any)

SCALE, CURVE, SPECIMEN, OFFSET, CHARACTER = "scale", "curve", "specimen", "offset", "character"
EDGES, SHARE, IDLE, SCATTER, REPEAT = "edges", "share", "idle", "scatter", "repeat"
GRID, PUE, PRICE, FIT, OWN = "grid", "pue", "price", "fit", "own"
WALL, METER = "wall", "meter"
WATER, MAKING = "water", "making"
KINDS: Mapping[str, tuple[str, str]] = {
    SCALE: ("scale of the sensor", "calibrate it against a meter"),
    CURVE: (
        "power curve of the part that the model assumes",
        "read a counter instead: wattmark sources --fix",
    ),
    SPECIMEN: ("this machine beside others of its kind", "calibrate it against a meter"),
    OFFSET: ("constant watts of the sensor", "calibrate it against a meter"),
    CHARACTER: (
        "character of the work, which the sensor does not see",
        "read a counter instead: wattmark sources --fix",
    ),
    EDGES: ("edges of the interval between two samples", "measure a longer piece, or sample more often"),
    SHARE: ("what of the machine's work is this process tree's", "measure on a quiet machine"),
    IDLE: ("idle watts", "wattmark calibrate"),
    SCATTER: ("scatter of the repeats", "repeat more often"),
    REPEAT: ("run-to-run scatter, which one run does not show", "repeat it five times"),
    GRID: ("carbon intensity of the grid", "name the zone and the hour"),
    PUE: ("overhead of the building", "ask the building's operator"),
    PRICE: ("price", "give your tariff"),
    FIT: ("fit of the predictor", "measure it"),
    WALL: (
        "what lies between the sensors and the plug",
        "calibrate longer, with more levels of load: wattmark calibrate --meter",
    ),
    METER: ("scale of the wall meter", "take a meter of a better class"),
    WATER: ("water of the site and of the grid", "ask the site's operator"),
    MAKING: ("making of the hardware and its lifetime", "ask the maker for its product carbon footprint"),
    OWN: ("error of its own", "measure it again"),
}
"""Kind (what a term's name begins with) -> in words, and what makes it smaller."""

_serial = iter(range(1 << 62))
_PROCESS = f"{os.getpid():x}{int.from_bytes(os.urandom(4), 'big'):x}"


def own_error() -> str:
    """The name of an error that nothing else has."""
    return f"{OWN}/{_PROCESS}-{next(_serial)}"


def kind_of(name: str) -> str:
    """The kind of an error by its name."""
    return name.partition("/")[0]


class IntervalDict(TypedDict):
    """A value and the ends of its 95 % interval, as JSON has them."""

    value: float
    low: float
    high: float


class QuantityDict(IntervalDict):
    """A quantity as JSON has it. terms: name -> [lower, upper] shift."""

    terms: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity as JSON has it. source: where the number came from."""

    value: float
    low: float
    high: float
    unit: str
    source: str = ""


class Quantity:
    """A value with an interval that should hold the truth nineteen times in twenty.

    ``low <= value <= high``, all in ``unit``. ``source`` says where the number came from. ``terms``: error name ->
    (shift at its lower end, shift at its upper end). ``at_least`` and ``at_most`` are what physics allows; the interval
    stays within. With ``low`` and ``high`` instead of ``terms`` it has one term, named ``error`` (an error that
    nothing shares, if it has no name).

    Raises ValueError for a value outside of its interval, and for units that do not fit.
    """

    __slots__ = ("at_least", "at_most", "source", "terms", "unit", "value")

    value: float
    terms: Mapping[str, Shift]
    unit: str
    source: str
    at_least: float
    at_most: float

    def __init__(
        self,
        value: float,
        low: float | None = None,
        high: float | None = None,
        unit: str = "J",
        source: str = "",
        *,
        error: str | None = None,
        terms: Mapping[str, Shift] | None = None,
        at_least: float = -math.inf,
        at_most: float = math.inf,
    ) -> None:
        if low is not None or high is not None:
            low, high = value if low is None else low, value if high is None else high
            if not low <= value <= high:
                raise ValueError(f"a quantity needs low <= value <= high, not {low}, {value}, {high}")
            terms = {error or own_error(): (low - value, high - value)} if low < high else {}
        elif math.isnan(value):
            raise ValueError("a quantity needs a value, not nan")
        put = object.__setattr__
        put(self, "value", value)
        put(self, "terms", terms or {})
        put(self, "unit", unit)
        put(self, "source", source)
        put(self, "at_least", at_least)
        put(self, "at_most", at_most)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a quantity does not change: {name} cannot be set")

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (self.value, dict(self.terms), self.unit, self.source, self.at_least, self.at_most)

    @classmethod
    def exact(cls, value: float, unit: str = "J", source: str = "") -> Quantity:
        """A quantity without spread."""
        return cls(value, unit=unit, source=source)

    # the interval

    def interval(self, coverage: float = 0.95) -> tuple[float, float]:
        """The ends of the interval that holds the truth with this probability, within what physics allows."""
        below, above = spread(self.terms.values())
        if coverage != 0.95:
            from statistics import NormalDist

            factor = NormalDist().inv_cdf((1 + coverage) / 2) / Z95
            below, above = below * factor, above * factor
        low = max(self.value - below, min(self.at_least, self.value))
        high = min(self.value + above, max(self.at_most, self.value))
        return low, high

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.interval()[0]

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.interval()[1]

    @property
    def half_width(self) -> float:
        """Half the length of the interval, in ``unit``."""
        low, high = self.interval()
        return (high - low) / 2

    def budget(self) -> list[tuple[str, float, float]]:
        """``(kind, below, above)`` of the errors by kind, the largest first: how far each alone puts the ends."""
        kinds: dict[str, list[Shift]] = {}
        for name, shift in self.terms.items():
            kinds.setdefault(kind_of(name), []).append(shift)
        rows: list[tuple[str, float, float]] = []
        for kind, shifts in kinds.items():
            rows.append((kind, *spread(shifts)))
        return sorted(rows, key=lambda row: -(row[1] + row[2]))

    def without(self, *kinds: str) -> Quantity:
        """The same value as if the errors of these kinds were none."""
        return self._with({name: shift for name, shift in self.terms.items() if kind_of(name) not in kinds})

    def only(self, *kinds: str) -> Quantity:
        """The same value as if it had no other errors than those of these kinds."""
        return self._with({name: shift for name, shift in self.terms.items() if kind_of(name) in kinds})

    def folded(self, *kinds: str) -> Quantity:
        """The same interval with the errors of each of these kinds as one, which nothing else has: for sums of very
        many parts."""
        terms = {name: shift for name, shift in self.terms.items() if kind_of(name) not in kinds}
        for kind in kinds:
            below, above = spread(shift for name, shift in self.terms.items() if kind_of(name) == kind)
            if below or above:
                terms[f"{kind}/{own_error()}"] = (-below, above)
        return self._with(terms)

    def with_error(self, name: str, below: float, above: float | None = None) -> Quantity:
        """With one more error: the value may be ``below`` less and ``above`` (the same, if not given) more."""
        down, up = self.terms.get(name, (0.0, 0.0))
        shift = (down - below, up + (below if above is None else above))
        return self._with({**self.terms, name: shift} if shift != (0.0, 0.0) else dict(self.terms))

    def bounded(self, at_least: float = -math.inf, at_most: float = math.inf) -> Quantity:
        """Within what physics allows: an energy is not negative, a share is 0 to 1."""
        least, most = max(self.at_least, at_least), min(self.at_most, at_most)
        return Quantity(
            self.value, unit=self.unit, source=self.source, terms=self.terms, at_least=least, at_most=most
        )

    # arithmetic

    def __add__(self, other: Quantity | float) -> Quantity:
        if not isinstance(other, Quantity):
            return Quantity(
                self.value + other, unit=self.unit, source=self.source, terms=self.terms,
                at_least=self.at_least + other, at_most=self.at_most + other,
            )  # fmt: skip
        self._same_unit(other)
        terms = dict(self.terms)
        for name, (down, up) in other.terms.items():
            mine = terms.get(name)
            terms[name] = (down, up) if mine is None else (_sum(mine[0], down), _sum(mine[1], up))
        return Quantity(
            self.value + other.value,
            unit=self.unit,
            source=self.source if self.source == other.source else "",
            terms=_telling(terms),
            at_least=self.at_least + other.at_least,
            at_most=self.at_most + other.at_most,
        )

    def __radd__(self, other: float) -> Quantity:
        return self + other

    def __neg__(self) -> Quantity:
        return self * -1.0

    def __sub__(self, other: Quantity | float) -> Quantity:
        return self + (-other)

    def __rsub__(self, other: float) -> Quantity:
        return -self + other

    def __mul__(self, factor: Quantity | float) -> Quantity:
        return (
            self._product(factor)
            if isinstance(factor, Quantity)
            else self._scaled(lambda x: x * factor, factor)
        )

    def __rmul__(self, factor: float) -> Quantity:
        return self * factor

    def __truediv__(self, divisor: Quantity | float) -> Quantity:
        """Raises ZeroDivisionError for a divisor of zero."""
        if isinstance(divisor, Quantity):
            return self._quotient(divisor)
        return self._scaled(lambda x: x / divisor, divisor)

    def __rtruediv__(self, dividend: float) -> Quantity:
        return Quantity.exact(dividend, _UNITLESS) / self

    def _scaled(self, of: Callable[[float], float], factor: float) -> Quantity:
        ends = [
            bound * math.copysign(1.0, factor) if math.isinf(bound) else of(bound) for bound in self._allowed
        ]
        terms = {name: (of(down), of(up)) for name, (down, up) in self.terms.items()}
        return Quantity(
            of(self.value), unit=self.unit, source=self.source, terms=_telling(terms),
            at_least=min(ends), at_most=max(ends),
        )  # fmt: skip

    @property
    def _allowed(self) -> tuple[float, float]:
        return self.at_least, self.at_most

    def _product(self, other: Quantity) -> Quantity:
        a, b = self.value, other.value
        terms: dict[str, Shift] = {}
        for name in {**self.terms, **other.terms}:
            (down_a, up_a), (down_b, up_b) = self.terms.get(name, _NONE), other.terms.get(name, _NONE)
            terms[name] = (
                _sum(a * down_b, b * down_a) + down_a * down_b,
                _sum(a * up_b, b * up_a) + up_a * up_b,
            )
        ends = [_times(x, y) for x in self._allowed for y in other._allowed]
        unit = self.unit or other.unit if not (self.unit and other.unit) else f"{self.unit}*{other.unit}"
        return Quantity(
            a * b, unit=unit, source=self.source or other.source, terms=_telling(terms),
            at_least=min(ends), at_most=max(ends),
        )  # fmt: skip

    def _quotient(self, other: Quantity) -> Quantity:
        a, b = self.value, other.value
        if b == 0:
            raise ZeroDivisionError("a quantity divided by one that is zero")
        terms: dict[str, Shift] = {}
        for name in {**self.terms, **other.terms}:
            mine, theirs = self.terms.get(name, _NONE), other.terms.get(name, _NONE)
            terms[name] = (_moved(a, b, mine[0], theirs[0]), _moved(a, b, mine[1], theirs[1]))
        unit = (
            _UNITLESS if self.unit == other.unit else f"{self.unit}/{other.unit}" if other.unit else self.unit
        )
        positive = self.at_least >= 0 and other.at_least >= 0
        return Quantity(
            a / b, unit=unit, source=self.source or other.source, terms=_telling(terms),
            at_least=0.0 if positive else -math.inf,
        )  # fmt: skip

    # as a number

    def __float__(self) -> float:
        return float(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def __round__(self, digits: int | None = None) -> float:
        return round(self.value, digits)

    def __abs__(self) -> Quantity:
        return -self if self.value < 0 else self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Quantity):
            return (self.value, self.unit, self.interval()) == (other.value, other.unit, other.interval())
        return self.value == other if isinstance(other, int | float) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __lt__(self, other: Quantity | float) -> bool:
        return self.value < float(other)

    def __le__(self, other: Quantity | float) -> bool:
        return self.value <= float(other)

    def __gt__(self, other: Quantity | float) -> bool:
        return self.value > float(other)

    def __ge__(self, other: Quantity | float) -> bool:
        return self.value >= float(other)

    def with_unit(self, unit: str) -> Quantity:
        """The same numbers under another unit (after a multiplication that changed it)."""
        return self._with(self.terms, unit=unit)

    def with_source(self, source: str) -> Quantity:
        """The same numbers, told to come from elsewhere."""
        return self._with(self.terms, source=source)

    def as_dict(self) -> QuantityDict:
        """``{"value", "low", "high", "terms"}`` as every ``--json`` output has it; terms: name -> [lower, upper] shift."""
        low, high = self.interval()
        return {
            "value": self.value,
            "low": low,
            "high": high,
            "terms": {name: [down, up] for name, (down, up) in self.terms.items()},
        }

    @classmethod
    def from_dict(
        cls, data: Mapping[str, object], unit: str = "J", source: str = "", *, error: str | None = None
    ) -> Quantity:
        """The inverse of :meth:`as_dict`. Data without terms have one, named ``error``."""
        value, low, high = (_float(data[end]) for end in ("value", "low", "high"))
        if data.get("terms") is None:
            return cls(value, low, high, unit, source, error=error)
        terms = {name: _shift(shift) for name, shift in mapping(data["terms"]).items()}
        return cls(
            value, unit=unit, source=source, terms=terms, at_least=0.0 if low == 0 <= value else -math.inf
        )

    @property
    def amount(self) -> Amount:
        """The value, its interval, its unit and where it came from, as the API has them."""
        low, high = self.interval()
        return Amount(self.value, low, high, self.unit, self.source)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        """What pydantic serves: an :class:`Amount`. Only pydantic calls this, so its core is there to be imported."""
        from pydantic_core import core_schema

        shown = core_schema.plain_serializer_function_ser_schema(
            lambda quantity: quantity.amount, return_schema=handler.generate_schema(Amount)
        )
        return core_schema.is_instance_schema(cls, serialization=shown)

    def __str__(self) -> str:
        from wattmark.units import significant

        low, high = self.interval()
        return f"{significant(self.value)} {self.unit} [{significant(low)}, {significant(high)}]"

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"Quantity({self.value!r}, {low!r}, {high!r}, {self.unit!r}, {self.source!r})"

    def _with(
        self, terms: Mapping[str, Shift], *, unit: str | None = None, source: str | None = None
    ) -> Quantity:
        return Quantity(
            self.value, unit=self.unit if unit is None else unit, source=self.source if source is None else source,
            terms=terms, at_least=self.at_least, at_most=self.at_most,
        )  # fmt: skip

    def _same_unit(self, other: Quantity) -> None:
        if self.unit != other.unit:
            raise ValueError(f"cannot combine {self.unit} with {other.unit}")


_NONE: Shift = (0.0, 0.0)


def _float(value: object) -> float:
    if isinstance(value, int | float | str):
        return float(value)
    raise TypeError(f"{value!r} is no number")


def _shift(value: object) -> Shift:
    down, up = items(value)
    return _float(down), _float(up)


def _restored(
    value: float, terms: Mapping[str, Shift], unit: str, source: str, at_least: float, at_most: float
) -> Quantity:
    return Quantity(value, unit=unit, source=source, terms=terms, at_least=at_least, at_most=at_most)


def _sum(a: float, b: float) -> float:
    """``a + b``, and exactly zero where they cancel but for rounding."""
    result = a + b
    return 0.0 if abs(result) <= _CANCELLED * abs(a) else result


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _moved(a: float, b: float, shift_a: float, shift_b: float) -> float:
    """``(a + shift_a) / (b + shift_b) - a / b``; a divisor that an error takes to zero or past it may be as small as
    one likes."""
    divisor = b + shift_b
    difference = _sum(shift_a * b, -a * shift_b)
    if difference == 0:
        return 0.0
    if divisor == 0 or (divisor > 0) != (b > 0):
        return math.copysign(math.inf, difference * b)
    return difference / b / divisor  # their product may be too small for a float


def _telling(terms: Mapping[str, Shift]) -> dict[str, Shift]:
    return {name: shift for name, shift in terms.items() if shift != _NONE}


def spread(shifts: Iterable[tuple[_T, _T]]) -> tuple[_T, _T]:
    """``(below, above)``: how far a sum of independent errors reaches on either side, each side in quadrature.

    shifts: of each error, at its lower and its upper end; numbers, or arrays of one length. For errors with two sides
    that is within 2 % of the quantiles of the sum (tests/test_quantity.py holds it against simulation), and no error
    makes another one's side narrower.
    """
    below: Any = 0.0
    above: Any = 0.0
    down: Any
    up: Any
    for down, up in shifts:
        least, most = _positive(_larger(-down, -up)), _positive(_larger(down, up))
        below, above = below + least * least, above + most * most
    return below**0.5, above**0.5


def _larger(a: Any, b: Any) -> Any:
    if isinstance(a, float):
        return a if a >= b else b
    return (a + b + abs(a - b)) / 2


def _positive(a: Any) -> Any:
    if isinstance(a, float):
        return a if a > 0 else 0.0
    return (a + abs(a)) / 2


def total(parts: Iterable[Quantity], unit: str = "J") -> Quantity | None:
    """The sum of the parts, or None when there is none (missing is None, never 0)."""
    values = list(parts)
    if not values:
        return None
    sums: dict[str, list[float]] = {}
    for part in values:
        if part.unit != unit:
            raise ValueError(f"cannot combine {part.unit} with {unit}")
        for name, (down, up) in part.terms.items():
            row = sums.setdefault(name, [0.0, 0.0])
            row[0], row[1] = _sum(row[0], down), _sum(row[1], up)
    sources = {part.source for part in values}
    return Quantity(
        math.fsum(part.value for part in values),
        unit=unit,
        source=sources.pop() if len(sources) == 1 else "",
        terms=_telling({name: (row[0], row[1]) for name, row in sums.items()}),
        at_least=sum(part.at_least for part in values),
        at_most=sum(part.at_most for part in values),
    )
