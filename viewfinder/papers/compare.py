"""Whether what a paper says holds within the spread over seeds: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from viewfinder.papers.result import Finding, Spread

Known = Mapping[str, Spread | None]
"""The accuracy of each cell; None where it has none (a run was stopped)."""


def beyond(high: Spread, low: Spread) -> bool | None:
    """Whether ``high`` exceeds ``low`` by more than both spreads together.

    The means' difference d is held against s = sqrt(s_high² + s_low²), sample deviations over
    seeds: True for d > s, False for d < -s, None between, and None for a single seed, whose spread
    is not known.

    >>> beyond(Spread((0.6, 0.62)), Spread((0.5, 0.51)))
    True
    """
    if high.deviation is None or low.deviation is None:
        return None
    spread = math.hypot(high.deviation, low.deviation)
    difference = high.mean - low.mean
    return True if difference > spread else False if difference < -spread else None


def all_of(verdicts: Sequence[bool | None]) -> bool | None:
    """False where any is, else None where any is, else True; None for no verdict."""
    if False in verdicts:
        return False
    return None if None in verdicts or not verdicts else True


def ordered(claim: str, known: Known, names: Sequence[str]) -> Finding:
    """The finding that the cells stand in this order, the best first, each beyond the next."""
    chosen = [known.get(name) for name in names]
    found = " > ".join(f"{name} {a}" for name, a in zip(names, chosen, strict=True) if a)
    if None in chosen:
        lost = ", ".join(n for n, a in zip(names, chosen, strict=True) if a is None)
        return Finding(claim, f"{found}; no number for {lost}".lstrip("; "), None)
    present = [a for a in chosen if a is not None]
    verdict = all_of([beyond(high, low) for high, low in pairwise(present)])
    return Finding(claim, found.replace(" > ", "; "), verdict)


def each_beyond(claim: str, known: Known, pairs: Sequence[tuple[str, str]]) -> Finding:
    """The finding that in every pair the first cell is beyond the second."""
    verdicts: list[bool | None] = []
    words = []
    for high, low in pairs:
        a, b = known.get(high), known.get(low)
        if a is None or b is None:
            verdicts.append(None)
            words.append(f"{high} or {low}: no number")
        else:
            verdicts.append(beyond(a, b))
            words.append(f"{high} {a} against {low} {b}")
    return Finding(claim, "; ".join(words), all_of(verdicts))


def not_behind(claim: str, known: Known, name: str, others: Sequence[str]) -> Finding:
    """The finding that a cell is on par with others or better: none of them is beyond it.

    Open where a number is missing, and for a single seed.
    """
    cells = [known.get(one) for one in (name, *others)]
    words = "; ".join(
        f"{one} {a}" if a else f"{one}: no number"
        for one, a in zip((name, *others), cells, strict=True)
    )
    own = cells[0]
    verdicts: list[bool | None] = []
    for other in cells[1:]:
        if own is None or other is None or None in (own.deviation, other.deviation):
            verdicts.append(None)
        else:
            verdicts.append(beyond(other, own) is not True)
    return Finding(claim, words, all_of(verdicts))


def near(a: Spread, b: Spread) -> bool | None:
    """Whether two accuracies differ by no more than both spreads together, or than a hundredth.

    None for a single seed.
    """
    if a.deviation is None or b.deviation is None:
        return None
    return abs(a.mean - b.mean) <= max(0.01, math.hypot(a.deviation, b.deviation))


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's ρ; ties share their mean rank. NaN where x or y is constant.

    >>> rank_correlation([1, 2, 3], [10, 30, 20])
    0.5
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values are given")
    a, b = _ranks(x), _ranks(y)
    mean = (len(x) + 1) / 2
    cross = sum((p - mean) * (q - mean) for p, q in zip(a, b, strict=True))
    scale = math.sqrt(sum((p - mean) ** 2 for p in a) * sum((q - mean) ** 2 for q in b))
    return cross / scale if scale else math.nan


def trend(
    claim: str, points: Sequence[tuple[float, Spread | None]], *, rising: bool, what: str
) -> Finding:
    """The finding that accuracy rises (or falls) with x: by ranks, and from end to end.

    It holds where Spearman's ρ of x and the means is 0.8 or more in that direction and the last
    point is beyond the first; it does not where ρ is not even in that direction or the ends are
    the other way round beyond the spread.
    """
    known = sorted((x, a) for x, a in points if a is not None)
    if len(known) < 3:
        return Finding(claim, f"{len(known)} points with a number", None)
    rho = rank_correlation([x for x, _ in known], [a.mean for _, a in known])
    first, last = known[0], known[-1]
    found = (
        f"ρ of accuracy and {what} {rho:+.2f} over {len(known)} points; "
        f"{first[1]} at {first[0]:.2f}, {last[1]} at {last[0]:.2f}"
    )
    sign = 1 if rising else -1
    ends = beyond(last[1], first[1]) if rising else beyond(first[1], last[1])
    if math.isnan(rho):
        return Finding(claim, found, None)
    if rho * sign <= 0 or ends is False:
        return Finding(claim, found, False)
    return Finding(claim, found, True if rho * sign >= 0.8 and ends else None)


def peak_inside(claim: str, points: Sequence[tuple[float, Spread | None]], what: str) -> Finding:
    """The finding that accuracy first rises, then falls: the best is beyond both ends."""
    known = sorted((x, a) for x, a in points if a is not None)
    if len(known) < 3:
        return Finding(claim, f"{len(known)} points with a number", None)
    best = max(range(len(known)), key=lambda i: known[i][1].mean)
    found = (
        f"best at {what} = {known[best][0]:g}: {known[best][1]}; "
        f"{known[0][1]} at {known[0][0]:g}, {known[-1][1]} at {known[-1][0]:g}"
    )
    if best in (0, len(known) - 1):
        ends = beyond(known[best][1], known[-1 if best == 0 else 0][1])
        return Finding(claim, found, None if ends is None else False)
    verdicts = [beyond(known[best][1], known[end][1]) for end in (0, -1)]
    return Finding(claim, found, all_of(verdicts))


def _ranks(values: Sequence[float]) -> list[float]:
    below = [sum(v < u for v in values) for u in values]
    same = [sum(v == u for v in values) for u in values]
    return [b + (s + 1) / 2 for b, s in zip(below, same, strict=True)]
