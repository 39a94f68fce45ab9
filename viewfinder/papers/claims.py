"""Claims of a paper as statements about paired differences between arms, and what became of them.

>>> known = {"new": Spread((0.60, 0.62, 0.61)), "old": Spread((0.50, 0.53, 0.51))}
>>> [finding] = judge([Claim("new is better", better(known, "new", "old"))])
>>> finding.holds, finding.found
(True, 'new - old +9.7 [+8.2, +11.1] points')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from viewfinder.papers.gauge import Way
from viewfinder.papers.judgement import (
    OPEN,
    Evidence,
    above,
    detectable,
    every,
    fixing,
    interval,
    peak_of,
    slopes,
    some,
    verdicts,
)
from viewfinder.papers.judgement import reverse_u as reverse_u_evidence
from viewfinder.papers.result import Finding, Spread

MARGIN = 0.02
"""What "no worse" and "on par" allow, of accuracies: two points. The papers themselves call up to
1.1 points comparable (CARL 46.2 beside SimCLR's 47.3)."""

SHOWN = 2  # of many arms or differences, those that are named

Known = Mapping[str, Spread | None]
"""The accuracy of each arm, a number a seed; None where it has none (a run was stopped)."""
Points = Sequence[tuple[float, str, Spread | None]]
"""Of a figure's curve, at each x: the arm, and its accuracy."""


@dataclass(frozen=True)
class Part:
    """A difference between two arms, a number a seed, as it is shown."""

    words: str
    differences: tuple[float, ...]
    unit: str = "points"

    @property
    def scale(self) -> float:
        return 100.0 if self.unit == "points" else 1.0


@dataclass(frozen=True)
class Statement:
    """What is claimed of some arms, its evidence, and the differences to show."""

    evidence: Evidence
    parts: tuple[Part, ...]
    arms: tuple[str, ...]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper; what is judged; or, of what is counted and not estimated, a fact.

    found    words before the differences
    fact     whether it is so
    """

    text: str
    statement: Statement | None = None
    found: str = ""
    fact: bool | None = None


def exceeds(
    words: str,
    differences: Sequence[float],
    arms: Sequence[str],
    *,
    bound: float = 0.0,
    unit: str = "points",
) -> Statement:
    """That the mean of these differences is above a bound."""
    part = Part(words, tuple(differences), unit)
    return Statement(above(differences, bound), (part,), tuple(arms))


def better(
    known: Known, high: str, low: str, *, margin: float = 0.0, unit: str = "points"
) -> Statement:
    """That one arm is better than another; with a margin, that it is no worse by more than that.

    Raises KeyError for an arm that is not there, as in numbers of an experiment that had others.
    """
    a, b = known[high], known[low]
    if a is None or b is None or len(a.values) != len(b.values):
        lost = tuple(name for name, spread in ((high, a), (low, b)) if spread is None)
        return Statement(OPEN, (), (high, low), lost)
    differences = [x - y for x, y in zip(a.values, b.values, strict=True)]
    words = f"{short(high)} - {short(low)}"
    return exceeds(words, differences, (high, low), bound=-margin, unit=unit)


def no_worse(known: Known, name: str, other: str) -> Statement:
    """That one arm is not worse than another by ``MARGIN`` or more."""
    return better(known, name, other, margin=MARGIN)


def on_par(known: Known, a: str, b: str) -> Statement:
    """That two arms differ by less than ``MARGIN``: two one-sided tests."""
    both = [no_worse(known, a, b), no_worse(known, b, a)]
    return Statement(every([one.evidence for one in both]), both[0].parts, (a, b), both[0].lost)


def all_of(statements: Sequence[Statement]) -> Statement:
    """That all of them are so."""
    return _joined(statements, every([one.evidence for one in statements]), statements)


def any_of(statements: Sequence[Statement]) -> Statement:
    """That at least one of them is so; shown is the one with the most evidence."""
    best = min(statements, key=lambda one: float(one.evidence.against))
    return _joined(statements, some([one.evidence for one in statements]), [best])


def rising(points: Points, *, over: str, sign: int = 1, unit: str = "points") -> Statement:
    """That the slope over x, each seed's own, is above zero (with sign -1: below)."""
    known = [(x, arm, spread) for x, arm, spread in points if spread is not None]
    arms = tuple(dict.fromkeys(arm for _, arm, _ in points))
    if len(known) < 3 or len({len(s.values) for _, _, s in known}) > 1:
        return Statement(OPEN, (), arms, arms)
    found = slopes([x for x, _, _ in known], [s.values for _, _, s in known])
    part = Part(f"slope per {over}", tuple(found.tolist()), unit)
    return Statement(above(sign * found), (part,), arms)


def in_order(known: Known, names: Sequence[str]) -> Statement:
    """That each arm is better than the next."""
    return all_of([better(known, high, low) for high, low in pairwise(names)])


def peak(points: Points) -> Statement:
    """That some arm within is better than both at the ends."""
    known = {f"{x:g}": spread for x, _, spread in sorted(points, key=lambda p: p[0])}
    arms = tuple(arm for _, arm, _ in points)
    names = list(known)
    if len(names) < 3:
        return Statement(OPEN, (), arms, arms)
    ends = (names[0], names[-1])
    inner = [all_of([better(known, k, end) for end in ends]) for k in names[1:-1]]
    found = any_of(inner)
    return Statement(found.evidence, found.parts, arms, found.lost)


def reverse_u(points: Points, *, unit: str = "points") -> Statement:
    """That the curve rises to a peak within and falls from it, in the order of x.

    The first seeds fix the peak, the others test it against both ends, and their differences are
    shown: see ``viewfinder.papers.judgement.reverse_u``. Points without a number are left out.
    """
    ordered = sorted((p for p in points if p[2] is not None), key=lambda p: p[0])
    arms = tuple(arm for _, arm, _ in points)
    lost = tuple(arm for _, arm, spread in points if spread is None)
    values = np.array([spread.values for _, _, spread in ordered if spread is not None])
    if len(ordered) < 3 or values.shape[-1] < 3:
        return Statement(OPEN, (), arms, lost)
    names, peak = [short(arm) for _, arm, _ in ordered], int(peak_of(values))
    tested = values[:, fixing(values.shape[1]) :]
    parts = tuple(
        Part(f"{names[peak]} - {names[end]}", tuple((tested[peak] - tested[end]).tolist()), unit)
        for end in (0, len(names) - 1)
        if end != peak
    )
    return Statement(reverse_u_evidence(values), parts, arms, lost)


def of_seeds(happened: Sequence[bool], words: str, arms: Sequence[str]) -> Statement:
    """That something happens more often than not, by the sign test over the seeds."""
    from scipy.stats import binomtest

    k, n = sum(happened), len(happened)
    sides = [binomtest(k, n, alternative=side).pvalue for side in ("greater", "less")]
    return Statement(Evidence(*sides), (Part(f"{words} in {k} of {n} runs", ()),), tuple(arms))


def judge(
    claims: Sequence[Claim],
    ways: Mapping[str, Way | None] | None = None,
    barred: Mapping[str, str] | None = None,
) -> list[Finding]:
    """The findings of a page: all claims together, by one rule.

    ways     how far each arm was trained; a claim with an arm that failed gets no verdict
    barred   arms that are not fit for any comparison, and why
    """
    open_for = [_reasons(claim, ways or {}, barred or {}) for claim in claims]
    judged = [
        i
        for i, claim in enumerate(claims)
        if claim.statement is not None and not claim.statement.lost and not open_for[i]
    ]
    found = verdicts([claims[i].statement.evidence for i in judged])  # type: ignore[union-attr]
    holds = dict(zip(judged, found, strict=True))
    return [
        _finding(claim, holds.get(i), i in holds, open_for[i], max(1, len(judged)), ways or {})
        for i, claim in enumerate(claims)
    ]


def difference(statement: Statement) -> str:
    """Of two arms the difference with its interval, for a table; a dash where there is none."""
    return _measured(statement.parts[0]) if statement.parts else "-"


def short(arm: str) -> str:
    """An arm's name without its set's."""
    return arm.partition(": ")[2] or arm


def _joined(
    statements: Sequence[Statement], evidence: Evidence, shown: Sequence[Statement]
) -> Statement:
    parts = [part for one in shown for part in one.parts]
    arms = dict.fromkeys(arm for one in statements for arm in one.arms)
    lost = dict.fromkeys(name for one in statements for name in one.lost)
    return Statement(evidence, tuple(parts), tuple(arms), tuple(lost))


def _reasons(claim: Claim, ways: Mapping[str, Way | None], barred: Mapping[str, str]) -> list[str]:
    arms = claim.statement.arms if claim.statement else ()
    failed = {arm: way.share or 0.0 for arm in arms if (way := ways.get(arm)) and way.failed}
    least = sorted(failed, key=lambda arm: failed[arm])[:SHOWN]
    said = [f"{short(arm)} went {100 * failed[arm]:.0f} % of the way" for arm in least]
    more = len(failed) - len(least)
    said += [f"{more} more less than half"] if more else []
    return [*(f"{short(arm)}: {barred[arm]}" for arm in arms if arm in barred), *said]


def _finding(
    claim: Claim,
    holds: bool | None,
    judged: bool,
    reasons: Sequence[str],
    claims: int,
    ways: Mapping[str, Way | None],
) -> Finding:
    if claim.statement is None:
        return Finding(claim.text, claim.found, claim.fact)
    statement = claim.statement
    lost = f"no number for {', '.join(short(one) for one in statement.lost)}"
    words = [claim.found, *_differences(statement.parts), lost if statement.lost else ""]
    unknown = [short(a) for a in statement.arms if (way := ways.get(a)) and way.share is None]
    if statement.lost and not reasons:
        reasons = [lost]
    who = ", ".join(unknown) if len(unknown) <= SHOWN else f"{len(unknown)} arms"
    beside = f"not known how far {who} went" if unknown and judged else ""
    return Finding(
        claim.text,
        "; ".join(word for word in words if word),
        holds,
        detectable="; ".join(_detectable(statement.parts, claims)),
        no_verdict="; ".join(reasons),
        beside=beside,
    )


def _differences(parts: Sequence[Part]) -> list[str]:
    """All, or of many those with the lowest and the highest mean."""
    if len(parts) <= SHOWN + 1:
        return [_shown(part) for part in parts]
    ordered = sorted(parts, key=lambda part: float(np.mean(part.differences)))
    low, high = _shown(ordered[0]), _shown(ordered[-1])
    return [f"of {len(parts)} differences the lowest: {low}", f"the highest: {high}"]


def _shown(part: Part) -> str:
    return f"{part.words} {_measured(part)}" if part.differences else part.words


def _measured(part: Part) -> str:
    mean = _number(float(np.mean(part.differences)), part)
    bounds = interval(part.differences)
    if bounds is None:
        return f"{mean} {part.unit} (1 seed)"
    return f"{mean} [{_number(bounds[0], part)}, {_number(bounds[1], part)}] {part.unit}"


def _number(value: float, part: Part) -> str:
    return f"{part.scale * value:+.1f}" if part.unit == "points" else f"{value:+.3g}"


def _detectable(parts: Sequence[Part], claims: int) -> list[str]:
    """By unit, the largest of what is shown."""
    found: dict[str, float] = {}
    for part in parts:
        least = detectable(part.differences, claims) if part.differences else None
        if least is not None:
            found[part.unit] = max(found.get(part.unit, 0.0), part.scale * least)
    return [
        f"{value:.1f} {u}" if u == "points" else f"{value:.2g} {u}" for u, value in found.items()
    ]
