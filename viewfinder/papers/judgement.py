"""The one rule by which claims are judged: pure functions of paired differences.

A claim is a statement that some means are above some bounds, joined by *every* and *some*. Its
evidence is a pair of one-sided p-values: against "it is not so", and against "it is so". A claim
holds where the first is small enough, fails where the second is, and is open between: with few
seeds most claims are, and then the data cannot tell.

All functions work on arrays: the last axis of ``differences`` is the seeds, and what stands before
it is judged side by side, so that the rule itself can be simulated.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

LEVEL = 0.025
"""Of a false yes, and of a false no: each a side of an interval of 95 %."""
POWER = 0.8


class Evidence(NamedTuple):
    """One-sided p-values, of a claim or of many: arrays of one shape.

    against   the chance of data that speak as clearly for the claim, were it not true (at most)
    against_no   of data that speak as clearly against it, were it true (at most)
    """

    against: Any
    against_no: Any


OPEN = Evidence(1.0, 1.0)
"""Of what nothing is known."""


def above(differences: ArrayLike, bound: float = 0.0) -> Evidence:
    """That the mean of paired differences (..., n) is above a bound: Student's t, n - 1 degrees.

    A single seed, or differences that are all the same (or not known), say nothing of a spread: the
    evidence is then 1 on both sides.

    >>> above([0.02, 0.03, 0.04]).against < LEVEL
    True
    """
    d = np.asarray(differences, float)
    n = d.shape[-1]
    if n < 2:
        return Evidence(np.ones(d.shape[:-1]), np.ones(d.shape[:-1]))
    deviation = d.std(axis=-1, ddof=1)
    sound = deviation > 1e-12 * np.maximum(1.0, np.abs(d).max(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (d.mean(axis=-1) - bound) / deviation * np.sqrt(n)
    known = [np.where(sound, tail(t, n - 1), 1.0) for tail in (stats.t.sf, stats.t.cdf)]
    return Evidence(*known)


def every(parts: Sequence[Evidence]) -> Evidence:
    """That all of the parts are so (intersection-union): no stronger than the weakest of them.

    Against it speaks any one of them, after Bonferroni's correction for their number.
    """
    if not parts:
        return OPEN
    weakest = functools.reduce(np.maximum, [part.against for part in parts])
    return Evidence(weakest, _any([part.against_no for part in parts]))


def some(parts: Sequence[Evidence]) -> Evidence:
    """That at least one of the parts is so: the opposite of ``every``."""
    if not parts:
        return OPEN
    weakest = functools.reduce(np.maximum, [part.against_no for part in parts])
    return Evidence(_any([part.against for part in parts]), weakest)


def within(differences: ArrayLike, margin: float) -> Evidence:
    """That the mean is neither below -margin nor above it: two one-sided tests."""
    d = np.asarray(differences, float)
    return every([above(d, -margin), above(-d, -margin)])


def peaked(levels: ArrayLike) -> Evidence:
    """That of values (..., levels, n) some level within is above both ends.

    Which one is not chosen by the data: all are tried, and their number is corrected for.
    """
    y = np.asarray(levels, float)
    inner = range(1, y.shape[-2] - 1)
    ends = (0, y.shape[-2] - 1)
    return some([every([above(y[..., k, :] - y[..., e, :]) for e in ends]) for k in inner])


def fixing(seeds: int) -> int:
    """How many of the first seeds say where a peak is: a fifth of them, and one at least. More
    would cost the test more than a better place gains it."""
    return max(1, seeds // 5)


def peak_of(levels: ArrayLike) -> np.ndarray:
    """Of values (..., levels, n) the level that is highest by the seeds of ``fixing``."""
    y = np.asarray(levels, float)
    place: np.ndarray = y[..., : fixing(y.shape[-1])].mean(axis=-1).argmax(axis=-1)
    return place


def reverse_u(levels: ArrayLike) -> Evidence:
    """That values (..., levels, n) rise to a level within and fall from it: a reverse U.

    The first seeds fix which level is the peak, the others test it against both ends: with the same
    seeds for both, a curve of nothing but noise has its peak above its ends by choice. Where the
    peak is fixed at an end nothing speaks for a reverse U. Against it speaks, over all seeds, that
    no level within is above both ends, see ``peaked``.

    Fewer than three seeds, of which one fixes and two test, or three levels say nothing.
    """
    y = np.asarray(levels, float)
    if y.shape[-1] < 3 or y.shape[-2] < 3:
        return Evidence(np.ones(y.shape[:-2]), np.ones(y.shape[:-2]))
    tested, place = y[..., fixing(y.shape[-1]) :], peak_of(y)
    top = np.take_along_axis(tested, place[..., None, None], axis=-2)
    ends = (tested[..., :1, :], tested[..., -1:, :])
    against = every([above((top - end)[..., 0, :]) for end in ends]).against
    within = (place > 0) & (place < y.shape[-2] - 1)
    return Evidence(np.where(within, against, 1.0), peaked(y).against_no)


def slopes(x: Sequence[float], y: ArrayLike) -> np.ndarray:
    """Of values (..., len(x), n) each seed's own least-squares slope over x: (..., n)."""
    centred = np.asarray(x, float) - np.mean(x)
    return np.einsum("k,...kn->...n", centred / (centred**2).sum(), np.asarray(y, float))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: those at most a level keep the chance of any false one below it.

    >>> [round(q, 3) for q in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, highest = [1.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = highest
    return adjusted


def verdicts(claims: Sequence[Evidence], level: float = LEVEL) -> list[bool | None]:
    """True, False, or None for "cannot tell", of the claims of one page together."""
    sides = [(float(one.against), float(one.against_no)) for one in claims]
    adjusted = holm([min(side) for side in sides])
    return [
        (for_it <= against_it) if p <= level else None
        for p, (for_it, against_it) in zip(adjusted, sides, strict=True)
    ]


def interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean of paired differences; None for a single seed."""
    n = len(differences)
    if n < 2:
        return None
    half = stats.t.isf(LEVEL, n - 1) * np.std(differences, ddof=1) / np.sqrt(n)
    mean = float(np.mean(differences))
    return mean - float(half), mean + float(half)


def detectable(differences: Sequence[float], claims: int = 1) -> float | None:
    """The true difference that as many seeds of the same spread would show in 80 of 100 cases.

    claims   how many the page judges: the level is that of Holm's strictest step
    None for a single seed.
    """
    n = len(differences)
    if n < 2:
        return None
    return float(np.std(differences, ddof=1)) * _detectable(n, claims)


@functools.cache
def _detectable(n: int, claims: int) -> float:
    """In deviations of the differences: the noncentral t distribution, turned around."""
    critical = stats.t.isf(LEVEL / claims, n - 1)
    root = np.sqrt(n)

    def missing(effect: float) -> float:
        return _power(effect * root, critical, n - 1) - POWER

    return float(optimize.brentq(missing, 0.0, 20 * critical / root, xtol=1e-6))


def _power(shift: float, critical: float, freedom: int) -> float:
    """P(T > critical) of a noncentral t, integrated over the chi-squared of its deviation; scipy's
    own loses its digits where there are few degrees of freedom and the critical value is large."""
    quantiles = (np.arange(4000) + 0.5) / 4000
    spread = np.sqrt(stats.chi2.ppf(quantiles, freedom) / freedom)
    return float(stats.norm.cdf(shift - critical * spread).mean())


def _any(p: Sequence[Any]) -> Any:
    return np.minimum(1.0, len(p) * functools.reduce(np.minimum, p))
