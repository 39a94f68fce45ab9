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

from viewfinder.core.validation import given
from viewfinder.negatives.contract import Contrast
from viewfinder.objectives.barlow_twins import Deviation
from viewfinder.objectives.contract import Objective
from viewfinder.objectives.cosine import Form
from viewfinder.objectives.deep_info_max import Form as InfoMaxForm
from viewfinder.objectives.log_partition import Temperature
from viewfinder.objectives.relations import Stale
from viewfinder.objectives.similarity import Similarity
from viewfinder.objectives.supcon import Anchors, Missing
from viewfinder.objectives.table import OBJECTIVES


class _WithOptions(nn.Module):
    """An objective and its options. A temperature that is a tensor is used as it stands: an
    nn.Parameter is among the module's parameters and is learned."""

    temperature: Tensor | None

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        self.name = name  # not the row itself: a module can be pickled
        learned = isinstance(options.get("temperature"), Tensor)
        self.temperature = options.pop("temperature") if learned else None
        self.options = given(self.objective.options, **options)

    @property
    def objective(self) -> Objective:
        return OBJECTIVES[self.name]

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


class _OfPairs(_WithOptions):
    def forward(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.loss([z0], [z1])


class NTXent(_OfPairs):
    """nt_xent of two views (N, D); see NTXentOptions.

    >>> [p.item() for p in NTXent(nn.Parameter(torch.tensor(0.5))).parameters()]
    [0.5]
    """

    def __init__(self, temperature: Temperature = 0.5) -> None:
        super().__init__("nt-xent", temperature=temperature)


class CIInfoNCE(_OfPairs):
    """ci_infonce of pairs (N, D) from the same clusters, see ``draw_partners``; CIInfoNCEOptions.

    With all members of a cluster as positives it is SupCon.
    """

    def __init__(self, temperature: Temperature = 0.1) -> None:
        super().__init__("ci-infonce", temperature=temperature)


class BarlowTwins(_OfPairs):
    """barlow_twins of two views (N, D), N >= 2; see BarlowTwinsOptions."""

    def __init__(
        self,
        redundancy: float = 0.005,
        *,
        normalize: bool = False,
        deviation: Deviation = "biased",
        eps: float = 1e-5,
    ) -> None:
        super().__init__(
            "barlow-twins",
            redundancy=redundancy,
            normalize=normalize,
            deviation=deviation,
            eps=eps,
        )


class VICReg(_OfPairs):
    """vicreg of two views (N, D), N >= 2; see VICRegOptions."""

    def __init__(
        self,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        *,
        halved: bool = True,
        eps: float = 1e-4,
    ) -> None:
        super().__init__(
            "vicreg",
            invariance=invariance,
            variance=variance,
            covariance=covariance,
            halved=halved,
            eps=eps,
        )


class InfoNCE(_WithOptions):
    """info_nce of (N, D) with negatives from the batch or given; see InfoNCEOptions.

    One direction: the mean with ``loss(key, query)`` is the symmetric loss. Without a key the
    positive is what the negatives give: in a memory bank, the query's own row.
    """

    def __init__(
        self,
        temperature: Temperature = 0.2,
        *,
        stale: Stale = "excluded",
        similarity: Similarity = "cosine",
    ) -> None:
        super().__init__("info-nce", temperature=temperature, stale=stale, similarity=similarity)

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
        keys = [] if key is None else [key]
        return self.loss([query], keys, cluster=cluster, negatives=negatives)


class SupCon(_WithOptions):
    """supcon of views (N, D) with labels (N,), or with tags (N, T); see SupConOptions.

    views    a list with one float (N, D) per view. Of one tensor (N, V, D), as the loss's first
             implementation takes it, give ``list(z.unbind(1))``: what is no list is refused, since
             nothing tells (N, V, D) from (V, N, D)

    labels   int64 (N,); negative: not known. Without labels and tags every image is its own class
    tags     bool or 0/1 (N, T): two images are positives as far as they share tags
    """

    def __init__(
        self,
        temperature: Temperature = 0.1,
        *,
        base_temperature: float | None = None,
        anchors: Anchors = "all",
        missing: Missing = "error",
    ) -> None:
        super().__init__(
            "supcon",
            temperature=temperature,
            base_temperature=base_temperature,
            anchors=anchors,
            missing=missing,
        )

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
    """BYOL's or SimSiam's loss of a prediction and its target, (N, D) each; see CosineOptions.

        loss = cosine(p0, z1) + cosine(p1, z0)      # BYOL; SimSiam takes half of it

    One direction, so which view predicts which is written where it is called. The target is a
    constant: it is detached here.
    """

    def __init__(self, *, form: Form = "regression") -> None:
        super().__init__("cosine", form=form)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.loss([prediction], [target.detach()])


class DeepInfoMax(_WithOptions):
    """deep_info_max of vectors (N, D) and the places (N, L, D) of maps; see LDIMOptions.

        loss = DeepInfoMax()(head(features), local_head(maps.flatten(2).mT))

    The paper's local objective; of the whole map give one place, (N, 1, D).
    """

    def __init__(
        self,
        form: InfoMaxForm = "jsd",
        *,
        temperature: Temperature = 1.0,
        similarity: Similarity = "dot",
    ) -> None:
        super().__init__("ldim", form=form, temperature=temperature, similarity=similarity)

    def forward(self, query: Tensor, places: Tensor) -> Tensor:
        return self.loss([query], [places])
