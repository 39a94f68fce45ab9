"""The procedural images: each fact about them is checked against the pixels or a closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest
from sklearn.metrics import mutual_info_score
from torchvision.ops import masks_to_boxes

from viewfinder.core.errors import UserError
from viewfinder.data.shapes import render as shapes_render
from viewfinder.data.shapes.attributes import ATTRIBUTES, draw_attributes
from viewfinder.data.shapes.factors import BACKGROUNDS, Factors, draw_factors, split_key, uniform
from viewfinder.data.shapes.fields import PATTERNS, SILHOUETTES
from viewfinder.data.shapes.render import render
from viewfinder.data.shapes.source import picture, shapes_source, shapes_split
from viewfinder.data.shapes.tree import (
    CLASS_NAMES,
    CLASS_PATH_IDS,
    CLASS_PATHS,
    NODE_NAMES,
    NODE_PARENTS,
)
from viewfinder.data.source import Split

INDEX = np.arange(6000)
KEY = split_key(0, "train")


@pytest.fixture(scope="module")
def split() -> Split:
    return shapes_split("train", np.arange(300), 32)


@pytest.fixture(scope="module")
def factors() -> Factors:
    return draw_factors(KEY, INDEX)


def pixels(split: Split) -> np.ndarray:
    return split.data.read(np.arange(len(split))).numpy()


def alone(name: str, count: int = 1) -> Factors:
    """The object of one class in the middle of a plain ground, upright, without a distractor."""
    f = draw_factors(KEY, np.arange(count))
    ones = np.ones(count)
    return replace(
        f,
        label=np.full(count, CLASS_NAMES.index(name)),
        position=np.full((count, 2), 0.5),
        size=0.8 * ones,
        rotation=0 * ones,
        background=np.full(count, BACKGROUNDS.index("plain")),
        distractor=np.full(count, -1),
    )


# Draws


def test_uniform_is_the_published_sequence_of_splitmix64() -> None:
    # The reference implementation's first outputs for the seed 1234567.
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    ours = [uniform(1234567, np.array([0]), draw)[0] for draw in range(5)]
    np.testing.assert_array_equal(ours, [(z >> 11) / 2.0**53 for z in published])


@pytest.mark.parametrize("draw", [0, 17, 63])
def test_draws_are_uniform_and_independent_of_their_neighbours(draw: int) -> None:
    u = uniform(KEY, INDEX, draw)
    assert kstest(u, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(u, uniform(KEY, INDEX, (draw + 1) % 64))[0, 1]) < 0.05


def test_a_draw_beyond_an_images_own_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 63"):
        uniform(KEY, INDEX, 64)


def test_an_image_depends_on_seed_split_and_index_alone(split: Split) -> None:
    rows = np.array([41, 7, 299, 7])
    again = shapes_split("train", rows, 32)
    np.testing.assert_array_equal(pixels(again), pixels(split)[rows])
    np.testing.assert_array_equal(again.attributes.values, split.attributes.values[rows])
    for name, values in again.factors.items():
        np.testing.assert_array_equal(values, split.factors[name][rows], err_msg=name)
    for other in (shapes_split("test", rows, 32), shapes_split("train", rows, 32, seed=1)):
        assert (pixels(other) != pixels(again)).any(axis=(1, 2, 3)).all()


def test_images_do_not_depend_on_how_many_are_drawn_together(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = shapes_source(32, limit=120, test=3)
    assert {name: len(s) for name, s in few.splits.items()} == {"train": 120, "test": 3}
    np.testing.assert_array_equal(pixels(few.train), pixels(split)[:120])
    monkeypatch.setattr(shapes_render, "_CHUNK_PIXELS", 7 * 32 * 32)
    np.testing.assert_array_equal(pixels(shapes_split("train", np.arange(300), 32)), pixels(split))


def test_train_and_test_share_no_image() -> None:
    source = shapes_source(16, limit=2000)
    train, test = ({image.tobytes() for image in pixels(s)} for s in source.splits.values())
    assert len(train) == len(test) == 2000
    assert not train & test


def test_classes_are_balanced_within_noise(factors: Factors) -> None:
    for f in (factors, draw_factors(split_key(0, "test"), INDEX)):
        assert chisquare(np.bincount(f.label, minlength=len(CLASS_NAMES))).pvalue > 1e-4


# What is seen


def test_boxes_hold_the_mask_tightly(split: Split) -> None:
    masks = split.factors["mask"]
    inclusive = masks_to_boxes(torch.from_numpy(masks)).numpy()
    np.testing.assert_array_equal(split.factors["box"] - inclusive, [[0, 0, 1, 1]] * len(split))
    np.testing.assert_array_equal(split.factors["mask_area"], masks.sum((1, 2)))


def test_the_object_lies_within_its_circle_and_the_circle_within_the_image(split: Split) -> None:
    f = split.factors
    centre, radius = f["position"], f["size"][:, None] * 32 / 2
    assert (centre - radius >= 0).all()
    assert (centre + radius <= 32).all()
    middle = np.arange(32) + 0.5
    for mask, (x, y), r in zip(f["mask"], centre, radius[:, 0], strict=True):
        distance = np.hypot(middle[None, :] - x, middle[:, None] - y)
        assert distance[mask].max() < r + 0.75  # a pixel half covered has its centre near


@pytest.mark.parametrize(
    ("name", "area"),
    [  # of the silhouette in the unit circle
        ("circle", np.pi),
        ("ellipse", np.pi / 2),
        ("half disc", np.pi / 2 / 1.16),
        ("ring", np.pi * (1 - 0.45**2)),
        ("heart", (2 + np.pi / 2) * 0.7929**2),
        ("square", 2),
        ("rectangle", 4 * 0.91 * np.sqrt(1 - 0.91**2)),
        ("triangle", np.sqrt(27) / 4),
        ("kite", 1.24),
        ("star", 5 * 0.42 * np.sin(np.pi / 5)),
        ("arrow", 0.95 + 0.6 * 0.95),
        ("plus", 2 * 2 * np.sqrt(1 - 0.27**2) * 0.54 - 0.54**2),
        ("tee", 1.6 * 0.5 + 0.54 * 1.06),
    ],
)
def test_mask_areas_are_those_of_geometry(name: str, area: float) -> None:
    rng = np.random.default_rng(0)  # where edges run along pixels, a mask may err by half a row
    f = replace(
        alone(name, 200),
        rotation=rng.uniform(0, 2 * np.pi, 200),
        position=rng.uniform(0.45, 0.55, (200, 2)),
    )
    _, masks = render(f, 32)
    areas, expected = masks.sum((1, 2)), area * (0.4 * 32) ** 2
    assert areas.mean() == pytest.approx(expected, rel=0.01)
    assert np.abs(areas - expected).max() < 0.09 * expected


def test_colour_and_coverage_at_the_outline() -> None:
    f = alone("square")
    f = replace(f, texture=np.zeros(1, int), size=np.array([np.sqrt(2) * 21 / 32]))
    image, mask = render(f, 32, noise=0)  # edges at 16 ± 10.5: half of a pixel on each side
    inside, outside = (np.round(255 * rgb[0, 0]) for rgb in (f.rgb, f.background_rgb))
    np.testing.assert_array_equal(image[0, :, 16, 16], inside)
    np.testing.assert_array_equal(image[0, :, 0, 0], outside)
    assert image[0, :, 5, 16] == pytest.approx((inside + outside) / 2, abs=1)
    np.testing.assert_array_equal(image[0, :, 4, 16], outside)
    np.testing.assert_array_equal(image[0, :, 6, 16], inside)
    assert mask[0, 6:26, 6:26].all()


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_a_quarter_turn_is_rot90(name: str) -> None:
    f = replace(alone(name, 8), rotation=np.linspace(-0.7, 0.7, 8))
    turned, turned_masks = render(replace(f, rotation=f.rotation + np.pi / 2), 32, noise=0)
    image, masks = render(f, 32, noise=0)
    expected = np.rot90(image, axes=(2, 3)).astype(int)
    assert np.abs(turned - expected).max() <= 1
    assert (turned_masks != np.rot90(masks, axes=(1, 2))).sum() <= 2  # half-covered pixels


def test_positions_move_the_object_by_pixels() -> None:
    f = alone("arrow")
    moved = replace(f, position=f.position + np.array([[3, -2]]) / 32)
    (image, mask), (image2, mask2) = render(f, 32, noise=0), render(moved, 32, noise=0)
    np.testing.assert_array_equal(mask2[0], np.roll(mask[0], (-2, 3), (0, 1)))
    difference = image2[0].astype(int) - np.roll(image[0], (-2, 3), (1, 2))
    assert np.abs(difference).max() <= 1


def test_an_index_shows_the_same_scene_at_every_size(split: Split) -> None:
    large = shapes_split("train", np.arange(60), 64)
    for name in ("size", "rotation", "colour", "background", "distractor"):
        np.testing.assert_array_equal(large.factors[name], split.factors[name][:60])
    np.testing.assert_allclose(large.factors["position"], 2 * split.factors["position"][:60])
    f = draw_factors(KEY, np.arange(60))
    halved = render(f, 64, noise=0)[0].reshape(60, 3, 32, 2, 32, 2).mean((3, 5))
    assert np.abs(halved - render(f, 32, noise=0)[0]).mean() < 2  # of 255


def test_noise_is_uniform_and_differs_between_images_and_pixels() -> None:
    f = draw_factors(KEY, np.arange(64))
    noise = shapes_render._noise(f.noise, 32, 0.1)
    assert kstest(noise[:8].ravel(), "uniform", (-0.1, 0.2)).pvalue > 1e-4
    between_images = np.corrcoef(noise.reshape(64, -1))
    assert np.abs(between_images - np.eye(64)).max() < 0.1  # 5 / sqrt(3072)
    for axis in (1, 2, 3):
        ahead, behind = np.moveaxis(noise, axis, 0)[1:], np.moveaxis(noise, axis, 0)[:-1]
        assert abs(np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]) < 0.02


def test_objects_differ_in_lightness_from_their_ground(split: Split) -> None:
    images, f = pixels(split).astype(float), split.factors
    far = ~f["mask"]
    for image, mask, ground, bright in zip(images, f["mask"], far, f["bright"], strict=True):
        assert (image[:, mask].mean() > image[:, ground].mean()) == bright


# Fields


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_silhouettes_are_mirrored_fill_their_circle_and_have_unit_slope(name: str) -> None:
    line = np.linspace(-1.1, 1.1, 441)
    x, y = np.meshgrid(line, line)
    d = SILHOUETTES[name](x, y)
    np.testing.assert_allclose(d, SILHOUETTES[name](-x, y), atol=1e-12)
    reach = np.hypot(x, y)[d <= 0].max()
    assert 0.985 < reach < 1.005
    slope = np.hypot(*np.gradient(d, line[1] - line[0]))
    assert np.median(slope[np.abs(d) < 0.02]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_mixes(name: str) -> None:
    x, y = np.random.default_rng(0).uniform(-20, 20, (2, 5000))
    mix = PATTERNS[name](x, y)
    assert mix.min() >= 0
    assert mix.max() <= 1
    if name != "plain":
        assert mix.std() > 0.1


# What is known


def test_the_class_tree_is_a_tree_of_five_levels() -> None:
    assert set(NODE_PARENTS) == set(NODE_NAMES)
    assert len(set(NODE_NAMES)) == len(NODE_NAMES) == 31
    assert [name for name, above in NODE_PARENTS.items() if above is None] == ["shape"]
    assert len(CLASS_NAMES) == 16
    for label, name in enumerate(CLASS_NAMES):
        walk = [name]
        while (above := NODE_PARENTS[walk[0]]) is not None:
            walk.insert(0, above)
            assert len(walk) <= 5
        assert tuple(walk) == CLASS_PATHS[label]
        assert [NODE_NAMES[i] for i in CLASS_PATH_IDS[label]] == walk
    assert [len(set(CLASS_PATH_IDS[:, level])) for level in range(5)] == [1, 2, 4, 8, 16]


def test_each_image_has_the_path_of_its_class(split: Split) -> None:
    paths = split.factors["class_path"]
    assert [NODE_NAMES[i] for i in paths[:, -1]] == [split.class_names[t] for t in split.labels]
    assert (paths[:, 0] == 0).all()


def entropy(p: float) -> float:
    return 0.0 if p in (0, 1) else float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def test_attributes_differ_in_entropy_and_in_what_they_tell(factors: Factors) -> None:
    table = draw_attributes(factors, KEY, INDEX)
    assert table.values.shape == (len(INDEX), len(ATTRIBUTES))
    assert len(set(table.names)) == len(ATTRIBUTES) >= 20
    assert set(np.unique(table.values)) == {0, 1}
    entropies = [entropy(p) for p in table.values.mean(axis=0)]
    assert min(entropies) < 0.1
    assert max(entropies) > 0.999
    assert np.histogram(entropies, bins=[0, 0.2, 0.5, 0.75, 0.9, 0.97, 1.01])[0].min() >= 1
    for attribute, column in zip(ATTRIBUTES, table.values.T, strict=True):
        told = mutual_info_score(factors.label, column) / np.log(2)
        if attribute.about == "class":
            truth = [attribute.rule(factors)[factors.label == c].mean() for c in range(16)]
            assert set(truth) <= {0, 1}
            share = attribute.rule(factors).mean()
            flip = attribute.flip  # a binary symmetric channel: H(output) - H(flip)
            expected = entropy(share * (1 - flip) + (1 - share) * flip) - entropy(flip)
            assert told == pytest.approx(expected, abs=0.02), attribute.name
        else:
            assert told < 0.005, attribute.name  # plug-in bias: 15 / (2 n ln 2) = 0.002


def test_facts_of_the_image_say_nothing_of_the_class(factors: Factors) -> None:
    for name in ("colour", "bright", "texture", "background", "distractor"):
        told = mutual_info_score(factors.label, getattr(factors, name))
        assert told < 0.015, name
    for name in ("size", "rotation", "hue", "texture_period"):
        groups = [getattr(factors, name)[factors.label == c].mean() for c in range(16)]
        spread = getattr(factors, name).std() / np.sqrt(len(INDEX) / 16)
        assert np.std(groups) < 2 * spread, name


# Mistakes, and the picture


@pytest.mark.parametrize("size", [0, 8, 5000])
def test_sizes_that_cannot_be_drawn_are_named(size: int) -> None:
    with pytest.raises(UserError, match=rf"data.size is {size}; .*16 to 256.*data.size=32"):
        shapes_source(size)


def test_a_limit_of_none_is_named() -> None:
    with pytest.raises(UserError, match=r"data.limit is 0"):
        shapes_source(limit=0)


def test_the_picture_of_all_classes(tmp_path: Path) -> None:
    from PIL import Image

    picture(tmp_path / "shapes.png", size=16, columns=3)
    assert Image.open(tmp_path / "shapes.png").size == (6 * 16, 8 * 16)
