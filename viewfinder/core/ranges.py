"""The ranges that numbers of options share: wide enough for what anybody trains, and finite.

A number beyond its range is a slip of the keyboard, and is refused by its key before it costs
memory or hours. The ranges show in docs/recipe.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""So many, at least one: epochs, iterations, units of a layer."""
CountOrNone = Annotated[int, Field(ge=0, le=1_000_000)]
"""So many, or none."""
Rows = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""So many rows of something long: keys, images."""
Pixels = Annotated[int, Field(ge=1, le=16_384)]
"""A side."""
Channels = Annotated[int, Field(ge=1, le=1_024)]
"""Channels of an image."""
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, a probability."""
Weight = Annotated[float, Field(ge=0, le=1_000_000)]
"""What something is multiplied by; 0: it is left out."""
Positive = Annotated[float, Field(ge=1e-6, le=1_000_000)]
"""A scale that may be neither 0 nor so small that it counts as 0."""
Divisor = Annotated[float, Field(ge=0.001, le=1_000)]
"""What similarities are divided by: below 0.001 their exponentials are 0 or infinite in 32 bits."""
