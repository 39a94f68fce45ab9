"""The curve of a sweep: order, sweet spot, verdict, and what is said where it cannot be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweep_work import plan_of, trained

from viewfinder.sweeps.curve import curve_of, markdown, write
from viewfinder.sweeps.points import one_after_another
from viewfinder.sweeps.vary import coordinates, told


def test_a_peak_that_is_there_is_found_and_drawn(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, seeds=5)
    one_after_another(plan.points(), trained)
    curve = curve_of(plan, plan.points(), {})
    assert curve.best == 1 and curve.at == (0, 1, 2)
    assert [f.holds for f in curve.findings] == [True, True]
    assert "1 - 0 +30" in curve.findings[0].found and "1 - 2 +20" in curve.findings[0].found
    assert curve.findings[0].detectable.endswith("points")
    write(curve, plan, tmp_path)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    stored = json.loads((tmp_path / "results.json").read_text())
    assert np.array(stored["accuracy"]).shape == (3, 5) and stored["best"] == 1
    page = (tmp_path / "table.md").read_text()
    assert "| 1 * |" in page and "fixed by 1 of 5 seeds" in page


@pytest.mark.parametrize(
    ("seeds", "values", "told_"),
    [
        (1, (0, 1, 2), "with 1 seed there is no verdict"),
        (2, (0, 1, 2), "with 2 seeds there is no verdict"),
        (5, (0, 1), "2 values cannot show a peak within"),
        (3, (0, 1, 2), "3 seeds see only peaks many times their noise"),
    ],
)
def test_too_few_seeds_or_values_are_said_plainly(
    seeds: int, values: tuple[int, ...], told_: str, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, seeds=seeds, values=values)
    one_after_another(plan.points(), trained)
    curve = curve_of(plan, plan.points(), {})
    assert any(told_ in note for note in curve.notes)
    assert bool(curve.findings) == (seeds >= 3 and len(values) >= 3)
    assert told_ in markdown(curve, plan)


def test_information_of_clusters_takes_the_place_of_the_views(tmp_path: Path) -> None:
    def clustered(point: Any) -> dict[str, Any]:
        z = {"h_z": 1.0 + point.value, "i": min(2.0, 1.0 + point.value), "h_z_given_t": 0.0}
        return {**trained(point), "clusters": z}

    plan = plan_of(tmp_path)
    one_after_another(plan.points(), clustered)
    curve = curve_of(plan, plan.points(), {})
    assert curve.kind == "clusters" and curve.task is not None and curve.information is not None
    assert curve.information.mean(1).tolist() == [1, 2, 3] and curve.task[:, 0].tolist() == [
        1,
        2,
        2,
    ]
    assert "I(Z;T)" in markdown(curve, plan)


def test_names_have_no_order_but_their_information_has() -> None:
    assert coordinates(["lab", "rgb", "hsv"]) is None
    assert coordinates([True, False]) is None
    assert coordinates([[0.08, 1], [0.2, 2]]) is None  # two numbers differ
    assert coordinates([[0.08, 1], [0.2, 1]]) == [0.08, 0.2]
    assert coordinates([{"patches": {"offset": d, "reach": 9}} for d in (0, 4)]) == [0, 4]
    assert coordinates(["frequency:0.5", "frequency:2"]) == [0.5, 2.0]
    assert coordinates(["frequency:0.5", "channels:2"]) is None
    assert told({"b": 1, "a": [2]}) == '{"a": [2], "b": 1}'
