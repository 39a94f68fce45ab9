"""The objectives as modules, for a training loop of one's own.

    loss = NTXent(0.5)(z0, z1)

Each holds its options and nothing else, and is right under DistributedDataParallel as it stands:
the mean of the losses over the ranks is the loss of one process on the joined batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from viewfinder.negatives.proposal import Negatives
from viewfinder.objectives.objective import Objective
from viewfinder.objectives.registry import OBJECTIVES


class _WithOptions(nn.Module):
    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        self.objective: Objective = OBJECTIVES[name]
        self.options = self.objective.options(**options)

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.options)


class NTXent(_WithOptions):
    """nt_xent of two views (N, D); see NTXentOptions."""

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__("nt_xent", temperature=temperature)

    def forward(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.objective([z0, z1], options=self.options)["loss"]


class InfoNCE(_WithOptions):
    """info_nce of (N, D) with negatives from the batch or given; see InfoNCEOptions."""

    def __init__(self, temperature: float = 0.2, **options: Any) -> None:
        super().__init__("info_nce", temperature=temperature, **options)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        negatives: Negatives | Tensor | None = None,
        *,
        index: Tensor | None = None,
        cluster: Tensor | None = None,
    ) -> Tensor:
        if isinstance(negatives, Tensor):
            negatives = Negatives(negatives)
        return self.objective(
            [query, key],
            index=index,
            cluster=cluster,
            negatives=negatives,
            options=self.options,
        )["loss"]


class SupCon(_WithOptions):
    """supcon of views (N, D) with labels (N,); see SupConOptions."""

    def __init__(self, temperature: float = 0.1, **options: Any) -> None:
        super().__init__("supcon", temperature=temperature, **options)

    def forward(self, views: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        return self.objective(views, cluster=labels, options=self.options)["loss"]


class Cosine(_WithOptions):
    """BYOL's or SimSiam's loss of two predictions and two targets (N, D); see CosineOptions.

    The targets are constants: they are detached here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("cosine", **options)

    def forward(self, predictions: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        constant = [target.detach() for target in targets]
        return self.objective(predictions, constant, options=self.options)["loss"]
