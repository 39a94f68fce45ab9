"""Of arms that are trained alike, views apart, the one that went furthest speaks for all."""

from __future__ import annotations

from viewfinder.papers.gauge import Way
from viewfinder.papers.judged import furthest


def test_it_speaks_for_its_own_group_alone() -> None:
    far, near = Way(4.0, 0.0, (1.0,)), Way(4.0, 0.0, (3.5,))
    other, unknown = Way(4.0, 0.0, (3.0,)), Way(unknown="stopped")
    ways = {"a: mild": far, "a: strong": near, "a: stopped": unknown, "b: strong": other,
            "c: stopped": unknown, "a: raw pixels": None}  # fmt: skip
    found = furthest(ways, lambda name: name.partition(": ")[0])
    assert near.failed and found["a: strong"] is far and found["a: stopped"] is far
    assert found["b: strong"] is other and other.failed
    assert found["c: stopped"] is unknown and found["a: raw pixels"] is None
