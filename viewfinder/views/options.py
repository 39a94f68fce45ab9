"""Types of options that several steps of views share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

Range = tuple[float, float]
Probability = Annotated[float, Field(ge=0, le=1)]


def _rising(value: Range) -> Range:
    if value[0] > value[1]:
        raise ValueError(f"{list(value)} is not a range: low <= high is expected")
    return value


_Scale = Annotated[float, Field(ge=0.01, le=100)]
_Area = Annotated[float, Field(ge=1e-6, le=1)]
Scales = Annotated[tuple[_Scale, _Scale], AfterValidator(_rising)]
"""From a to b, lengths or ratios."""
Areas = Annotated[tuple[_Area, _Area], AfterValidator(_rising)]
"""From a to b, parts of an image's area."""


def _some(values: tuple[float, ...]) -> tuple[float, ...]:
    if not values:
        raise ValueError("one number, or one for each channel, is expected")
    return values


_Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
_Deviation = Annotated[float, Field(ge=1e-6, le=1e6)]
Means = Annotated[tuple[_Mean, ...], Field(max_length=1_024), AfterValidator(_some)]
Deviations = Annotated[tuple[_Deviation, ...], Field(max_length=1_024), AfterValidator(_some)]
