"""What every step keeps; a step joins by being registered in the table."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pictures import pictures, seeded
from reference import STEPS as REFERENCES
from reference import torchvision_view
from torch import Tensor
from trained_generators import saved_space

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.views import STEPS, compose
from viewfinder.views.colours.spaces import SPACES
from viewfinder.views.contract import Step
from viewfinder.views.items import Item, ViewSpec, choose
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.render import draw, plan, render_views

NAMED = ["images", "points", "tokens"]  # modalities there are data for below
# of steps that torchvision does not have: another test against scikit-image, or a closed form
OTHERWISE = {
    **dict.fromkeys(SPACES, "test_colours.py"),
    "randaugment": "test_randaugment.py",
    "learned": "test_learned_space.py",
    "noise": "test_noise_is_uniform_and_one_sided",
    "mask": "test_masked.py",
}


@pytest.fixture(scope="module", autouse=True)
def generator_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the step of a trained generator is given."""
    torch.manual_seed(0)
    FITTING["learned"] = {"file": str(saved_space(tmp_path_factory.mktemp("generator")))}


FITTING: dict[str, dict[str, Any]] = {}
"""What a step cannot do without."""


def situations() -> Iterator[Any]:
    """Every step with every modality and every number of channels it declares."""
    for row in STEPS.values():
        for modality in row.modalities:
            for channels in row.channels(row.options()) or (1, 2, 3, 5):
                yield pytest.param(row, modality, channels, id=f"{row.name}-{modality}-{channels}")


def domain(modality: str, channels: int) -> Domain:
    if modality == "points":
        return Domain("points", (channels,))
    if modality == "tokens":
        return Domain("tokens", (4 + channels,), words=50)
    assert modality == "images", "add data of this modality here"
    return Domain("images", (channels, 16, 16))


def data(modality: str, channels: int, n: int) -> Tensor:
    if modality == "points":
        return torch.rand(n, channels, generator=seeded(7))
    if modality == "tokens":
        return torch.randint(0, 51, (n, 4 + channels), generator=seeded(7))  # 50 is the filling
    return pictures(n, channels)


def pipeline(row: Step, modality: str, channels: int, **options: Any) -> Pipeline:
    """The step alone, applied to every sample unless options say otherwise."""
    if "p" in row.options.model_fields:
        options = {"p": 1.0, **options}
    options = {**FITTING.get(row.name, {}), **options}
    return Pipeline(ViewSpec((Item(row, row.options(**options)),), domain(modality, channels)))


def view(made: Pipeline, x: Tensor, seed: int = 0) -> Tensor:
    (found,) = render_views([made], [x], seeded(seed))
    return found


@pytest.mark.parametrize(("row", "modality", "channels"), situations())
def test_views_depend_on_the_generator_and_each_sample_alone(
    row: Step, modality: str, channels: int
) -> None:
    made, x = pipeline(row, modality, channels), data(modality, channels, 30)
    state = torch.get_rng_state()
    first = view(made, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(view(made, x), first)
    assert first.dtype == (torch.int64 if modality == "tokens" else torch.float32)
    assert first.shape == (30, *made.domain.shape)
    assert first.isfinite().all()
    assert not first.requires_grad
    for n in (1, 2):
        assert view(made, x[:n]).shape == (n, *made.domain.shape)
    # the views of the others do not show in a sample's
    other = x.clone()
    other[3:] = other[3:].flip(0)
    torch.testing.assert_close(view(made, other)[:3], first[:3], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("row", "modality", "channels"), situations())
def test_no_two_samples_share_a_draw(row: Step, modality: str, channels: int) -> None:
    made = pipeline(row, modality, channels)
    drawn = made.transforms[0].draw(200, domain(modality, channels), seeded())  # type: ignore
    assert all(len(value) == 200 for value in drawn.values())
    for name, value in drawn.items():
        assert len(value.reshape(200, -1).unique(dim=0)) > 1, name
    if drawn:  # all that was drawn together, where one part alone has few values
        rows = torch.cat([v.reshape(200, -1).double() for v in drawn.values()], 1)
        assert len(rows.unique(dim=0)) > 150


@pytest.mark.parametrize(("row", "modality", "channels"), situations())
def test_a_step_of_probability_0_changes_nothing(row: Step, modality: str, channels: int) -> None:
    if "p" not in row.options.model_fields:
        pytest.skip("always applied")
    x = data(modality, channels, 8)
    made = Pipeline(ViewSpec((), domain(modality, channels)))
    still = pipeline(row, modality, channels, p=0.0)
    torch.testing.assert_close(view(still, x), view(made, x), atol=0, rtol=0)


@pytest.mark.parametrize(("row", "modality", "channels"), situations())
def test_it_pickles_copies_and_leaves_its_input(row: Step, modality: str, channels: int) -> None:
    made, x = pipeline(row, modality, channels), data(modality, channels, 6)
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert torch.equal(view(again, x), view(made, x))
    before = x.clone()
    view(made, x)
    assert torch.equal(x, before)
    step, given = made.transforms[0], torch.rand(6, *domain(modality, channels).shape)
    given = x.clone() if modality == "tokens" else given
    if not step.overwrites:
        before = given.clone()
        step(given, step.draw(6, domain(modality, channels), seeded()))  # type: ignore[operator]
        assert torch.equal(given, before)


@pytest.mark.parametrize("row", STEPS.values(), ids=list(STEPS))
def test_channels_and_modalities_that_it_does_not_take_are_refused(row: Step) -> None:
    for modality in NAMED:
        if modality not in row.modalities:
            with pytest.raises(UserError, match=f"the step {row.name} is for"):
                pipeline(row, modality, 3)
    taken = row.channels(row.options())
    for channels in (1, 2, 3, 4):
        if taken and channels not in taken:
            with pytest.raises(UserError, match=f"the step {row.name} needs"):
                pipeline(row, row.modalities[0], channels)


@pytest.mark.parametrize("row", STEPS.values(), ids=list(STEPS))
def test_its_declared_facts_are_true(row: Step) -> None:
    channels = (row.channels(row.options()) or (3,))[-1]
    if row.modalities[0] != "images":
        pytest.skip("facts of images")
    made, x = pipeline(row, "images", channels), pictures(20, channels, 16, 16)
    step, square = made.transforms[0], x / 255
    out = view(made, x)
    assert row.keeps_unit == bool(((out >= -1e-6) & (out <= 1 + 1e-6)).all())
    drawn = step.draw(20, made.source, seeded())  # type: ignore[operator]
    there = step(square.clone(), drawn)
    back = step(square.flip(-1).clone(), drawn).flip(-1)
    near = torch.isclose(there, back, atol=1e-4)
    assert row.mirrors == bool(near.all())
    if row.frozen:
        exact = torch.allclose(step.inverse(there), square, atol=1e-4)  # type: ignore[operator]
        assert exact == (not row.lossy)
    if row.gradient:
        leaf = square.clone().requires_grad_()
        step(leaf * 1.0, drawn).sum().backward()
        assert leaf.grad is not None and leaf.grad.isfinite().all()


@pytest.mark.parametrize("row", STEPS.values(), ids=list(STEPS))
def test_options_have_defaults_that_the_bare_name_means(row: Step) -> None:
    assert choose(STEPS, row.name) == (row, {})
    assert row.bare is None or row.bare in row.options.model_fields
    for name, field in row.options.model_fields.items():
        assert field.description, name
    with pytest.raises(UserError, match=f"{row.name}: has no option colour"):
        compose([{row.name: {"colour": 1}}], 32)
    item = Item(row, row.options())
    assert choose(STEPS, item.plain()) == (row, row.options().model_dump(mode="json"))


@pytest.mark.parametrize("row", STEPS.values(), ids=list(STEPS))
@pytest.mark.parametrize("channels", [1, 3])
def test_it_equals_torchvision(row: Step, channels: int) -> None:
    if row.name not in REFERENCES:
        assert row.name in OTHERWISE, "a step needs a value that somebody else computed"
        pytest.skip(f"see {OTHERWISE[row.name]}")
    made, x = pipeline(row, "images", channels), pictures(20, channels, 16, 16)
    drawn = draw(made, x, seeded())
    ours = view(made, x)
    for i, image in enumerate(x):
        theirs = torchvision_view(image, drawn, i, 16)
        torch.testing.assert_close(ours[i], theirs, atol=1e-4, rtol=0)


def test_noise_is_uniform_and_one_sided() -> None:
    points = torch.rand(5000, 2, generator=seeded(1))
    made = pipeline(STEPS["noise"], "points", 2, eta=0.4)
    noise = view(made, points) - points
    assert noise.min() >= -1e-6 and noise.max() <= 0.4 + 1e-6
    torch.testing.assert_close(noise.mean(0), torch.full((2,), 0.2), atol=0.01, rtol=0)
    torch.testing.assert_close(noise.std(0), torch.full((2,), 0.4 / 12**0.5), atol=0.01, rtol=0)


def test_a_jitter_and_a_plan_are_of_the_same_samples() -> None:
    """Samples that the chances leave out stay as they are, to the last bit except for the clamp."""
    made, x = pipeline(STEPS["jitter"], "images", 3, p=0.5), pictures(40, 3, 16, 16)
    drawn = draw(made, x, seeded())
    selected = drawn[0].selected
    assert selected is not None and plan(made, x, drawn).steps[0].selected is None
    same = (view(made, x) - x / 255).abs().amax((1, 2, 3)) < 1e-6
    assert torch.equal(same, ~selected)


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_no_parameter_of_a_step_may_be_nan(step: Step) -> None:
    nan = float("nan")
    for name in step.options.model_fields:
        for wrong in (nan, [nan, 1.0], [0.1, nan], [nan] * 4):
            with pytest.raises(UserError, match=f"step {step.name}: {name}.* is "):
                compose([{step.name: {name: wrong}}], 16)
