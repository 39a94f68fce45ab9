"""The double spiral and its noisy views, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from viewfinder.core.randomness import torch_generator
from viewfinder.data.sources.spirals import spirals
from viewfinder.evaluation import probes
from viewfinder.views.steps.noise import uniform_noise


def make(count: int = 4000, seed: int = 0, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    batch = spirals(count, torch_generator(seed, "test"), **options)
    assert batch.label is not None
    return batch.data.double(), batch.label


def accuracy(points: torch.Tensor, label: torch.Tensor) -> float:
    """Of a linear probe on the coordinates."""
    x = points.float()
    return probes.linear(x, label, x, label).top1


def test_radius_fixes_the_angle() -> None:
    points, label = make(radius=2.0, turns=2.5)
    turned = torch.where(label[:, None] == 0, points, -points)
    r = turned.norm(dim=1)
    angle = torch.atan2(turned[:, 1], turned[:, 0])
    difference = (angle - 2 * math.pi * 2.5 * r / 2.0) % (2 * math.pi)
    off = torch.minimum(difference, 2 * math.pi - difference)
    assert off[r > 0.05].max() < 1e-4
    assert 1.99 < r.max() <= 2.0


def test_interleaved_arms_keep_their_distance() -> None:
    points, label = make(radius=2.0, turns=2.5)
    outer = points[points.norm(dim=1) > 0.8]
    label = label[points.norm(dim=1) > 0.8]
    gap = torch.cdist(outer[label == 0], outer[label == 1]).min().item()
    # neighbouring arms are radius / (2 turns) = 0.4 apart along a ray, and a little less between
    # the curves, which cross the ray at an angle
    assert 0.35 < gap < 0.4


def test_mirrored_spirals_wind_in_opposite_directions_and_cross() -> None:
    points, label = make(arrangement="mirrored")
    winding = []
    for which in (0, 1):
        arm = points[label == which]
        arm = arm[arm.norm(dim=1).argsort()]
        cross = arm[:-1, 0] * arm[1:, 1] - arm[:-1, 1] * arm[1:, 0]
        winding.append(cross.sum().sign().item())
    assert winding == [1.0, -1.0]
    assert torch.cdist(points[label == 0], points[label == 1]).min() < 0.01


def test_points_are_even_in_angle_or_about_even_along_the_arms() -> None:
    # along the arc r^2 is uniform, else r: a quarter or a half of the points within half the radius
    for even, inside in (("arc", 0.25), ("angle", 0.5)):
        r = make(even=even)[0].norm(dim=1)
        assert abs((r < 0.5).double().mean() - inside) < 0.02


@pytest.mark.parametrize("turns", [1.0, 2.0, 3.0])
def test_whole_turns_leave_a_linear_classifier_at_chance(turns: float) -> None:
    points, label = make(radius=2.5, turns=turns)
    assert accuracy(points, label) < 0.54
    # which is no matter of course: other spirals are told apart by their centres of mass
    points, label = make(radius=2.5, turns=1.0, even="arc")
    assert accuracy(points, label) > 0.65


def test_the_seed_decides() -> None:
    assert torch.equal(make(seed=1)[0], make(seed=1)[0])
    assert not torch.equal(make(seed=1)[0], make(seed=2)[0])
    assert make(count=5)[1].tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("wrong", [{"count": 0}, {"arrangement": "knotted"}, {"even": "odd"}])
def test_wrong_spirals_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"count|arrangement|even"):
        make(**wrong)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_uniform_one_sided_and_independent(dtype: torch.dtype) -> None:
    points = torch.zeros(20_000, 2, dtype=dtype)
    e = uniform_noise(points, 0.4, torch_generator(0, "noise"))
    assert e.dtype == dtype
    assert e.min() >= 0
    assert e.max() <= 0.4
    torch.testing.assert_close(e.mean(0), torch.full((2,), 0.2, dtype=dtype), atol=4e-3, rtol=0)
    variance = torch.full((2,), 0.4**2 / 12, dtype=dtype)
    torch.testing.assert_close(e.var(0), variance, atol=4e-4, rtol=0)
    assert torch.corrcoef(e.T)[0, 1].abs() < 0.03


def test_no_noise_is_the_point_itself_and_negative_noise_is_refused() -> None:
    points = make(count=10)[0]
    assert torch.equal(uniform_noise(points, 0.0, torch_generator(0, "noise")), points)
    with pytest.raises(ValueError, match="eta"):
        uniform_noise(points, -0.1, torch_generator(0, "noise"))
