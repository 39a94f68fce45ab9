"""Whole views: lists of steps in any order, drawn and rendered."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import pictures, seeded
from reference import torchvision_view
from scipy.stats import binomtest
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from viewfinder.core.errors import OptionError, UserError
from viewfinder.views import ViewMaker, compose
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.render import Drawn, draw, plan, render

STATISTICS = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
EVERYTHING: list[Any] = [
    {"crop": (0.2, 1.0)},
    {"flip": 0.5},
    {"jitter": {"strength": (0.8, 0.8, 0.8, 0.2), "p": 0.8}},
    {"grey": 0.3},
    {"blur": 0.5},
    {"solarize": 0.3},
    {"normalise": STATISTICS},
]
ORDERS: dict[str, list[Any]] = {
    "the usual": EVERYTHING,
    "grey before jitter, flip late": [EVERYTHING[i] for i in (0, 3, 2, 1, 6)],
    "flip after everything": [EVERYTHING[i] for i in (0, 2, 3, 4, 5, 6, 1)],
    "crop late": [EVERYTHING[i] for i in (1, 4, 2, 0, 3, 6)],
    "two jitters, two flips": [EVERYTHING[i] for i in (0, 2, 1, 3, 2, 4, 1, 6)],
    "no crop": [EVERYTHING[i] for i in (2, 4, 1, 6)],
    "crop alone": [EVERYTHING[0]],
    "nothing": [],
}


def maker(steps: list[Any] = EVERYTHING, size: int = 16, **more: Any) -> ViewMaker:
    return compose(steps, size, split={"draws": 1}, **more)


def one(steps: list[Any], images: Tensor, seed: int = 0, size: int = 16) -> Tensor:
    """A single view of images."""
    (view,) = maker(steps, size, channels=images.shape[1])(images, seeded(seed))
    return view


def pipeline(steps: list[Any] = EVERYTHING, size: int = 16, channels: int = 3) -> Pipeline:
    found = maker(steps, size, channels=channels).pipelines[0]
    assert isinstance(found, Pipeline)
    return found


def drawn(steps: list[Any], images: Tensor, seed: int = 0) -> dict[str, Drawn]:
    return {d.item.step.name: d for d in draw(pipeline(steps), images, seeded(seed))}


def resized(images: Tensor) -> Tensor:
    return F.resize(images / 255, [16, 16], antialias=True) * 255


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_whole_view_equals_torchvision_with_the_same_parameters(
    order: str, channels: int
) -> None:
    images, steps = pictures(64, channels), ORDERS[order]
    if channels == 1:
        steps = [step if "normalise" not in step else "normalise" for step in steps]
    ours = one(steps, images)
    found = draw(pipeline(steps, channels=channels), images, seeded())
    for part in found:
        assert part.selected is None or 0 < part.selected.sum() < 64
    crops = any(part.item.step.name == "crop" for part in found)
    for i, image in enumerate(images if crops else resized(images)):
        theirs = torchvision_view(image, found, i, 16)
        # a value on the threshold of solarising may fall to either side
        near = (ours[i] - theirs).abs() <= 1e-4 / 0.2
        assert near.float().mean() > 0.995, i


@pytest.mark.parametrize("order", ORDERS)
def test_without_knowing_the_values_the_views_are_the_same(order: str) -> None:
    """The path for GPUs, which may not wait for values, against the one for CPUs."""
    images, made = pictures(64), pipeline(ORDERS[order])
    ours = one(ORDERS[order], images)
    dense = render(plan(made, images, draw(made, images, seeded())), images, sparse=False)
    near = (ours - dense).abs() <= 1e-4
    assert near.float().mean() > 0.999


def test_crop_and_flip_are_one_pass_where_what_is_between_commutes_with_mirroring() -> None:
    images = pictures(8)
    for order, left in (
        ("the usual", ["jitter", "grey", "blur", "solarize", "normalise"]),
        ("grey before jitter, flip late", ["grey", "jitter", "normalise"]),
        ("flip after everything", ["jitter", "grey", "blur", "solarize", "normalise"]),
        ("crop late", ["flip", "blur", "jitter", "crop", "grey", "normalise"]),
        ("no crop", ["jitter", "blur", "normalise"]),
    ):
        made = pipeline(ORDERS[order])
        found = plan(made, images, draw(made, images, seeded()))
        assert [step.item.step.name for step in found.steps] == left, order
        assert (found.boxes is None) == (found.flip is None) == (order == "crop late")


def test_views_are_reproducible_from_the_generator_alone() -> None:
    images, two = pictures(), compose(EVERYTHING, 16)
    torch.manual_seed(1)
    first = two(images, seeded(3))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = two(images, seeded(3))
    assert torch.equal(torch.get_rng_state(), state)
    other = two(images, seeded(4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(one(EVERYTHING, images, 3), first[0])


def test_without_a_generator_views_follow_the_global_stream() -> None:
    images, made = pictures(4), maker()
    torch.manual_seed(5)
    first, second = made(images)[0], made(images)[0]
    torch.manual_seed(5)
    assert torch.equal(made(images)[0], first)
    assert not torch.equal(first, second)


def test_one_image_gives_views_without_a_batch_also_in_torchvisions_compose() -> None:
    image, two = pictures(1)[0], compose(EVERYTHING, 16)
    alone = two(image, seeded(2))
    batch = two(image[None], seeded(2))
    assert all(torch.equal(a, b[0]) for a, b in zip(alone, batch, strict=True))
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.uint8), two])
    torch.manual_seed(0)
    first, second = transform(image)
    assert first.shape == second.shape == (3, 16, 16)
    torch.manual_seed(0)
    assert torch.equal(two(image)[0], first)


@pytest.mark.parametrize("order", ["the usual", "two jitters, two flips", "crop late", "no crop"])
@pytest.mark.parametrize("side", [32, 45])
def test_the_number_of_threads_changes_nothing(side: int, order: str) -> None:
    images, two = pictures(300, 3, side, side), compose(ORDERS[order], side)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [*two(images, seeded()), two.frozen(images)["main"]]
        torch.set_num_threads(3)
        several = [*two(images, seeded()), two.frozen(images)["main"]]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(alone, several, strict=True))


class ViewsInWorker(torch.utils.data.Dataset[Tensor]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Tensor:
        return one(EVERYTHING, pictures(), index)


def test_views_can_be_made_in_a_forked_loader_worker() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        here = one(EVERYTHING, pictures(), 0)
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
    strength = (0.8, 0.8, 0.8, 0.2) if colour else (0.8, 0.8, 0.0, 0.0)
    steps = ["crop", "flip", {"jitter": strength}, {"grey": 0.5 if colour else 0.0}]
    steps += ["blur", "solarize", "normalise"]
    out = one(steps, images, seed, size)
    assert out.shape == (n, channels, size, size)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    assert not out.requires_grad
    if n:
        assert out.abs().max() <= 1 + 1e-5


@pytest.mark.parametrize("side", [7, 32])
@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize(
    "steps",
    [["normalise"], [{"crop": {"scale": (1, 1), "ratio": (1, 1)}}, "normalise"]],
    ids=["no crop", "the whole"],
)
def test_steps_that_do_nothing_give_the_evaluation_view(
    side: int, size: int, steps: list[Any]
) -> None:
    images = pictures(20, 3, side, side)
    still = [*steps[:-1], {"jitter": {"strength": (0, 0, 0, 0), "p": 1.0}}, steps[-1]]
    for listed in (steps, still):
        seen = maker(listed, size).frozen(images)["main"]
        torch.testing.assert_close(one(listed, images, size=size), seen, atol=2e-6, rtol=0)


sizes = st.one_of(st.integers(4, 40), st.sampled_from([146, 147, 160, 224]))


@settings(max_examples=25, deadline=None)
@given(height=st.integers(4, 90), width=st.integers(4, 90), size=sizes)
@example(height=60, width=80, size=224)
def test_evaluation_view_equals_torchvision(height: int, width: int, size: int) -> None:
    """Small views are the whole image; large ones the centre of the shorter side resized to
    256/224 of their size. Data without a crop of their own begin with the same."""
    images = pictures(2, 3, height, width) / 255
    if size < 147:
        x = F.resize(images, [size, size], antialias=True)
    else:
        x = F.center_crop(F.resize(images, [round(size * 256 / 224)], antialias=True), [size, size])
    images = (images * 255).round().to(torch.uint8)
    theirs = F.normalize(x, list(STATISTICS["mean"]), list(STATISTICS["std"]))
    for steps in (EVERYTHING, [{"normalise": STATISTICS}]):
        ours = maker(steps, size).frozen(images)["main"]
        torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=0)
    torch.testing.assert_close(one(steps, images, size=size), theirs, atol=5e-5, rtol=0)


def test_what_is_shown_of_a_view_is_the_view_before_it_was_normalised() -> None:
    images = pictures(20)
    shown = maker().shown(one(EVERYTHING, images))
    torch.testing.assert_close(shown, one(EVERYTHING[:-1], images).clamp(0, 1), atol=1e-6, rtol=0)


def test_probabilities_are_met_and_their_extremes_exact() -> None:
    n = 3000
    images = torch.zeros(n, 3, 8, 8, dtype=torch.uint8)
    found = {name: d for name, d in drawn(EVERYTHING, images).items() if d.selected is not None}
    assert set(found) == {"flip", "jitter", "grey", "blur", "solarize"}
    for name, part in found.items():
        assert part.item.p is not None and part.selected is not None
        assert binomtest(int(part.selected.sum()), n, part.item.p).pvalue > 1e-3, name
    # drawn independently of each other
    both = int((found["flip"].selected & found["blur"].selected).sum())  # type: ignore[operator]
    assert binomtest(both, n, 0.25).pvalue > 1e-3
    for p in (0.0, 1.0):
        for part in drawn([{name: {"p": p}} for name in found], images).values():
            assert part.selected is not None
            assert part.selected.float().mean() == p


def test_changing_one_step_leaves_the_draws_of_the_others() -> None:
    changed = list(EVERYTHING)
    changed[2] = {"jitter": {"strength": (0, 0, 0, 0), "p": 0.0}}
    changed[4] = {"blur": 0.0}
    images = pictures(50)
    a, b = drawn(EVERYTHING, images), drawn(changed, images)
    for name, key in (("crop", "boxes"), ("blur", "sigma"), ("jitter", "order")):
        assert torch.equal(a[name].values[key], b[name].values[key])
    for name in ("flip", "grey", "solarize"):
        x, y = a[name].selected, b[name].selected
        assert x is not None and y is not None and torch.equal(x, y)


def test_an_autocast_around_it_rounds_nothing() -> None:
    images = pictures()
    plain = one(EVERYTHING, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = one(EVERYTHING, images)
    assert torch.equal(plain, inside)


def test_one_channel_images_are_already_grey() -> None:
    images = pictures(channels=1)
    coloured = [{"jitter": {"strength": (0, 0, 0.9, 0.5), "p": 1.0}}, {"grey": 1.0}]
    torch.testing.assert_close(
        one([*coloured, "normalise"], images), one(["normalise"], images), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("steps", "fix"),
    [
        ([{"grey": 0.2}], "views.grey_p=0"),
        ([{"jitter": (0.4, 0.3, 0.4, 0.1)}], "views.jitter=[0.4,0.3,0,0]"),
        ([{"normalise": {"mean": (0.1, 0.2, 0.3)}}], "views.mean=[0.1]"),
        (["lab"], "a list views.steps without lab, or data.channels=3"),
    ],
)
def test_steps_that_do_not_take_the_channels_say_what_to_set(steps: list[Any], fix: str) -> None:
    with pytest.raises(OptionError) as error:
        maker(steps, channels=4)
    assert error.value.within("views.").fix == fix
    assert "views." not in str(error.value)


@pytest.mark.parametrize("later", ["jitter", "solarize", "normalise", "lab"])
@pytest.mark.parametrize("earlier", ["normalise", "lab"])
def test_steps_on_values_that_left_0_to_1_are_refused(earlier: str, later: str) -> None:
    with pytest.raises(UserError, match=rf"{later} takes values in \[0, 1\], which {earlier}"):
        maker(["crop", earlier, later])
    maker(["crop", earlier, "flip", "blur"])


@pytest.mark.parametrize(
    "data",
    [torch.zeros(2, 3, 8, 8), torch.zeros(8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 8).byte()],
    ids=["float", "no channels", "one channel"],
)
def test_wrong_images_are_refused(data: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected"):
        maker(size=8)(data, seeded())


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"crop": (0.5, 0.2)}, "low <= high"),
        ({"crop": (0.5, 1.5)}, "at most 1"),
        ({"crop": {"ratio": (0.0, 1.0)}}, "at least 0.01"),
        ({"crop": {"ratio": (0.001, 1.0)}}, "at least 0.01"),
        ({"jitter": (0.4, 0.4, 0.4, 0.6)}, "at most 0.5"),
        ({"jitter": (-0.4, 0.4, 0.4, 0.1)}, "at least 0"),
        ({"blur": {"kernel": 4}}, "odd number is expected"),
        ({"blur": {"kernel": 65}}, "odd number up to 63"),
        ({"blur": {"sigma": (0.0, 1.0)}}, "at least 0.01"),
        ({"flip": 1.5}, "at most 1"),
        ({"normalise": {"std": (0.5, 0.0, 0.5)}}, "at least 0.000001"),
        ({"normalise": {"mean": ()}}, "one number, or one for each channel"),
        ({"flip": {"q": 1}}, "has no option q; it has: p"),
        ({"normalise": 0.5}, "its options are given by name"),
        ("flpi", "Did you mean 'flip'"),
        ({"flip": 0.5, "grey": 0.2}, "a name with its value"),
        ({"noise": 0.5}, "noise is for points, the data are images"),
    ],
)
def test_senseless_steps_are_refused(step: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compose([step], 32)


def test_a_step_with_parameters_is_rendered_with_gradient() -> None:
    from viewfinder.data.domain import Domain
    from viewfinder.views.contract import Step, Transform, Values
    from viewfinder.views.items import Item, ViewSpec
    from viewfinder.views.splits.draws import Draws, DrawsOptions
    from viewfinder.views.table import STEPS

    class Gain(Transform):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, x: Tensor, drawn: Values) -> Tensor:
            return x * self.gain

    row = Step(name="gain", summary="", build=lambda options, domain: Gain(), gradient=True)

    def spec(*names: str) -> ViewSpec:
        rows = [row if name == "gain" else STEPS[name] for name in names]
        listed = tuple(Item(step, step.options()) for step in rows)
        return ViewSpec(listed, Domain("images", (3, 16, 16)))

    before = spec("crop", "flip", "jitter", "gain", "grey", "solarize", "normalise")
    made, images = Draws(DrawsOptions(), before, before), pictures(6)
    views = made(images, seeded())
    plain = compose(["crop", "flip", "jitter", "grey", "solarize", "normalise"], 16)
    for ours, theirs in zip(views, plain(images, seeded()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    torch.stack(views).square().mean().backward()
    (parameter,) = made.pipelines[0].parameters()
    assert parameter.grad is not None and (parameter.grad != 0).all()
    with torch.no_grad():
        assert not made(images, seeded())[0].requires_grad
    late = spec("crop", "gain", "blur")
    with pytest.raises(UserError, match="no gradient reaches the step gain through blur"):
        Draws(DrawsOptions(), late, late)
