"""The whole network of a run that was trained, heads and momentum network too."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.recipes.parts import NegativesPart
from viewfinder.runs.belonging import own_weights
from viewfinder.runs.checkpoint import WEIGHTS, load_into
from viewfinder.runs.run import Run
from viewfinder.training.assignment import clusters_until_made
from viewfinder.training.module import Pretraining


def restored(run: Run) -> Pretraining:
    """The training module of a run as its newest checkpoint has it, on the CPU, without the
    memory of its negatives: nothing is contrasted here.

    Raises UserError where the folder is no run, has no checkpoint yet, or where the weights do not
    fit the recipe exactly.
    """
    recipe = run.recipe()
    path = run.last_checkpoint()
    if path is None:
        raise UserError(
            f"{run.folder} has no checkpoint yet", fix=f"viewfinder pretrain --resume {run.folder}"
        )
    held = own_weights(path, recipe, run.role)
    if recipe.encoder.row.pretrained:  # the checkpoint has all weights
        own = recipe.encoder.model_copy(update={"pretrained": False})
        recipe = recipe.model_copy(update={"encoder": own})
    recipe = recipe.model_copy(update={"negatives": NegativesPart(name="none")})
    weights = {k: v for k, v in held.items() if not k.startswith("negatives.")}
    z, tags = _array(weights, "clusters"), _array(weights, "tags")
    if z is not None and recipe.positives.row.refreshed:
        z = clusters_until_made(recipe, len(z))  # as large as in training, whatever was found since
    module = Pretraining(recipe, z, tags)
    load_into(module, weights, f"the checkpoint {path / WEIGHTS}")
    return module


def _array(weights: dict[str, Tensor], name: str) -> np.ndarray | None:
    return weights[name].numpy() if name in weights else None
