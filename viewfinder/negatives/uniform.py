"""Rows of a memory bank, every value of Z as likely as any other."""

from __future__ import annotations

from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.ranges import Rows
from viewfinder.data.domain import Spec
from viewfinder.negatives.bank import Bank, MemoryOptions, memory_row
from viewfinder.negatives.pool import Chosen, Pool


def uniform(pool: Pool, draws: int) -> Chosen:
    """``draws`` rows with replacement, each in inverse proportion to how many others are of its
    cluster: uniform over the support of p(y) (VINCE, Wu et al. 2020, example 3), where y is known
    by its cluster.

    So masked language modelling contrasts with every word of the vocabulary alike, however often
    it is written (section 5.1). Where no clusters are known every datum is a value of its own, and
    this is uniform over the data.
    """
    weights = _share(pool.cluster)
    upto, x = weights.cumsum(dim=0), pool.fractions(draws)
    if pool.own is None:
        return Chosen(torch.searchsorted(upto, x * upto[-1], right=True))
    # of the line that the weights make end to end the piece of the query's own row is cut out
    before = torch.where(pool.own > 0, upto[pool.own - 1], 0)[:, None]
    own = weights[pool.own, None]
    x = x * (upto[-1] - own)
    return Chosen(torch.searchsorted(upto, torch.where(x >= before, x + own, x), right=True))


def _share(cluster: Tensor) -> Tensor:
    """One over the number of rows of each row's cluster, float64 (M,); 1 where that is not known.
    Of several clusterings rows of one cluster are those that share all."""
    known = (cluster >= 0).view(len(cluster), -1).all(dim=1)
    _, named, counts = torch.unique(cluster, dim=0, return_inverse=True, return_counts=True)
    return torch.where(known, 1 / counts[named].double(), 1.0)


class UniformOptions(MemoryOptions):
    draws: Rows = Field(4096, description="draws of each query, with replacement")


def _build(o: UniformOptions, spec: Spec) -> Bank:
    return o.memory(spec, o.draws, partial(uniform, draws=o.draws))


UNIFORM = memory_row(
    name="uniform",
    summary="rows of a memory of one vector per datum, every cluster as likely as any other",
    paper="VINCE, Wu et al. 2020, example 3",
    options=UniformOptions,
    bare="draws",
    build=_build,
    drawn=lambda o: o.draws,
)
