"""What a recipe adds to its objective: reconstruction, estimate and bottlenecks of the features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from viewfinder.networks.channels_last import fast_layout
from viewfinder.networks.decoder import Decoder
from viewfinder.networks.stages import check_stages
from viewfinder.recipes.parts import Regularizers
from viewfinder.recipes.recipe import Recipe
from viewfinder.regularizers.terms import (
    add_noise,
    default_rho,
    inverse_predictive,
    lower_bound_estimate,
    reconstruction,
)


class Regularization(nn.Module):
    """The regularizers of a recipe, with RC's decoder, which is trained with the encoder.

    Features are the encoder's own, before the head. Each term is of the views that the online
    encoder sees, small ones left out:

        total = sum of weight * term,  but - weight * term for lbe, which is maximised
    """

    def __init__(self, recipe: Recipe, encoder: nn.Module, feature_dim: int) -> None:
        super().__init__()
        self.part: Regularizers = recipe.regularizers
        size, channels = recipe.views.size, recipe.data.channels
        assert size is not None and channels is not None, "the recipe is not complete"
        self.decoder: Decoder | None = None
        if "rc" in self.part.given:
            self.decoder = fast_layout(Decoder(feature_dim, channels, size))
        lbe = self.part.lbe
        # of the features' width for all stages, narrower ones too, as in the released code
        self.rho = default_rho(feature_dim) if lbe is None or lbe.rho is None else lbe.rho
        if self.stages:
            check_stages(encoder, self.stages, torch.zeros(2, channels, size, size))
        self.maker = recipe.view_maker()

    @property
    def stages(self) -> list[str]:
        """The encoder's submodules whose outputs are needed."""
        lbe = self.part.lbe
        return list(lbe.stages or ()) if lbe is not None and "lbe" in self.part.given else []

    def noisy(self, features: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
        """z = f(v) + sigma * e of each view, what the head sees; f(v) itself without noise."""
        if not self.part.sigma:
            return list(features)
        return [add_noise(x, self.part.sigma, generator) for x in features]

    def forward(
        self,
        views: Sequence[Tensor],
        features: Sequence[Tensor],
        noisy: Sequence[Tensor],
        stages: Mapping[str, Sequence[Tensor]],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Each term by name, and "total", all scalars.

        views    float (N, C, size, size), what the encoder saw
        features float (N, D) of each view; noisy: the same with the noise that the head saw
        stages   of each stage the outputs, one (N, D) a view
        """
        part, terms, signed = self.part, {}, []
        if self.decoder is not None and part.rc is not None:
            terms["rc"] = self._reconstruction(views, features)
            signed.append(part.rc.weight * terms["rc"])
        if part.lbe is not None and "lbe" in part.given:
            terms["lbe"] = self._estimate(features, noisy, stages, generator)
            signed.append(-part.lbe.weight * terms["lbe"])
        for name, match in (("ip", part.ip), ("mib", part.mib)):
            if match is not None and name in part.given:
                # MIB is of the means of p(z | v); that the head sees noise makes it one
                terms[name] = inverse_predictive(features[0], features[1], elements=match.elements)
                signed.append(match.weight * terms[name])
        if signed:
            terms["total"] = torch.stack(signed).sum()
        return terms

    def _reconstruction(self, views: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
        assert self.decoder is not None and self.part.rc is not None
        rc = self.part.rc
        losses = []
        for i, (view, x) in enumerate(zip(views, features, strict=True)):
            # Bernoulli is of values in [0, 1]: the view before it was normalised
            goal = self.maker.shown(view, i) if rc.likelihood == "bernoulli" else view
            losses.append(
                reconstruction(self.decoder(x), goal, rc.likelihood, elements=rc.elements)
            )
        return torch.stack(losses).sum()

    def _estimate(
        self,
        features: Sequence[Tensor],
        noisy: Sequence[Tensor],
        stages: Mapping[str, Sequence[Tensor]],
        generator: torch.Generator,
    ) -> Tensor:
        lbe, sigma = self.part.lbe, self.part.sigma
        assert lbe is not None
        pairs = [(1.0, features, noisy)]
        if lbe.stages:
            pairs = []
            for name, weight in lbe.stages.items():
                outputs = stages[name][: len(features)]
                own = [add_noise(x, sigma, generator) for x in outputs]
                pairs.append((weight, outputs, own))
        total = []
        for weight, means, samples in pairs:
            if lbe.views == "joined":
                together = [(torch.cat(list(means)), torch.cat(list(samples)))]
            else:
                together = list(zip(means, samples, strict=True))
            total += [
                weight * lower_bound_estimate(m, s, self.rho, sum_over=lbe.sum_over)
                for m, s in together
            ]
        return torch.stack(total).sum()

    @torch.no_grad()
    def decoded(self, features: Tensor) -> Tensor | None:
        """What the decoder makes of features (N, D), as a picture in [0, 1]; None without RC."""
        if self.decoder is None or self.part.rc is None:
            return None
        made: Tensor = self.decoder(features)
        if self.part.rc.likelihood == "bernoulli":
            return made.sigmoid()
        return self.maker.shown(made)
