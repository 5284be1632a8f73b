"""A number that people can stake something on: value, interval, unit, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity as JSON has it. source: where the number came from."""

    value: float
    low: float
    high: float
    unit: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with an interval that should hold the truth nineteen times in twenty.

    ``low <= value <= high``, all in ``unit``. ``source`` says where the number came from.
    Arithmetic is interval arithmetic in the cautious sense: bounds are added to bounds, so errors of the
    parts are taken as fully correlated (two channels of one sensor family usually are).
    """

    value: float
    low: float
    high: float
    unit: str = "J"
    source: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(
                f"a quantity needs low <= value <= high, not {self.low}, {self.value}, {self.high}"
            )

    @classmethod
    def exact(cls, value: float, unit: str = "J", source: str = "") -> Quantity:
        """A quantity without spread."""
        return cls(value, value, value, unit, source)

    @property
    def half_width(self) -> float:
        """Half the length of the interval, in ``unit``."""
        return (self.high - self.low) / 2

    def __add__(self, other: Quantity) -> Quantity:
        self._same_unit(other)
        source = self.source if self.source == other.source else ""
        return Quantity(
            self.value + other.value, self.low + other.low, self.high + other.high, self.unit, source
        )

    def __sub__(self, other: Quantity) -> Quantity:
        self._same_unit(other)
        return Quantity(self.value - other.value, self.low - other.high, self.high - other.low, self.unit)

    def __mul__(self, factor: float) -> Quantity:
        ends = sorted((self.low * factor, self.high * factor))
        return replace(self, value=self.value * factor, low=ends[0], high=ends[1])

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Quantity:
        ends = sorted((self.low / divisor, self.high / divisor))
        return replace(self, value=self.value / divisor, low=ends[0], high=ends[1])

    def with_unit(self, unit: str) -> Quantity:
        """The same numbers under another unit (after a multiplication that changed it)."""
        return replace(self, unit=unit)

    def as_dict(self) -> dict[str, float]:
        """``{"value", "low", "high"}`` as every ``--json`` output has it."""
        return {"value": self.value, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, data: dict[str, Any], unit: str = "J", source: str = "") -> Quantity:
        """The inverse of :meth:`as_dict`."""
        return cls(float(data["value"]), float(data["low"]), float(data["high"]), unit, source)

    @property
    def amount(self) -> Amount:
        """The value, its interval, its unit and where it came from, as the API has them."""
        return Amount(self.value, self.low, self.high, self.unit, self.source)

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

        return f"{significant(self.value)} {self.unit} [{significant(self.low)}, {significant(self.high)}]"

    def _same_unit(self, other: Quantity) -> None:
        if self.unit != other.unit:
            raise ValueError(f"cannot combine {self.unit} with {other.unit}")


def total(parts: list[Quantity], unit: str = "J") -> Quantity | None:
    """The sum of the parts, or None when there is none (missing is None, never 0)."""
    if not parts:
        return None
    result = Quantity.exact(0.0, unit, parts[0].source)
    for part in parts:
        result = result + part
    return result
