from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from viewfinder.views.steps.grey import Grey
from viewfinder.views.steps.jitter import Jitter, arranged, sample_jitter
from viewfinder.views.steps.solarize import Solarize

OPERATIONS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
ORDERS = torch.tensor(list(permutations(range(4))))


def color_jitter(images: torch.Tensor, factors: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The step with given parameters, on a copy as the renderer gives it one."""
    step = Jitter((0.0, 0.0, 0.0, 0.0))
    assert step.overwrites
    return step(images.clone(), {"factors": factors.to(images.dtype), "order": order})


def reference(image: torch.Tensor, factors: list[float], order: list[int]) -> torch.Tensor:
    for operation in order:
        image = OPERATIONS[operation](image, factors[operation])
    return image


def random_factors(n: int, seed: int) -> torch.Tensor:
    u = torch.rand(n, 4, generator=torch.Generator().manual_seed(seed))
    return torch.cat([u[:, :3] * 2, u[:, 3:] - 0.5], 1)


def pictures(n: int, channels: int, seed: int) -> torch.Tensor:
    """Images with greys, saturated colours, black and white among random values."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, channels, 6, 5, generator=generator)
    images[:, :, 0] = images[:, :1, 0]
    images[:, :, 1] = images[:, :, 1].round()
    images[:, :, 2] = (images[:, :, 2] * 255).round() / 255
    return images


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_every_order_equals_torchvision(channels: int, seed: int) -> None:
    images = pictures(len(ORDERS), channels, seed)
    factors = random_factors(len(ORDERS), seed)
    out = color_jitter(images, factors, ORDERS)
    for k, (image, f, o) in enumerate(zip(images, factors, ORDERS, strict=True)):
        theirs = reference(image, f.tolist(), o.tolist())
        torch.testing.assert_close(out[k], theirs, atol=1e-4, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    pixel=st.tuples(*[st.integers(0, 255)] * 3),
    turn=st.one_of(st.sampled_from([-0.5, 0.5, 0.0, 1 / 3, 1 / 6]), st.floats(-0.5, 0.5)),
)
def test_hue_equals_torchvision_for_every_colour(pixel: tuple[int, int, int], turn: float) -> None:
    image = torch.tensor(pixel).view(3, 1, 1) / 255
    ours = color_jitter(image[None], torch.tensor([[1, 1, 1, turn]]), torch.tensor([[3, 0, 1, 2]]))
    torch.testing.assert_close(ours[0], F.adjust_hue(image, turn), atol=1e-4, rtol=0)


def test_hue_of_float64_turns_exactly() -> None:
    colour = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64).view(1, 3, 1, 1)
    factors = torch.tensor([[1, 1, 1, 1 / 3]], dtype=torch.float64)
    ours = color_jitter(colour, factors, ORDERS[:1])
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours, colour[:, [2, 0, 1]], atol=1e-12, rtol=0)


def test_sorted_by_group_gives_the_same_as_all_steps_everywhere() -> None:
    n = 60
    images, factors = pictures(n, 3, 0), random_factors(n, 1)
    factors[::7, 3] = 0
    selected = torch.rand(n, generator=torch.Generator().manual_seed(2)) < 0.7
    step = Jitter((0.0, 0.0, 0.0, 0.0))
    plan = arranged(factors, ORDERS[torch.arange(n) % 24], selected)
    everywhere = step.apply_(images.clone(), plan)

    rows = plan["group"].argsort(stable=True)
    counts = plan["group"].bincount(minlength=step.groups)
    assert (counts > 0).all()
    starts = (counts.cumsum(0) - counts).tolist()
    ordered = {name: value[rows] for name, value in plan.items()}
    by_group = step.apply_(images[rows], ordered, starts)
    torch.testing.assert_close(by_group, everywhere[rows], atol=1e-5, rtol=0)
    torch.testing.assert_close(everywhere[~selected], images[~selected], atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [(0.4, 0.4, 0.4, 0.1), (1.5, 0.8, 1.0, 0.5)])
def test_jitter_is_distributed_as_torchvision_draws_it(
    strength: tuple[float, float, float, float],
) -> None:
    n = 2000
    factors, order = sample_jitter(n, strength, torch.Generator().manual_seed(3))
    transform = v2.ColorJitter(*strength)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        drawn = [transform.make_params([]) for _ in range(n)]
    names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
    for column, name in enumerate(names):
        theirs = [d[name] for d in drawn]
        assert ks_2samp(factors[:, column].numpy(), theirs).pvalue > 1e-3
    # every order of the four is equally likely
    code = (order @ torch.tensor([64, 16, 4, 1])).numpy()
    values, counts = np.unique(code, return_counts=True)
    assert len(values) == 24
    assert chisquare(counts).pvalue > 1e-3


def test_grey_and_solarize_equal_torchvision() -> None:
    images, grey, solarize = pictures(3, 3, 5), Grey(), Solarize(0.5)
    torch.testing.assert_close(grey(images, {}), F.rgb_to_grayscale(images, 3), atol=1e-6, rtol=0)
    one = images[:, :1]
    assert torch.equal(grey(one, {}), F.rgb_to_grayscale(one, 1))
    assert torch.equal(solarize(images, {}), F.solarize(images, 0.5))


def test_solarizing_at_one_half_is_the_8_bit_threshold_128() -> None:
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    theirs = F.solarize(values, 128) / 255
    torch.testing.assert_close(Solarize(0.5)(values / 255, {}), theirs, atol=1e-6, rtol=0)
