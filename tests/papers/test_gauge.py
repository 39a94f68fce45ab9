"""How far an arm was trained: closed forms, what is not known, and what then gets no verdict."""

from __future__ import annotations

import math
from typing import Any

import pytest

from viewfinder.negatives import NEGATIVES
from viewfinder.papers.claims import Claim, better, judge
from viewfinder.papers.gauge import Way, gauge
from viewfinder.papers.result import Spread

HERE = {"batch_size": 128}


def run(loss: float, clusters: float = 0.0, entropy: float = 0.0, **more: float) -> dict[str, Any]:
    known = {"clusters": clusters, "i": entropy, "h_z_given_t": 0.0}
    return {"epochs": [{"loss": loss, **more}], "stopped": None, "information": known}


@pytest.mark.parametrize(
    ("recipe", "runs", "chance", "least"),
    [
        # 255 others; a simplex of 128 corners at temperature 0.2
        (
            {"method": "simclr", "objective": {"temperature": 0.2}},
            run(3.0),
            math.log(255),
            math.log(1 + 254 * math.exp(-(1 + 1 / 127) / 0.2)),
        ),
        # the key and 2048 of the queue
        (
            {"method": "moco", "negatives": {"size": 2048}},
            run(5.0),
            math.log(2049),
            math.log(1 + 2048 * math.exp(-(1 + 1 / 2048) / 0.2)),
        ),
        ({"method": "carl", "objective": {"prototypes": 30}}, run(2.0), math.log(30), 0.0),
        ({"method": "cross-entropy"}, run(1.0, clusters=10), math.log(10), 0.0),
        ({"method": "barlow-twins", "head": {"projector": [64, 32]}}, run(9.0), 32.0, 0.0),
        # two equal clusters share a batch of 128: 64.5 members each, the anchor's own included
        (
            {"method": "supcon", "objective": {"temperature": 0.01}},
            run(5.0, clusters=2, entropy=1.0),
            math.log(255),
            math.log(2 * 64.5 - 1),
        ),
    ],
    ids=lambda x: x.get("method", "") if isinstance(x, dict) else "",
)
def test_the_ends_are_those_of_the_objective(
    recipe: dict[str, Any], runs: dict[str, Any], chance: float, least: float
) -> None:
    way = gauge({**HERE, **recipe}, [runs] * 2)
    assert way is not None
    assert (way.chance, way.least) == pytest.approx((chance, least), rel=1e-6, abs=1e-12)
    last = runs["epochs"][-1]["loss"]
    assert way.share == pytest.approx((chance - last) / (chance - least))


def test_a_loss_with_regularizers_is_gauged_by_the_objective_alone() -> None:
    recipe = {**HERE, "method": "simclr", "regularizers": {"rc": {"weight": 1.0}}}
    old, new = gauge(recipe, [run(3.0)]), gauge(recipe, [run(3.0, objective=2.0)])
    assert old is not None and new is not None
    assert (old.share, old.unknown) == (None, "only with its regularizers")
    assert new.last == (2.0,)


def test_what_is_not_known_is_said() -> None:
    assert gauge({"method": "simclr"}, [{"epochs": []}]) is None  # a baseline
    byol = gauge({**HERE, "method": "byol"}, [run(0.7)])
    assert byol is not None
    assert (byol.share, byol.failed) == (None, False)
    gone = gauge({**HERE, "method": "nothing"}, [run(0.7)])
    assert gone is not None
    assert "nothing" in gone.unknown
    halted = gauge({"method": "simclr"}, [{**run(0.7), "stopped": "collapse"}])
    assert halted is not None
    assert halted.unknown == "stopped"


def test_an_arm_under_half_of_the_way_gets_no_verdict() -> None:
    known = {"a": Spread((0.61, 0.63, 0.62)), "b": Spread((0.50, 0.53, 0.51))}
    claims = [Claim("a is better", better(known, "a", "b"))]
    half, less = Way(4.0, 0.0, (2.0,)), Way(4.0, 0.0, (2.1,))
    assert judge(claims, {"a": half, "b": half})[0].verdict == "yes"
    (barred,) = judge(claims, {"a": half, "b": less})
    assert (barred.holds, barred.verdict) == (None, "no verdict: b went 48 % of the way")
    (beside,) = judge(claims, {"a": half, "b": Way(unknown="not known")})
    assert (beside.holds, beside.verdict) == (True, "yes (not known how far b went)")


@pytest.mark.parametrize("name", [n for n, row in NEGATIVES.items() if row.kind == "table"])
def test_every_table_of_negatives_has_known_ends_or_none(name: str) -> None:
    """A memory of which all rows are taken has as many as there are images."""
    recipe = {"method": "moco", "negatives": {"name": name}}
    way = gauge({**HERE, **recipe}, [run(5.0)] * 2)
    assert way is not None
    row = NEGATIVES[name]
    drawn = 4096 if name == "queue" else row.drawn(row.options())  # a queue has its size
    if drawn:
        assert way.chance == pytest.approx(math.log(drawn + 1))
    else:
        assert (way.chance, way.least) == (None, None)
