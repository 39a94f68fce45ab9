"""How a frozen encoder is shown its images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from viewfinder.recipes.recipe import Recipe
from viewfinder.views.augment import evaluation_view


def frozen_view(recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """The deterministic view that evaluation uses: resize, centre crop, normalise."""
    one = recipe.views.augmentations()[0]
    return partial(evaluation_view, size=one.size, mean=one.mean, std=one.std)
