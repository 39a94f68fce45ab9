"""Pairs of views: what is drawn, of what, and the critics that score them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viewfinder.data.domain import Domain
from viewfinder.data.stored import ArrayData
from viewfinder.information.critics import Separable
from viewfinder.information.view_pairs import LabelPairs, ViewPairs
from viewfinder.networks.view_critic import label_critic, view_critic
from viewfinder.views import compose

IMAGES = torch.randint(0, 256, (600, 3, 16, 16), dtype=torch.uint8)


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_views_are_drawn_anew_by_the_generator_alone() -> None:
    pairs = ViewPairs(ArrayData(IMAGES), compose(["crop", "normalise"], 16))
    index = torch.arange(599, -1, -2)
    first, again = pairs.draw(index, stream()), pairs.draw(index, stream())
    assert len(pairs) == 600 and first[0].shape == first[1].shape == (300, 3, 16, 16)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)
    generator = stream()
    pairs.draw(index, generator)
    assert not torch.equal(pairs.draw(index, generator)[0], first[0])
    assert pairs.fitted(index) is pairs


def test_both_views_are_of_the_datum_that_was_asked_for() -> None:
    pairs = ViewPairs(ArrayData(IMAGES), compose(["normalise"], 16))
    index = torch.tensor([5, 0, 599, 5])
    wanted = (IMAGES[index].float() / 255 - 0.5) / 0.5
    for view in pairs.draw(index, stream()):
        torch.testing.assert_close(view, wanted)


def test_a_label_stands_beside_its_own_view() -> None:
    labels = torch.from_numpy(np.arange(600) % 7)
    pairs = LabelPairs(ArrayData(IMAGES), compose(["normalise"], 16), labels)
    index = torch.tensor([8, 3, 300])
    view, one_hot = pairs.draw(index, stream())
    assert one_hot.shape == (3, 7) and torch.equal(one_hot.argmax(1), labels[index])
    torch.testing.assert_close(view, (IMAGES[index].float() / 255 - 0.5) / 0.5)


@pytest.mark.parametrize("split", ["draws", "channels:1", {"jigsaw": {"weight": 0.5}}], ids=str)
def test_a_critic_scores_each_pair_of_any_two_views(split: object) -> None:
    """Networks are shared as in a run: of the same domain, and pieces with the whole."""
    maker = compose([{"crop": [0.5, 1.0]}, "normalise"], 24, split=split)
    first, second = maker.domains[:2]
    views = maker(torch.randint(0, 256, (6, 3, 24, 24), dtype=torch.uint8), stream())
    critic = view_critic(first, second, 32, 8).eval()
    scores = critic(views[0], views[1][:4])
    assert scores.shape == (6, 4)
    torch.testing.assert_close(scores[2:3, 3:4], critic(views[0][2:3], views[1][3:4]))
    scores.sum().backward()
    assert all(p.grad is not None for p in critic.parameters())
    alone = view_critic(first, first, 32, 8)
    shared = sum(p.numel() for p in critic.parameters()) < 1.9 * sum(
        p.numel() for p in alone.parameters()
    )
    assert shared == (split != "channels:1")


def test_a_class_has_a_vector() -> None:
    critic = label_critic(Domain("points", (5,)), 3, 16, 8)
    assert isinstance(critic, Separable)
    assert critic(torch.randn(4, 5), torch.eye(3)).shape == (4, 3)
