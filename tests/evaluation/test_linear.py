from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.linear_probe import (
    fit_linear_probe,
    standardisation,
    stratified_order,
    weight_decay_grid,
)

Blobs = Callable[..., tuple[Tensor, Tensor]]


def test_separable_classes_are_all_right(blobs: Blobs) -> None:
    x, y = blobs(400, 5, 10, apart=12.0)
    probe = fit_linear_probe(x, y, 5)
    test_x, test_y = blobs(200, 5, 10, apart=12.0, seed=1)
    assert bool((probe.scores(test_x).argmax(1) == test_y).all())
    assert probe.gradient <= 1e-4


def test_labels_without_meaning_give_chance(blobs: Blobs) -> None:
    x, _ = blobs(600, 5, 10, apart=1.0)
    test_x, _ = blobs(2000, 5, 10, apart=1.0, seed=1)
    generator = torch.Generator().manual_seed(5)
    y, test_y = torch.randint(0, 5, (600,), generator=generator), torch.arange(2000) % 5
    hits = (fit_linear_probe(x, y, 5).scores(test_x).argmax(1) == test_y).float().mean().item()
    deviation = (0.2 * 0.8 / 2000) ** 0.5
    assert abs(hits - 0.2) < 4 * deviation


def test_more_noise_than_data_asks_for_more_decay(blobs: Blobs) -> None:
    """With 60 rows and 200 columns of which 5 matter, the least decay overfits."""
    x, y = blobs(60, 3, 5, apart=2.0)
    noise = torch.randn(60, 195, generator=torch.Generator().manual_seed(0))
    selection = fit_linear_probe(torch.cat([x, noise], 1), y, 3, held_out=0.4).selection
    assert selection is not None
    assert selection.cross_entropy[0] > min(selection.cross_entropy[1:])
    assert selection.top1[selection.chosen] == max(selection.top1)
    assert selection.rows == 24


def test_the_scale_of_the_features_does_not_matter(blobs: Blobs) -> None:
    x, y = blobs(300, 3, 6, apart=1.5)
    x = x.double()
    scale, shift = torch.logspace(-4, 4, 6).double(), torch.arange(6).double() * 10
    plain, scaled = fit_linear_probe(x, y, 3), fit_linear_probe(x * scale + shift, y, 3)
    torch.testing.assert_close(
        scaled.scores(x * scale + shift), plain.scores(x), rtol=1e-4, atol=1e-4
    )


def test_constant_and_repeated_columns_do_no_harm(blobs: Blobs) -> None:
    x, y = blobs(200, 3, 6, apart=8.0)
    x = torch.cat([x, x, torch.full((200, 2), 7.3)], 1)
    mean, std = standardisation(x)
    assert std[-2:].tolist() == [1.0, 1.0]
    assert mean[-1].item() == pytest.approx(7.3)
    scores = fit_linear_probe(x, y, 3).scores(x)
    assert bool(scores.isfinite().all())
    assert bool((scores.argmax(1) == y).all())


def test_the_same_seed_gives_the_same_probe(blobs: Blobs) -> None:
    x, y = blobs(200, 3, 6, apart=1.0)
    first, second = fit_linear_probe(x, y, 3, seed=4), fit_linear_probe(x, y, 3, seed=4)
    assert torch.equal(first.weight, second.weight)


def test_the_grid_spans_four_decades_around_its_scale() -> None:
    grid = weight_decay_grid(1000, 100)
    assert len(grid) == 8
    assert (grid[0], grid[-1]) == (1e-4, 1.0)
    ratios = [high / low for low, high in pairwise(grid)]
    assert ratios == pytest.approx([10 ** (4 / 7)] * 7, rel=0.02)


def test_one_weight_decay_holds_nothing_out(blobs: Blobs) -> None:
    x, y = blobs(100, 3, 6, apart=1.0)
    probe = fit_linear_probe(x, y, 3, weight_decays=[0.01])
    assert probe.selection is None
    assert probe.weight_decay == 0.01


def test_a_choice_needs_a_class_with_two_rows() -> None:
    x, y = torch.eye(4), torch.arange(4)
    with pytest.raises(UserError, match="single training image"):
        fit_linear_probe(x, y, 4)
    assert fit_linear_probe(x, y, 4, weight_decays=[0.1]).weight.shape == (4, 4)


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 1000),
)
def test_the_held_out_part_is_stratified(counts: list[int], fraction: float, seed: int) -> None:
    y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    order, held = stratified_order(y, fraction, seed)
    assert sorted(order.tolist()) == list(range(len(y)))
    kept = y[order[: len(y) - held]].bincount(minlength=len(counts)).tolist()
    for count, left in zip(counts, kept, strict=True):
        assert left >= 1
        assert count - left == (
            0 if count == 1 else max(1, min(count - 1, round(fraction * count)))
        )
    assert torch.equal(order, stratified_order(y, fraction, seed)[0])
