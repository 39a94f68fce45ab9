"""IP: what the views do not share is to leave the features (Wang et al. 2022, table 3)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from viewfinder.core.expect import check_word
from viewfinder.data.domain import Spec
from viewfinder.objectives.similarity import check_pair, float32_or_better
from viewfinder.regularizers.contract import (
    Elements,
    EncoderPass,
    OneTermOptions,
    Regularizer,
    Term,
)


def inverse_predictive(first: Tensor, second: Tensor, *, elements: Elements = "sum") -> Tensor:
    """IP: mean_i || f_1(v_1i) - f_2(v_2i) ||^2, less of which is less non-shared information.

    (Wang et al. 2022, after Tsai et al. 2021. ``viewfinder.regularizers.mib`` says why MIB is the
    same number.)

    first, second  float (N, D): the features of two views
    elements       "mean" over the dimensions too, as the released code has it
    Returns a scalar, a mean over the samples of this process. Raises ValueError for other shapes.

    >>> inverse_predictive(torch.zeros(2, 3), torch.ones(2, 3)).item()
    3.0
    """
    check_pair(first, second, ("first", "second"))
    check_word("elements", elements, Elements)
    squares = (float32_or_better(first) - float32_or_better(second)).square()
    return squares.mean() if elements == "mean" else squares.sum(dim=1).mean()


class MatchOptions(OneTermOptions):
    elements: Elements = Field("mean", description="mean or sum over the features' dimensions")


class Match(Term):
    """The squared distance between the features of two views."""

    def __init__(self, options: MatchOptions, spec: Spec) -> None:
        super().__init__()
        self.options = options

    def forward(self, seen: EncoderPass) -> Tensor:
        first, second = seen.features
        return inverse_predictive(first, second, elements=self.options.elements)


IP_REGULARIZER = Regularizer(
    name="ip",
    summary="inverse prediction: the squared distance between the features of two views",
    formula="mean_i || f(v_1i) - f(v_2i) ||^2",
    paper="Wang et al. 2022, after Tsai et al. 2021",
    options=MatchOptions,
    build=Match,
    needs=("features",),
    across_ranks="nothing",
    views=(2, 2),
)
