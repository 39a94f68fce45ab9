"""The recipes of VINCE at the paper's scale: valid, and with the numbers of its appendix D."""

from __future__ import annotations

from pathlib import Path

import pytest

import viewfinder.papers
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import build, complete

FILES = sorted((Path(str(viewfinder.papers.__file__)).parent / "recipes" / "vince").glob("*.yaml"))


def test_each_method_that_the_paper_compares_has_one() -> None:
    assert {file.stem for file in FILES} == {
        f"imagenet-{name}" for name in ("ir", "ball", "annulus", "la")
    }


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_it_is_valid_and_has_the_numbers_of_appendix_d(file: Path) -> None:
    recipe = complete(build(file=file), (3, 256, 256))
    check_parts(recipe)
    assert complete(build(None, recipe.plain()), (3, 256, 256)).to_yaml() == recipe.to_yaml()
    assert str(recipe.encoder) == "resnet18"
    assert recipe.head.projector == (128,) or recipe.head.projector == [128]
    assert (recipe.views.size, recipe.views.count, recipe.batch_size) == (224, 1, 256)
    sgd = recipe.optimizer
    assert (sgd.name, sgd.lr, sgd.momentum, sgd.weight_decay) == ("sgd", 0.03, 0.9, 1e-4)
    assert recipe.objective.options().temperature == 0.07  # type: ignore[attr-defined]
    negatives = recipe.negatives.options()
    assert (negatives.size, negatives.alpha) == (4096, 0.5)  # type: ignore[attr-defined]
    if recipe.positives.name == "kmeans":
        assert recipe.positives.sizes == (30000,) * 10
        assert recipe.positives.options().start == 10  # type: ignore[attr-defined]
        assert negatives.start == 10  # type: ignore[attr-defined]
    schedule = recipe.schedule.options()
    assert (schedule.patience, schedule.gamma, schedule.reductions) == (10, 0.1, 2)  # type: ignore[attr-defined]
