"""Types of options that several steps of views share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field

Range = tuple[float, float]
Probability = Annotated[float, Field(ge=0, le=1)]


def within(low: float, high: float, outside: str = "") -> AfterValidator:
    """Check of a range (a, b) of positive numbers: low <= a <= b <= high."""

    def check(value: Range) -> Range:
        a, b = value
        if not 0 < a <= b:
            raise ValueError(f"{list(value)} is not a range: 0 < low <= high is expected")
        if a < low or b > high:
            told = outside or f"is outside of [{low:g}, {high:g}]"
            raise ValueError(f"{list(value)} {told}")
        return value

    return AfterValidator(check)


def each(test: Callable[[float], bool], expected: str) -> AfterValidator:
    """Check of every number of a list, which must not be empty."""

    def check(values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or not all(map(test, values)):
            raise ValueError(f"{list(values)}: {expected} expected")
        return values

    return AfterValidator(check)


def _positive(value: float) -> bool:
    return value > 0


def _any(value: float) -> bool:
    return True


Scale = Annotated[Range, within(0, 1, "is larger than the image; fractions up to 1 are expected")]
Means = Annotated[tuple[float, ...], each(_any, "one number, or one for each channel, is")]
Deviations = Annotated[
    tuple[float, ...], each(_positive, "positive numbers, one or one for each channel, are")
]
