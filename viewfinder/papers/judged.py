"""What a page says by the rule of judgement: made from stored numbers, without any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from viewfinder.papers.claims import MARGIN, Claim, Known, better, judge
from viewfinder.papers.gauge import HALF, Way, gauge
from viewfinder.papers.judgement import LEVEL, POWER
from viewfinder.papers.result import PIXELS, Finding, Results, Spread, table
from viewfinder.papers.selection import choice_table

Numbers = Mapping[str, Any]
"""For each arm its recipe and the results of its seeds, as results.json holds them."""


def judged(
    numbers: Numbers,
    claims: Callable[[Results], Sequence[Claim]],
    tables: Callable[[Results], Sequence[str]],
    barred: Callable[[Mapping[str, Any]], Mapping[str, str]],
    common: Mapping[str, Any],
    alike: Callable[[str], str] | None = None,
) -> dict[str, Any]:
    """The parts of a Result that follow from its numbers: findings, tables, and the rule.

    barred   of the arms' recipes: those that no claim can rest on, and why
    common   the overrides that lie under all recipes
    alike    of an arm's name the group of those that are trained alike except for their views; of a
             group the arm that went furthest says whether its arms were trained
    """
    from viewfinder.recipes.recipe import merge

    results = {name: row["seeds"] for name, row in numbers.items()}
    ways = {
        name: gauge(merge(common, row["recipe"]), row["seeds"]) for name, row in numbers.items()
    }
    recipes = {name: row["recipe"] for name, row in numbers.items()}
    speaking = ways if alike is None else furthest(ways, alike)
    found = judge(claims(results), speaking, barred(recipes))
    return {
        "findings": found,
        "tables": [
            one
            for one in (*tables(results), choice_table(numbers), training_table(results, ways))
            if one
        ],
        "rule": [rule(found), GATE, *([ALIKE] if alike is not None else [])],
    }


def furthest(ways: Mapping[str, Way | None], alike: Callable[[str], str]) -> dict[str, Way | None]:
    """Of each arm the way of the arm of its group that went furthest, where any is known."""
    best: dict[str, Way] = {}
    for name, way in ways.items():
        group = alike(name)
        if way is not None and way.share is not None:
            before = best.get(group)
            if before is None or before.share is None or way.share > before.share:
                best[group] = way
    return {name: way and best.get(alike(name), way) for name, way in ways.items()}


ALIKE = (
    "Arms that differ in their views alone are trained alike, and views that share less cannot "
    "reach the least loss: of such arms the one that went furthest speaks for all."
)


GATE = (
    f"A claim about an arm whose loss went less than {100 * HALF:.0f} % of the way from chance to "
    "the least loss there is gets no verdict: an arm that was hardly trained is no evidence of "
    "what the method can do. Where that is not known it is said beside the verdict."
)


def rule(findings: Sequence[Finding]) -> str:
    """How the findings of a page were judged, in words."""
    count = sum(bool(f.detectable) and not f.no_verdict for f in findings)
    return (
        "Judged: differences are paired by seed, and stand with their 95 % interval (Student's t). "
        f"A claim holds, or fails, where its one-sided p is at most {LEVEL} after Holm's "
        f"correction for the number of claims judged on this page ({count}); else the runs cannot "
        "tell. "
        "A claim of several comparisons holds if all do, and fails if one does. *No worse* and "
        f"*on par* allow {100 * MARGIN:g} points. Detectable is the true difference that runs of "
        f"this spread would show in {100 * POWER:.0f} of 100 cases, at Holm's strictest step."
    )


def training_table(results: Results, ways: Mapping[str, Way | None]) -> str:
    """How far the loss of each arm went, and how its features stand against raw pixels."""
    known: dict[str, Spread | None] = {}
    for name, runs in results.items():
        values = [run["top1"] for run in runs]
        known[name] = None if None in values else Spread(tuple(values))
    rows = [
        [name, *_way(way), _above_pixels(known, name)]
        for name, way in ways.items()
        if way is not None
    ]
    head = ["training", "loss at chance", "least", "at the end", "of the way", "top-1 - raw pixels"]
    return table(head, rows)


def _way(way: Way) -> list[str]:
    ends = ["-" if x is None else f"{x:.2f}" for x in (way.chance, way.least)]
    last = f"{Spread(way.last).mean:.2f}" if way.last else "not recorded"
    share = f"{100 * way.share:.0f} %" if way.share is not None else f"not known: {way.unknown}"
    return [*ends, last, share]


def _above_pixels(known: Known, name: str) -> str:
    own_set = name.partition(": ")[0] if ": " in name else ""
    pixels = f"{own_set}: {PIXELS}" if f"{own_set}: {PIXELS}" in known else PIXELS
    if known.get(name) is None or known.get(pixels) is None:
        return "-"
    (finding,) = judge([Claim("", better(known, name, pixels))])
    return finding.found.partition(f"{PIXELS} ")[2]
