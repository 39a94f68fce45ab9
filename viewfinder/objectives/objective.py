"""What an objective is to a training step: one uniform call and declared facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from viewfinder.across_ranks import gather, own_rows, rows_per_rank, world_size
from viewfinder.negatives.proposal import Negatives


class Options(BaseModel):
    """Options of one objective: typed, with defaults, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Inputs:
    """What an objective computes on.

    online    one (N, D) a view: projections, or predictions where there is a predictor
    target    one (N, D) a view: the same tensors, or the same detached, or a momentum encoder's
    index     int64 (N,), position in the dataset
    cluster   int64 (N,), what counts as the same; None: every image is its own
    negatives vectors to contrast with, where they are not the batch's
    rows      the samples that are this rank's anchors; None: all
    """

    online: Sequence[Tensor]
    target: Sequence[Tensor]
    index: Tensor | None = None
    cluster: Tensor | None = None
    negatives: Negatives | None = None
    rows: slice | None = None


@dataclass(frozen=True)
class Objective:
    """A row of the table of objectives.

    options       class of its options, each with a default
    compute       (inputs, options) -> named scalars, "loss" among them
    across_ranks  what the loss of one rank's samples needs of the others: "nothing"; "keys", then
                  ``inputs`` holds the samples of all ranks and ``rows`` says which are this rank's
                  anchors; "batch", then ``inputs`` holds all samples and every rank computes the
                  loss of them all
    target        "unused"; "any"; "constant": the target must carry no gradient, and a predictor or
                  a momentum encoder must set it apart from the online side, or all collapses
    negatives     where its negatives may come from
    positives     what may count as the same: "instance", views of one image; "clusters", a label
                  or any other Z
    views         least and greatest number of views; None: no limit
    outputs       what its online side is: an "embedding", or logits, one of each of the "classes"
    one_way       (options) -> True where the first view is compared with the last target and that
                  is all: then ``online`` may hold the first view alone, ``target`` the last
    minimum       (options, samples, views, classes) -> the least loss there is when the batch has
                  ``samples`` images in ``classes`` equal clusters and enough dimensions
    """

    name: str
    summary: str
    formula: str
    paper: str
    options: type[Options]
    compute: Callable[[Inputs, Any], dict[str, Tensor]]
    minimum: Callable[[Any, int, int, int], float]
    across_ranks: Literal["nothing", "keys", "batch"]
    target: Literal["unused", "any", "constant"]
    negatives: tuple[Literal["none", "batch", "queue"], ...]
    positives: tuple[Literal["instance", "clusters"], ...]
    views: tuple[int, int | None]
    outputs: Literal["embedding", "classes"] = "embedding"
    one_way: Callable[[Any], bool] = lambda options: False

    def __call__(
        self,
        online: Sequence[Tensor],
        target: Sequence[Tensor] | None = None,
        *,
        index: Tensor | None = None,
        cluster: Tensor | None = None,
        negatives: Negatives | None = None,
        options: Options | None = None,
    ) -> dict[str, Tensor]:
        """The loss and its named terms, as scalars; see Inputs for the arguments.

        ``target`` defaults to ``online``. Where there are several processes each of them must call
        this, and the mean over the ranks is the loss of one process on the joined batch, in value
        and in gradients.
        """
        options = self.options() if options is None else options
        inputs = Inputs(online, online if target is None else target, index, cluster, negatives)
        self._check(inputs, options)
        if world_size() == 1:
            return self.compute(inputs, options)
        sizes = rows_per_rank(len(online[0]), online[0].device)
        if self.across_ranks == "batch":
            return self.compute(joined(inputs, sizes), options)
        if self.across_ranks == "keys":
            inputs = replace(joined(inputs, sizes), rows=own_rows(sizes))
        share = len(online[0]) * len(sizes) / sum(sizes)
        return {name: term * share for name, term in self.compute(inputs, options).items()}

    def _check(self, inputs: Inputs, options: Options) -> None:
        least, greatest = self.views
        count = len(inputs.online)
        if self.one_way(options):
            count = max(count, least)
        if count < least or (greatest is not None and count > greatest):
            bound = f"at least {least}" if greatest is None else f"{least} to {greatest}"
            raise ValueError(f"{self.name} takes {bound} views, not {count}")
        if inputs.negatives is not None and "queue" not in self.negatives:
            raise ValueError(f"{self.name} has no place for given negatives")
        if inputs.cluster is not None and "clusters" not in self.positives:
            raise ValueError(f"{self.name} knows no positives by cluster; supcon and info_nce do")
        if inputs.cluster is None and "instance" not in self.positives:
            raise ValueError(f"{self.name} needs labels or clusters")
        if self.target == "constant" and any(t.requires_grad for t in inputs.target):
            raise ValueError(
                f"{self.name} collapses when gradients flow into its target: give it detached, or "
                "from a momentum encoder"
            )


def joined(inputs: Inputs, sizes: Sequence[int]) -> Inputs:
    """The inputs with the samples of all ranks; negatives stay, they are equal on every rank."""
    views = [*inputs.online, *inputs.target]
    floats = gather(torch.cat(views, dim=1), sizes).split([v.shape[1] for v in views], dim=1)
    known = [x for x in (inputs.index, inputs.cluster) if x is not None]
    integers = iter(gather(torch.stack(known, dim=1), sizes).unbind(1) if known else ())
    return replace(
        inputs,
        online=floats[: len(inputs.online)],
        target=floats[len(inputs.online) :],
        index=None if inputs.index is None else next(integers),
        cluster=None if inputs.cluster is None else next(integers),
    )
