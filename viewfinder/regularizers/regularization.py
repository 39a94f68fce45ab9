"""What a run adds to its objective: the regularizers chosen, with their noise and their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Spec
from viewfinder.networks.stages import check_stages
from viewfinder.regularizers.contract import EncoderPass, RegularizerOptions
from viewfinder.regularizers.noise import add_noise
from viewfinder.regularizers.table import REGULARIZERS


class Regularization(nn.Module):
    """The sum of the regularizers chosen; their parameters are trained with the encoder.

        total = sum of sign * weight * term

    chosen   name -> options, in the order of the sum
    sigma    standard deviation of the noise on features
    spec     what they will meet: the domain of the views, and the width of the features
    encoder  whose inner stages some of them read; nothing about it changes

    ``stages`` are the submodules of the encoder whose outputs are to be captured, ``output_stages``
    those of them that give the features themselves.

    Raises UserError where one cannot be used with views of this domain, or the encoder has no such
    stage.
    """

    def __init__(
        self,
        chosen: Mapping[str, RegularizerOptions],
        sigma: float,
        spec: Spec,
        encoder: nn.Module,
    ) -> None:
        super().__init__()
        self.chosen, self.sigma = dict(chosen), sigma
        self.terms = nn.ModuleDict()
        self.stages: list[str] = []
        self.output_stages: set[str] = set()
        for name, options in self.chosen.items():
            row = REGULARIZERS.find(name)
            if row.modality not in (None, spec.domain.modality):
                raise UserError(
                    f"regularizers.{name} is of {row.modality}, and the views are "
                    f"{spec.domain.modality}",
                    fix=f"regularizers.{name}=0",
                )
            if not isinstance(options, row.options):
                raise UserError(
                    f"regularizers.{name} is given {type(options).__name__}; "
                    f"{row.options.__name__} is expected",
                    fix=f'REGULARIZERS["{name}"].options(...)',
                )
            self.terms[name] = row.build(options, spec)
            if stages := list(row.stages(options)):
                self.output_stages |= check_stages(
                    encoder, stages, spec.domain.shape, key=f"regularizers.{name}.stages"
                )
                self.stages += [stage for stage in stages if stage not in self.stages]

    def noisy(self, features: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
        """z = f(v) + sigma * e of each view, what the head sees; f(v) itself without noise."""
        if not self.sigma:
            return list(features)
        return [add_noise(x, self.sigma, generator) for x in features]

    def forward(self, seen: EncoderPass) -> dict[str, Tensor]:
        """Each term by name, added over its views, and "total"; all scalars. Empty without terms.

        ``seen`` holds the stages named in ``stages``; their noise is drawn here. Across ranks each
        is as ``Regularizer`` says.
        """
        seen = self._with_noisy_stages(seen)
        terms, signed = {}, []
        for name, term in self.terms.items():
            row, weights = REGULARIZERS[name], self.chosen[name].weights
            used = [i for i in range(len(seen.features)) if weights[i % 2]]
            value = row(term, seen.of_views(used))
            terms[name] = value.sum()
            signed.append(row.sign * weighted(value, [weights[i % 2] for i in used]))
        if signed:
            terms["total"] = torch.stack(signed).sum()
        return terms

    def _with_noisy_stages(self, seen: EncoderPass) -> EncoderPass:
        """Each stage with a draw of its own; but a stage that is the features has theirs, so that
        head and estimate see the same sample, as in the released code."""
        stages: dict[str, Sequence[Tensor]] = {}
        noisy: dict[str, Sequence[Tensor]] = {}
        for name in self.stages:
            if name in self.output_stages:
                stages[name], noisy[name] = seen.features, seen.noisy
            else:
                assert seen.generator is not None, "the noise of stages is drawn from it"
                stages[name] = seen.stages[name][: len(seen.features)]
                noisy[name] = self.noisy(stages[name], seen.generator)
        return replace(seen, stages=stages, noisy_stages=noisy)

    @torch.no_grad()
    def decoded(self, features: Tensor, shown: Callable[[Tensor], Tensor]) -> Tensor | None:
        """What is decoded of features (N, D), images in [0, 1]; None where nothing decodes.

        ``shown`` is (normalised view) -> the same in [0, 1].
        """
        for term in self.terms.values():
            made: Tensor | None = term.decoded(features, shown)  # type: ignore[operator]
            if made is not None:
                return made
        return None


def weighted(term: Tensor, weights: Sequence[float]) -> Tensor:
    """The scalar weight * term; of a term per view, float (V,), sum_v weights[v] * term[v].

    >>> weighted(torch.tensor([1.0, 10.0]), [2, 0.5]).item()
    7.0
    """
    if min(weights) == max(weights):
        return weights[0] * term.sum()
    if not term.ndim:
        raise ValueError(f"one term for all views takes one weight, not {list(weights)}")
    return (term * term.new_tensor(weights)).sum()
