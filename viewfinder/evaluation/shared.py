"""What two views share, as the networks of a run see them: lower bounds on I(v1; v2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import torch_generator
from viewfinder.data.source import Data, layers_of
from viewfinder.information.embeddings import of_embeddings
from viewfinder.information.estimate import Estimate
from viewfinder.networks.frozen_features import batches, evaluating


def shared_information(module: Any, data: Data, seed: int, *, k: int | None = None) -> Estimate:
    """I_NCE of the first two views of data that the run was not trained on.

    The critic is the cosine of the run's projections, with the temperature and the held-out half of
    ``viewfinder.information.embeddings.of_embeddings``: runs that differ in their views alone have
    equal critics, and with equal ``k`` their values can be compared, as the paper's I_NCE = log K -
    loss can (Tian et al. 2020, section 3.3).

    Raises UserError for fewer than 64 data.
    """
    _, projections = embedded(module, data, seed)
    return of_embeddings(*projections, k=k, seed=seed)


@torch.no_grad()
def embedded(
    module: Any, data: Data, seed: int, advance: Callable[[int], object] = int
) -> tuple[list[Tensor], list[Tensor]]:
    """Features and projections, float32 (N, D) each, of the first two views of all data.

    Where the recipe makes a single view, which a memory is compared with, two draws of it.
    ``advance`` is told how many more data are done. Raises UserError where the second view is what
    is asked of the first.
    """
    if module.recipe.views.split_row.asks:
        raise UserError(
            "the run's views are sentences and the words that are asked of them; two views of one "
            "kind are expected: what they share is the logarithm of the number of words less the "
            "run's loss, and no bound"
        )
    features: list[list[Tensor]] = [[], []]
    projections: list[list[Tensor]] = [[], []]
    with evaluating(module):
        for span, batch, sides in batches(data, 512):
            draw = torch_generator(seed, "measure/views", step=span.start)
            layers = layers_of(data, np.asarray(span))
            made = list(enumerate(module.maker(batch, draw, sides, layers)))
            if len(made) < 2:
                made += [(0, view) for view in module.maker(batch, draw, sides, layers)]
            for side, (i, view) in enumerate(made[:2]):
                network = module.network_of(i)
                seen = network.encoder(view)
                features[side].append(seen.float())
                projections[side].append(network.projector(seen).float())
            advance(len(span))
    return [torch.cat(own) for own in features], [torch.cat(own) for own in projections]
