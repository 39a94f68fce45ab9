"""Colorful Moving-MNIST: how digits move, what frames show, and what a later frame shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.data.moving_digits.embedded import CLASSES, enlarged
from viewfinder.data.moving_digits.scene import CANVAS, DIGIT, ROOM, SPEED, composed, paths
from viewfinder.data.moving_digits.source import FACTORS
from viewfinder.data.source import Source, layers_of
from viewfinder.data.sources.table import open_source
from viewfinder.data.stored import Subset
from viewfinder.evaluation.probes.quantity import regress_features
from viewfinder.evaluation.probes.targets import Quantity, find_target
from viewfinder.training.loader import SplitDataset
from viewfinder.views import compose

SUBSETS = [[name for k, name in enumerate(FACTORS) if n >> k & 1] for n in range(7)]


def stepwise(start: np.ndarray, angle: float, frames: int) -> np.ndarray:
    """Frame by frame: move, and wherever a border is passed turn that velocity and the rest of the
    way round."""
    place, velocity = start.copy(), SPEED * np.array([np.cos(angle), np.sin(angle)])
    found = [place.copy()]
    for _ in range(frames - 1):
        place = place + velocity
        for axis in (0, 1):
            if place[axis] < 0:
                place[axis], velocity[axis] = -place[axis], -velocity[axis]
            if place[axis] > ROOM:
                place[axis], velocity[axis] = 2 * ROOM - place[axis], -velocity[axis]
        found.append(place.copy())
    return np.array(found)


def test_digits_move_at_a_tenth_of_the_canvas_and_bounce() -> None:
    generator = np.random.default_rng(0)
    start, angle = generator.uniform(0, ROOM, (50, 2)), generator.uniform(0, 2 * np.pi, 50)
    found = paths(start, angle, np.arange(1, 21))
    for one, a, path in zip(start, angle, found, strict=True):
        np.testing.assert_allclose(path, stepwise(one, a, 20), atol=1e-9)
    assert found.min() >= 0 and found.max() <= ROOM
    apart = np.linalg.norm(np.diff(found, axis=1), axis=-1)
    assert apart.max() <= 6.4 + 1e-9  # less where it bounces
    assert np.isclose(apart, 6.4).mean() > 0.5


def test_a_frame_is_its_background_with_a_white_digit_over_it() -> None:
    generator = torch.Generator().manual_seed(0)
    ground = torch.randint(0, 256, (2, 3, CANVAS, CANVAS), generator=generator).byte()
    digit = torch.randint(0, 256, (2, DIGIT, DIGIT), generator=generator).byte()
    digit[:, :5] = 0
    digit[:, -5:] = 255
    corner = torch.tensor([[[0, 0], [36, 36]], [[7, 20], [36, 3]]])
    frames = composed(ground, digit, corner)
    for i in range(2):
        for t in range(2):
            x, y = corner[i, t].tolist()
            wanted = ground[i].double() / 255
            cover = digit[i].double() / 255
            window = wanted[:, y : y + DIGIT, x : x + DIGIT]
            wanted[:, y : y + DIGIT, x : x + DIGIT] = window + (1 - window) * cover
            assert (frames[i, t].double() - 255 * wanted).abs().max() <= 0.5 + 1e-9


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source("moving-digits:train=400,test=60", seed=3)


def test_clips_are_a_function_of_seed_split_and_index(source: Source) -> None:
    data = source.train.data
    assert data.shape == (11, 3, 64, 64)
    clips = data.read(np.array([5, 2, 5]))
    assert torch.equal(clips[0], clips[2]) and not torch.equal(clips[0], clips[1])
    longer = open_source("moving-digits:train=401,test=60", seed=3, limit=50).train
    assert torch.equal(longer.data.read(np.array([5])), clips[:1]) and len(longer) == 50
    other = open_source("moving-digits:train=400,test=60", seed=4).train
    assert not torch.equal(other.data.read(np.array([5])), clips[:1])
    assert not torch.equal(source.splits["test"].data.read(np.array([5])), clips[:1])


def test_a_clip_has_its_first_frames_and_the_later_one(source: Source) -> None:
    data = source.train.data
    whole = open_source("moving-digits:past=19,later=20,train=400,test=60", seed=3).train.data
    rows = np.arange(20)
    chosen = [*range(10), 19]
    assert torch.equal(whole.read(rows)[:, chosen], data.read(rows))


def test_factors_are_what_the_clips_show(source: Source) -> None:
    """Layers make the clips, the position is the later frame's, and labels are the digits'."""
    split, rows = source.train, np.arange(40)
    layers = layers_of(split.data, rows)
    own = {name: layers[name][:, 0] for name in FACTORS}
    made = composed(own["background"], own["digit"], own["position"])
    assert torch.equal(made, split.data.read(rows))
    centre = own["position"][:, -1].double() + 14
    assert np.array_equal(split.factors["position"][rows], centre.numpy())
    assert np.array_equal(split.labels, split.factors["digit"])
    background = open_source("moving-digits:label=background,train=400,test=60", seed=3).train
    assert np.array_equal(background.labels, split.factors["background"])
    assert list(background.class_names or ()) == list(CLASSES)
    part = Subset(split.data, np.array([7, 9]))
    assert torch.equal(layers_of(part, np.array([1]))["digit"], layers["digit"][9:10])


def test_every_value_of_a_factor_is_about_equally_frequent_and_independent_of_the_others() -> None:
    train = open_source("moving-digits:train=10000", seed=0).train
    digit, ground = (train.factors[name] for name in ("digit", "background"))
    joint = np.zeros((10, 10))
    np.add.at(joint, (digit, ground), 1)
    expected = np.outer(joint.sum(1), joint.sum(0)) / joint.sum()
    statistic = ((joint - expected) ** 2 / expected).sum()
    assert statistic < 126  # chi-squared of 81 degrees: above it once in a thousand
    assert joint.sum(0).min() > 800
    assert abs(np.corrcoef(train.factors["position"].T, digit)[:2, 2]).max() < 0.04


@pytest.mark.parametrize("share", SUBSETS, ids="+".join)
def test_a_later_frame_shares_exactly_the_chosen_factors(share: list[str], source: Source) -> None:
    """It is the same whatever the clip's other factors are, and another where a shared one is."""
    maker = compose([], domain=_domain(source), split={"frames": {"share": share}})
    batch = SplitDataset(source.train).__getitems__([*range(8)])
    factors = dict(batch.factors)

    def later(changed: dict[str, Tensor]) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return maker(batch.data, generator, factors={**factors, **changed})[1]

    first = later({})
    shown = {name: factors[name][:, 0] for name in share}
    for name in FACTORS:
        changed = factors[name].clone()
        changed[:, 0] = changed[:, 0].roll(1, 0)  # the clips' own, and nothing else
        same = torch.equal(later({name: changed}), first)
        assert same == (name not in share)
    # and what is shared is the clip's very own: some other scene's rest makes the frame
    others = {name: factors[name][:, 1] for name in FACTORS}
    for i in range(3):
        frames = {
            bytes((255 * x).round().byte().numpy())
            for x in _all_frames(i, shown, others, share, maker)
        }
        assert bytes((255 * first[i]).round().byte().numpy()) in frames


def _all_frames(
    i: int, own: dict[str, Tensor], others: dict[str, Tensor], share: list[str], maker: object
) -> list[Tensor]:
    """Every frame that clip i's shared factors make with those of the other scenes."""
    rest = [name for name in FACTORS if name not in share]
    grids = torch.meshgrid(*[torch.arange(8)] * len(rest), indexing="ij")
    rows = {name: grid.flatten() for name, grid in zip(rest, grids, strict=True)}
    count = len(next(iter(rows.values())))
    shown = {
        name: own[name][i : i + 1].expand(count, *own[name].shape[1:])
        if name in share
        else others[name][rows[name]]
        for name in FACTORS
    }
    frames = composed(
        shown["background"].contiguous(), shown["digit"].contiguous(), shown["position"][:, -1:]
    )
    return [*(frames[:, 0].float() / 255)]


def test_what_is_not_shared_agrees_by_chance_alone(source: Source) -> None:
    """Over steps every clip meets other scenes, each dealt to one clip of the batch at a time."""
    maker = compose([], domain=_domain(source), split={"frames": {"share": ["digit"]}})
    batch = SplitDataset(source.train).__getitems__([*range(30)])
    grounds = batch.factors["background"]
    views = [
        maker(batch.data, torch.Generator().manual_seed(step), factors=batch.factors)[1]
        for step in (0, 0, 1)
    ]
    assert torch.equal(views[0], views[1]) and not torch.equal(views[0], views[2])
    # the corner pixel of a background is hidden by no digit that begins inside
    corners = (255 * views[2][:, :, -1, 0]).round().byte()
    assert sorted(map(bytes, corners.numpy())) == sorted(
        map(bytes, grounds[:, 1, :, -1, 0].numpy())
    )


def test_with_all_factors_shared_the_later_frame_is_as_it_is(source: Source) -> None:
    clips = source.train.data.read(np.arange(4))
    for split in ("frames", {"frames": {"share": list(FACTORS)}}):
        past, later = compose([], domain=_domain(source), split=split)(clips)
        assert torch.equal(past, clips[:, :10] / 255)
        assert torch.equal(later, clips[:, 10] / 255)
    some = compose([], domain=_domain(source), split={"frames": {"past": 10, "every": 3}})
    assert torch.equal(some(clips)[0], clips[:, [0, 3, 6, 9]] / 255)


def _domain(source: Source) -> Domain:
    return Domain("clips", source.train.data.shape)


def test_digits_and_backgrounds_may_be_given(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, count in (("train", 30), ("test", 20)):
        for what, shape in (("digits", (28, 28)), ("grounds", (96, 80, 3)), ("small", (60, 60, 3))):
            (tmp_path / what).mkdir(exist_ok=True)
            images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
            labels = np.arange(count) % 10
            np.savez(tmp_path / what / f"{name}.npz", images=images, labels=labels)
    given = f"moving-digits:digits=npz:{tmp_path}/digits,train=40,test=20"
    source = open_source(f"{given},backgrounds=npz:{tmp_path}/grounds")
    split = source.splits["test"]
    layers = layers_of(split.data, np.arange(20))
    kept = np.load(tmp_path / "digits" / "test.npz")
    of_label = kept["images"][kept["labels"] == split.labels[0]]
    assert any(np.array_equal(layers["digit"][0, 0].numpy(), one) for one in of_label)
    whole = np.load(tmp_path / "grounds" / "test.npz")["images"]
    patch = layers["background"][0, 0].permute(1, 2, 0).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(whole, (64, 64), axis=(1, 2))
    assert (windows == patch.transpose(2, 0, 1)).all((-3, -2, -1)).any()
    with pytest.raises(UserError, match=r"backgrounds of .*small have 60x60 px"):
        open_source(f"{given},backgrounds=npz:{tmp_path}/small")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ("later=10", "number 10, among the 10 past ones"),
        ("later=0", "moving-digits.later"),
        ("label=position", "moving-digits.label"),
        ("digits=spirals", "spirals holds points"),
        ("backgrounds=moving-digits", "holds clips"),
        ("digits=nowhere", "unknown data source"),
        ("colour=1", "colour"),
        ("frames", "not of the form key=value"),
    ],
)
def test_bad_options_are_refused(options: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        open_source(f"moving-digits:{options}")


@pytest.mark.parametrize("key", ["size", "channels"])
def test_clips_are_not_converted(key: str) -> None:
    with pytest.raises(UserError, match=rf"data.{key} converts images, but moving-digits holds"):
        open_source("moving-digits", **{key: 3})


def test_digits_are_enlarged_into_the_middle() -> None:
    large = enlarged(torch.full((1, 1, 8, 8), 200, dtype=torch.uint8))
    assert large.shape == (1, 1, 28, 28)
    assert (large[0, 0, 4:24, 4:24] == 200).all() and int((large > 0).sum()) == 400


def test_the_error_of_a_position_is_a_distance(source: Source) -> None:
    target = find_target(source, "position")
    assert isinstance(target, Quantity)
    assert (target.unit, target.place) == ("px", True)
    known = regress_features(target.train, target.test, target)
    assert known.error < 1e-3 and known.r2 > 0.999
    # features that tell nothing: the mean is predicted, and the error is the mean distance from it
    generator = np.random.default_rng(0)
    noise = [generator.normal(size=(len(y), 1)) * 1e-9 for y in (target.train, target.test)]
    found = regress_features(*noise, target)
    far = np.linalg.norm(target.test - target.train.mean(0), axis=1).mean()
    assert found.error == pytest.approx(far, rel=0.05)
    assert found.protocol["error"] == "mean distance"
