from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binomtest
from torch import Tensor
from torchvision.transforms.v2 import functional as F
from viewfinder.views.augment import Augmentation, apply, evaluation_view, make_views
from viewfinder.views.color import Jitter

from viewfinder.core.errors import UserError
from viewfinder.views.render import Draw, draw, render

EVERYTHING = Augmentation(
    size=16,
    crop_scale=(0.2, 1.0),
    crop_ratio=(3 / 4, 4 / 3),
    flip_p=0.5,
    jitter=(0.8, 0.8, 0.8, 0.2),
    jitter_p=0.8,
    grey_p=0.3,
    blur_p=0.5,
    solarize_p=0.3,
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.3, 0.4),
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 40, channels: int = 3, height: int = 24, width: int = 20) -> Tensor:
    shape = (n, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded(7))


def torchvision_view(augmentation: Augmentation, image: Tensor, drawn: Draw, i: int) -> Tensor:
    """The same view of one image, by torchvision's functions on float tensors."""
    size = augmentation.size
    box = drawn.boxes[i].tolist()
    x = F.resized_crop(image / 255, *box, size=[size, size], antialias=True)
    if drawn.flip[i]:
        x = F.horizontal_flip(x)
    if drawn.jitter[i]:
        jitter = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for operation in drawn.order[i].tolist():
            x = jitter[operation](x, drawn.factors[i, operation].item())
    if drawn.grey[i]:
        x = F.rgb_to_grayscale(x, len(x))
    if drawn.blur[i]:
        kernel, sigma = augmentation.kernel, drawn.sigma[i].item()
        x = F.gaussian_blur(x, [kernel, kernel], [sigma, sigma])
    if drawn.solarize[i]:
        x = F.solarize(x, augmentation.solarize_threshold)
    mean, std = augmentation.mean[: len(x)], augmentation.std[: len(x)]
    return F.normalize(x, list(mean), list(std))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_whole_view_equals_torchvision_with_the_same_parameters(channels: int) -> None:
    images = pictures(64, channels)
    view = EVERYTHING.model_copy(update={"mean": EVERYTHING.mean[:channels], "std": (0.3,)})
    ours = apply(view, images, seeded())
    drawn = draw(view, 64, 24, 20, seeded())
    for part in (drawn.flip, drawn.jitter, drawn.grey, drawn.blur, drawn.solarize):
        assert 0 < part.sum() < 64
    for i, image in enumerate(images):
        theirs = torchvision_view(
            view.model_copy(update={"std": (0.3,) * channels}), image, drawn, i
        )
        # a value on the threshold of solarising may fall to either side
        near = (ours[i] - theirs).abs() <= 1e-4 / 0.3
        assert near.float().mean() > 0.995, i


def test_without_knowing_the_values_the_views_are_the_same() -> None:
    """The path for GPUs, which may not wait for values, against the one for CPUs."""
    images = pictures(64)
    ours = apply(EVERYTHING, images, seeded())
    drawn = draw(EVERYTHING, 64, 24, 20, seeded())
    jitter = Jitter.of(drawn.factors, drawn.order, drawn.jitter)
    dense = render(EVERYTHING, images, drawn, jitter)
    near = (ours - dense).abs() <= 1e-4
    assert near.float().mean() > 0.999


def test_views_are_reproducible_from_the_generator_alone() -> None:
    images = pictures()
    torch.manual_seed(1)
    first = make_views(images, [EVERYTHING, EVERYTHING], seeded(3))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = make_views(images, [EVERYTHING, EVERYTHING], seeded(3))
    assert torch.equal(torch.get_rng_state(), state)
    other = make_views(images, [EVERYTHING, EVERYTHING], seeded(4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(apply(EVERYTHING, images, seeded(3)), first[0])


@pytest.mark.parametrize("side", [32, 45])
def test_the_number_of_threads_changes_nothing(side: int) -> None:
    images = pictures(300, 3, side, side)
    view = EVERYTHING.model_copy(update={"size": side})
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [
            *make_views(images, [view, view], seeded()),
            evaluation_view(images, 24, (0,), (1,)),
        ]
        torch.set_num_threads(3)
        several = [
            *make_views(images, [view, view], seeded()),
            evaluation_view(images, 24, (0,), (1,)),
        ]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(alone, several, strict=True))


class ViewsInWorker(torch.utils.data.Dataset[Tensor]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Tensor:
        return apply(EVERYTHING, pictures(), seeded(index))


def test_views_can_be_made_in_a_forked_loader_worker() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        here = apply(EVERYTHING, pictures(), seeded(0))
        loader = torch.utils.data.DataLoader(ViewsInWorker(), num_workers=1, timeout=60)
        (there,) = list(loader)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(there[0], here)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(0, 9),
    channels=st.sampled_from([1, 2, 3, 5]),
    height=st.integers(3, 50),
    width=st.integers(3, 50),
    size=st.integers(4, 40),
    seed=st.integers(0, 99),
)
def test_shape_dtype_and_range(
    n: int, channels: int, height: int, width: int, size: int, seed: int
) -> None:
    images = pictures(n, channels, height, width)
    colour = channels in (1, 3)
    view = EVERYTHING.model_copy(
        update={
            "size": size,
            "jitter": (0.8, 0.8, 0.8, 0.2) if colour else (0.8, 0.8, 0.0, 0.0),
            "grey_p": 0.5 if colour else 0.0,
            "mean": (0.5,),
            "std": (0.5,),
        }
    )
    out = apply(view, images, seeded(seed))
    assert out.shape == (n, channels, size, size)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    assert not out.requires_grad
    if n:
        assert out.abs().max() <= 1 + 1e-5


@pytest.mark.parametrize("side", [7, 32])
@pytest.mark.parametrize("size", [8, 32])
def test_an_augmentation_that_does_nothing_gives_the_evaluation_view(side: int, size: int) -> None:
    images = pictures(20, 3, side, side)
    neutral = apply(
        Augmentation(size=size, jitter=(0.0, 0.0, 0.0, 0.0), jitter_p=1.0), images, seeded()
    )
    plain = evaluation_view(images, size, (0.5,), (0.5,))
    torch.testing.assert_close(neutral, plain, atol=2e-6, rtol=0)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(4, 60), width=st.integers(4, 60), size=st.integers(4, 40))
def test_evaluation_view_equals_torchvision(height: int, width: int, size: int) -> None:
    images = pictures(2, 3, height, width)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    x = F.center_crop(F.resize(images / 255, [size], antialias=True), [size, size])
    ours = evaluation_view(images, size, mean, std)
    torch.testing.assert_close(ours, F.normalize(x, mean, std), atol=5e-5, rtol=0)


def test_probabilities_are_met_and_their_extremes_exact() -> None:
    n = 3000
    drawn = draw(EVERYTHING, n, 8, 8, seeded())
    parts = {"flip_p": drawn.flip, "jitter_p": drawn.jitter, "grey_p": drawn.grey}
    parts |= {"blur_p": drawn.blur, "solarize_p": drawn.solarize}
    for name, part in parts.items():
        p = getattr(EVERYTHING, name)
        assert binomtest(int(part.sum()), n, p).pvalue > 1e-3, name
    # drawn independently of each other
    both = int((drawn.flip & drawn.blur).sum())
    assert binomtest(both, n, 0.25).pvalue > 1e-3
    for p in (0.0, 1.0):
        view = EVERYTHING.model_copy(update=dict.fromkeys(parts, p))
        drawn = draw(view, n, 8, 8, seeded())
        for part in (drawn.flip, drawn.jitter, drawn.grey, drawn.blur, drawn.solarize):
            assert part.float().mean() == p


def test_changing_one_part_leaves_the_draws_of_the_others() -> None:
    changed = EVERYTHING.model_copy(update={"blur_p": 0.0, "jitter": (0.0, 0.0, 0.0, 0.0)})
    a, b = draw(EVERYTHING, 50, 24, 20, seeded()), draw(changed, 50, 24, 20, seeded())
    for name in ("boxes", "flip", "grey", "sigma", "solarize", "order"):
        assert torch.equal(getattr(a, name), getattr(b, name))


def test_an_autocast_around_it_rounds_nothing() -> None:
    images = pictures()
    plain = apply(EVERYTHING, images, seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = apply(EVERYTHING, images, seeded())
    assert torch.equal(plain, inside)


def test_one_channel_images_are_already_grey() -> None:
    images = pictures(channels=1)
    view = Augmentation(size=16, jitter=(0.0, 0.0, 0.9, 0.5), jitter_p=1.0, grey_p=1.0)
    plain = apply(Augmentation(size=16), images, seeded())
    torch.testing.assert_close(apply(view, images, seeded()), plain, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("fields", "fix"),
    [
        ({"grey_p": 0.2}, "views.grey_p=0"),
        ({"jitter": (0.4, 0.3, 0.4, 0.1), "jitter_p": 0.8}, "views.jitter=[0.4,0.3,0,0]"),
        ({"mean": (0.1, 0.2, 0.3)}, "views.mean=[0.5]"),
    ],
)
def test_colour_operations_on_other_channels_say_what_to_set(
    fields: dict[str, Any], fix: str
) -> None:
    with pytest.raises(UserError) as error:
        apply(Augmentation(size=8, **fields), pictures(channels=4), seeded())
    assert error.value.fix == fix


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)],
    ids=["float", "one image"],
)
def test_wrong_images_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8 \\(N, C, H, W\\) is expected"):
        apply(Augmentation(size=8), images, seeded())
    with pytest.raises(ValueError, match="uint8 \\(N, C, H, W\\) is expected"):
        evaluation_view(images, 8, (0.5,), (0.5,))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 3}, "greater than or equal to 4"),
        ({"crop_scale": (0.5, 0.2)}, "low <= high"),
        ({"crop_scale": (0.5, 1.5)}, "larger than the image"),
        ({"crop_ratio": (0.0, 1.0)}, "low <= high"),
        ({"jitter": (0.4, 0.4, 0.4, 0.6)}, "hue at most 0.5"),
        ({"jitter": (-0.4, 0.4, 0.4, 0.1)}, "at least 0"),
        ({"blur_kernel": 4}, "odd number up to 63"),
        ({"blur_kernel": 65}, "odd number up to 63"),
        ({"blur_sigma": (0.0, 1.0)}, "low <= high"),
        ({"flip_p": 1.5}, "less than or equal to 1"),
        ({"std": (0.5, 0.0, 0.5)}, "positive numbers"),
        ({"mean": ()}, "mean and std need one value"),
        ({"colour": 1}, "Extra inputs"),
    ],
)
def test_senseless_augmentations_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Augmentation(**{"size": 32, **fields})
