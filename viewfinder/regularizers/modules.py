"""The regularizers as modules, for a training loop of one's own.

    loss = loss + 0.1 * RC(dim=512, channels=3, size=32)([features], [view])
    loss = loss - 0.1 * LBE()([features], [noisy])

Each is right under DistributedDataParallel as it stands, also where the processes hold different
numbers of samples: the mean over the ranks is the term of one process on the joined batch, in value
and in gradients. A decoder is to be wrapped with the model and given to the optimiser.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from viewfinder.core.expect import check_whole
from viewfinder.core.validation import given
from viewfinder.data.domain import Domain, Spec
from viewfinder.regularizers.contract import Elements, EncoderPass, RegularizerOptions
from viewfinder.regularizers.ip import MatchOptions
from viewfinder.regularizers.lbe import LBEOptions, SumOver
from viewfinder.regularizers.rc import Likelihood, RCOptions
from viewfinder.regularizers.table import REGULARIZERS


class _OfRow(nn.Module):
    """A row of the table with its options; by name, so that the module can be pickled."""

    def __init__(self, name: str, options: RegularizerOptions, spec: Spec) -> None:
        super().__init__()
        self.name = name
        self.term = REGULARIZERS[name].build(options, spec)

    def _sum(self, seen: EncoderPass) -> Tensor:
        return REGULARIZERS[self.name](self.term, seen).sum()


class RC(_OfRow):
    """``reconstruction`` by a decoder of its own, added over the views; to be minimised. Its batch
    norm is over the samples of all processes.

    dim             width of the features
    channels, size  of the views: (N, channels, size, size)
    elements        "mean" over the numbers of a view, or their "sum"

    >>> import torch
    >>> RC(8, 3, 16)([torch.zeros(4, 8)], [torch.zeros(4, 3, 16, 16)]).ndim
    0
    """

    def __init__(
        self,
        dim: int,
        channels: int,
        size: int,
        *,
        likelihood: Likelihood = "gaussian",
        elements: Elements = "mean",
    ) -> None:
        domain = Domain("images", (channels, size, size))
        for name, value, least in (("dim", dim, 1), ("channels", channels, 1), ("size", size, 4)):
            check_whole(name, value, least)
        options = given(RCOptions, likelihood=likelihood, elements=elements)
        super().__init__("rc", options, Spec(domain, feature_dim=dim))

    def forward(self, features: Sequence[Tensor], views: Sequence[Tensor]) -> Tensor:
        """float (N, dim) and (N, channels, size, size) of each view -> a scalar."""
        return self._sum(EncoderPass(views=views, features=features))


class LBE(_OfRow):
    """``lower_bound_estimate`` over samples and views together; to be maximised, so subtract it.

    dim  width of the features, for rho where it is not given: 25.6 / dim

    >>> import torch
    >>> x = torch.zeros(4, 2)
    >>> round(LBE(2)([x], [x]).item(), 4)  # -log 4
    -1.3863
    """

    def __init__(self, dim: int, *, rho: float | None = None, sum_over: SumOver = "noisy") -> None:
        check_whole("dim", dim)
        options = given(LBEOptions, rho=rho, sum_over=sum_over)
        super().__init__("lbe", options, Spec(Domain("images", ()), feature_dim=dim))

    def forward(self, means: Sequence[Tensor], noisy: Sequence[Tensor]) -> Tensor:
        """float (N, dim) of each view, the same with noise -> a scalar."""
        return self._sum(EncoderPass(features=means, noisy=noisy))


class IP(_OfRow):
    """``inverse_predictive`` of two views; with ``add_noise`` before the head it is MIB."""

    def __init__(self, *, elements: Elements = "mean") -> None:
        super().__init__("ip", given(MatchOptions, elements=elements), Spec(Domain("images", ())))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """float (N, D) twice -> a scalar."""
        return self._sum(EncoderPass(features=[first, second]))
