"""The objectives as modules, for a training loop of one's own.

    loss = NTXent(0.5)(z0, z1)

Each holds its options, and its temperature where that is learned. It is right under
DistributedDataParallel as it stands: the mean of the losses over the ranks is the loss of one
process on the joined batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from viewfinder.negatives.contract import Contrast
from viewfinder.objectives.contract import Objective
from viewfinder.objectives.log_partition import Temperature
from viewfinder.objectives.table import OBJECTIVES


class _WithOptions(nn.Module):
    """An objective and its options. A temperature that is a tensor is used as it stands: an
    nn.Parameter is among the module's parameters and is learned."""

    temperature: Tensor | None

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        self.objective: Objective = OBJECTIVES[name]
        given = options.get("temperature")
        self.temperature = options.pop("temperature") if isinstance(given, Tensor) else None
        self.options = self.objective.options(**options)

    def loss(
        self, online: Sequence[Tensor], target: Sequence[Tensor] | None = None, **more: Any
    ) -> Tensor:
        """The loss of the objective; see ``Objective``."""
        more = {"options": self.options, "temperature": self.temperature, **more}
        return self.objective(online, target, **more)["loss"]

    def extra_repr(self) -> str:
        shown = dict(self.options)
        if self.temperature is not None:
            shown["temperature"] = self.temperature.item()
        return ", ".join(f"{key}={value!r}" for key, value in shown.items())


class _OfTwoViews(_WithOptions):
    def forward(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.loss([z0, z1])


class NTXent(_OfTwoViews):
    """nt_xent of two views (N, D); see NTXentOptions.

    >>> [p.item() for p in NTXent(nn.Parameter(torch.tensor(0.5))).parameters()]
    [0.5]
    """

    def __init__(self, temperature: Temperature = 0.5) -> None:
        super().__init__("nt_xent", temperature=temperature)


class CIInfoNCE(_OfTwoViews):
    """ci_infonce of pairs (N, D) from the same clusters, see ``draw_partners``; CIInfoNCEOptions.

    With all members of a cluster as positives it is SupCon.
    """

    def __init__(self, temperature: Temperature = 0.1) -> None:
        super().__init__("ci_infonce", temperature=temperature)


class BarlowTwins(_OfTwoViews):
    """barlow_twins of two views (N, D), N >= 2; see BarlowTwinsOptions."""

    def __init__(self, **options: Any) -> None:
        super().__init__("barlow_twins", **options)


class VICReg(_OfTwoViews):
    """vicreg of two views (N, D), N >= 2; see VICRegOptions."""

    def __init__(self, **options: Any) -> None:
        super().__init__("vicreg", **options)


class InfoNCE(_WithOptions):
    """info_nce of (N, D) with negatives from the batch or given; see InfoNCEOptions.

    Without a key the positive is what the negatives give: in a memory bank, the query's own row.
    """

    def __init__(self, temperature: Temperature = 0.2, **options: Any) -> None:
        super().__init__("info_nce", temperature=temperature, **options)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        negatives: Contrast | Tensor | None = None,
        *,
        cluster: Tensor | None = None,
    ) -> Tensor:
        if isinstance(negatives, Tensor):
            negatives = Contrast.of(negatives)
        views, target = ([query], []) if key is None else ([query, key], [query, key])
        return self.loss(views, target, cluster=cluster, negatives=negatives)


class SupCon(_WithOptions):
    """supcon of views (N, D) with labels (N,), or with tags (N, T); see SupConOptions.

    labels   int64 (N,); negative: not known. Without labels and tags every image is its own class
    tags     bool or 0/1 (N, T): two images are positives as far as they share tags
    """

    def __init__(self, temperature: Temperature = 0.1, **options: Any) -> None:
        super().__init__("supcon", temperature=temperature, **options)

    def forward(
        self,
        views: Sequence[Tensor],
        labels: Tensor | None = None,
        *,
        tags: Tensor | None = None,
    ) -> Tensor:
        if labels is not None and tags is not None:
            raise ValueError("SupCon takes labels or tags, not both")
        return self.loss(views, cluster=labels, tags=tags)


class Cosine(_WithOptions):
    """BYOL's or SimSiam's loss of two predictions and two targets (N, D); see CosineOptions.

    The targets are constants: they are detached here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("cosine", **options)

    def forward(self, predictions: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        constant = [target.detach() for target in targets]
        return self.loss(predictions, constant)
