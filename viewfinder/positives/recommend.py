"""Which of several choices of clusters to take, and by which rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from viewfinder.information.discrete import Information
from viewfinder.positives.measured import Measured

LARGEST = "largest I(Z;T) - H(Z|T)"
SCALED = (
    "where I(Z;T) / H(T), the share known of the labels, meets 1 - H(Z|T) / H(image|T), the share "
    "left out of all else"
)
BALANCE = "H(Z) nearest to half of log N"


@dataclass(frozen=True)
class Recommendation:
    """The recommended value; None where no choice has more than one cluster, or where none says
    more of the labels than chance.

    rule      the rule it follows
    by_rule   what each rule would take
    crossing  the neighbouring values between which I(Z;T) - H(Z|T) changes its sign, if it does
    remarks   sentences for the user: reasons, and where the rules disagree
    """

    value: Any
    rule: str
    by_rule: Mapping[str, Any] = field(default_factory=dict)
    crossing: tuple[Any, Any] | None = None
    remarks: Sequence[str] = ()


def recommend(parameter: str, rows: Sequence[Measured]) -> Recommendation:
    """Choose among measured clusters; a single cluster is never chosen, it leaves no negatives.

    With labels: the largest I(Z;T) - H(Z|T) (CI-InfoNCE, section 4.4), unless that lies at an end
    of the sweep, where it only says "coarser" or "finer". Then the value is taken at which I(Z;T)
    and -H(Z|T) of the paper's Figure 5 meet, each drawn on its own axis: where I(Z;T) / H(T), which
    rises from 0 to 1 as clusters get finer, passes 1 - H(Z|T) / H(instance|T), which falls from 1
    to 0. A choice whose I(Z;T) is chance (``Measured.is_chance``) is never taken, by whatever rule.

    Without labels, from cluster sizes alone: the H(Z) nearest to half of log N, where telling the
    cluster of a datum takes as many nats as telling the datum within its cluster.
    """
    usable = sorted((row for row in rows if row.clusters > 1), key=lambda row: row.h_z)
    if not usable:
        return Recommendation(
            None,
            "none",
            remarks=("every choice puts all images into one cluster: there are no negatives",),
        )
    balance = min(usable, key=lambda row: abs(row.h_z - math.log(row.n) / 2)).value
    measured = [(row, row.information) for row in usable if row.information is not None]
    if len(measured) < len(usable):
        return Recommendation(
            balance,
            BALANCE,
            {BALANCE: balance},
            remarks=(
                f"{parameter}={balance} is chosen from cluster sizes alone: naming the cluster and "
                "naming the image within it take about equally many bits. With labels of some "
                "images the choice can be measured",
            ),
        )
    return _with_labels(parameter, usable, [i for _, i in measured], balance)


def _with_labels(
    parameter: str, rows: Sequence[Measured], found: Sequence[Information], balance: Any
) -> Recommendation:
    def best(score: Callable[[Information], float]) -> int:
        return max(range(len(rows)), key=lambda j: score(found[j]))

    largest = best(_gain)
    scaled = min(range(len(rows)), key=lambda j: abs(_scaled_gap(found[j])))
    by_rule = {
        LARGEST: rows[largest].value,
        SCALED: rows[scaled].value,
        "largest after Miller and Madow's correction": rows[best(_corrected_gain)].value,
        "largest adjusted mutual information": rows[best(lambda i: i.ami)].value,
        BALANCE: balance,
    }
    crossing = next(
        (
            (rows[j].value, rows[j + 1].value)
            for j, (one, two) in enumerate(pairwise(found))
            if (_gain(one) > 0) != (_gain(two) > 0)
        ),
        None,
    )
    telling = [j for j, row in enumerate(rows) if not row.is_chance]
    if not telling:
        return Recommendation(None, "none", by_rule, crossing, (_nothing(parameter, found),))
    largest_telling = max(telling, key=lambda j: _gain(found[j]))
    scaled_telling = min(telling, key=lambda j: abs(_scaled_gap(found[j])))
    doubt = None
    if largest_telling != scaled_telling:
        doubt = _end_of_sweep(parameter, rows, largest_telling)
    chosen, rule = (scaled_telling, SCALED) if doubt else (largest_telling, LARGEST)
    remarks = [f"{doubt}, so it is not taken"] if doubt else []
    remarks += _chance(parameter, rows)
    remarks += _disagreement(parameter, rows, found, largest, by_rule)
    return Recommendation(rows[chosen].value, rule, by_rule, crossing, tuple(remarks))


def _nothing(parameter: str, found: Sequence[Information]) -> str:
    most = max(found, key=lambda i: i.i).bits
    return (
        f"these clusters tell nothing of your labels: for no {parameter} is I(Z;T) more than twice "
        f"what shuffled labels give, and out of the reach of chance (at most {most.i:.3f} bits, of "
        f"which {most.i_expected:.3f} are chance)"
    )


def _chance(parameter: str, rows: Sequence[Measured]) -> list[str]:
    chance = [str(row.value) for row in rows if row.is_chance]
    if not chance:
        return []
    return [
        f"{parameter}={', '.join(chance[:8])}{', ...' if len(chance) > 8 else ''}: not considered, "
        "shuffled labels give as much, or more than half of it"
    ]


def _end_of_sweep(parameter: str, rows: Sequence[Measured], best: int) -> str | None:
    """What the largest I(Z;T) - H(Z|T) says where it lies at an end of the sweep."""
    told = f"I(Z;T) - H(Z|T) is largest for {parameter}={rows[best].value}"
    for end, way in ((rows[0], "coarser"), (rows[-1], "finer")):
        if len(rows) > 2 and math.isclose(end.h_z, rows[best].h_z):
            return f"{told}, the end of the sweep, which only says that {way} is better"
    return None


def _disagreement(
    parameter: str,
    rows: Sequence[Measured],
    found: Sequence[Information],
    largest: int,
    by_rule: Mapping[str, Any],
) -> list[str]:
    names = list(by_rule)
    corrected = {name: by_rule[name] for name in (names[2], names[3])}
    if all(value == rows[largest].value for value in corrected.values()):
        return []
    told = "; ".join(f"{name}: {parameter}={value}" for name, value in corrected.items())
    i = found[largest].bits
    return [
        f"the measures disagree. {LARGEST}: {parameter}={rows[largest].value}; {told}. Small "
        f"clusters raise the plug-in I(Z;T): of its {i.i:.2f} bits there, {i.i_expected:.2f} are "
        "what shuffled labels give"
    ]


def _gain(i: Information) -> float:
    return i.i - i.h_z_given_t


def _corrected_gain(i: Information) -> float:
    return i.i_miller_madow - i.h_z_given_t_miller_madow


def _scaled_gap(i: Information) -> float:
    instance = math.log(i.nats.n) - i.nats.h_t  # H(instance | T), the most that H(Z|T) can be
    left = i.nats.i / i.nats.h_t if i.h_t > 0 else 1.0
    right = 1 - i.nats.h_z_given_t / instance if instance > 0 else 1.0
    return left - right
