"""Recipes: layers, completion, round trip, and errors that name the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.data.source import Attributes, Split
from viewfinder.data.stored import ArrayData
from viewfinder.objectives.pairs import PAIRINGS, pairs_of
from viewfinder.recipes.check import check_data, check_parts
from viewfinder.recipes.methods import METHODS, Method
from viewfinder.recipes.recipe import Recipe, build, choices, complete, keys, merge, parse_overrides
from viewfinder.regularizers.table import REGULARIZERS

SHAPE = (3, 32, 32)


def options_of(recipe: Recipe) -> list[dict[str, Any]]:
    """The options of each step, by name, of the first and of the second view."""
    specs = recipe.views.specs(recipe.domain)
    return [{item.step.name: item.options for item in spec.items} for spec in specs]


WORDS = [f"word {i}" for i in range(9)]


def completed(recipe: Recipe) -> Recipe:
    """By data as the recipe's method is for."""
    if METHODS[recipe.method].modality == "tokens":
        return complete(recipe, (7,), "tokens", WORDS)
    return complete(recipe, SHAPE)


@pytest.mark.parametrize("method", METHODS)
def test_every_row_of_the_table_is_a_valid_run(method: str) -> None:
    recipe = completed(build(method))
    check_parts(recipe)
    maker = recipe.view_maker()
    whole = [domain for domain in maker.domains if not domain.pieces]
    if recipe.views.split_row.asks:
        del whole[recipe.views.count :]  # which say what is asked
    assert len(whole) == recipe.views.count + recipe.views.small_count
    assert maker.count == recipe.views.count


@pytest.mark.parametrize("method", METHODS)
def test_the_saved_recipe_reads_back_equal(method: str, tmp_path: Path) -> None:
    recipe = completed(build(method, {"seed": 3, "optimizer": {"lr": 0.1}}))
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    again = build(file=file)
    assert again.to_yaml() == recipe.to_yaml()
    assert again.views == recipe.views
    assert again.views.specs(again.domain) == recipe.views.specs(recipe.domain)
    assert again.objective.options() == recipe.objective.options()
    assert completed(again).to_yaml() == recipe.to_yaml()


def test_layers_win_in_order(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("method: moco\nnegatives: {size: 100}\nepochs: 7\n")
    recipe = build("moco", parse_overrides(["negatives.size=200"]), file)
    assert (recipe.negatives.size, recipe.epochs, recipe.negatives.name) == (200, 7, "queue")


def test_precision_may_be_given_as_a_number() -> None:
    assert build("simclr", parse_overrides(["precision=32"])).precision == "32"


def test_a_part_by_its_bare_name() -> None:
    recipe = build("moco", parse_overrides(["positives=labels", "data=digits", "views=simclr"]))
    assert recipe.positives.name == "labels"
    assert recipe.data.source == "digits"
    assert recipe.views.preset == "simclr"


def test_overrides_of_views_apply_to_both_and_to_one() -> None:
    words = ["views.flip_p=0", "views.second.blur_p=1.0"]
    first, second = options_of(complete(build("byol", parse_overrides(words)), SHAPE))
    assert first["flip"].p == second["flip"].p == 0
    assert (first["blur"].p, second["blur"].p) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["optimiser.lr=1"], "optimizer.lr"),
        (["optimizer.rl=1"], "optimizer.lr"),
        (["epoch=3"], "epochs"),
        (["objective.temprature=1"], "objective.temperature"),
        (["objective=nt_xnet"], "nt-xent"),
        (["epochs=many"], "epochs is 'many'"),
        (["optimizer.lr=-1"], "optimizer.lr is -1"),
        (["views.first.flop_p=1"], "views.first.flip_p"),
        (["epochs"], "key=value"),
        (["objective.temperature=0"], "objective.temperature is 0"),
        (["head.projector=[0]"], r"head.projector.* is 0"),
        (["encoder.widths=[]"], r"encoder.widths is \[\]"),
        (["positives=kmeans", "positives.k=many"], "positives.k is 'many'"),
        (["objective.stale=positive"], r"no option 'stale' \(info-nce has it\); its own: temp"),
        (["positives.top_k=3"], r"no option 'top_k' \(attributes has it\); its own: none"),
        (["regularizers=rx"], "Did you mean regularizers.rc"),
        (["regularizers.rc=.inf"], "regularizers.rc.weight is inf"),
        (["regularizers.lbe.stages={}"], "at least 1 item"),
        (["accelerator=tpux"], "accelerator is 'tpux'"),
        (["objective=carl", "objective.prototypes=1"], "Try: objective.prototypes=2"),
        (["objective=carl", "objective.decay_epochs=0"], "Try: objective.decay_epochs=1"),
        (["objective=carl", "objective.weight=-1"], "Try: objective.weight=0"),
    ],
)
def test_a_bad_key_is_named_with_the_nearest(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        build("simclr", parse_overrides(words))


@pytest.mark.parametrize(
    ("method", "words", "says"),
    [
        ("simclr", ["positives=labels"], "objective=supcon"),
        ("simclr", ["negatives=queue"], "negatives=batch"),
        ("byol", ["target=shared"], "collapse"),
        ("byol", ["target=detached", "head.predictor=null"], "collapses"),
        ("byol", ["negatives=queue"], "negatives=none"),
        ("moco", ["target=shared"], "target=momentum"),
        ("moco", ["target=detached"], "target=momentum"),
        ("pcl", ["epochs=1"], "positives.start=0"),
        ("simclr", ["target=momentum"], "objective=info-nce"),
        ("simclr", ["views.count=1"], "views.count=2"),
        ("simclr", ["positives=tags"], "objective=supcon"),
        ("byol", ["head.predictor=[64,32]"], r"head.predictor=\[64,128\]"),
        ("simclr", ["devices=3"], "devices=3"),
        ("supcon", ["views.count=1"], "views.count=1.*views.count=2.*objective.missing=skip"),
        (
            "supcon",
            ["views.count=1", "positives=kmeans", "positives.start=2", "objective.missing=skip"],
            "views.count=1.*positives.start=0",
        ),
        (
            "supcon",
            ["views.count=1", "positives=instance", "objective.missing=skip"],
            "views.count=1.*only positives.*views.count=2",
        ),
        ("simclr", ["optimizer.warmup_epochs=100"], "warmup_epochs"),
        ("supcon", ["positives=instance", "objective=cross-entropy", "negatives=none"], "labels"),
        ("cross-entropy", ["positives=kmeans", "positives.start=1"], "positives.start=0"),
        ("ci-infonce-batch", ["positives=kmeans", "positives.k=[3,4]"], "positives.k=3"),
        ("simclr", ["head.predictor=[64,128]"], "head.predictor=null"),
        ("simclr", ["optimizer.nesterov=true"], "optimizer.nesterov=false"),
        (
            "moco",
            ["optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"],
            "momentum 0",
        ),
        ("supcon", ["views.count=4", "regularizers.ip=1"], "sees 4.*views.count=2"),
        ("moco", ["regularizers.mib=1"], "sees 1.*objective.pairs=symmetric"),
        ("cross-entropy", ["regularizers.ip=1"], "sees 1.*views.count=2"),
        ("ldim", ["target=momentum"], "no such keys.*target=shared"),
        ("dim", ["target=detached"], "no such keys.*target=shared"),
        ("ldim", ["encoder=mlp"], "encoder=mlp has no stage.*encoder=convnet"),
        ("dim", ["encoder=mlp", "objective.stage=layer1"], "encoder=mlp has no stage"),
        ("ldim", ["positives=labels"], "objective=supcon"),
        ("ldim", ["negatives=queue"], "negatives=batch"),
        ("ldim", ["views.count=3"], "objective.pairs=all"),
        ("mlm", ["negatives=queue"], "negatives are data.*negatives=vocabulary"),
        ("mlm", ["negatives=batch"], "negatives are data.*negatives=vocabulary"),
        ("mlm", ["views.split=draws"], "no view asks for any.*views.split=masked"),
        ("instdis", ["negatives=vocabulary"], "no view asks for any.*views.split=masked"),
        ("mlm", ["positives=labels"], "positives=instance"),
        ("mlm", ["target=shared"], "target=bank"),
        ("mlm", ["regularizers.lbe=1"], "regularizers.lbe=0"),
    ],
)
def test_a_senseless_combination_is_refused_with_a_way_out(
    method: str, words: list[str], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        check_parts(build(method, parse_overrides(words)))


@pytest.mark.parametrize(
    "words",
    [
        ["positives=labels", "negatives.size=4096"],
        ["objective.pairs=symmetric"],
        ["negatives=batch", "target=shared"],
    ],
)
def test_parts_of_moco_can_be_swapped(words: list[str]) -> None:
    words = [*words, "objective.temperature=0.3"]
    recipe = build("moco", parse_overrides(words))
    check_parts(recipe)
    assert recipe.objective.options().temperature == 0.3  # the rest of the row stays in force
    assert recipe.views.preset == "moco2"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["views.small_scale=[0.5,0.1]"], "not a range"),
        (["views.small_scale=[0.1,2]"], r"small_scale.1 is 2.*at most 1"),
        (["views.small_size=8", "views.blur_kernel=23", "views.blur_p=1"], "small views of 8 px"),
    ],
)
def test_small_views_that_cannot_be_made_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        complete(build("swav", parse_overrides(words)), SHAPE)


def test_an_option_that_is_suggested_is_accepted() -> None:
    with pytest.raises(UserError, match=r"Try: objective\.stale") as caught:
        build("moco", {"objective": {"stael": "negative"}})
    assert "objective.stael" not in str(caught.value)
    assert build("moco", {"objective": {"stale": "negative"}}).objective.options().stale


@pytest.mark.parametrize("named", ["rc+lbe", ["rc", "lbe"], {"rc": 1, "lbe": {}}])
def test_regularizers_by_name_have_a_weight_of_1(named: Any, tmp_path: Path) -> None:
    recipe = build("byol", {"regularizers": named})
    assert str(recipe.regularizers) == "rc 1 + lbe 1"
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({"regularizers": named}))
    assert build(file=file).regularizers == recipe.regularizers
    one = build("byol", parse_overrides(["regularizers=rc", "regularizers=rc+lbe"]))
    assert one.regularizers == recipe.regularizers
    for nothing in (None, "none", []):
        assert not build("byol", {"regularizers": nothing}).regularizers.chosen
    own = build("byol", {"regularizers": {"lbe": {"weight": 0.1, "rho": 0.3}, "noise": 0}})
    assert str(own.regularizers) == "lbe 0.1 (rho 0.3) + noise 0"


@pytest.mark.parametrize("key", ["size", "mean", "std"])
def test_rc_makes_views_that_are_alike(key: str) -> None:
    values = {"size": 16, "mean": [0.3], "std": [0.3]}
    own = {"second": {key: values[key]}, "mean": [0.5], "std": [0.5]}
    split = Split("train", ArrayData(torch.zeros(300, 3, 32, 32, dtype=torch.uint8)))
    views = {"views": own, "regularizers": "rc"}
    with pytest.raises(UserError, match=rf"views.second.{key}.*the same {key} for both"):
        check_data(complete(build("simclr", views), SHAPE), split)
    check_data(complete(build("simclr", {**views, "regularizers": "none"}), SHAPE), split)


def test_one_channel_has_one_statistic_of_each_kind() -> None:
    for view in options_of(complete(build("simclr"), (1, 224, 224))):
        assert view["normalise"].mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))
        assert view["normalise"].std == pytest.approx(((0.229 + 0.224 + 0.225) / 3,))
    colour, _ = options_of(complete(build("simclr"), (3, 224, 224)))
    assert len(colour["normalise"].mean) == 3


def test_views_larger_than_the_images_are_refused() -> None:
    with pytest.raises(UserError, match=r"data\.size=64"):
        complete(build("simclr", {"views": {"size": 64}}), SHAPE)


def test_non_square_images_give_square_views() -> None:
    assert complete(build("simclr"), (3, 80, 60)).views.size == 60


def test_every_key_is_described() -> None:
    missing = [key for key, text in keys().items() if not text]
    assert not missing


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recipe file"):
        build(file=tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="mapping"):
        build(file=tmp_path / "list.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"bad\.yaml"):
        build(file=tmp_path / "bad.yaml")


trees = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
).filter(lambda t: isinstance(t, dict))


def leaves(tree: dict, path: tuple = ()) -> dict[tuple, object]:
    found = {}
    for key, value in tree.items():
        inner = leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
        found |= inner
    return found


@given(trees, trees)
def test_the_last_layer_wins_leaf_by_leaf(a: dict, b: dict) -> None:
    merged = leaves(merge(a, b))
    assert merged.items() >= leaves(b).items()
    assert all(
        merged[path] == value
        for path, value in leaves(a).items()
        if path in merged and path not in leaves(b)
    )
    assert merge(a, {}) == merge({}, a) == a


def test_a_file_for_the_rows_own_positives_keeps_the_rows_options() -> None:
    recipe = build("ci-infonce-batch", parse_overrides(["positives=attributes:tags.csv"]))
    options = recipe.positives.options()
    assert (options.file, options.top_k) == ("tags.csv", 4)  # type: ignore[attr-defined]
    other = build("ci-infonce-batch", parse_overrides(["positives=file:z.parquet"])).positives
    assert "top_k" not in other.options().model_dump()


PAIRED = [m for m, row in METHODS.items() if build(m).objective.row.scores == "pairs"]


@pytest.fixture(scope="module")
def images() -> Split:
    generator = torch.Generator().manual_seed(0)
    made = torch.randint(0, 256, (32, 3, 16, 16), dtype=torch.uint8, generator=generator)
    attributes = Attributes(np.arange(64).reshape(32, 2) % 2, ["a", "b"])
    return Split("train", ArrayData(made), np.arange(32) % 3, attributes=attributes)


@pytest.mark.parametrize("method", PAIRED)
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_a_pairing_forms_pairs_or_is_refused_before_anything_runs(
    method: str, pairing: str, images: Split
) -> None:
    """Whichever views come out, no run starts that compares nothing."""
    for words in ([], ["views.split=draws"], ["views=none", "views.split=channels:1"]):
        changes = merge(parse_overrides(words), {"batch_size": 16, "objective": {"pairs": pairing}})
        try:
            recipe = build(method, changes)
            check_parts(recipe)
            recipe = complete(recipe, images.data.shape)
            check_data(recipe, images)
        except UserError:
            continue
        maker = recipe.view_maker()
        networks = [domain.network for domain in maker.domains]
        assert pairs_of(recipe.objective.row, pairing, networks, maker.count)


@pytest.mark.parametrize("words", [["views=null"], ["views.preset=null"]])
def test_no_preset_and_no_list_is_refused(words: list[str]) -> None:
    with pytest.raises(UserError, match=r"no list of steps.*Try: views=none"):
        build("simclr", parse_overrides(words))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["positives=kmeans", "positives.k=4"],
            r"clusters what one network gives.*positives=instance",
        ),
        *(
            (
                [f"regularizers={name}"],
                f"regularizers.{name}.*of one network.*regularizers.{name}=0",
            )
            for name in REGULARIZERS
        ),
    ],
)
def test_what_several_networks_cannot_give_is_refused(
    words: list[str], says: str, images: Split
) -> None:
    made = build("cmc", parse_overrides([*words, "batch_size=16"]))
    check_parts(made)
    recipe = complete(made, images.data.shape)
    with pytest.raises(UserError, match=says):
        check_data(recipe, images)


INSTEAD = [
    (part, row, group)
    for part, kind in choices().items()
    for row in kind.table.values()
    for group in row.instead
]


@pytest.mark.parametrize(("part", "row", "group"), INSTEAD)
def test_an_option_that_is_given_replaces_the_one_that_is_instead_of_it(
    part: str, row: Any, group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over a method's row and over a file; two that are given together are refused."""
    values: dict[str, Any] = {"top_k": 3, "columns": ["a", "b"]}
    for preset in group:
        method = Method(name="preset", summary="", settings={part: {"name": row.name}})
        method.settings[part][preset] = values[preset]  # type: ignore[index]
        monkeypatch.setitem(METHODS._rows, "preset", method)
        file = tmp_path / "recipe.yaml"
        file.write_text(build("preset").to_yaml())
        for option in group:
            for source in (None, file):
                options = build("preset", {part: {option: values[option]}}, source).choices()[part]
                kept = options.options().model_dump(exclude_none=True).keys() & set(group)
                assert kept == {option}
        both = {option: values[option] for option in group}
        with pytest.raises(UserError, match=rf"{part}.{group[0]} and {part}.{group[1]}.*instead"):
            build("preset", {part: both})


def test_columns_by_name_work_beside_a_row_that_has_top_k() -> None:
    words = ["positives=attributes", "positives.columns=[a,b]"]
    options = build("ci-infonce", parse_overrides(words)).positives.options()
    assert (options.columns, options.top_k) == (["a", "b"], None)
