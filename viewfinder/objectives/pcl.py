"""Prototypical contrastive learning (PCL): k-means centroids as positives, each with its width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.expect import check_whole_numbers
from viewfinder.core.ranges import Divisor, Positive
from viewfinder.negatives.contract import Contrast
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.info_nce import info_nce_with_negatives
from viewfinder.objectives.log_partition import Temperature, exact_product
from viewfinder.objectives.similarity import unit
from viewfinder.positives.assignment import Centroids


@dataclass(frozen=True)
class Prototypes:
    """One clustering, as a batch of N samples sees it; PCL uses several with different K.

    cluster    int64 (N,), which prototype each sample of the batch belongs to
    centroids  float (K, D), any scale; constants
    density    float (K,), > 0: each prototype's own temperature, see ``concentration``
    """

    cluster: Tensor
    centroids: Tensor
    density: Tensor


def pcl(
    query: Tensor,
    key: Tensor,
    queue: Contrast,
    clusterings: Sequence[Prototypes],
    temperature: Temperature = 0.2,
) -> dict[str, Tensor]:
    """InfoNCE with a queue plus ProtoNCE averaged over the clusterings (Li et al. 2021, eq. 11).

    Returns the scalars "loss", "instance" and "prototypes". See ``info_nce_with_negatives`` and
    ``proto_nce``. Without clusterings (PCL's warm-up) "prototypes" is 0. Each sample's loss needs
    nothing of the others, so the mean over ranks with batches of one size is that of one process.
    """
    instance = info_nce_with_negatives(query, key, queue, temperature)
    losses = [proto_nce(query, c) for c in clusterings]
    prototypes = torch.stack(losses).mean() if losses else torch.zeros_like(instance)
    return {"loss": instance + prototypes, "instance": instance, "prototypes": prototypes}


def proto_nce(query: Tensor, given: Prototypes) -> Tensor:
    """Contrast of samples with prototypes (PCL, Li et al. 2021, equation 11, second term).

        loss = mean_i -log( exp(q_i . c_s(i) / phi_s(i)) / sum_j exp(q_i . c_j / phi_j) )

    with s(i) the cluster of sample i, phi the density, and unit vectors q and c. The sum is over
    all prototypes, as in the equation; the authors' code samples them.

    query  float (N, D), any scale: normalised inside
    Returns a scalar. Raises ValueError for other shapes or a density that is not positive.
    """
    if query.ndim != 2 or not query.numel() or given.cluster.shape != query.shape[:1]:
        raise ValueError(
            f"query must be (N, D), N and D at least 1, and cluster (N,), not "
            f"{tuple(query.shape)} and {tuple(given.cluster.shape)}"
        )
    check_whole_numbers("cluster", given.cluster)
    if given.density.shape != given.centroids.shape[:1] or bool((given.density <= 0).any()):
        raise ValueError("density must be (K,), one positive number for each of the K centroids")
    q, centroids, density = unit(query), given.centroids.detach(), given.density.detach()
    logits = exact_product(q, unit(centroids).T) / density.to(q.dtype)
    return F.cross_entropy(logits, given.cluster.long())


def concentration(
    squared_distance: Tensor,
    cluster: Tensor,
    count: int,
    temperature: float = 0.2,
    *,
    smoothing: float = 10.0,
) -> Tensor:
    """How wide each cluster is: the density phi of ProtoNCE (PCL, equation 12, and as coded).

        phi_c = mean_{j in c} distance_j / log(n_c + smoothing)

    Clusters with fewer than two members take the largest phi; all are cut to the 10th and 90th
    percentile and scaled so that their mean is the temperature.

    squared_distance  float (M,), squared distance of each point to its centroid (faiss gives it so)
    cluster           int64 (M,), 0..count-1
    Returns density, float (count,), > 0. A cluster whose members are all equal has no width; it
    counts as a thousandth of the mean. Raises ValueError for other shapes.
    """
    check_whole_numbers("cluster", cluster)
    if squared_distance.ndim != 1 or cluster.shape != squared_distance.shape:
        raise ValueError(
            "squared_distance and cluster must both be (M,), not "
            f"{tuple(squared_distance.shape)} and {tuple(cluster.shape)}"
        )
    members = cluster.bincount(minlength=count).to(squared_distance.dtype)
    sums = squared_distance.new_zeros(count).index_add(0, cluster, squared_distance.sqrt())
    phi = sums / members.clamp(min=1) / (members + smoothing).log()
    phi = torch.where(members > 1, phi, phi.masked_fill(members < 2, 0).max())
    ends = torch.tensor([0.1, 0.9], dtype=phi.dtype, device=phi.device)
    low, high = phi.quantile(ends)
    phi = phi.clamp(low, high)
    if phi.mean() == 0:
        return torch.full_like(phi, temperature)
    return temperature * (phi / phi.mean()).clamp(min=1e-3)


class Clusterings(nn.Module):
    """Centroids and densities of M clusterings, as buffers: part of the state of a run.

    sizes  the K of each; a clustering that found fewer clusters leaves the rest empty, and one that
           was never set is not used
    density, smoothing  of ``concentration``, for clusterings that are made anew
    """

    def __init__(
        self, sizes: Sequence[int], dim: int, *, density: float = 0.2, smoothing: float = 10.0
    ) -> None:
        super().__init__()
        self.sizes, self.density, self.smoothing = tuple(sizes), density, smoothing
        for m, size in enumerate(self.sizes):
            self.register_buffer(f"centroids{m}", torch.zeros(size, dim))
            self.register_buffer(f"density{m}", torch.zeros(size))

    def renew_clusters(self, z: Tensor, centroids: Sequence[Centroids]) -> None:
        """Take on clusterings z int64 (N, M) that were made anew, with their centroids."""
        for m, made in enumerate(centroids):
            vectors, distance = torch.from_numpy(made.vectors), torch.from_numpy(made.distance)
            density = concentration(
                distance.clamp(min=0), z[:, m], len(vectors), self.density, smoothing=self.smoothing
            )
            self.set(m, vectors, density)

    def set(self, m: int, centroids: Tensor, density: Tensor) -> None:
        """Replace clustering m: centroids float (K, D) and density float (K,), K up to its size."""
        for name, value in (("centroids", centroids), ("density", density)):
            buffer = self.get_buffer(f"{name}{m}")
            buffer.zero_()[: len(value)] = value.to(buffer)

    def prototypes(self, cluster: Tensor) -> list[Prototypes]:
        """What a batch sees of each clustering that was set: cluster int64 (N, M)."""
        seen = []
        for m in range(len(self.sizes)):
            density = self.get_buffer(f"density{m}")
            count = int((density > 0).sum())
            if count:
                centroids = self.get_buffer(f"centroids{m}")[:count]
                seen.append(Prototypes(cluster[:, m], centroids, density[:count]))
        return seen


class PCLOptions(Options):
    temperature: Divisor = Field(0.2, description="divides the similarities with the keys")
    density: Divisor = Field(
        0.2, description="mean of the prototypes' densities, which divide the similarities to them"
    )
    smoothing: Positive = Field(10.0, description="PCL's alpha: makes small clusters denser")


def _compute(x: Inputs, o: PCLOptions) -> dict[str, Tensor]:
    assert x.negatives is not None and x.cluster is not None  # the table says that it needs them
    clusterings = x.state.prototypes(x.cluster)
    return pcl(*x.pair, x.negatives, clusterings, o.temperature)


PCL_OBJECTIVE = Objective(
    name="pcl",
    summary="InfoNCE with a queue, and the contrast of an image with its clusters' centroids",
    formula="info_nce + mean over clusterings of mean_i -log softmax_j(q_i . c_j / phi_j)_s(i)",
    paper="PCL, Li et al. 2021, equation 11",
    options=PCLOptions,
    compute=_compute,
    minimum=None,
    scores="pairs",
    state=lambda o, dim, sizes: Clusterings(sizes, dim, density=o.density, smoothing=o.smoothing),
    across_ranks="nothing",
    target="any",
    negatives=("table",),
    positives=("clusterings",),
)
