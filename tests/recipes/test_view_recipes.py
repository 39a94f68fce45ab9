"""How a recipe says what the views are: presets, lists of steps, overrides, splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from viewfinder.core.errors import UserError
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import Recipe, build, complete, keys, parse_overrides
from viewfinder.recipes.view_keys import short_keys
from viewfinder.recipes.views import layered
from viewfinder.views import PRESETS, STEPS
from viewfinder.views.compose import preset_items

SHAPE = (3, 32, 32)
LIST = [{"crop": [0.2, 1.0]}, "flip", {"jitter": [0.4, 0.4, 0.4, 0.1]}, {"grey": 0.2}, "normalise"]


def views_of(recipe: Recipe) -> list[dict[str, Any]]:
    """The options of each step, by name, of the first and of the second view."""
    specs = complete(recipe, SHAPE).views.specs(complete(recipe, SHAPE).domain)
    return [{item.step.name: item.options for item in spec.items} for spec in specs]


def given(*words: str, method: str = "simclr") -> Recipe:
    return build(method, parse_overrides(words))


def from_file(folder: Path, views: Any, *words: str, method: str = "simclr") -> Recipe:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump({"method": method, "views": views}))
    return build(None, parse_overrides(words), file)


def test_a_list_of_steps_replaces_the_presets(tmp_path: Path) -> None:
    for recipe in (
        from_file(tmp_path, {"steps": LIST}),
        build("simclr", {"views": {"steps": LIST}}),
        given(f"views.steps={yaml.safe_dump(LIST, default_flow_style=True)}"),
    ):
        for view in views_of(recipe):
            assert list(view) == ["crop", "flip", "jitter", "grey", "normalise"]
            assert view["crop"].scale == (0.2, 1.0)  # the row's own crop is gone
            assert view["jitter"].strength == (0.4, 0.4, 0.4, 0.1)
        assert recipe.views.preset is None


def test_one_view_may_have_a_list_of_its_own(tmp_path: Path) -> None:
    recipe = from_file(tmp_path, {"preset": "moco2", "second": ["crop", "normalise"]})
    first, second = views_of(recipe)
    assert list(first) == [i.step.name for i in preset_items("moco2", 32)[0]]
    assert list(second) == ["crop", "normalise"]
    third = from_file(tmp_path, {"second": ["crop", "normalise"]}, "views.second.flip_p=0.1")
    assert list(views_of(third)[1]) == ["crop", "flip", "normalise"]


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_every_option_has_a_key_that_overrides_it(step: Any) -> None:
    for key, (row, option) in short_keys().items():
        replaces = step.unit and step.frozen  # then the preset's own normalisation does not fit
        if row != step or "images" not in step.modalities or (replaces and step.place < 90):
            continue
        value = {"p": 0.25, "kernel": 3, "mean": (0.4,), "std": (0.3,), "threshold": 0.25}.get(
            option, getattr(step.options(), option)
        )
        words = [f"views.{key}={yaml.safe_dump(value).splitlines()[0]}"] if option == "p" else []
        overrides = parse_overrides(words) if words else {"views": {key: value}}
        if not words and "p" in step.options.model_fields:
            overrides["views"][f"{step.name}_p"] = 0.5
        for view in views_of(build("simclr", overrides)):
            assert getattr(view[step.name], option) == value
        assert keys()[f"views.{key}"] and keys()[f"views.second.{key}"]


def test_the_name_of_a_step_sets_its_bare_option() -> None:
    first, second = views_of(given("views.crop=[0.5,0.6]", "views.first.flip=0.1"))
    assert first["crop"].scale == second["crop"].scale == (0.5, 0.6)
    assert (first["flip"].p, second["flip"].p) == (0.1, 0.5)


def test_an_override_inserts_a_step_that_the_list_lacks_at_its_usual_place() -> None:
    order = ["crop", "grey", "jitter", "flip", "blur", "normalise"]
    for view in views_of(given("views=moco", "views.blur_p=0.3")):
        assert list(view) == order
        assert view["blur"].p == 0.3
        assert view["blur"].sigma == (0.1, 2.0)
    for view in views_of(given("views.steps=[normalise]", "views.grey=0.4", "views.flip=0.1")):
        assert list(view) == ["flip", "grey", "normalise"]


IMAGES = [m for m, row in METHODS.items() if row.modality == "images"]


@pytest.mark.parametrize("method", [m for m in IMAGES if len(METHODS[m].settings["views"])])
def test_nothing_of_the_methods_row_survives_another_choice(method: str, tmp_path: Path) -> None:
    other = "none" if METHODS[method].settings["views"].get("preset") != "none" else "moco"
    for recipe in (given(f"views={other}", method=method), from_file(tmp_path, {"preset": other})):
        specs = complete(recipe, SHAPE).views.specs(complete(recipe, SHAPE).domain)
        assert tuple(spec.items for spec in specs) == preset_items(other, 32)
    recipe = build(method, {"views": {"steps": LIST}})
    assert all(view["crop"].scale == (0.2, 1.0) for view in views_of(recipe))
    # what is no step stays
    assert recipe.views.small_count == METHODS[method].settings["views"].get("small_count", 0)


@pytest.mark.parametrize("method", IMAGES)
def test_views_none_are_of_every_method_what_evaluation_sees(method: str, tmp_path: Path) -> None:
    images = torch.randint(0, 256, (3, *SHAPE), dtype=torch.uint8)
    again = tmp_path / "complete.yaml"
    again.write_text(complete(build(method), SHAPE).to_yaml())
    for recipe in (
        given("views=none", method=method),
        given("views.preset=none", method=method),
        from_file(tmp_path, {"preset": "none"}, method=method),
        build(None, parse_overrides(["views=none"]), again),
    ):
        maker = complete(recipe, SHAPE).view_maker()
        frozen = maker.frozen(images)
        for seed in range(2):
            views = maker(images, torch.Generator().manual_seed(seed))
            whole = [(v, d) for v, d in zip(views, maker.domains, strict=True) if not d.pieces_of]
            assert len(whole) == maker.count
            for view, domain in whole:
                wanted = frozen[domain.network]
                torch.testing.assert_close(view, wanted, atol=2e-6, rtol=0)


def test_the_users_own_overrides_survive_a_later_choice(tmp_path: Path) -> None:
    file = {"preset": "byol", "crop_scale": [0.3, 0.4], "second": {"grey_p": 0.9}}
    first, second = views_of(from_file(tmp_path, file, "views=moco"))
    assert first["crop"].scale == second["crop"].scale == (0.3, 0.4)
    assert (first["grey"].p, second["grey"].p) == (0.2, 0.9)
    first, second = views_of(from_file(tmp_path, file, "views.steps=[crop,grey,normalise]"))
    assert list(first) == list(second) == ["crop", "grey", "normalise"]
    assert (first["crop"].scale, second["grey"].p) == ((0.3, 0.4), 0.9)


def test_a_completed_recipe_can_be_overridden_or_given_other_steps(tmp_path: Path) -> None:
    full = complete(build("byol"), SHAPE)
    file = tmp_path / "recipe.yaml"
    file.write_text(full.to_yaml())
    for own in ("first", "second"):
        first, second = views_of(build(None, parse_overrides([f"views.{own}.flip_p=0"]), file))
        assert (first["flip"].p == 0, second["flip"].p == 0) == (own == "first", own == "second")
        assert (first["solarize"].p, second["solarize"].p) == (0.0, 0.2)  # the rest is as it was
    both = views_of(build(None, parse_overrides(["views.flip_p=0"]), file))
    assert all(view["flip"].p == 0 for view in both)
    for words in (["views=moco"], ["views.steps=[crop,normalise]"]):
        first, second = views_of(build(None, parse_overrides(words), file))
        assert first == second
        assert "solarize" not in first


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (1, 28, 28), (3, 224, 224), (1, 224, 200), (4, 64, 64)]
)
def test_a_completed_recipe_says_every_step_and_reads_back_equal(
    preset: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    words = [f"views={preset}", "views.count=3", "views.small_count=1", "views.second.flip_p=0.25"]
    if shape[0] == 4:
        words += ["views.jitter=[0.4,0.4,0,0]", "views.jitter_p=0.5", "views.grey_p=0"]
    full = complete(build("swav", parse_overrides(words)), shape)
    file = tmp_path / "recipe.yaml"
    file.write_text(full.to_yaml())
    written = yaml.safe_load(file.read_text())["views"]
    assert written["size"] == min(shape[1:])
    assert "preset" not in written
    names = [[name for item in written[own] for name in item] for own in ("first", "second")]
    assert names[0] == names[1] == [i.step.name for i in preset_items(preset, 32)[0]]
    again = build(file=file)
    assert again.views == full.views
    assert again.to_yaml() == full.to_yaml()
    assert complete(again, shape).to_yaml() == full.to_yaml()


def test_split_in_every_spelling(tmp_path: Path) -> None:
    steps = ["crop", "flip", "lab"]
    for split in ("channels", "channels:1", {"channels": 1}, {"channels": {"split": 1}}):
        full = complete(from_file(tmp_path, {"steps": steps, "split": split}), SHAPE)
        maker = full.view_maker()
        assert [d.shape for d in maker.domains] == [(1, 32, 32), (2, 32, 32)]
        file = tmp_path / "full.yaml"
        file.write_text(full.to_yaml())
        assert build(file=file).views == full.views
    four = from_file(tmp_path, {"split": {"draws": 4}})
    assert len(complete(four, SHAPE).view_maker().domains) == 4
    # a split replaces a split
    again = from_file(tmp_path, {"steps": steps, "split": {"channels": 1}}, "views.split=draws")
    assert len(complete(again, SHAPE).view_maker().networks) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["views=simcrl"], "Did you mean 'simclr'"),
        (["views.steps=[crop,flpi]"], "views.steps: unknown step 'flpi'. Did you mean 'flip'"),
        (["views.second=[crop,{grey: 2}]"], "views.second.steps: step grey: p is 2"),
        (["views.steps=crop"], "views.steps is 'crop'"),
        (["views.steps=[[crop]]"], "a name, or a name with its value, is expected"),
        (["views.crop_scale=[0.5,0.2]"], "views.crop_scale is .*low <= high"),
        (
            ["views.first.crop_ratio=[0.001,1]"],
            r"views.first.crop_ratio.* at least 0.01",
        ),
        (["views.flip_p=2"], "Try: views.flip_p=1"),
        (["views.blur_sgima=[1,2]"], "Did you mean views.blur_sigma"),
        (["views.jitter=[1,1,1,1]"], "jitter_strength.3 is 1.* at most 0.5"),
        (["views.jitter=[1,1,1,.1]", "views.jitter_strength=[1,1,1,.1]"], "are the same option"),
        (["views.preset=none", "views.steps=[flip]"], "one of them is expected"),
        (["views=none", "views.blur_sigma=[1,2]"], "nothing would change. Try: views.blur_p=0.5"),
        (["views.steps=[crop,lab,jitter]"], r"jitter takes values in \[0, 1\], which lab"),
        (["views.lab_mean=[50,0,0]"], r"normalise takes values in \[0, 1\], which lab"),
        (["views.steps=[crop,noise]"], "noise is for points"),
        (["views.split=chanels"], "Did you mean 'channels'"),
        (["views.split=channels:3"], "leave none for the second view"),
        (["views.split=channels", "views.count=3"], "gives 2 views. Try: views.count=2"),
        (["views.split=channels", "views.small_count=1"], "Try: views.small_count=0"),
        (["views.split=channels", "views.second.flip_p=0"], "second view differ"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_way_out(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        complete(given(*words), SHAPE)


def test_channels_that_a_preset_does_not_take_are_refused() -> None:
    with pytest.raises(UserError, match=r"Try: views.jitter=\[0.4,0.4,0,0\]"):
        complete(build("simclr"), (4, 32, 32))


def test_pairs_of_images_need_a_split_that_takes_two() -> None:
    recipe = given("objective=ci-infonce", "views.split=channels", method="ci-infonce")
    with pytest.raises(UserError, match=r"cuts both from one. Try: views.split=draws"):
        check_parts(recipe)


def test_an_override_of_null_undoes_the_rows() -> None:
    recipe = given("views.crop_scale=null")
    assert views_of(recipe)[0]["crop"].scale == (0.08, 1.0)
    again = build(None, recipe.plain())
    assert again.views == recipe.views


def test_layers_leave_what_they_were_given_alone() -> None:
    row = {"preset": "byol", "crop_scale": [0.2, 1.0], "small_count": 2}
    assert layered(row) == row
    assert layered(row, {"preset": "byol"}) == row
    assert layered(row, {"preset": "moco"}) == {"preset": "moco", "small_count": 2}
    assert layered(row, {"preset": "moco"}, {"flip_p": 1}) == {
        **{"preset": "moco", "small_count": 2, "flip_p": 1}
    }
    assert layered(row, {"preset": "none"}) == {"preset": "none"}
    assert layered(row, {"preset": "none", "small_count": 1}) == {
        **{"preset": "none", "small_count": 1}
    }
    assert row == {"preset": "byol", "crop_scale": [0.2, 1.0], "small_count": 2}
