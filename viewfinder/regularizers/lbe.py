"""LBE: noisy features must tell which view they come from (Wang et al. 2022, implementation II)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.core.expect import check_word
from viewfinder.core.ranges import Positive
from viewfinder.data.domain import Spec
from viewfinder.objectives.log_partition import full_precision
from viewfinder.objectives.similarity import check_pair, float32_or_better
from viewfinder.regularizers.contract import (
    EncoderPass,
    Regularizer,
    RegularizerOptions,
    Term,
    check_width,
)

SumOver = Literal["noisy", "means"]


def default_rho(dim: int) -> float:
    """LBE's rho for features of ``dim`` dimensions: 25.6 / dim.

    Squared distances grow with the number of dimensions, and past 1 / rho there is hardly any push
    left. The paper has 0.05 throughout; its released code 0.05 with 512 dimensions (ResNet-18) and
    0.0125 with 2048 (ResNet-50), which this goes through.

    >>> default_rho(512), default_rho(2048)
    (0.05, 0.0125)
    """
    return 25.6 / dim


def lower_bound_estimate(
    mean: Tensor, noisy: Tensor, rho: float | None = None, *, sum_over: SumOver = "noisy"
) -> Tensor:
    """LBE: what of the InfoNCE bound on I(z, v) depends on the encoder; to be maximised.

        -1/N sum_k log sum_l exp( -rho || z_l - f(v_k) ||^2 )      (Wang et al. 2022, equation 14)

    It pushes the features of different images apart. The bound itself, at most log N, is

        log N + LBE - rho/N sum_k || z_k - f(v_k) ||^2

    whose last part is the noise's alone.

    mean      float (N, D), f(v): features, of one view or of the views of a batch together
    noisy     float (N, D), z = f(v) + sigma * e, see ``add_noise``
    rho       scale; 1 / (2 sigma^2) would be the exact density. None: ``default_rho(D)``
    sum_over  "noisy": over z_l for each f(v_k), as equation 14; "means": over f(v_l) for each z_k,
              as the released code has it
    Returns a scalar, of the samples of this process; ``LBE`` is that of all processes. Raises
    ValueError for other shapes, and for a rho that is not positive.

    >>> one_place = torch.zeros(4, 2)
    >>> round(lower_bound_estimate(one_place, one_place).item(), 4)  # -log 4
    -1.3863
    """
    check_pair(mean, noisy, ("mean", "noisy"))
    check_word("sum_over", sum_over, SumOver)
    rho = default_rho(mean.shape[1]) if rho is None else rho
    if not rho > 0:
        raise ValueError(f"rho must be positive, not {rho}: below 0 the term would pull together")
    anchors, keys = (mean, noisy) if sum_over == "noisy" else (noisy, mean)
    return _spread(anchors, keys, rho)


def _spread(anchors: Tensor, keys: Tensor, rho: float) -> Tensor:
    """-mean_k log sum_l exp(-rho || y_l - x_k ||^2) of anchors x (N, D) and keys y (M, D)."""
    anchors, keys = float32_or_better(anchors), float32_or_better(keys)
    return -(-rho * _squared_distances(anchors, keys)).logsumexp(dim=1).mean()


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M). From products, but around the centre: far from the origin the
    squares would be large and their differences inexact."""
    with full_precision(x):
        centre = y.detach().mean(dim=0)
        x, y = x - centre, y - centre
        return x.square().sum(dim=1)[:, None] + y.square().sum(dim=1) - 2 * x @ y.T


class LBEOptions(RegularizerOptions):
    rho: Positive | None = Field(
        None, description="scale of squared distances; null: 25.6 / the features' width, which is "
        "the paper's 0.05 at 512 and its code's 0.0125 at 2048"
    )  # fmt: skip
    sum_over: SumOver = Field(
        "noisy", description="noisy, as equation 14; means, as the released code"
    )
    views: Literal["joined", "each"] = Field(
        "joined", description="joined: one estimate over the views together, as the released code; "
        "each: one per view, with weights of their own"
    )  # fmt: skip
    stages: dict[str, Positive] | None = Field(
        None, min_length=1, description="weights of inner stages by submodule, such as "
        "{layer3: 0.5, layer4: 1}; null: the features alone"
    )  # fmt: skip

    @model_validator(mode="after")
    def _a_weight_per_estimate(self) -> Self:
        first, second = self.weights
        if self.views == "joined" and first != second:
            raise OptionError(
                f"@weight=[{first:g},{second:g}] is a weight for each view, and with @views=joined "
                "there is one estimate for all",
                fix="@views=each",
            )
        return self


class Estimate(Term):
    """The estimate of the features, or the weighted sum of those of inner stages."""

    def __init__(self, options: LBEOptions, spec: Spec) -> None:
        super().__init__()
        self.options = options
        self.dim = spec.feature_dim
        # of the features' width for all stages, narrower ones too, as in the released code
        self.rho = default_rho(spec.feature_dim) if options.rho is None else options.rho

    def forward(self, seen: EncoderPass) -> Tensor:
        check_width(seen, self.dim)
        layers = [(1.0, seen.features, seen.noisy)]
        if self.options.stages:
            layers = [
                (weight, seen.stages[name], seen.noisy_stages[name])
                for name, weight in self.options.stages.items()
            ]
        found = [weight * self._of(means, noisy, seen.rows) for weight, means, noisy in layers]
        return torch.stack(found).sum(dim=0)

    def _of(self, means: Sequence[Tensor], noisy: Sequence[Tensor], rows: slice) -> Tensor:
        anchors, keys = (means, noisy) if self.options.sum_over == "noisy" else (noisy, means)
        own = [x[rows] for x in anchors]
        if self.options.views == "joined":
            return _spread(torch.cat(own), torch.cat(list(keys)), self.rho)
        return torch.stack([_spread(x, y, self.rho) for x, y in zip(own, keys, strict=True)])


LBE_REGULARIZER = Regularizer(
    name="lbe",
    summary="lower bound estimate of what noisy features know of their view",
    formula="-1/N sum_k log sum_l exp( -rho || z_l - f(v_k) ||^2 )",
    paper="Wang et al. 2022, equation 14",
    options=LBEOptions,
    build=Estimate,
    needs=("features", "noisy", "stages"),
    across_ranks="keys",
    sign=-1,
    noise=True,
    stages=lambda o: o.stages or (),
)
