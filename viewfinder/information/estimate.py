"""What an estimate of mutual information says: the value, how sure it is, and what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from viewfinder.information.bounds import NATS_PER_BIT
from viewfinder.information.discrete import Unit

NEAR = 0.9
"""From this share of the ceiling on, a value says that the information is at least this large."""
SMALL = 0.01
"""What is no larger, in nats, is not told from nothing: a bias of the sample is of this size."""
MOST_CANDIDATES, BATCHES = 512, 8
"""Candidates unless K is given, and held-out batches of so many at least: fewer give no interval
worth the name."""
ENOUGH = 1000
"""Fewer pairs than these are noted: a critic learns little of 400, and 500 bound little."""


@dataclass(frozen=True)
class SeedResult:
    """What one critic gave: the held-out pairs' batches, and the bound on the validation pairs.

    batches  values of the bound, one for each batch of K held-out pairs
    by_k     mean value for each number of candidates
    curve    (step, value on the validation pairs)
    best     the step whose critic was kept
    finite   whether training met only finite losses
    losses   the first loss of training, and the mean of each stretch between two looks
    """

    seed: int
    batches: tuple[float, ...]
    by_k: dict[int, float]
    curve: tuple[tuple[int, float], ...]
    best: int
    finite: bool
    losses: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        return _mean(self.batches)

    @property
    def error(self) -> float:
        """Standard error of the value, over batches."""
        return math.sqrt(_variance(self.batches) / len(self.batches))


@dataclass(frozen=True)
class Estimate:
    """A lower bound on I(X;Y), measured on pairs that the critic was not trained on.

    value    mean over the seeds
    low, high  95 % interval of the bound over batches and seeds: Student's t, with the variance of
             the held-out sample (taken as the same for all seeds, though each draws its own half)
             and that between seeds added. It holds for this critic's bound, not for I(X;Y), which
             may lie above it
    ceiling  the largest value that the bound can take, None: no limit
    by_k     value for each number of candidates K
    seeds    value of each seed
    shuffled the same for shuffled pairs: about 0, or something is wrong
    flags    what is to be known before the value is used, in words; empty: nothing
    curves   of each seed, (step, value on its validation pairs)
    unit     of all values above
    protocol everything that makes the number
    """

    value: float
    low: float
    high: float
    ceiling: float | None
    by_k: dict[int, float]
    seeds: tuple[float, ...]
    shuffled: float | None
    flags: tuple[str, ...]
    curves: tuple[tuple[tuple[int, float], ...], ...]
    protocol: dict[str, Any]
    unit: Unit = "nats"

    @property
    def near_ceiling(self) -> bool:
        """Whether the value is within a tenth of the ceiling."""
        return self.ceiling is not None and self.value > NEAR * self.ceiling

    @property
    def bits(self) -> Estimate:
        """The same in bits."""
        return self if self.unit == "bits" else self._times(1 / NATS_PER_BIT, "bits")

    @property
    def nats(self) -> Estimate:
        """The same in nats."""
        return self if self.unit == "nats" else self._times(NATS_PER_BIT, "nats")

    def _times(self, factor: float, unit: Unit) -> Estimate:
        return replace(
            self,
            value=self.value * factor,
            low=self.low * factor,
            high=self.high * factor,
            ceiling=None if self.ceiling is None else self.ceiling * factor,
            by_k={k: value * factor for k, value in self.by_k.items()},
            seeds=tuple(value * factor for value in self.seeds),
            shuffled=None if self.shuffled is None else self.shuffled * factor,
            curves=tuple(tuple((s, v * factor) for s, v in curve) for curve in self.curves),
            unit=unit,
        )


def summarised(
    results: Sequence[SeedResult],
    shuffled: SeedResult | None,
    ceiling: float | None,
    protocol: dict[str, Any],
) -> Estimate:
    """The estimate of several seeds, with all flags."""
    value = _mean([r.value for r in results])
    low, high = interval([r.batches for r in results])
    few = too_few(protocol.get("pairs", ENOUGH))
    return Estimate(
        value=value,
        low=low,
        high=high,
        ceiling=ceiling,
        by_k={k: _mean([r.by_k[k] for r in results]) for k in results[0].by_k},
        seeds=tuple(r.value for r in results),
        shuffled=None if shuffled is None else shuffled.value,
        flags=(*flags(results, shuffled, ceiling), *([] if few is None else [few])),
        curves=tuple(r.curve for r in results),
        protocol=protocol,
    )


def too_few(pairs: int) -> str | None:
    """What is to be said before and after of pairs that are too few; None: they are enough.

    >>> too_few(5000) is None
    True
    """
    if pairs >= ENOUGH:
        return None
    held_out, most = pairs // 2, 2 * BATCHES * MOST_CANDIDATES
    k = max(1, min(MOST_CANDIDATES, held_out // BATCHES))
    return (
        f"{pairs} pairs are few: a critic learns from {pairs - held_out - (pairs - held_out) // 5} "
        f"of them, and {k} candidates show at most {math.log(k):.2f} nats. At least {ENOUGH:,} "
        f"pairs are advised, {most:,} for {MOST_CANDIDATES} candidates; expect a wide interval and "
        "a value far too small"
    )


def interval(batches: Sequence[Sequence[float]]) -> tuple[float, float]:
    """95 % interval of the mean over seeds of the means over batches; see ``Estimate``.

    >>> low, high = interval([[0.9, 1.1, 1.0, 1.0], [1.0, 1.0, 0.9, 1.1]])
    >>> round(low, 2), round(high, 2)
    (0.9, 1.1)
    """
    means = [_mean(own) for own in batches]
    within = _mean([_variance(own) / len(own) for own in batches])
    between = _variance(means) / len(means) if len(means) > 1 else 0.0
    spread = within + between
    if spread == 0:
        return means[0], means[0]
    freedom = within**2 / sum(len(own) - 1 for own in batches)  # Welch and Satterthwaite
    freedom += between**2 / (len(means) - 1) if len(means) > 1 else 0.0
    half = t_quantile(spread**2 / freedom) * math.sqrt(spread)
    return _mean(means) - half, _mean(means) + half


def t_quantile(freedom: float) -> float:
    """The 97.5 % quantile of Student's t, to 3 % from two degrees of freedom on (Abramowitz and
    Stegun, 26.7.5)."""
    z, n = 1.959963984540054, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def flags(
    results: Sequence[SeedResult], shuffled: SeedResult | None, ceiling: float | None
) -> list[str]:
    """What is to be known before the value is used, in words."""
    found = []
    values = [r.value for r in results]
    value, error = _mean(values), math.sqrt(_mean([r.error**2 for r in results]))
    diverged = [r.seed for r in results if diverges(r)]
    if diverged:
        found.append(
            f"{_seeds(diverged)} diverged in training; the best critic before that was kept. A "
            "lower learning rate or another objective helps"
        )
    zero = [r.seed for r in results if r.value <= max(2 * r.error, SMALL)]
    if len(zero) == len(results):
        found.append(f"no information was found: no seed is above {SMALL} nats and twice its error")
    elif zero:
        found.append(f"{_seeds(zero)} collapsed to 0, the others did not: more steps or seeds help")
    elif max(values) - min(values) > max(6 * error, 0.1 * value):
        found.append(
            f"the seeds disagree, from {min(values):.3f} to {max(values):.3f} nats: training does "
            "not always reach the same critic"
        )
    if ceiling is not None and value > NEAR * ceiling:
        found.append(
            f"within a tenth of the ceiling, {ceiling:.3f} nats: the information is at least about "
            "this large, and may be much larger. More candidates (k) raise the ceiling"
        )
    if shuffled is not None and abs(shuffled.value) > max(2 * SMALL, 4 * shuffled.error):
        found.append(
            f"shuffled pairs give {shuffled.value:.3f} nats where 0 is right: do not trust this"
        )
    return found


def diverges(result: SeedResult) -> bool:
    """Whether training itself went wrong: a loss or value that is no number, or losses that ended
    far above the first, which is about that of no critic. Validation that falls while the losses
    fall too is overfitting, before which the critic is kept."""
    lost = result.losses
    numbers = not any(math.isnan(value) for _, value in result.curve)
    return not (result.finite and numbers) or (len(lost) > 1 and not lost[-1] < lost[0] + 10)


def _seeds(which: Sequence[int]) -> str:
    return f"seed{'s' if len(which) > 1 else ''} {', '.join(map(str, which))}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1)
