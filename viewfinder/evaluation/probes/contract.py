"""What a probe of frozen features is: a row that scores classes, and says how it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from torch import Tensor

from viewfinder.core.table import Row

Details = dict[str, JsonValue]
"""What a score's protocol says of the probe: its name ("protocol"), every value that makes the
number, how what was chosen was chosen ("selection"), the seed, and "notes"."""


@dataclass(frozen=True, kw_only=True)
class ProbeRow(Row):
    """How classes are read from frozen features.

    scores  ``scores(options, x, y, test_x, classes, seed)`` fits the probe on x float (N, D) and
            y int64 (N,) in [0, classes), and gives a score of each class for each row of test_x
            (M, D), float (M, classes), -inf for one that is never predicted; and the details
    phrase  how a sentence calls it: "A linear probe"
    """

    scores: Callable[[Any, Tensor, Tensor, Tensor, int, int], tuple[Tensor, Details]]
    phrase: str = ""
