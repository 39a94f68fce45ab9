"""What every split keeps; a split joins by being registered in the table."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from pictures import pictures, seeded

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.views import SPLITS, ViewMaker, compose, preset
from viewfinder.views.colours.cie import rgb_to_lab
from viewfinder.views.maker import Split

STEPS = ["crop", "flip", "jitter", "normalise"]
FITTING: dict[str, dict[str, Any]] = {"patches": {"offset": 3}}
"""What the defaults are too large for."""
CLIPS = Domain("clips", (4, 3, 16, 16))
PLAIN = {"frames": ["normalise"]}
"""The steps of splits that take none by chance."""


SEEN = [row for row in SPLITS.values() if "tokens" not in row.modalities]
"""What is read is held to the same in tests of its own: test_masked.py."""
every_split = pytest.mark.parametrize("row", SEEN, ids=lambda row: row.name)
of_images = pytest.mark.parametrize(
    "row", [row for row in SEEN if "images" in row.modalities], ids=lambda row: row.name
)


def maker(row: Split, **options: Any) -> ViewMaker:
    split = {row.name: {**FITTING.get(row.name, {}), **options}}
    domain = CLIPS if "clips" in row.modalities else None
    return compose(PLAIN.get(row.name, STEPS), 16, domain=domain, split=split)


def data_of(row: Split, n: int = 6) -> torch.Tensor:
    """What the row takes: images, or clips of four."""
    if "clips" not in row.modalities:
        return pictures(n)
    return pictures(4 * n, height=16, width=16).view(n, *CLIPS.shape)


@every_split
def test_domains_fit_the_views(row: Split) -> None:
    made, images = maker(row), data_of(row)
    for data in (images, images[:1]):
        views = made(data, seeded())
        assert len(views) == len(made.domains) >= made.count
        for view, domain in zip(views, made.domains, strict=True):
            assert view.shape == (len(data), *domain.shape)
            assert view.dtype == torch.float32
            assert view.is_contiguous()
            cut = domain.modality == "clips" and made.source.modality == "images"
            assert (domain.size == 16) == (not cut)
            assert len(domain.shape) == (3 if domain.modality == "images" else 4)
    assert row.views in (None, made.count)


@every_split
def test_frozen_views_fit_the_networks_and_have_no_chance(row: Split) -> None:
    made, images = maker(row), data_of(row)
    seen = made.frozen(images)
    assert set(made.networks) == {domain.network for domain in made.domains}
    assert set(seen) == set(made.encoders) <= {d.network for d in made.domains if not d.pieces}
    for network, view in seen.items():
        assert view.shape == (6, *made.networks[network].shape)
        assert torch.equal(made.frozen(images)[network], view)
    steps = [{"normalise": {"mean": [0.4]}}]
    other = compose(steps, 16, domain=made.source, split={row.name: FITTING.get(row.name, {})})
    assert made.describe_frozen() != other.describe_frozen()


@every_split
def test_the_generator_alone_decides_and_a_pickle_does_the_same(row: Split) -> None:
    made, images = maker(row), data_of(row)
    again = pickle.loads(pickle.dumps(made))
    first = made(images, seeded(1))
    for views in (made(images, seeded(1)), again(images, seeded(1))):
        assert all(torch.equal(a, b) for a, b in zip(first, views, strict=True))
    if row.name not in PLAIN:
        assert not torch.equal(first[0], made(images, seeded(2))[0])
    assert again.domains == made.domains
    single = made(images[0])
    assert [view.shape for view in single] == [domain.shape for domain in made.domains]


@every_split
def test_views_are_shown_as_pictures(row: Split) -> None:
    made, images = maker(row), data_of(row)
    for i, view in enumerate(made(images, seeded())):
        shown = made.shown(view, i)
        assert shown.shape[0] == 6 and shown.shape[1] in (1, 3)
        assert shown.min() >= 0 and shown.max() <= 1


@every_split
def test_each_view_may_be_of_another_datum_where_the_row_says_so(row: Split) -> None:
    made, images = maker(row), data_of(row)
    batches = [images, images.flip(0)]
    if not row.partners:
        with pytest.raises(ValueError, match=r"all views are of one batch; \d were given"):
            made(batches, seeded())
        return
    first, second = made(batches, seeded())
    x, y = made(images, seeded()), made(images.flip(0), seeded())
    assert torch.equal(first, x[0])
    assert torch.equal(second, y[1])
    with pytest.raises(ValueError, match="3 batches for 2 views"):
        made([images] * 3, seeded())


@of_images
def test_what_is_no_data_or_no_view_is_refused(row: Split) -> None:
    made, images = maker(row), pictures(6)
    for wrong in (images.float() / 255, images[0], images[:, :1]):
        with pytest.raises(ValueError, match=r"data are torch.*(uint8 \(N, C|3 channels)"):
            made.frozen(wrong)
        if wrong.ndim == 4:
            with pytest.raises(ValueError, match=r"data are torch.*(uint8 \(N, C|3 channels)"):
                made(wrong, seeded())
    for i, view in enumerate(made(images, seeded())):
        with pytest.raises(ValueError, match=r"a view is torch.uint8 .*floats, as the maker"):
            made.shown((255 * view.clamp(0, 1)).byte(), i)


@of_images
def test_sides_that_are_none_are_refused(row: Split) -> None:
    made, images = maker(row), pictures(6)
    right = torch.full((6, 2), 40)
    made(images, seeded(), right)
    for wrong in (0 * right, -right, right.float(), right[:5], right[:, :1], right.flatten()):
        with pytest.raises(ValueError, match=r"sides are torch.*integers \(6, 2\), from 1"):
            made(images, seeded(), wrong)
        with pytest.raises(ValueError, match=r"sides are torch.*integers \(6, 2\), from 1"):
            made.frozen(images, wrong)
    if not row.partners:
        return
    with pytest.raises(ValueError, match="sides of 1 batches are given for 2"):
        made([images, images], seeded(), [right])


@of_images
def test_batches_of_unequal_length_are_refused(row: Split) -> None:
    made, images = maker(row), pictures(6)
    expected = r"have \[6, 4\] data" if row.partners else "all views are of one batch"
    with pytest.raises(ValueError, match=expected):
        made([images, images[:4]], seeded())
    with pytest.raises(ValueError, match="all views are of one batch; 0 were given"):
        made([], seeded())


@of_images
@pytest.mark.parametrize("size", [-5, 0, (16, 16), 16.0, "16", float("nan"), True], ids=str)
def test_a_size_that_is_none_is_refused(row: Split, size: Any) -> None:
    split = {row.name: FITTING.get(row.name, {})}
    for makes in (lambda **more: compose(STEPS, **more), lambda **more: preset("byol", **more)):
        with pytest.raises(UserError, match=r"^size is .*a whole number, at least 1, is expected"):
            makes(size=size, split=split)
        with pytest.raises(UserError, match=r"^channels is .*a whole number, at least 1, is exp"):
            makes(size=16, channels=size, split=split)
    with pytest.raises(UserError, match="a side of the domain is"):
        compose(STEPS, domain=Domain("images", (3, 16, size)), split=split)


@every_split
def test_unknown_options_and_other_modalities_are_refused(row: Split) -> None:
    with pytest.raises(UserError, match=f"{row.name}: has no option colour"):
        maker(row, colour=1)
    points = Domain("points", (2,))
    if "points" in row.modalities:
        made = compose(["noise"], domain=points, split=row.name)
        (first, second), x = made(torch.rand(5, 2)), torch.rand(5, 2)
        assert first.shape == second.shape == (5, 2)
        assert torch.equal(made.frozen(x)["main"], x)
    else:
        with pytest.raises(UserError, match="the data are points"):
            compose(["noise"], domain=points, split=row.name)


def test_draws_alternate_and_small_views_follow() -> None:
    images = pictures(6)
    split = {"draws": {"count": 3, "small_count": 2, "small_size": 8, "small_scale": [0.1, 0.2]}}
    made = compose(
        [{"crop": [1, 1]}, "normalise"],
        16,
        second=[{"crop": [1, 1]}, {"grey": 1.0}, "normalise"],
        split=split,
    )
    views = made(images, seeded())
    assert made.count == 3
    assert [view.shape[-1] for view in views] == [16, 16, 16, 8, 8]
    grey = [bool((view[:, :1] == view).all()) for view in views]
    assert grey == [False, True, False, False, True]
    assert made.networks == {"main": made.domains[0]}
    # a quarter of the large views' side, of a fifth of the image at most: nothing is seen twice
    assert not torch.equal(views[3], views[4])


def test_a_channel_split_cuts_one_draw() -> None:
    images = pictures(6)
    for k in (1, 2):
        made = compose(STEPS, 16, split={"channels": k})
        views = made(images, seeded())
        (whole,) = compose(STEPS, 16, split={"draws": 1})(images, seeded())
        assert torch.equal(torch.cat(views, 1), whole)
        assert [d.channels for d in made.domains] == [k, 3 - k]
        assert list(made.networks) == ["first", "second"]
        seen = compose(STEPS, 16).frozen(images)["main"]
        assert torch.equal(torch.cat(list(made.frozen(images).values()), 1), seen)


def test_lightness_and_colours_of_lab_are_shown_by_themselves() -> None:
    images = pictures(6, 3, 16, 16)
    made = compose(["lab"], 16, split={"channels": 1})
    light = made.shown(made(images, seeded())[0], 0)
    # without a and b every pixel is grey, and as light as it was
    assert (light.amax(1) - light.amin(1)).max() < 2e-3
    wanted = rgb_to_lab(images / 255)
    torch.testing.assert_close(rgb_to_lab(light)[:, 0], wanted[:, 0], atol=0.05, rtol=0)
    # without L red stays red, as light as mid-grey
    red = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    red[:, 0] = 128
    shown = made.shown(made(red, seeded())[1], 1)
    assert (shown[:, 0] > shown[:, 1:].amax(1) + 0.3).all()


def test_a_channel_split_that_leaves_nothing_or_has_two_lists_is_refused() -> None:
    with pytest.raises(UserError, match="the first 3 of 3 channels leave none"):
        compose(STEPS, 16, split="channels:3")
    with pytest.raises(UserError, match="the first 1 of 1 channels"):
        compose(STEPS, 16, channels=1, split="channels")
    with pytest.raises(UserError, match="lists of the first and the second view differ"):
        compose(STEPS, 16, second=["normalise"], split="channels")
    with pytest.raises(UserError, match="split is 0"):
        compose(STEPS, 16, split={"channels": 0})


def test_a_device_of_its_own_for_the_generator_is_refused() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with pytest.raises(ValueError, match="one device is expected"):
        compose(STEPS, 16)(pictures(2), torch.Generator("cuda"))
