"""RC: a decoder makes each view again from its features (Wang et al. 2022, implementation I)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from viewfinder.core.expect import check_same_device, check_word
from viewfinder.data.domain import Spec
from viewfinder.networks.channels_last import fast_layout
from viewfinder.networks.decoder import Decoder
from viewfinder.objectives.similarity import float32_or_better
from viewfinder.regularizers.contract import (
    Elements,
    EncoderPass,
    Regularizer,
    RegularizerOptions,
    Term,
    check_width,
)

ROUNDING = 1e-3
"""How far outside [0, 1] a view may be that was normalised and shown again."""

Likelihood = Literal["gaussian", "laplace", "bernoulli"]


def reconstruction(
    decoded: Tensor,
    view: Tensor,
    likelihood: Likelihood = "gaussian",
    *,
    elements: Elements = "sum",
) -> Tensor:
    """RC: -log q(v | z) of a view, up to its constants (Wang et al. 2022, equations 10 to 12).

        gaussian   mean_i sum_e (v_ie - mu_ie)^2
        laplace    mean_i sum_e |v_ie - mu_ie|
        bernoulli  mean_i sum_e -v_ie log s(mu_ie) - (1 - v_ie) log(1 - s(mu_ie)), s the sigmoid

    Less of it is more information about the view in the features it was decoded from.

    decoded   float (N, ...), mu: the decoder's output
    view      the same shape: what the encoder saw; a constant. In [0, 1] for the Bernoulli
    elements  "mean" over the elements of an image instead of their sum, as the released code has it
    Returns a scalar for one view; the views' terms are added. It is a mean over the samples of this
    process. Raises ValueError for other shapes, and for views outside [0, 1] in the Bernoulli form.

    >>> reconstruction(torch.zeros(2, 3), torch.ones(2, 3)).item()
    3.0
    """
    if decoded.shape != view.shape or decoded.ndim < 2 or not len(decoded):
        raise ValueError(
            f"decoded and view must be (N, ...) of one shape, not {tuple(decoded.shape)} and "
            f"{tuple(view.shape)}"
        )
    _check_view(view)
    check_word("likelihood", likelihood, Likelihood)
    check_word("elements", elements, Elements)
    check_same_device("view", view, "decoded", decoded)
    decoded, view = float32_or_better(decoded), view.to(float32_or_better(decoded).dtype)
    if likelihood == "gaussian":
        losses = (decoded - view).square()
    elif likelihood == "laplace":
        losses = (decoded - view).abs()
    else:
        _check_share(view)
        losses = F.binary_cross_entropy_with_logits(decoded, view, reduction="none")
    return losses.mean() if elements == "mean" else losses.flatten(1).sum(dim=1).mean()


def _check_view(view: Tensor) -> None:
    if not view.is_floating_point():
        raise ValueError(
            f"a view must be floating point, as the encoder saw it, not {view.dtype}: of bytes "
            "give view / 255, normalised where the encoder's are"
        )


def _check_share(view: Tensor) -> None:
    low, high = (float(x) for x in view.detach().aminmax())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(
            f"the Bernoulli form is of views in [0, 1], and these run from {low:.3g} to "
            f"{high:.3g}: give them as they were before they were normalised"
        )


class RCOptions(RegularizerOptions):
    likelihood: Likelihood = Field("gaussian", description="gaussian, laplace or bernoulli")
    elements: Elements = Field(
        "mean", description="mean over the numbers of a view, as the weights of the paper's "
        "experiments are for; or sum, as its formula has it"
    )  # fmt: skip
    width: float = Field(
        1.0, gt=0, le=4, description="of the decoder's layers, as a share of the paper's"
    )


class Reconstruction(Term):
    """The decoder, and the term of each view."""

    def __init__(self, options: RCOptions, spec: Spec) -> None:
        super().__init__()
        self.options, self.dim = options, spec.feature_dim
        domain = spec.domain
        self.decoder = fast_layout(
            Decoder(spec.feature_dim, domain.channels, domain.size, width=options.width)
        )

    def check(self, seen: EncoderPass) -> None:
        check_width(seen, self.dim)
        for number, view in enumerate(seen.views):
            _check_view(view)
            if self.options.likelihood == "bernoulli" and len(view):
                _check_share(seen.shown(view, number))

    def forward(self, seen: EncoderPass) -> Tensor:
        check_width(seen, self.dim)
        o = self.options
        losses = []
        for number, (view, features) in enumerate(zip(seen.views, seen.features, strict=True)):
            # Bernoulli is of values in [0, 1]: the view before it was normalised
            goal = seen.shown(view, number) if o.likelihood == "bernoulli" else view
            made = self.decoder(features)
            losses.append(reconstruction(made, goal, o.likelihood, elements=o.elements))
        return torch.stack(losses)

    def decoded(self, features: Tensor, shown: Callable[[Tensor], Tensor]) -> Tensor:
        made: Tensor = self.decoder(features)
        return made.sigmoid() if self.options.likelihood == "bernoulli" else shown(made)


RC_REGULARIZER = Regularizer(
    name="rc",
    summary="reconstruction of each view from its features by a decoder",
    formula="-log q(v | z), such as || v - mu(z) ||^2 with the decoder mu",
    paper="Wang et al. 2022, implementation I",
    options=RCOptions,
    build=Reconstruction,
    needs=("views", "features"),
    across_ranks="nothing",
    parameters=True,
    modality="images",
)
